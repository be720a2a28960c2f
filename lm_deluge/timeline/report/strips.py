"""The report's chart of single streams: one row each, its pieces over time, its silences in red."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf, pi
from typing import Any, Literal

from attrs import define

from lm_deluge.timeline.measures.error_words import ending_words
from lm_deluge.timeline.measures.groups import last_moment
from lm_deluge.timeline.measures.numeric import np
from lm_deluge.timeline.measures.wording import seconds
from lm_deluge.timeline.report.charts import TROUBLE, Figure, empty_figure
from lm_deluge.timeline.report.drawing import ColumnDataSource, HoverTool
from lm_deluge.values.timeline import Timeline

__all__ = ["Strips", "draw_strips"]

_TICKS_ACROSS = 1_500
_MOST_STALLS = 1_500
_TEXT_AROUND = 70

_STREAM_TIP = """<div style="max-width:26em">
<b>@stream</b> @about<br>began after @began, ended after @ended: @how</div>"""
_STALL_TIP = """<div style="max-width:26em">
<b>silence of @seconds</b> after @start (stream @stream)<br>
<span style="white-space:pre-wrap">@before<b style="color:#e5383b"> ▮ </b>@after</span></div>"""
_ENDING_TIP = """<div><b>@how</b> after @ended (stream @stream)</div>"""


@define
class Strips:
    """A group's chart, and what was left out of it, in words (``""`` if nothing)."""

    plot: Figure
    left_out: str


def draw_strips(
    streams: Sequence[Timeline],
    *,
    seen: int,
    color: str,
    stall: float,
    width: float,
    most_ticks: int,
) -> Strips:
    """Draw streams of one group, the quickest to begin at the top.

    ``seen``: how many streams the group has. ``stall``: seconds, a longer gap is marked. ``width``:
    seconds that the axis shows at first. ``most_ticks``: pieces are merged until they are so few.
    """
    rows = sorted(streams, key=lambda stream: -(inf if stream.ttft is None else stream.ttft))
    plot = empty_figure(
        "seconds since the request",
        "",
        height=int(min(640, max(110, 70 + 9 * len(rows)))),
        x_range=(0, width),
        y_range=(-1, len(rows)),
    )
    plot.yaxis.visible = False
    plot.ygrid.visible = False
    bodies = plot.hbar(
        y="y",
        left="left",
        right="right",
        height=0.7,
        source=ColumnDataSource(_bodies(rows)),
        fill_color=color,
        fill_alpha=0.22,
        line_color=None,
    )
    waits = plot.hbar(
        y="y",
        left=0,
        right="left",
        height=0.12,
        source=bodies.data_source,
        fill_color=color,
        fill_alpha=0.35,
        line_color=None,
    )
    ticks, merged = _ticks(rows, width, most_ticks)
    plot.scatter(
        "x",
        "y",
        source=ColumnDataSource(ticks),
        marker="dash",
        angle=pi / 2,
        size=max(2.0, min(8.0, 500 / max(len(rows), 1))),
        line_color=color,
        line_alpha=0.9,
    )
    stalls, dropped = _stalls(rows, stall)
    silences = plot.hbar(
        y="y",
        left="left",
        right="right",
        height=0.8,
        source=ColumnDataSource(stalls),
        fill_color=TROUBLE,
        fill_alpha=0.8,
        line_color=None,
    )
    endings = plot.scatter(
        "x",
        "y",
        source=ColumnDataSource(_troubled_endings(rows)),
        marker="x",
        size=8,
        line_color=TROUBLE,
        line_width=2,
    )
    # Apart from each other: a stall is inside its stream, and an ending at the end of it.
    tips: tuple[tuple[list[Any], str, Literal["above", "below", "left"]], ...] = (
        ([bodies, waits], _STREAM_TIP, "above"),
        ([silences], _STALL_TIP, "below"),
        ([endings], _ENDING_TIP, "left"),
    )
    for renderers, tip, side in tips:
        plot.add_tools(HoverTool(renderers=renderers, tooltips=tip, attachment=side, visible=False))
    return Strips(plot, " ".join(_left_out(len(rows), seen, merged, dropped)))


def _left_out(rows: int, seen: int, merged: float, dropped: int) -> Iterable[str]:
    if rows < seen:
        yield (
            f"{rows:,} of {seen:,} streams are drawn: a sample by chance, and those with the "
            "longest silences."
        )
    if merged:
        yield f"Pieces closer than {seconds(merged)} are drawn as one tick."
    if dropped:
        yield f"{dropped:,} more stalls, the shortest, are not marked."


def _how(stream: Timeline) -> str:
    if stream.ending is None:
        return "no ending in the log"
    if stream.completed:
        return "complete"
    if stream.cancelled:
        return "cancelled by its caller"
    error = stream.ending.error or "unknown"
    return f"{ending_words(error, stream.ending.phase, text=len(stream) > 0)} ({error})"


def _bodies(rows: Sequence[Timeline]) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {
        name: [] for name in ("y", "left", "right", "stream", "about", "began", "ended", "how")
    }
    for y, stream in enumerate(rows):
        end = last_moment(stream)
        columns["y"].append(y)
        columns["left"].append(end if stream.ttft is None else min(stream.ttft, end))
        columns["right"].append(end)
        columns["stream"].append(stream.stream)
        columns["about"].append(f"{len(stream):,} pieces from {stream.model or 'an unknown model'}")
        columns["began"].append(seconds(stream.ttft))
        columns["ended"].append(seconds(end))
        columns["how"].append(_how(stream))
    return columns


def _ticks(rows: Sequence[Timeline], width: float, most: int) -> tuple[dict[str, Any], float]:
    """Return one tick per network read, or fewer; and the seconds below which they were merged."""
    total = sum(len(stream.times) for stream in rows)
    apart = width / _TICKS_ACROSS if total > most / 4 else 0.0
    while True:
        kept = [_apart(stream, apart) for stream in rows]
        if sum(map(len, kept)) <= most:
            break
        apart = apart * 1.5 or width / _TICKS_ACROSS
    merged = apart if sum(map(len, kept)) < total else 0.0
    x = np.concatenate([*kept, np.array([])])
    y = np.repeat(np.arange(len(rows)), [len(times) for times in kept])
    return {"x": x.astype(np.float32), "y": y.astype(np.float32)}, merged


def _apart(stream: Timeline, apart: float) -> Any:
    """Return arrival times of which no two fall into the same slice of ``apart`` seconds."""
    times = np.array(stream.times)
    if not apart or len(times) < 2:
        return times
    slices = np.floor(times / apart)
    return times[np.append(True, slices[1:] != slices[:-1])]


def _stalls(rows: Sequence[Timeline], threshold: float) -> tuple[dict[str, list[Any]], int]:
    found = [(stall, y) for y, stream in enumerate(rows) for stall in stream.stalls(threshold)]
    found.sort(key=lambda entry: -entry[0].seconds)
    columns: dict[str, list[Any]] = {
        name: [] for name in ("y", "left", "right", "stream", "seconds", "start", "before", "after")
    }
    for stall, y in found[:_MOST_STALLS]:
        stream = rows[y]
        around = stream.text_around(stall.index, _TEXT_AROUND)
        before, after = around if around is not None else ("(no text in this log)", "")
        columns["y"].append(y)
        columns["left"].append(stall.start)
        columns["right"].append(stall.start + stall.seconds)
        columns["stream"].append(stream.stream)
        columns["seconds"].append(seconds(stall.seconds))
        columns["start"].append(seconds(stall.start))
        columns["before"].append(before)
        columns["after"].append(after or ("(the stream ended)" if around is not None else ""))
    return columns, max(0, len(found) - _MOST_STALLS)


def _troubled_endings(rows: Sequence[Timeline]) -> dict[str, list[Any]]:
    troubled = [
        (y, stream)
        for y, stream in enumerate(rows)
        if not stream.completed and not stream.cancelled
    ]
    return {
        "x": [last_moment(stream) for _, stream in troubled],
        "y": [y for y, _ in troubled],
        "how": [_how(stream) for _, stream in troubled],
        "ended": [seconds(last_moment(stream)) for _, stream in troubled],
        "stream": [stream.stream for _, stream in troubled],
    }
