"""The way of a group's pieces, as docs/design/metrics.md defines its figures: waits, delays, gaps and bursts.

What crosses from one clock to another is known to within a bound. A percentile of such figures lies
between those of the figures less and plus their bounds, as percentiles keep order; where 0 is not
outside, nothing is told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import define, frozen

from lm_deluge.timeline.measures.numeric import Counts, Floats, np
from lm_deluge.timeline.measures.way.joining import Joined
from lm_deluge.timeline.measures.way.names import DELAYS, ON_SCREEN, PLACES, STATIONS, WAITS
from lm_deluge.timeline.measures.way.reader import ReaderView

__all__ = ["Bursts", "WayToScreen", "way_of"]

#: Seconds; pieces closer than this are of one burst, or came at once.
_PAUSE = 0.05

_AT_ONCE = 0.005

#: Around a percentile, the part of the streams on either side that stand for it.
_AROUND = 0.05

_CROSSING = ("network", "total")

Distribution = Callable[[Floats], dict[str, Any]]


@frozen
class Bursts:
    """Pieces in bursts at one place, one number a reader; all NaN of fewer than two pieces.

    ``size``: pieces of a burst, which a pause above 50 ms ends. ``silence``: seconds from one burst to the
    next, NaN of a single one. ``span``: seconds from the first piece to the last. ``at_once``: pieces of a
    burst which a pause above 5 ms ends.
    """

    size: Floats
    silence: Floats
    span: Floats
    at_once: Floats


@define(eq=False)
class WayToScreen:
    """What browsers told of a group of ``streams`` streams.

    ``joined``: which of them were seen. ``waits``: by station, seconds of each reader's wait for its first
    text, ``wait_bounds`` the clocks' bounds; ``delays``, ``delay_bounds``: likewise of all later pieces.
    ``gaps``: by place, seconds between pieces. ``counts``: of ``delays`` and ``gaps``, each reader's, under
    ``"delay"`` and ``"gap"``. ``bursts``: by place. ``bounds``: of each reader.
    ``unpainted``: pieces that came and were never painted. ``stall``: seconds, a longer gap is one.
    """

    streams: int
    joined: Joined
    stall: float
    waits: Mapping[str, Floats]
    wait_bounds: Floats
    delays: Mapping[str, Floats]
    delay_bounds: Floats
    gaps: Mapping[str, Floats]
    counts: Mapping[str, Sequence[int]]
    bursts: Mapping[str, Bursts]
    bounds: Floats
    unpainted: int

    @property
    def is_told(self) -> bool:
        """Whether any browser told anything."""
        return bool(self.joined.seen or self.joined.hidden)

    @property
    def bound(self) -> float | None:
        """The clocks' bound of half the readers, in seconds."""
        return float(np.median(self.bounds)) if len(self.bounds) else None

    def values(self, name: str) -> Floats:
        """Return the numbers of a distribution, named as in a rule: ``"seen.wait.network"``."""
        _, kind, *rest = name.split(".")
        if kind in ON_SCREEN:
            values = self.waits["total"] - self.waits["queued"]
        else:
            values = {"wait": self.waits, "delay": self.delays, "gap": self.gaps}[kind][rest[0]]
        return values[~np.isnan(values)]

    def pooled(self, name: str) -> tuple[Floats, Counts]:
        """Return all numbers of a distribution of many a reader, and how many each reader has."""
        _, kind, place = name.split(".")
        values = (self.delays if kind == "delay" else self.gaps)[place]
        readers = np.repeat(np.arange(len(self.counts[kind])), self.counts[kind])
        known = ~np.isnan(values)
        return values[known], np.bincount(readers[known], minlength=len(self.counts[kind]))

    def can_tell(self, kind: str, station: str, q: float | None) -> bool:
        """Whether a percentile, without ``q`` the mean, of a station is beyond what the clocks can tell.

        ``kind``: ``"wait"`` or ``"delay"``.
        """
        if station not in _CROSSING or (kind == "wait" and station == "total"):
            return True
        values, bounds = (
            (self.waits[station], self.wait_bounds)
            if kind == "wait"
            else (self.delays[station], self.delay_bounds)
        )
        known = ~np.isnan(values)
        least = (values - bounds)[known]
        if not len(least):
            return True
        return float(least.mean() if q is None else np.percentile(least, q)) > 0

    def told(self, kind: str, station: str, distribution: Distribution) -> dict[str, Any]:
        """Return a distribution, ``None`` in the place of what is below the clocks' bound."""
        found = distribution(self.values(f"seen.{kind}.{station}"))
        if station in _CROSSING:
            found["bound"] = self.bound
            for statistic in [name for name in found if name not in ("n", "bound")]:
                q = {"max": 100.0, "mean": None, "std": None}.get(
                    statistic, float(statistic[1:]) if statistic[1:].isdigit() else None
                )
                if not self.can_tell(kind, station, q):
                    found[statistic] = None
        return found

    def around(self, q: float, kind: str = "wait") -> dict[str, float] | None:
        """Return the mean seconds at each station of the streams around a percentile of the whole way.

        ``kind``: ``"wait"`` for the first text, ``"delay"`` for the pieces after it. Of those within 5
        percentile points, at least one. ``network`` is left out where it is below what the clocks can
        tell of these, ``process`` where the log does not tell it. ``None`` where nothing was painted.
        """
        stations = self.waits if kind == "wait" else self.delays
        bounds = self.wait_bounds if kind == "wait" else self.delay_bounds
        total = stations["total"]
        order = np.argsort(total)[: int((~np.isnan(total)).sum())]
        if not len(order):
            return None
        middle = q / 100 * (len(order) - 1)
        some = max(0.5, _AROUND * len(order))
        low, high = int(np.ceil(middle - some)), int(np.floor(middle + some))
        which = order[max(0, low) : high + 1]
        found = {}
        for station, values in stations.items():
            known = values[which][~np.isnan(values[which])]
            if len(known):
                found[station] = float(known.mean())
        if float((stations["network"] - bounds)[which].mean()) <= 0:
            del found["network"]
        return found

    def summary(self, distribution: Distribution) -> dict[str, Any]:
        """Return the object ``seen`` of ``lm-deluge report --json``."""
        joined = self.joined
        on_screen = distribution(self.values("seen.ttfa"))
        return {
            "streams": joined.seen,
            "share": joined.seen / self.streams if self.streams else None,
            "hidden": joined.hidden,
            "readers": len(joined.views),
            "hidden_readers": joined.hidden_readers,
            "unpainted": self.unpainted,
            "bound": self.bound,
            "ttfa": on_screen,
            "ttft": on_screen,
            "wait": {name: self.told("wait", name, distribution) for name in WAITS},
            "delay": {name: self.told("delay", name, distribution) for name in DELAYS},
            "gap": {place: distribution(self.values(f"seen.gap.{place}")) for place in PLACES},
            "stalls": {place: self._stalls(place) for place in PLACES},
        }

    def _stalls(self, place: str) -> dict[str, Any]:
        gaps = self.values(f"seen.gap.{place}")
        if not len(gaps):
            return {"count": None, "total": None, "longest": None}
        long = gaps[gaps > self.stall]
        longest = float(long.max()) if len(long) else 0.0
        return {"count": len(long), "total": float(long.sum()), "longest": longest}


def way_of(joined: Joined, streams: int, stall: float) -> WayToScreen:
    """Return the figures of what was joined."""
    views = [view for view, _ in joined.views]
    begun = [
        (view, queued)
        for view, queued in joined.views
        if view.index[0] == 0 and not np.isnan(view.painted[0])
    ]
    firsts = [view for view, _ in begun]
    later = [(view, slice(int(view.index[0] == 0), None)) for view in views]
    gaps = [view.gaps() for view in views]
    waits = {
        "queued": np.array([queued for _, queued in begun]),
        "provider": np.array([view.came[0] for view in firsts], float),
        **{name: _firsts(firsts, name) for name in STATIONS[2:]},
    }
    waits["total"] = np.array([queued + view.painted[0] for view, queued in begun], float)
    return WayToScreen(
        streams,
        joined,
        stall,
        waits,
        np.array([view.bound for view in firsts], float),
        {name: _pool([getattr(view, name)[rest] for view, rest in later]) for name in DELAYS},
        _pool([np.full(len(view.index[rest]), view.bound) for view, rest in later]),
        {place: _pool([each[at] for each in gaps]) for at, place in enumerate(PLACES)},
        {
            "delay": [len(view.index[rest]) for view, rest in later],
            "gap": [len(each[0]) for each in gaps],
        },
        {
            place: _bursts([getattr(view, moments) for view in views])
            for place, moments in zip(PLACES, ("came", "arrived", "painted"), strict=True)
        },
        np.array([view.bound for view in views], float),
        sum(int(np.isnan(view.painted).sum()) for view in views),
    )


def _firsts(views: Sequence[ReaderView], station: str) -> Floats:
    return np.array([getattr(view, station)[0] for view in views], float)


def _pool(parts: Sequence[Floats]) -> Floats:
    return np.concatenate(parts) if parts else np.empty(0)


def _bursts(moments: Sequence[Floats]) -> Bursts:
    """Return the bursts of each reader."""
    rows = [_bursts_of(each[~np.isnan(each)]) for each in moments]
    return Bursts(*np.array(rows, float).reshape(-1, 4).T)


def _bursts_of(moments: Floats) -> tuple[float, float, float, float]:
    n = len(moments)
    if n < 2:
        return (np.nan,) * 4
    gaps = np.diff(moments)
    pauses = gaps[gaps > _PAUSE]
    silence = float(pauses.mean()) if len(pauses) else np.nan
    span = float(moments[-1] - moments[0])
    return n / (len(pauses) + 1), silence, span, n / (int((gaps > _AT_ONCE).sum()) + 1)
