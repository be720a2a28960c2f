"""The ``seen`` lines of a timeline log: what a page told, believed only where it adds up.

A page can send anything. A line is read where all of it can be true by itself; whether its stream had
those pieces by then is for whoever knows the stream.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection
from itertools import pairwise
from typing import Annotated, Any, Final, Literal

import msgspec

from lm_deluge.logs.assembly import NEWER, UNREADABLE
from lm_deluge.logs.record import SCHEMA_VERSION
from lm_deluge.values.sightings import MOST_HELD, LoggedSightings, Sighting

__all__ = [
    "BEFORE_IT_CAME",
    "NEVER_HAD",
    "SLACK",
    "STRANGE",
    "TOO_MANY",
    "UNKNOWN_STREAM",
    "take_seen",
]

STRANGE: Final = "seen line that cannot be true"
NEVER_HAD: Final = "seen line of pieces that its stream never had"
BEFORE_IT_CAME: Final = "seen line of pieces that had not come yet"
UNKNOWN_STREAM: Final = "seen line of a stream that is not there"
TOO_MANY: Final = f"seen line beyond the {MOST_HELD:,} pieces that are held"

SLACK: Final = 0.005
"""Seconds beyond their bound by which clocks may be apart: they drift, and times are rounded."""

_SEEN: Final = b'"seen"'
_NAN: Final = float("nan")

_Count = Annotated[int, msgspec.Meta(ge=0, le=0xFFFF_FFFF)]
_Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e12)]
_Bound = Annotated[float, msgspec.Meta(ge=0, le=60)]


class _SeenFields(msgspec.Struct):
    v: Literal[1]
    e: Literal["seen"]
    s: str
    t: _Seconds
    i: tuple[_Count, _Count]
    arrived: list[_Seconds]
    painted: list[_Seconds | None]
    hidden: bool
    bound: _Bound
    r: _Count = 0
    asked: _Seconds | None = None


class _Whose(msgspec.Struct):
    v: int
    e: Any = None
    s: Any = None


_decode = msgspec.json.Decoder(_SeenFields).decode
_decode_whose = msgspec.json.Decoder(_Whose).decode


def take_seen(
    line: bytes, number: int, sightings: LoggedSightings, only: Collection[str] | None = None
) -> tuple[bool, str | None]:
    """Take in a line if it is a ``seen`` line; return whether it is one, and why it is not read.

    ``number``: what the line is known by. Of streams that are not among ``only`` nothing is kept.
    """
    if _SEEN not in line:
        return False, None
    try:
        whose = _decode_whose(line)
    except UNREADABLE:
        return False, None
    if whose.e != "seen":
        return False, None
    if whose.v > SCHEMA_VERSION:
        return True, NEWER
    if only is not None and whose.s not in only:
        return True, None
    try:
        seen = _decode(line)
    except UNREADABLE:
        return True, STRANGE
    if not _adds_up(seen):
        return True, STRANGE
    painted = array("d", [_NAN if moment is None else moment for moment in seen.painted])
    sighting = Sighting(
        seen.i[0],
        array("d", seen.arrived),
        painted,
        seen.hidden,
        seen.bound,
        number,
        _NAN if seen.asked is None else seen.asked,
    )
    return True, None if sightings.add(seen.s, seen.r, sighting) else TOO_MANY


def _adds_up(seen: _SeenFields) -> bool:
    """Whether pieces came in order, were painted after they came, and told of after both."""
    first, last = seen.i
    count = last - first + 1
    if count < 1 or len(seen.arrived) != count or len(seen.painted) != count:
        return False
    latest = seen.t + seen.bound + SLACK
    if seen.asked is not None and seen.asked > latest:
        return False
    if seen.arrived[-1] > latest or any(after < before for before, after in pairwise(seen.arrived)):
        return False
    return all(
        painted is None or arrived - SLACK <= painted <= latest
        for arrived, painted in zip(seen.arrived, seen.painted, strict=True)
    )
