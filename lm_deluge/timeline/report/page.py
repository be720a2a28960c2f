"""The report as one self-contained page: no network, light and dark, content escaped."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from importlib.resources import files
from typing import Any

from lm_deluge.timeline.measures.compare import COMPARED
from lm_deluge.timeline.measures.comparisons import Comparisons, compare_all
from lm_deluge.timeline.measures.figures import (
    SHOWN,
    error_rows,
    interval,
    known_of,
    settings_in_words,
    share_with_interval,
    signed,
    without_failed,
)
from lm_deluge.timeline.measures.groups import Group, last_moment
from lm_deluge.timeline.measures.metrics import Measured
from lm_deluge.timeline.measures.names import STATISTICS, in_words
from lm_deluge.timeline.measures.numeric import np
from lm_deluge.timeline.measures.sampling import Sample
from lm_deluge.timeline.measures.wording import (
    number,
    percent,
    seconds,
)
from lm_deluge.timeline.report.charts import (
    color,
    delivered,
    gap_ecdf,
    ttft_ecdf,
)
from lm_deluge.timeline.report.drawing import (
    Document,
    Environment,
    FunctionLoader,
    Markup,
    Resources,
    components,
)
from lm_deluge.timeline.report.strips import draw_strips

__all__ = ["html_page"]

_MOST_GROUPS = 8  # as many as there are colours
_MOST_TICKS = 80_000

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
    ("TTFA", "Time from the request to the first piece of visible answer text."),
    ("gap", "Time from one piece of text to the next; after a failure, to the failure."),
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
    ("tokens per piece", "A network piece is not a token: known where the server reports usage."),
)


def html_page(
    measured: Measured,
    findings: Sequence[str],
    sample: Sample,
    *,
    baseline: Measured | None = None,
    comparisons: Comparisons | None = None,
    broken: Sequence[str] = (),
    title: str = "How the streams felt",
) -> str:
    """Return the page.

    ``sample`` holds the streams to draw; it was given to ``measure(keep=sample.keep)``. Everything
    that comes from the log or the caller is escaped; the page's Content-Security-Policy lets no
    other script run and nothing be loaded.
    """
    nonce = secrets.token_urlsafe(16)
    groups = list(measured.groups.values())
    values: dict[str, Any] = {
        "nonce": nonce,
        "title": title,
        "subtitle": _subtitle(measured),
        "findings": findings,
        "broken": broken,
        "kind": measured.kind,
        "glance_heads": _GLANCE,
        "statistics": STATISTICS,
        "meanings": _MEANINGS,
        "reading": settings_in_words(measured),
        "skipped": measured.skipped,
        "groups": [{"name": group.name, "glance": list(_glance(group))} for group in groups],
        "libraries": [],
    }
    if groups:
        values |= _charts(measured, sample)
        colors = {strip["name"]: strip["color"] for strip in values["strips"]}
        for group in values["groups"]:
            group["color"] = colors.get(group["name"])
        if baseline is not None:
            comparisons = comparisons or compare_all(measured, baseline)
            values["comparison"] = list(_comparison(comparisons))
            values["comparisons_made"] = comparisons.n
        values["outcomes"] = list(_outcomes(groups))
        values["errors"] = list(_errors(groups))
        values["distributions"] = list(_distributions(groups))
    templates = Environment(loader=FunctionLoader(_template), autoescape=True)
    page = templates.get_template("page.html").render(values)
    return page.encode("utf-8", "replace").decode("utf-8")  # lone surrogates become "?"


def _template(name: str) -> str:
    return (files(__package__) / "templates" / name).read_text(encoding="utf-8")


def _charts(measured: Measured, sample: Sample) -> dict[str, Any]:
    groups = sorted(measured.groups.values(), key=lambda group: -group.streams)[:_MOST_GROUPS]
    groups.sort(key=lambda group: group.name)
    kept = {group.name: sample.all(group.name) for group in groups}
    ends = [last_moment(stream) for streams in kept.values() for stream in streams]
    width = float(np.quantile(ends, 0.95)) * 1.05 if ends else 1.0
    strips = [
        draw_strips(
            kept[group.name],
            seen=group.streams,
            color=color(position),
            stall=measured.settings.stall,
            width=width or 1.0,
            most_ticks=_MOST_TICKS // len(groups),
        )
        for position, group in enumerate(groups)
    ]
    plots = [ttft_ecdf(groups), gap_ecdf(groups), delivered(groups, sample)]
    plots += [strip.plot for strip in strips]
    document = Document()
    with document.models.freeze():  # without it, bokeh looks through all plots for each of them
        for plot in plots:
            document.add_root(plot)
    script, divs = components(plots, wrap_script=False)
    divs = [Markup(div) for div in divs]
    drawn = sum(len(sample.by_chance(group.name)) for group in groups)
    streams = sum(group.streams for group in groups)
    return {
        "plots": dict(zip(("ttft", "gap", "delivered"), divs, strict=False)),
        "plot_count": len(plots),
        "groups_note": ""
        if len(groups) == len(measured.groups)
        else f"The charts show the {len(groups)} largest of {len(measured.groups):,} groups.",
        "delivered_note": ""
        if drawn >= streams
        else f"From {drawn:,} of {streams:,} streams, taken by chance.",
        "strips": [
            {
                "name": group.name,
                "color": color(position),
                "plot": div,
                "left_out": strip.left_out,
            }
            for position, (group, strip, div) in enumerate(
                zip(groups, strips, divs[3:], strict=True)
            )
        ],
        # bokeh escapes the data in its script; the rest is its own code.
        "charts": Markup(script),
        "libraries": [
            Markup(code) for code in Resources(mode="inline", components=["bokeh"]).js_raw
        ],
    }


def _subtitle(measured: Measured) -> str:
    count = sum(group.streams for group in measured.groups.values())
    groups = len(measured.groups)
    by = measured.kind
    return f"{count:,} streams in {groups} group{'' if groups == 1 else 's'}, by {by}."


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


def _comparison(comparisons: Comparisons) -> Iterator[dict[str, Any]]:
    for metric in COMPARED:
        first = True
        for pair in comparisons.pairs:
            comparison = pair.with_interval(metric)
            yield {
                "first": first,
                "metric": in_words(metric),
                "name": pair.new.name,
                "before": without_failed(pair.old, metric, comparison.old),
                "now": without_failed(pair.new, metric, comparison.new),
                "change": signed(comparison),
                "is_clear": comparison.is_clear,
                "interval": interval(comparison),
            }
            first = False


def _outcomes(groups: Sequence[Group]) -> Iterator[dict[str, str]]:
    for group in groups:
        yield {
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


def _errors(groups: Sequence[Group]) -> Iterator[dict[str, str]]:
    for group in groups:
        for error, phase, count, share, pieces, after in error_rows(group):
            yield {
                "name": group.name,
                "error": error,
                "phase": phase,
                "count": count,
                "share": share,
                "pieces": pieces,
                "after": after,
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
