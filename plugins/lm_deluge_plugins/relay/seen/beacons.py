"""Beacons of browsers: from bytes that anybody may have sent to what a reader saw, or to a refusal. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Final

import msgspec
from attrs import frozen

from lm_deluge_plugins.relay.seen.steps import LogStep

__all__ = ["MOST_BYTES", "Beacon", "RefusedBeaconError", "Sight", "checked_sight", "read_beacons"]

#: Bytes of a request with beacons; browsers send no more than this either.
MOST_BYTES: Final = 64 * 1024

#: Seconds by which the clocks of an app's machines may differ.
_SKEW: Final = 0.1

#: Seconds; an offset known less well than this says nothing.
_LOOSEST: Final = 5.0

#: Of a moment: the tenth of a millisecond is all that a browser tells.
_DIGITS: Final = 4


class RefusedBeaconError(Exception):
    """A beacon that is not written down; its one argument is the reason, as it is counted."""

    @property
    def reason(self) -> str:
        """Why, in a word or two."""
        return str(self.args[0])


@frozen
class Sight:
    """What one reader's browser saw of some pieces of a stream.

    ``stream``: its id. ``reader``: the reader's number in that stream, from 0. ``first``, ``last``: the
    pieces, as ``Token.index`` numbers them. ``arrived``, ``painted``: a moment for each of them, seconds in
    the stream's own clock; ``painted`` is ``None`` for a piece that never was. ``hidden``: whether the tab
    was hidden at some moment of these pieces. ``bound``: seconds by which all of these moments may be off.
    ``t``: when the relay was told. ``asked``: when the reader asked for the stream, if that is known.
    """

    stream: str
    reader: int
    t: float
    first: int
    last: int
    arrived: tuple[float, ...]
    painted: tuple[float | None, ...]
    hidden: bool
    bound: float
    asked: float | None = None


_Index = Annotated[int, msgspec.Meta(ge=0, le=2**31)]
_Name = Annotated[str, msgspec.Meta(max_length=200)]


class Beacon(msgspec.Struct, gc=False):
    """What a page tells: the fields of a ``seen`` line, and ``r``, the page's own name of its reader.

    One without ``i`` asks for the time alone.
    """

    r: Annotated[str, msgspec.Meta(max_length=40)] = ""
    s: _Name | None = None
    i: tuple[_Index, _Index] | None = None
    arrived: list[float] = []
    painted: list[float | None] = []
    hidden: bool = False
    bound: float = -1.0
    asked: float | None = None


_decode = msgspec.json.Decoder(Beacon | list[Beacon]).decode


def read_beacons(body: bytes) -> list[Beacon]:
    """Return the beacons of a request: one, or a list of them. Raises ``RefusedBeaconError``."""
    if len(body) > MOST_BYTES:
        raise RefusedBeaconError("too large")
    try:
        read = _decode(body or b"{}")
    except msgspec.ValidationError:
        raise RefusedBeaconError("wrong fields") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise RefusedBeaconError("no JSON") from None
    return [read] if isinstance(read, Beacon) else read


def checked_sight(beacon: Beacon, steps: Mapping[str, LogStep], *, now: float) -> Sight:
    """Return what a beacon says, with reader 0; ``steps``: of the log it is about, by their ids.

    ``now``: seconds since the epoch, at which it came. Raises ``RefusedBeaconError``.
    """
    step = _step_of(beacon, steps)
    first, last = _pieces_of(beacon, step)
    bound = beacon.bound
    if not 0 <= bound <= _LOOSEST:
        raise RefusedBeaconError("wrong bound")
    t = max(0.0, now - step.at)
    slack = bound + _SKEW
    said = step.pieces[first : last + 1]
    if not _are_possible(beacon, said, slack=slack, latest=t + slack):
        raise RefusedBeaconError("wrong times")
    asked = beacon.asked
    return Sight(
        stream=step.id,
        reader=0,
        t=round(t, _DIGITS),
        first=first,
        last=last,
        arrived=tuple(_moment(each) for each in beacon.arrived),
        painted=tuple(None if each is None else _moment(each) for each in beacon.painted),
        hidden=beacon.hidden,
        bound=round(bound, 6),
        asked=_moment(asked) if asked is not None and asked <= t + slack else None,
    )


def _step_of(beacon: Beacon, steps: Mapping[str, LogStep]) -> LogStep:
    if beacon.s is None and len(steps) == 1:
        return next(iter(steps.values()))
    step = steps.get(beacon.s or "")
    if step is None:
        raise RefusedBeaconError("unknown stream")
    return step


def _pieces_of(beacon: Beacon, step: LogStep) -> tuple[int, int]:
    assert beacon.i is not None
    first, last = beacon.i
    if not first <= last < len(step.pieces):
        raise RefusedBeaconError("unknown pieces")
    count = last - first + 1
    if len(beacon.arrived) != count or len(beacon.painted) != count:
        raise RefusedBeaconError("wrong length")
    return first, last


def _are_possible(beacon: Beacon, said: Sequence[float], *, slack: float, latest: float) -> bool:
    """Whether pieces arrive in order, none of them before it was said, and are painted after that."""
    before = painted_before = -_LOOSEST
    for moment, arrived, painted in zip(said, beacon.arrived, beacon.painted, strict=True):
        # Written so that NaN, which is neither, is refused.
        if not max(moment - slack, before) <= arrived <= latest:
            return False
        before = arrived
        if painted is not None:
            if not max(arrived, painted_before) <= painted <= latest:
                return False
            painted_before = painted
    return True


def _moment(seconds: float) -> float:
    return max(0.0, round(seconds, _DIGITS))
