"""The page's tables: plain data for their templates, one function a part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from lm_deluge.timeline.measures.comparing.compare import COMPARED
from lm_deluge.timeline.measures.comparing.comparisons import Comparisons, Pair
from lm_deluge.timeline.measures.error_words import error_kinds
from lm_deluge.timeline.measures.groups import Group
from lm_deluge.timeline.measures.metrics import Measured
from lm_deluge.timeline.measures.names import STATISTICS, in_words
from lm_deluge.timeline.measures.printing.figures import (
    SHOWN,
    error_rows,
    known_of,
    share_with_interval,
    without_failed,
)
from lm_deluge.timeline.measures.wording import (
    difference,
    interval,
    number,
    percent,
    seconds,
)

__all__ = ["comparison_part", "errors_part", "glance_part", "largest", "numbers_part"]

_MOST_IN_GLANCE = 1_000
_MOST_IN_FULL = 120  # groups of which every metric has a row
_TALL = 25  # rows after which a table scrolls in a frame of its own

_GLANCE = (
    ("streams", "how many answers"),
    ("failed", "broke"),
    ("TTFT, median", "something appears"),
    ("TTFT, p95", "for the slowest 5 %"),
    ("gap, p95", "silence between pieces"),
    ("stalled", "streams with a stall"),
    ("longest silence", ""),
    ("rate, median", "tokens/s, if whole"),
    ("reader waits", "on average"),
    ("QoE, mean", "1 is best"),
    ("cost", "US dollars"),
)

_MEANINGS = (
    ("TTFT", "Time from the request to the first output of any kind, reasoning included."),
    (
        "TTFA",
        "Time from the request to the first piece of visible answer text; AIPerf and GuideLLM call it "
        "TTFO, time to first output token.",
    ),
    ("gap", "Time from one piece of text to the next; after a failure, to the failure."),
    (
        "ICL",
        "Inter-chunk latency: time from one network read with visible tokens to the next. Tokens that "
        "came in one read have a gap of 0 between them and no ICL.",
    ),
    ("stall", "A gap longer than the threshold."),
    ("TPOT", "Time from the first to the last piece, divided by the pieces after the first."),
    ("E2E", "Time from the request to the ending of a whole answer."),
    ("output rate", "Tokens a second, from the first piece to the last, of whole answers."),
    ("reader starvation", "How long a reader at the given rate waits for text not there yet."),
    (
        "QoE",
        "Share of a reader's time not lost by waiting (Andes, arXiv 2404.16283v2); 1 is best, and a "
        "stream that failed has 0.",
    ),
    ("failed", "Ended neither whole nor by its caller, who may cancel or leave."),
    ("retried", "More than one attempt was made: one failed before any output."),
    ("coalescing", "Share of tokens in the same network read as the token before."),
    (
        "handlers",
        "The longest time in a stream that the application's own handlers took for a read.",
    ),
    ("loop lag", "The longest time in a stream that something else held the event loop, at least."),
    (
        "request throughput",
        "Whole answers per second of the run, from the first start to the last ending; output token "
        "throughput: their tokens, reasoning included.",
    ),
    ("goodput", "Whole answers that met every target, per second of the run."),
    ("std", "Standard deviation (of all that were measured: divided by n)."),
    ("tokens per piece", "A network piece is not a token: known where the server reports usage."),
)


def glance_part(measured: Measured) -> dict[str, Any]:
    """Return what templates/glance.html shows: the figures that matter most, and the endings."""
    groups = largest(measured, _MOST_IN_GLANCE)
    return {
        "heads": _GLANCE,
        "note": _left_out(len(groups), len(measured.groups)),
        "tall": len(groups) > _TALL,
        "rows": [{"name": group.name, "cells": list(_glance(group))} for group in groups],
        "endings": [_endings(group) for group in groups],
    }


def comparison_part(comparisons: Comparisons) -> dict[str, Any]:
    """Return what templates/comparison.html shows: every metric before and now."""
    pairs = sorted(comparisons.pairs, key=lambda pair: -pair.new.streams)[:_MOST_IN_FULL]
    rows = list(_comparison([pair for pair in comparisons.pairs if pair in pairs]))
    return {
        "rows": rows,
        "made": comparisons.n,
        "note": _left_out(len(pairs), len(comparisons.pairs)),
        "tall": len(pairs) > _TALL,
    }


def errors_part(measured: Measured) -> dict[str, Any]:
    """Return what templates/errors.html shows: how streams failed, by group."""
    keys = ("words", "logged", "count", "share", "pieces", "after")
    kinds: dict[str, list[dict[str, str]]] = {}
    counts: dict[str, int] = {}
    groups = list(measured.groups.values())
    if len(groups) > _MOST_IN_FULL:  # those with the most failures are the ones to show
        groups.sort(key=lambda group: -group.failed)
    for group in groups:
        for kind, row in zip(error_kinds(group), error_rows(group), strict=True):
            row_of = {"name": group.name, **dict(zip(keys, row, strict=True))}
            kinds.setdefault(kind.words, []).append(row_of)
            counts[kind.words] = counts.get(kind.words, 0) + kind.count
    ordered = sorted(kinds, key=lambda words: -counts[words])
    return {
        "kinds": [
            {
                "words": words,
                "count": f"{counts[words]:,}",
                "rows": kinds[words][:_MOST_IN_FULL],
                "more": max(0, len(kinds[words]) - _MOST_IN_FULL),
            }
            for words in ordered
        ],
        "tall": sum(map(len, kinds.values())) > _TALL,
        "several": len(measured.groups) > 1,
    }


def numbers_part(measured: Measured) -> dict[str, Any]:
    """Return what templates/numbers.html shows: all distributions, and what the words mean."""
    groups = largest(measured, _MOST_IN_FULL)
    return {
        "statistics": STATISTICS,
        "note": _left_out(len(groups), len(measured.groups)),
        "tall": len(groups) > 1,
        "rows": list(_distributions(groups)),
        "throughputs": list(_throughputs(groups)),
        "meanings": _MEANINGS,
    }


def largest(measured: Measured, most: int) -> list[Group]:
    """Return the groups with the most streams, in the order of all groups."""
    groups = list(measured.groups.values())
    names = {group.name for group in sorted(groups, key=lambda group: -group.streams)[:most]}
    return [group for group in groups if group.name in names]


def _left_out(shown: int, of: int) -> str:
    if shown == of:
        return ""
    return f"Of {of:,} groups these are the {shown:,} largest; --csv and --json have all of them."


def _throughputs(groups: Sequence[Group]) -> Iterator[dict[str, str]]:
    """Yield a group's answers, tokens and good answers per second, where the clock is known."""
    for group in groups:
        if group.seconds is not None:
            yield {
                "name": group.name,
                "seconds": seconds(group.seconds),
                "requests": number("request_throughput", group.request_throughput),
                "tokens": number("output_token_throughput", group.output_token_throughput),
                "good": number("goodput", group.goodput),
            }


def _glance(group: Group) -> Iterator[tuple[str, bool]]:
    summary = group.summary()
    gap = summary["gap"]["max"]
    yield f"{group.streams:,}", False
    share = f" ({percent(group.failed / group.streams)})" if group.failed else ""
    yield f"{group.failed:,}{share}", group.failed > 0
    yield seconds(summary["ttft"]["p50"]), False
    yield seconds(summary["ttft"]["p95"]), False
    yield seconds(summary["gap"]["p95"]), False
    yield percent(summary["stalls"]["streams"]), bool(summary["stalls"]["count"])
    yield seconds(gap), gap is not None and gap > group.settings.stall
    yield number("rate.p50", summary["rate"]["p50"]).removesuffix(" tokens/s"), False
    yield seconds(summary["starvation"]["mean"]), False
    yield number("qoe.mean", summary["qoe"]["mean"]), False
    costs = len(group.values("cost"))
    yield known_of(costs, group.streams, number("cost", summary["cost"])), False


def _comparison(pairs: Sequence[Pair]) -> Iterator[dict[str, Any]]:
    for metric in COMPARED:
        first = True
        for pair in pairs:
            comparison = pair.with_interval(metric)
            yield {
                "first": first,
                "metric": in_words(metric),
                "name": pair.new.name,
                "before": without_failed(pair.old, metric, comparison.old),
                "now": without_failed(pair.new, metric, comparison.new),
                "change": difference(metric, comparison.difference),
                "is_clear": comparison.is_clear,
                "interval": interval(metric, comparison.low, comparison.high),
            }
            first = False


def _endings(group: Group) -> dict[str, str]:
    return {
        "name": group.name,
        "whole": f"{group.completed:,}",
        "failed": f"{group.failed:,}",
        "failed_share": share_with_interval(group.failed, group.streams),
        "retried": f"{group.retried:,}",
        "retried_share": share_with_interval(group.retried, group.streams),
        "cancelled": f"{group.cancelled:,}",
        "unfinished": f"{group.unfinished:,}",
        "censored": f"{group.censored:,}",
    }


def _distributions(groups: Sequence[Group]) -> Iterator[dict[str, Any]]:
    summaries = [(group.name, group.summary()) for group in groups]
    for metric, _, words in SHOWN:
        for position, (name, summary) in enumerate(summaries):
            yield {
                "first": position == 0,
                "metric": words,
                "name": name,
                "cells": [
                    number(f"{metric}.{statistic}", summary[metric][statistic])
                    for statistic in STATISTICS
                ],
            }
