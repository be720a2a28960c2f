"""One stream as one reader had it: its pieces at each station of the way."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from lm_deluge.timeline.measures.numeric import Counts, Floats, np
from lm_deluge.values.sightings import Sighting

__all__ = ["ReaderView", "StreamTimes", "view_of"]

#: Seconds after a stream's last piece in which what is under way to the browser comes.
_LATE = 5.0


@frozen
class StreamTimes:
    """When a stream's pieces arrived at our process, in seconds of its own clock.

    ``came``: t_1 … t_n. ``lags``: the ``d`` of each, NaN where unknown. ``queued``: seconds before t0.
    """

    came: Floats
    lags: Floats
    queued: float


@frozen
class ReaderView:
    """Pieces that one reader got, each once, in order. Arrays have one number a piece.

    ``index``: their numbers in the stream. ``came``, ``lag``: as of ``StreamTimes``; ``arrived`` in the
    browser, ``painted`` on the screen (NaN: never), seconds of the same clock. ``bound``: seconds by which
    the two clocks may be apart.
    """

    index: Counts
    came: Floats
    lag: Floats
    arrived: Floats
    painted: Floats
    bound: float

    @property
    def process(self) -> Floats:
        """Seconds from the arrival at our process until the handlers had each piece."""
        return self.lag

    @property
    def network(self) -> Floats:
        """Seconds from there to the browser; from the arrival on where ``d`` is unknown."""
        return self.arrived - self.came - np.nan_to_num(self.lag)

    @property
    def painting(self) -> Floats:
        """Seconds from the browser to the screen."""
        return self.painted - self.arrived

    @property
    def total(self) -> Floats:
        """Seconds from the arrival at our process to the screen."""
        return self.painted - self.came

    def gaps(self) -> tuple[Floats, Floats, Floats]:
        """Return t_i - t_(i-1) at our process, in the browser and on the screen, of pieces side by side."""
        beside = np.diff(self.index) == 1
        came, arrived, painted = (
            np.diff(moments)[beside] for moments in (self.came, self.arrived, self.painted)
        )
        return came, arrived, painted


def view_of(
    times: StreamTimes, sightings: Sequence[Sighting], *, is_first: bool
) -> ReaderView | None:
    """Put together what one reader told; ``None`` where nothing of it counts.

    Of a piece that was told twice the earlier moments count. A reader who comes later catches up first:
    what was there before it asked was not late, and is left out. Where it did not tell when it asked,
    the first reader (``is_first``) asked at the beginning, unless its first piece came only 5 s after the
    last one was there; and any other asked when its first piece came.
    """
    index = np.concatenate(
        [np.arange(each.first, each.first + len(each.arrived)) for each in sightings]
    )
    arrived = np.concatenate([np.frombuffer(each.arrived) for each in sightings])
    painted = np.concatenate([np.frombuffer(each.painted) for each in sightings])
    if (np.diff(index) <= 0).any():
        index, arrived, painted = _each_once(index, arrived, painted)
    came, lag = times.came[index], times.lags[index]
    bound = max(each.bound for each in sightings)
    asked = _asked(times, sightings, float(arrived[0]), bound, is_first=is_first)
    live = came + np.nan_to_num(lag) > asked
    if not live.all():
        index, came, lag, arrived, painted = (
            each[live] for each in (index, came, lag, arrived, painted)
        )
    if not len(index):
        return None
    return ReaderView(index, came, lag, arrived, painted, bound)


def _asked(
    times: StreamTimes, sightings: Sequence[Sighting], first: float, bound: float, *, is_first: bool
) -> float:
    """Return the moment up to which pieces are no news to a reader whose first one arrived at ``first``."""
    told = [each.asked for each in sightings if not np.isnan(each.asked)]
    if told:
        # Within the bound it asked before there was anything; its question was under way for as long.
        return min(told) + 2 * bound if min(told) > bound else -1.0
    if not is_first:
        return first
    return first if first > times.came[-1] + _LATE else -1.0


def _each_once(index: Counts, arrived: Floats, painted: Floats) -> tuple[Counts, Floats, Floats]:
    order = np.argsort(index, kind="stable")
    index, arrived, painted = index[order], arrived[order], painted[order]
    first = np.flatnonzero(np.append(True, np.diff(index) > 0))
    return index[first], np.minimum.reduceat(arrived, first), np.fmin.reduceat(painted, first)
