"""A block of rows of the chart of single streams: paths, marks, and what is said of a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import define, frozen

from lm_deluge.timeline.measures.groups import last_moment
from lm_deluge.timeline.measures.numeric import np
from lm_deluge.timeline.measures.wording import seconds
from lm_deluge.timeline.report.answers import how_it_ended
from lm_deluge.timeline.report.axes import Axis
from lm_deluge.timeline.report.curves import WIDE
from lm_deluge.values.timeline import Timeline

__all__ = ["Mark", "RowBlock", "block_of"]

_TEXT_AROUND = 70
_LABEL = 14  # pixels that a line of small text takes


@frozen
class Mark:
    """A point ``left`` percent from the left and ``top`` pixels from the top, and its words."""

    left: float
    top: float
    text: str = ""


@define
class RowBlock:
    """Rows of ``pitch`` pixels, ``title`` above them.

    ``waits``, ``bodies``, ``ticks``, ``stalls``: paths, 2,000 units wide, in pixels from the top.
    ``broken``: where streams failed or have no ending. ``beyond``: rows that go on past the edge,
    with their seconds. ``merged``: pieces closer than so many seconds are one tick, or 0. ``told``:
    for the script, what is said of each row and each silence. ``clipped``: rows that go on.
    """

    title: str
    rows: int
    pitch: int
    waits: str
    bodies: str
    ticks: str
    stalls: str
    broken: list[Mark]
    beyond: list[Mark]
    merged: float
    clipped: int
    told: dict[str, Any]

    @property
    def height(self) -> int:
        """Pixels."""
        return self.rows * self.pitch


def block_of(
    rows: Sequence[Timeline],
    title: str,
    *,
    axis: Axis,
    pitch: int,
    stall: float,
    most_ticks: int,
    most_texts: int,
) -> RowBlock:
    """Draw rows from the top, each of ``pitch`` pixels. ``stall``: seconds, a longer gap is marked.

    ``most_ticks``: runs of pieces are merged until there are so few. ``most_texts``: the text
    around so many silences, the longest, is kept.
    """
    middles = [y * pitch + pitch // 2 for y in range(len(rows))]
    ends = [last_moment(stream) for stream in rows]
    begins = [
        end if s.ttft is None else min(s.ttft, end) for s, end in zip(rows, ends, strict=True)
    ]
    ticks, merged = _ticks(rows, middles, axis, most_ticks)
    clipped = [y for y, end in enumerate(ends) if end > axis.high]
    return RowBlock(
        title,
        len(rows),
        pitch,
        _bars(zip(middles, [0.0] * len(rows), begins, strict=True), axis),
        _bars(zip(middles, begins, ends, strict=True), axis),
        ticks,
        _bars(
            (
                (middles[y], found.start, found.start + found.seconds)
                for y, stream in enumerate(rows)
                for found in stream.stalls(stall)
            ),
            axis,
        ),
        [
            Mark(axis.percent(end), middle)
            for stream, end, middle in zip(rows, ends, middles, strict=True)
            if _is_broken(stream)
        ],
        _beyond(clipped, middles, ends, [_is_broken(stream) for stream in rows]),
        merged,
        len(clipped),
        {
            "rows": [_about(stream, end) for stream, end in zip(rows, ends, strict=True)],
            "stalls": _texts(rows, axis, stall, most_texts),
        },
    )


def _bars(bars: Any, axis: Axis) -> str:
    path = []
    for middle, left, right in bars:
        begin, end = (round(place * WIDE) for place in axis.places([left, right]))
        if right > left:
            path.append(f"M{begin} {middle}h{max(1, end - begin)}")
    return "".join(path)


def _ticks(
    rows: Sequence[Timeline], middles: Sequence[int], axis: Axis, most: int
) -> tuple[str, float]:
    """Return one tick per network read, or fewer; and the seconds below which they were merged."""
    slices = WIDE
    while True:
        runs = [_runs(stream, axis, slices) for stream in rows]
        if sum(len(begins) for begins, _ in runs) <= most or slices <= WIDE // 16:
            break
        slices //= 2
    unit = WIDE // slices
    path = []
    for (begins, lengths), middle in zip(runs, middles, strict=True):
        at = 0
        for begin, length in zip((begins * unit).tolist(), (lengths * unit).tolist(), strict=True):
            path.append(f"m{begin - at} 0h{length}" if at else f"M{begin} {middle}h{length}")
            at = begin + length
    total = sum(len(stream.times) for stream in rows)
    drawn = sum(len(begins) for begins, _ in runs)
    return "".join(path), (axis.high - axis.low) / slices if drawn < total * 0.9 else 0.0


def _runs(stream: Timeline, axis: Axis, slices: int) -> tuple[Any, Any]:
    """Return the slices of the axis at which text arrived, neighbours joined: begins, lengths."""
    times = np.array(stream.times)
    times = times[times <= axis.high]
    at = np.unique((axis.places(times) * (slices - 1)).astype(np.int64))
    if not len(at):
        return at, at
    first = np.append(True, np.diff(at) > 1)
    begins = at[first]
    ends = at[np.append(first[1:], True)]
    return begins, ends - begins + 1


def _is_broken(stream: Timeline) -> bool:
    return not stream.completed and not stream.cancelled


def _beyond(
    clipped: Sequence[int],
    middles: Sequence[int],
    ends: Sequence[float],
    broken: Sequence[bool],
) -> list[Mark]:
    """Say how far rows go that leave the axis, once for neighbours too close for two labels.

    A cross, as at the other endings, where all of them broke.
    """
    marks: list[Mark] = []
    run: list[int] = []
    for place, row in enumerate(clipped):
        run.append(row)
        follows = clipped[place + 1] if place + 1 < len(clipped) else None
        if follows is not None and middles[follows] - middles[run[-1]] < _LABEL:
            continue
        least, most = (seconds(pick(ends[row] for row in run)) for pick in (min, max))
        arrow = "→ ×" if all(broken[row] for row in run) else "→"
        words = f"{arrow} {most}" if least == most else f"{arrow} {least} to {most}"
        more = f" ({len(run)})" if len(run) > 1 else ""
        marks.append(Mark(100.0, (middles[run[0]] + middles[run[-1]]) / 2, words + more))
        run = []
    return marks


def _about(stream: Timeline, end: float) -> list[str]:
    return [
        stream.stream,
        f"{len(stream):,} pieces from {stream.model or 'an unknown model'}",
        seconds(stream.ttft),
        seconds(end),
        how_it_ended(stream),
    ]


def _texts(rows: Sequence[Timeline], axis: Axis, threshold: float, most: int) -> list[list[Any]]:
    """Return the longest silences: row, percent from and to, how long, after what, text around."""
    found = [(stall, y) for y, stream in enumerate(rows) for stall in stream.stalls(threshold)]
    found.sort(key=lambda entry: -entry[0].seconds)
    told = []
    for stall, y in found[:most]:
        around = rows[y].text_around(stall.index, _TEXT_AROUND)
        before, after = around if around is not None else ("(no text in this log)", "")
        ended = "(the stream ended)" if around is not None else ""
        told.append(
            [
                y,
                axis.percent(stall.start),
                axis.percent(stall.start + stall.seconds),
                seconds(stall.seconds),
                seconds(stall.start),
                before,
                after or ended,
            ]
        )
    return sorted(told, key=lambda entry: (entry[0], entry[1]))
