"""What the numbers say, in plain words, the most important first."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from lm_deluge.timeline.compare import Comparison, compare_groups, pair_groups
from lm_deluge.timeline.metrics import Group, Measured
from lm_deluge.timeline.names import in_words, is_percentage, unit
from lm_deluge.timeline.numeric import np

__all__ = ["findings_of"]

_TOLD = ("ttft.p50", "ttft.p95", "gap.p95", "tpot.p50", "stalls.streams", "qoe.mean")

# What is worth a sentence. These are judgements, not measurements.
_NOTABLE_CHANGE = 0.05
_FEW_STREAMS = 20
_BURST_TOKENS = 5
_BURST_SILENCE = 0.3
_BURST_COALESCING = 0.5
_HANDLER_SHARE = 0.2
_HANDLER_LAG = 0.1
_MOST_PAIRS = 6


def findings_of(measured: Measured, baseline: Measured | None = None) -> list[str]:
    """Return the findings as sentences; ``baseline`` adds what changed since.

    Content-free: names of groups, models, tags and error classes are all they quote.
    """
    if not measured.groups:
        return ["The log holds no stream.", *_about_reading(measured)]
    told: list[str] = []
    for group in measured.groups.values():
        name = _called(measured, group)
        told += _about_failures(name, group)
        told += _about_stalls(name, group)
        told += _about_bursts(name, group)
        told += _about_handlers(name, group)
        told += _about_targets(name, group)
    told += _about_differences(measured) if baseline is None else _about_change(measured, baseline)
    told += _about_trust(measured)
    told += _about_reading(measured)
    return told


def _called(measured: Measured, group: Group) -> str:
    return group.name if measured.by is None else f"{measured.by} {group.name}"


def _about_failures(name: str, group: Group) -> Iterator[str]:
    if group.failed:
        kinds = sorted(group.failures.values(), key=lambda failures: -len(failures.tokens))
        details = "; ".join(
            f"{failures.error}{_phase(failures.phase)} {_times(len(failures.tokens))}, after "
            f"{np.median(failures.tokens):.0f} pieces and {_seconds(np.median(failures.seconds))} "
            "in the median"
            for failures in kinds[:3]
        )
        more = f"; and {len(kinds) - 3} more kinds" if len(kinds) > 3 else ""
        share = group.failed / group.streams
        yield (
            f"{group.failed} of {group.streams} streams of {name} failed ({_percent(share)}): "
            f"{details}{more}."
        )
    if group.censored:
        yield (
            f"{_streams(group.censored)} of {name} ended without any output; the TTFT percentiles "
            "are over the others, so the true ones are higher."
        )


def _about_stalls(name: str, group: Group) -> Iterator[str]:
    stalls = group.summary()["stalls"]
    if not stalls["count"]:
        return
    times = "stall" if stalls["count"] == 1 else "stalls"
    yield (
        f"{_percent(stalls['streams'])} of the streams of {name} stalled (a gap above "
        f"{group.settings.stall:g} s): {stalls['count']} {times}, {_seconds(stalls['total'])} in "
        f"all, the longest {_seconds(stalls['longest'])}."
    )


def _about_bursts(name: str, group: Group) -> Iterator[str]:
    bursts, silences = group.values("burst"), group.values("silence")
    coalescing = group.values("coalescing")
    if not len(silences) or not len(coalescing):
        return
    burst, silence = float(np.median(bursts)), float(np.median(silences))
    if burst < _BURST_TOKENS or silence < _BURST_SILENCE or coalescing.mean() < _BURST_COALESCING:
        return
    yield (
        f"Tokens of {name} arrive in bursts of {burst:.0f} every {silence:.1f} s, and "
        f"{_percent(float(coalescing.mean()))} of them share their network read with the one "
        "before: looks like a buffering proxy."
    )


def _about_handlers(name: str, group: Group) -> Iterator[str]:
    held, span = group.column("held"), group.column("span")
    known = ~(np.isnan(held) | np.isnan(span))
    total = float(span[known].sum())
    share = float(held[known].sum()) / total if total > 0 else 0.0
    lags = group.values("handler_lag")
    if share >= 0.5:
        yield (
            f"Handlers, not the model, cause {_percent(share)} of the delay between tokens of "
            f"{name}."
        )
    elif share >= _HANDLER_SHARE:
        yield f"Handlers cause {_percent(share)} of the delay between tokens of {name}."
    elif len(lags) and np.percentile(lags, 95) >= _HANDLER_LAG:
        yield (
            f"Handlers held up pieces of {name}: the longest wait in a stream is "
            f"{_seconds(float(np.percentile(lags, 95)))} at p95."
        )


def _about_targets(name: str, group: Group) -> Iterator[str]:
    targets = group.settings.targets
    if targets:
        pace = f", {group.goodput:.3g} a second" if group.goodput is not None else ""
        yield (
            f"{group.good} of {group.streams} streams of {name} "
            f"({_percent(group.good / group.streams)}) met {' and '.join(map(str, targets))}{pace}."
        )


def _about_differences(measured: Measured) -> Iterator[str]:
    groups = sorted(measured.groups.values(), key=lambda group: -group.streams)
    pairs = list(combinations(groups[:4], 2))[:_MOST_PAIRS]
    for one, other in pairs:
        first, second = sorted((one, other), key=lambda group: group.name)
        name, other_name = _called(measured, second), _called(measured, first)
        yield from _differences(
            second,
            first,
            f"of {name} is",
            f"than that of {other_name}",
            f"between {name} and {other_name}",
        )


def _about_change(measured: Measured, baseline: Measured) -> Iterator[str]:
    for name, (group, before) in pair_groups(measured, baseline).items():
        if group is not None and before is not None:
            called = _called(measured, group)
            yield from _differences(
                group, before, f"of {called} is", "than before", f"of {called} since the baseline"
            )
        else:
            where = "this log" if before is None else "the baseline"
            yield f"{name} is only in {where}: nothing to compare it with."


def _differences(new: Group, old: Group, whose: str, than: str, between: str) -> Iterator[str]:
    """Tell the clear differences, or how far from clear the most important one is."""
    comparisons = [compare_groups(new, old, metric) for metric in _TOLD]
    clear = [comparison for comparison in comparisons if _is_notable(comparison)]
    for comparison in clear:
        yield _difference(comparison, whose, than)
    ttft = comparisons[0]
    if not clear and ttft.low is not None and ttft.high is not None:
        ends = f"{_signed(ttft.metric, ttft.low)} to {_signed(ttft.metric, ttft.high)}"
        yield (
            f"No clear difference {between}: {in_words(ttft.metric)} differs by "
            f"{_signed(ttft.metric, ttft.difference or 0)}, 95 % interval {ends}."
        )


def _is_notable(comparison: Comparison) -> bool:
    difference, old = comparison.difference, comparison.old
    if difference is None or old is None or not comparison.is_clear:
        return False
    return abs(difference) >= _NOTABLE_CHANGE * abs(old)


def _difference(comparison: Comparison, whose: str, than: str) -> str:
    difference = comparison.difference or 0.0
    ends = sorted(abs(end) for end in (comparison.low or 0.0, comparison.high or 0.0))
    metric = comparison.metric
    amount, low, high = (_amount(metric, value) for value in (abs(difference), *ends))
    kind = _unit(metric)
    direction = "lower" if difference < 0 else "higher"
    words = in_words(metric)
    words = words if words.startswith("p9") else words[:1].upper() + words[1:]
    interval = f"{low}–{high}{kind}"
    return f"{words} {whose} {amount}{kind} {direction} {than}, 95 % interval {interval}."


def _about_trust(measured: Measured) -> Iterator[str]:
    for group in measured.groups.values():
        name = _called(measured, group)
        if group.streams < _FEW_STREAMS:
            yield (
                f"{name} has {_streams(group.streams)} only: its p95 and p99 rest on one or two of "
                "them."
            )
        if group.unfinished:
            yield (
                f"{_streams(group.unfinished)} of {name} {_have(group.unfinished)} no ending in the "
                "log (still running, or the process was killed): neither completed nor failed."
            )
        if group.lost:
            yield (
                f"{group.lost} token lines of {name} are missing from the log; gaps across them are "
                "too long."
            )


def _about_reading(measured: Measured) -> Iterator[str]:
    if measured.skipped:
        reasons = "; ".join(
            f"{skipped.count} {skipped.reason}, first at {skipped.first}"
            for skipped in measured.skipped
        )
        yield f"{measured.skipped_lines} of {measured.lines} lines were skipped: {reasons}."


def _amount(metric: str, value: float) -> str:
    if is_percentage(metric):
        return f"{value * 100:.1f}"
    return f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"


def _unit(metric: str) -> str:
    if is_percentage(metric):
        return " points"
    return f" {unit(metric)}" if unit(metric) else ""


def _signed(metric: str, value: float) -> str:
    return f"{'−' if value < 0 else '+'}{_amount(metric, abs(value))}{_unit(metric)}"


def _phase(phase: str | None) -> str:
    return f" ({phase.replace('_', ' ')})" if phase else ""


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _streams(count: int) -> str:
    return f"{count} stream{'' if count == 1 else 's'}"


def _have(count: int) -> str:
    return "has" if count == 1 else "have"


def _percent(share: float) -> str:
    return f"{share * 100:.0f} %" if share >= 0.1 else f"{share * 100:.1f} %"


def _seconds(value: float) -> str:
    if value >= 10:
        return f"{value:.0f} s"
    return f"{value:.1f} s" if value >= 1 else f"{value:.2f} s"
