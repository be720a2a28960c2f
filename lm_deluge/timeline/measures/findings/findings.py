"""What the numbers say, in plain words, the most important first: what broke."""

from __future__ import annotations

from collections.abc import Iterator

from lm_deluge.timeline.measures.comparing.comparisons import Comparisons, compare_all
from lm_deluge.timeline.measures.error_words import ErrorKind, error_kinds, retry_words
from lm_deluge.timeline.measures.findings.about_pairs import about_prompts
from lm_deluge.timeline.measures.findings.about_way import about_way
from lm_deluge.timeline.measures.findings.differences import (
    about_comparisons,
    about_differences,
    about_outcomes,
)
from lm_deluge.timeline.measures.findings.finding import Finding
from lm_deluge.timeline.measures.groups import Group
from lm_deluge.timeline.measures.metrics import Measured
from lm_deluge.timeline.measures.numeric import np
from lm_deluge.timeline.measures.wording import streams_text

__all__ = ["findings_of"]

# What is worth a sentence. These are judgements, not measurements.
_FEW_STREAMS = 20
_BURST_TOKENS = 5
_BURST_SILENCE = 0.3
_BURST_COALESCING = 0.5
_HANDLER_SHARE = 0.2
_LONG_HOLD = 0.1
_MOST_OF_IT = 0.5


def findings_of(
    measured: Measured,
    baseline: Measured | None = None,
    comparisons: Comparisons | None = None,
) -> list[Finding]:
    """Return the findings as sentences, each with its ``subject``; ``baseline`` adds what changed since.

    ``comparisons``: ``compare_all(measured, baseline)``, by whoever has them already. Content-free:
    names of groups, models, tags and error classes are all they quote.
    """
    if not measured.groups:
        return [
            Finding("The log holds no stream."),
            *_about_passed(measured),
            *_about_reading(measured),
        ]
    if comparisons is None:
        comparisons = compare_all(measured, baseline)
    named = [(measured.called(group), group) for group in measured.groups.values()]
    told = list(about_outcomes(comparisons, baseline))
    for name, group in named:
        told += _about_failures(name, group)
        told += _about_retries(name, group)
        told += _about_app_retries(name, group)
    for name, group in named:
        told += _about_stalls(name, group)
        told += _about_bursts(name, group)
        told += _about_handlers(name, group)
        told += about_way(name, group)
        told += _about_targets(name, group)
    told += about_differences(comparisons, baseline)
    told += about_prompts(comparisons, baseline)
    told += about_comparisons(comparisons, baseline)
    told += _about_trust(measured)
    told += _about_passed(measured)
    told += _about_reading(measured)
    return told


def _about_failures(name: str, group: Group) -> Iterator[Finding]:
    if group.failed:
        kinds = [kind for kind in error_kinds(group) if not kind.cancelled]
        details = "".join(f" {_kind(kind)}." for kind in kinds[:3])
        more = f" And {len(kinds) - 3} more kinds." if len(kinds) > 3 else ""
        share = group.failed / group.streams
        yield Finding(
            f"{group.failed} of {group.streams} streams of {name} failed ({_percent(share)})."
            f"{details}{more}",
            "broke",
        )
    if group.censored:
        others = (
            "; the TTFT percentiles are over the others, so the true ones are higher"
            if group.censored < group.streams
            else ""
        )
        yield Finding(
            f"{streams_text(group.censored)} of {name} ended without any output{others}.", "broke"
        )


def _about_retries(name: str, group: Group) -> Iterator[Finding]:
    if group.retried:
        kinds = sorted(group.retries.items(), key=lambda kind: -kind[1])
        details = ", ".join(
            f"{retry_words(error)}: {count} × ({error})" for error, count in kinds[:3]
        )
        more = f", and {len(kinds) - 3} more kinds" if len(kinds) > 3 else ""
        yield Finding(
            f"{group.retried} of {group.streams} streams of {name} "
            f"{'was' if group.retried == 1 else 'were'} retried "
            f"({_percent(group.retried / group.streams)}){f'; {details}' if details else ''}{more}.",
            "retried",
        )


def _about_app_retries(name: str, group: Group) -> Iterator[Finding]:
    if group.app_retries:
        are = "is a retry" if group.app_retries == 1 else "are retries"
        yield Finding(
            f"{group.app_retries} of {group.streams} streams of {name} {are} of the app's own "
            f"({_percent(group.app_retries / group.streams)}): its reader waited for those before, too."
        )


def _about_passed(measured: Measured) -> Iterator[Finding]:
    """What a proxy passed on beside streams."""
    requests, notes = measured.beside.get("request", 0), measured.beside.get("note", 0)
    if requests:
        did = "request did" if requests == 1 else "requests did"
        yield Finding(
            f"{requests:,} {did} not stream: no timeline tells of what went through there."
        )
    if notes:
        was = "note tells" if notes == 1 else "notes tell"
        yield Finding(f"{notes:,} {was} of what the proxy passed on and did not understand.")


def _about_stalls(name: str, group: Group) -> Iterator[Finding]:
    stalls = group.summary()["stalls"]
    if not stalls["count"]:
        return
    times = "stall" if stalls["count"] == 1 else "stalls"
    yield Finding(
        f"{_percent(stalls['streams'])} of the streams of {name} stalled (a gap above "
        f"{group.settings.stall:g} s): {stalls['count']} {times}, {_seconds(stalls['total'])} in "
        f"all, the longest {_seconds(stalls['longest'])}.",
        "stalled",
    )


def _about_bursts(name: str, group: Group) -> Iterator[Finding]:
    bursts, silences = group.values("burst"), group.values("silence")
    coalescing = group.values("coalescing")
    if not len(silences) or not len(coalescing):
        return
    burst, silence = float(np.median(bursts)), float(np.median(silences))
    if burst < _BURST_TOKENS or silence < _BURST_SILENCE or coalescing.mean() < _BURST_COALESCING:
        return
    yield Finding(
        f"Tokens of {name} arrive in bursts of {burst:.0f} every {silence:.1f} s, and "
        f"{_percent(float(coalescing.mean()))} of them share their network read with the one "
        "before: looks like a buffering proxy.",
        "stalled",
    )


def _about_handlers(name: str, group: Group) -> Iterator[Finding]:
    held, span = group.column("held"), group.column("span")
    known = ~(np.isnan(held) | np.isnan(span))
    total = float(span[known].sum())
    caused, share = (
        float(group.column(column)[known].sum()) / total if total > 0 else 0.0
        for column in ("held_up", "held")
    )
    holds, lags = group.values("handlers"), group.values("loop_lag")
    if caused >= _HANDLER_SHARE:
        not_the_model = ", not the model," if caused >= _MOST_OF_IT else ""
        yield Finding(
            f"Handlers{not_the_model} cause {_percent(caused)} of the delay between tokens of "
            f"{name}: the next piece was there when they let go of the event loop."
        )
    elif share >= _HANDLER_SHARE:
        yield Finding(
            f"Handlers hold the event loop for {_percent(share)} of the time between tokens of "
            f"{name}."
        )
    elif len(holds) and np.percentile(holds, 95) >= _LONG_HOLD:
        yield Finding(
            f"Handlers held up pieces of {name}: the longest that they held the event loop in a "
            f"stream is {_seconds(float(np.percentile(holds, 95)))} at p95."
        )
    if len(lags) and np.percentile(lags, 95) >= _LONG_HOLD:
        yield Finding(
            f"The event loop was late for pieces of {name}, and not by its handlers: the longest "
            f"loop lag in a stream is {_seconds(float(np.percentile(lags, 95)))} at p95 (the "
            "application, other streams, or a full core)."
        )


def _about_targets(name: str, group: Group) -> Iterator[Finding]:
    targets = group.settings.targets
    if targets:
        pace = f", {group.goodput:.3g} a second" if group.goodput is not None else ""
        yield Finding(
            f"{group.good} of {group.streams} streams of {name} "
            f"({_percent(group.good / group.streams)}) met {' and '.join(map(str, targets))}{pace}."
        )


def _about_trust(measured: Measured) -> Iterator[Finding]:
    for group in measured.groups.values():
        name = measured.called(group)
        if group.cancelled:
            yield Finding(
                f"{streams_text(group.cancelled)} of {name} "
                f"{'was' if group.cancelled == 1 else 'were'} cancelled by the caller: neither "
                "completed nor failed."
            )
        if group.streams < _FEW_STREAMS:
            yield Finding(
                f"{name} has {streams_text(group.streams)} only: its p95 and p99 rest on one or two of "
                "them."
            )
        if group.unfinished:
            yield Finding(
                f"{streams_text(group.unfinished)} of {name} {_have(group.unfinished)} no ending in the "
                "log (still running, or the process was killed): neither completed nor failed."
            )
        if group.lost:
            yield Finding(
                f"{group.lost} token lines of {name} are missing from the log; gaps across them are "
                "too long."
            )


def _about_reading(measured: Measured) -> Iterator[Finding]:
    for sentence in measured.lacks:
        yield Finding(sentence)
    if measured.skipped:
        reasons = "; ".join(
            f"{skipped.count} {skipped.reason}, first at {skipped.first}"
            for skipped in measured.skipped
        )
        yield Finding(
            f"{measured.skipped_lines} of {measured.lines} lines were skipped: {reasons}."
        )


def _kind(kind: ErrorKind) -> str:
    """Return ``The connection broke after some text: 27 × (ConnectionLostError; …)``."""
    after = _seconds(np.median(kind.seconds))
    pieces = np.median(kind.tokens)
    came = f"{pieces:.0f} pieces and {after}" if pieces else after
    middle = f"after {came}" if kind.count == 1 else f"in the median after {came}"
    return f"{kind.words[:1].upper()}{kind.words[1:]}: {kind.count} × ({kind.classes}; {middle})"


def _have(count: int) -> str:
    return "has" if count == 1 else "have"


def _percent(share: float) -> str:
    return f"{share * 100:.0f} %" if share >= 0.1 else f"{share * 100:.1f} %"


def _seconds(value: float) -> str:
    if value >= 10:
        return f"{value:.0f} s"
    return f"{value:.1f} s" if value >= 1 else f"{value:.2f} s"
