"""The way to the screen, as plain data for its template: bars of where the wait comes from, and tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from lm_deluge.timeline.measures.findings.about_way import wait_in_words
from lm_deluge.timeline.measures.groups import Group
from lm_deluge.timeline.measures.metrics import Measured
from lm_deluge.timeline.measures.printing.way_rows import (
    GAPS,
    HEADS,
    clocks_in_words,
    gap_rows,
    seen_of,
    station_rows,
    told_groups,
)
from lm_deluge.timeline.measures.way.names import DELAYS, STATIONS, WORDS
from lm_deluge.timeline.measures.wording import BELOW, seconds

__all__ = ["way_part"]

_MOST = 40
"""Groups of whose way a page tells."""

_MOST_WORDS = 6
_MEANINGS = (
    ("queued", "Waiting for a slot of ours, before the request was sent."),
    (
        "provider",
        "Connecting and thinking: from the request until the first text arrived at our process.",
    ),
    ("process", "From that arrival until our handlers had the piece: handlers, a busy event loop."),
    ("network", "From there to the browser: the relay, proxies, the network."),
    ("painting", "From the browser to the screen: the frame after the page changed."),
    (
        "on screen",
        "All of it: of the first text from the queue on, of pieces from their arrival on.",
    ),
    ("< ±", "Smaller than the error of the two clocks against each other: not told."),
)

_BARS = (("the first text", "wait"), ("pieces after it", "delay"))


def way_part(measured: Measured) -> dict[str, Any] | None:
    """Return what templates/way.html shows; ``None`` where no browser told anything."""
    groups = told_groups(measured)
    if not groups:
        return None
    shown = sorted(groups, key=lambda group: -group.way.joined.seen)[:_MOST]
    shown.sort(key=lambda group: group.name)
    more = len(groups) - len(shown)
    return {
        "stations": [{"key": station, "words": WORDS[station]} for station in STATIONS],
        "clocks": clocks_in_words(shown),
        "pictures": [
            picture for what, kind in _BARS if (picture := _picture(shown, what, kind))["groups"]
        ],
        "heads": HEADS,
        "rows": [row for group in shown for row in _rows(group)],
        "gap_heads": GAPS,
        "gap_rows": [
            {"first": place == 0, "name": group.name, "cells": cells}
            for group in shown
            for place, cells in enumerate(gap_rows(group))
        ],
        "words": []
        if len(shown) > _MOST_WORDS
        else [
            {"name": group.name, "text": words[:1].upper() + words[1:]}
            for group in shown
            if (words := wait_in_words(group.way)) is not None
        ],
        "meanings": _MEANINGS,
        "note": f"And {more:,} more groups: --csv and --json have them." if more else "",
    }


def _picture(groups: Sequence[Group], what: str, kind: str) -> dict[str, Any]:
    """Return the bars of one kind, all on one scale."""
    bars = {
        group.name: [
            (q, parts) for q in (50, 95) if (parts := group.way.around(q, kind)) is not None
        ]
        for group in groups
    }
    longest = max((parts["total"] for each in bars.values() for _, parts in each), default=0.0)
    return {
        "what": what,
        "groups": [
            {
                "name": group.name,
                "bars": [_bar(group, kind, q, parts, longest) for q, parts in bars[group.name]],
            }
            for group in groups
            if bars[group.name]
        ],
    }


def _bar(
    group: Group, kind: str, q: int, parts: dict[str, float], longest: float
) -> dict[str, Any]:
    stations = STATIONS if kind == "wait" else DELAYS[:-1]
    segments = [
        {
            "key": station,
            "width": f"{100 * parts[station] / longest:.2f}",
            "text": f"{WORDS[station]}: {seconds(parts[station])}",
        }
        for station in stations
        if longest > 0 and parts.get(station, 0.0) > 0
    ]
    said = [str(segment["text"]) for segment in segments]
    bound = group.way.bound
    is_below = "network" not in parts and bound is not None
    if is_below:
        said.append(f"{WORDS['network']}: {BELOW}")
    return {
        "q": f"p{q}",
        "total": seconds(parts["total"]),
        "segments": segments,
        "below": f"network < ±{seconds(bound)}" if is_below else "",
        "said": f"{seconds(parts['total'])} in all; {', '.join(said)}",
    }


def _rows(group: Group) -> Iterator[dict[str, Any]]:
    for place, row in enumerate(station_rows(group)):
        yield {
            "first": place == 0,
            "name": group.name,
            "seen": seen_of(group),
            "what": f"{row.what}, {row.q}",
            "cells": row.cells,
        }
