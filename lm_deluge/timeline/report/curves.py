"""Curves as paths of SVG in a box of 2,000 by 1,000 units, which the page stretches."""

from __future__ import annotations

from collections.abc import Sequence

from lm_deluge.timeline.measures.numeric import Floats, np
from lm_deluge.timeline.report.axes import Axis
from lm_deluge.values.timeline import Timeline

__all__ = ["HIGH", "SHARES_HIGH", "WIDE", "area", "counts_at", "delivered_at", "line", "steps"]

WIDE, HIGH = 2_000, 1_000

SHARES_HIGH = 1.02
"""Where an axis of shares ends: a curve at 100 % is not cut by the edge."""


def steps(values: Floats, total: int, x: Axis, *, width: int = WIDE) -> str:
    """Return the path of an ECDF: the share of ``total`` that is at most x, over x.

    At most one step per unit of ``width``, so that its size depends on the picture alone.
    """
    if not len(values):
        return ""
    top = HIGH / SHARES_HIGH
    places = np.sort(np.ceil(x.places(values) * width).astype(np.int64))
    at, first = np.unique(places, return_index=True)
    reached = np.append(first[1:], len(places)) / total
    ups = HIGH - np.round(reached * top).astype(np.int64)
    moves = [f"M{_wide(at[0], width)} {HIGH}V{ups[0]}"]
    before = ups[0]
    for place, up in zip(at[1:], ups[1:], strict=True):
        if up != before:
            moves.append(f"H{_wide(place, width)}V{up}")
            before = up
    if before == ups[-1] and len(at) > 1:
        moves.append(f"H{_wide(at[-1], width)}")
    return "".join(moves)


def line(x: Floats, y: Floats) -> str:
    """Return the path through points given as places from 0 to 1."""
    if not len(x):
        return ""
    return "M" + "L".join(f"{across} {down}" for across, down in _units(x, y))


def area(x: Floats, low: Floats, high: Floats) -> str:
    """Return the path around a band between two curves, all as places from 0 to 1."""
    if not len(x):
        return ""
    there = "L".join(f"{across} {down}" for across, down in _units(x, high))
    back = "L".join(f"{across} {down}" for across, down in reversed(_units(x, low)))
    return f"M{there}L{back}Z"


def delivered_at(stream: Timeline, seconds: float) -> float:
    """Return the tokens that have arrived by then."""
    return float(counts_at(stream, np.array([seconds]))[0])


def counts_at(stream: Timeline, grid: Floats) -> Floats:
    """Return the tokens that have arrived by each of these seconds."""
    weight = stream.tokens_per_piece
    arrivals = np.array(stream.times)[np.array(stream.slots, dtype=np.int64)]
    pieces = np.searchsorted(arrivals, grid, side="right")
    return np.asarray(pieces * (1.0 if weight is None else weight), dtype=np.float64)


def _units(x: Floats, y: Floats) -> Sequence[tuple[int, int]]:
    across = np.round(x * WIDE).astype(np.int64).tolist()
    down = np.round((1 - y) * HIGH).astype(np.int64).tolist()
    return list(zip(across, down, strict=True))


def _wide(place: int, width: int) -> int:
    return int(place) * WIDE // width
