"""The report's chart of single streams: one row each, its pieces over time, its silences in red.

Of many streams some are drawn: rows by chance, which keep the group's proportions, and apart from
them those with the longest silences.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf
from random import Random
from typing import Any

from attrs import define, frozen

from lm_deluge.timeline.measures.groups import Group, last_moment
from lm_deluge.timeline.measures.metrics import Measured
from lm_deluge.timeline.measures.numeric import np
from lm_deluge.timeline.measures.sampling import Sample
from lm_deluge.timeline.measures.wording import percent, seconds
from lm_deluge.timeline.report.axes import Axis, linear
from lm_deluge.timeline.report.charts import TOGETHER, color, drawn_groups
from lm_deluge.timeline.report.rows import RowBlock, block_of
from lm_deluge.values.timeline import Timeline

__all__ = ["Strip", "Window", "draw_strips", "strips_part", "window_of"]

_BY_CHANCE, _WORST = 50, 10
_FEWER_BY_CHANCE, _FEWER_WORST = 12, 4  # where there are many groups
_MOST_TICKS = 60_000
_MOST_TEXTS = 1_000
_OUTLIER = 5.0  # times as long as 95 % of the rows: it would squash them


@frozen
class Window:
    """The time that strips show: all of it, or up to ``axis.high`` with arrows beyond."""

    axis: Axis
    longest: float


@define
class Strip:
    """A group's rows, in blocks, and in words how they were chosen."""

    name: str
    color: str
    chosen: str
    blocks: list[RowBlock]


def strips_part(measured: Measured, sample: Sample) -> dict[str, Any]:
    """Return what templates/strips.html shows."""
    shown, folded = drawn_groups(measured)
    groups = shown + folded
    few = len(groups) <= TOGETHER
    chosen = [_choose(sample, group, few=few) for group in groups]
    window = window_of([stream for parts in chosen for part in parts for stream in part])
    strips = draw_strips(groups, chosen, window, few=few)
    merged = max((block.merged for strip in strips for block in strip.blocks), default=0.0)
    clipped = sum(block.clipped for strip in strips for block in strip.blocks)
    return {
        "strips": strips,
        "open": len(groups) if few else 0,
        "ticks": window.axis.ticks(8),
        "clipped": clipped,
        "window": seconds(window.axis.high),
        "longest": seconds(window.longest),
        "merged": seconds(merged) if merged else "",
        "told": [[block.told for block in strip.blocks] for strip in strips],
    }


def window_of(streams: Sequence[Timeline]) -> Window:
    """Return the time to show: every ending, unless a few last so long that they squash the rest."""
    ends = np.array([last_moment(stream) for stream in streams] or [1.0])
    longest = float(ends.max())
    usual = float(np.quantile(ends, 0.95)) if len(ends) > 1 else longest
    if 0 < usual * _OUTLIER < longest:
        return Window(Axis(0.0, usual * 1.5), longest)
    return Window(linear(longest), longest)


def draw_strips(
    groups: Sequence[Group],
    chosen: Sequence[tuple[list[Timeline], list[Timeline]]],
    window: Window,
    *,
    few: bool = True,
) -> list[Strip]:
    """Draw streams of each group: those by chance and those with the longest silences."""
    ticks = _MOST_TICKS // max(1, len(groups))
    texts = _MOST_TEXTS // max(1, len(groups))
    strips = []
    for position, (group, (by_chance, worst)) in enumerate(zip(groups, chosen, strict=True)):
        stall = group.settings.stall
        rows = max(1, len(by_chance) + len(worst))
        pitch = 22 if rows <= 6 else 14 if rows <= 20 else 10
        blocks = [
            block_of(
                _sorted(part, stall),
                title,
                axis=window.axis,
                pitch=pitch,
                stall=stall,
                most_ticks=ticks * len(part) // rows,
                most_texts=texts * len(part) // rows + 1,
            )
            for part, title in (
                (by_chance, _in_words(by_chance, group, stall)),
                (worst, f"The {len(worst)} others with the longest silences"),
            )
            if part
        ]
        strips.append(
            Strip(
                group.name,
                color(position) if few else "var(--accent)",
                _how_chosen(len(by_chance), len(worst), group),
                blocks,
            )
        )
    return strips


def _choose(sample: Sample, group: Group, *, few: bool) -> tuple[list[Timeline], list[Timeline]]:
    by_chance = sample.by_chance(group.name)
    chance, worst = (_BY_CHANCE, _WORST) if few else (_FEWER_BY_CHANCE, _FEWER_WORST)
    if len(by_chance) <= chance + worst and len(by_chance) == group.streams:
        return by_chance, []
    if len(by_chance) > chance:
        # Not for secrets: a fixed seed is the point.
        by_chance = Random(0).sample(by_chance, chance)  # noqa: S311
    taken = {id(stream) for stream in by_chance}
    others = [stream for stream in sample.all(group.name) if id(stream) not in taken]
    others.sort(key=lambda stream: -max(stream.gaps, default=0.0))
    return by_chance, others[:worst]


def _sorted(streams: Iterable[Timeline], stall: float) -> list[Timeline]:
    """Put whole answers first, then those without an ending, then what failed; quick ones first."""

    def place(stream: Timeline) -> tuple[int, float]:
        how = 0 if stream.completed else 1 if stream.cancelled else 2 if not stream.failed else 3
        return how, inf if stream.ttft is None else stream.ttft

    return sorted(streams, key=place)


def _how_chosen(by_chance: int, worst: int, group: Group) -> str:
    if by_chance == group.streams:
        return "The one stream." if by_chance == 1 else f"All {by_chance:,} streams."
    drawn = by_chance + worst
    also = f", and the {worst} others with the longest silences" if worst else ""
    return f"{drawn:,} of {group.streams:,} streams are drawn: {by_chance:,} by chance{also}."


def _in_words(rows: Sequence[Timeline], group: Group, stall: float) -> str:
    """Return how many of the rows failed and stalled, beside the shares among all streams."""
    failed = sum(stream.failed for stream in rows)
    stalled = sum(bool(stream.stalls(stall)) for stream in rows)
    if len(rows) == group.streams:
        return f"{failed:,} failed, {stalled:,} stalled"
    all_stalled = group.summary()["stalls"]["streams"]
    return (
        f"{len(rows):,} by chance: {failed:,} failed (of all {percent(group.failed / group.streams)}), "
        f"{stalled:,} stalled (of all {percent(all_stalled)})"
    )
