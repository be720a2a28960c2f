"""The way in rows, for terminals, Markdown and the page alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from attrs import frozen

from lm_deluge.timeline.measures.groups import Group
from lm_deluge.timeline.measures.metrics import Measured
from lm_deluge.timeline.measures.way.names import DELAYS, PLACES, STATIONS, WAITS
from lm_deluge.timeline.measures.wording import BELOW, NOTHING, seconds

__all__ = [
    "GAPS",
    "HEADS",
    "StationRow",
    "clocks_in_words",
    "gap_rows",
    "seen_briefly",
    "seen_of",
    "station_rows",
    "told_groups",
]

HEADS = (*STATIONS, "on screen")
"""The columns of ``station_rows``: five stations, and all of it."""

GAPS = ("n", "gap p50", "gap p95", "stalls", "longest")
"""The columns of ``gap_rows``."""

_AT = {"process": "arrived at our process", "browser": "in the browser", "painted": "painted"}


@frozen
class StationRow:
    """What a group's readers waited at each station: for the ``what``, at ``q``, a cell a station."""

    what: str
    q: str
    cells: tuple[str, ...]


def told_groups(measured: Measured) -> list[Group]:
    """Return the groups of whose streams browsers told anything."""
    return [group for group in measured.groups.values() if group.way.is_told]


def clocks_in_words(groups: Sequence[Group]) -> str:
    """Say how far the clocks may be apart, and what a cell below that is."""
    bounds = [group.way.bound for group in groups if group.way.bound is not None]
    if not bounds:
        return ""
    few, most = seconds(min(bounds)), seconds(max(bounds))
    span = few if few == most else f"{few} to {most}"
    return f"clocks ± {span}; < ± is {BELOW}"


def seen_of(group: Group) -> str:
    """Return how many of the streams were seen: ``57 of 60 (2 hidden)``."""
    joined = group.way.joined
    hidden = f" ({joined.hidden:,} hidden)" if joined.hidden else ""
    return f"{joined.seen:,} of {group.streams:,}{hidden}"


def seen_briefly(group: Group) -> str:
    """Return the same for a narrow column: ``seen 57/60``."""
    return f"seen {group.way.joined.seen:,}/{group.streams:,}"


def station_rows(group: Group) -> Iterator[StationRow]:
    """Yield the wait for the first text, and the delay of the pieces after it, at p50 and p95."""
    told = group.summary()["seen"]
    for q in ("p50", "p95"):
        yield StationRow("first text", q, tuple(_cell(told["wait"][name], q) for name in WAITS))
    for q in ("p50", "p95"):
        delays = {name: _cell(told["delay"][name], q) for name in DELAYS}
        yield StationRow("pieces", q, tuple(delays.get(name, NOTHING) for name in WAITS))


def gap_rows(group: Group) -> Iterator[tuple[str, ...]]:
    """Yield gaps and stalls at each place: its name, then the cells of ``GAPS``."""
    told = group.summary()["seen"]
    for place in PLACES:
        gaps, stalls = told["gap"][place], told["stalls"][place]
        yield (
            _AT[place],
            f"{gaps['n']:,}",
            seconds(gaps["p50"]),
            seconds(gaps["p95"]),
            NOTHING if stalls["count"] is None else f"{stalls['count']:,}",
            seconds(stalls["longest"]) if stalls["count"] else NOTHING,
        )


def _cell(told: dict[str, Any], q: str) -> str:
    value = told[q]
    if value is None and told["n"] and told.get("bound") is not None:
        return f"< ±{seconds(told['bound'])}"
    return seconds(value)
