"""What browsers told of a group's streams, joined with when their pieces came, as far as it can be true."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from attrs import define, field, frozen

from lm_deluge.logs.seen_lines import BEFORE_IT_CAME, NEVER_HAD, SLACK
from lm_deluge.timeline.measures.numeric import Counts, Floats, np
from lm_deluge.timeline.measures.way.reader import ReaderView, StreamTimes, view_of
from lm_deluge.values.sightings import LoggedSightings, Sighting

__all__ = ["GroupTimes", "Joined", "joined"]


@frozen
class GroupTimes:
    """The streams of a group as far as their way needs them, in the order of ``ids``.

    ``begins``: seconds to the first piece, NaN without one. ``queued``: seconds. ``failed``: 1 or 0.
    ``gaps``: seconds between pieces, after a failure to the ending, and how many each stream has;
    ``lags``: likewise the ``d`` of pieces. ``torn``, ``open_ended``: places of streams that lost token
    lines, and of those without an ending.
    """

    ids: Sequence[str]
    begins: Floats
    queued: Floats
    failed: Floats
    gaps: tuple[Floats, Counts]
    lags: tuple[Floats, Counts]
    torn: set[int]
    open_ended: set[int]

    def at(self, places: Sequence[int]) -> Iterator[StreamTimes]:
        """Yield when the pieces of the streams at ``places`` came."""
        gaps, counts = self.gaps
        lags, lag_counts = self.lags
        ends, lag_ends = np.cumsum(counts), np.cumsum(lag_counts)
        for place in places:
            end, count = int(ends[place]), int(counts[place])
            more = gaps[end - count : end - bool(self.failed[place]) * (count > 0)]
            begin = float(self.begins[place])
            came = np.cumsum(np.append(begin, more)) if begin == begin else np.empty(0)
            held = int(lag_counts[place])
            known = lags[lag_ends[place] - held : lag_ends[place]]
            if held != len(came):
                known = np.full(len(came), np.nan)
            queued = float(self.queued[place])
            yield StreamTimes(came, known, queued if 0 <= queued <= 1e12 else 0.0)


@define
class Joined:
    """What is known of the way of a group's streams.

    ``views``: each reader whose tab was never hidden, and the seconds that its stream was queued.
    ``seen``: streams that such a reader saw; ``hidden``: those that only hidden tabs had; ``torn``: those of
    which lines are missing, so that pieces cannot be told apart. ``hidden_readers``: of hidden tabs.
    ``refused``: lines that were not believed, by log and number, and why.
    """

    views: list[tuple[ReaderView, float]] = field(factory=list)
    seen: int = 0
    hidden: int = 0
    torn: int = 0
    hidden_readers: int = 0
    refused: list[tuple[LoggedSightings, int, str]] = field(factory=list)


def joined(arrivals: GroupTimes, told: Sequence[LoggedSightings]) -> Joined:
    """Join what browsers told, by log, with the streams."""
    found = Joined()
    for sightings in told:
        if not sightings.streams:
            continue
        places = [place for place, id_ in enumerate(arrivals.ids) if id_ in sightings.streams]
        for place, times in zip(places, arrivals.at(places), strict=True):
            readers = sightings.of(arrivals.ids[place])
            if place in arrivals.torn:
                found.torn += 1
                continue
            refused = _add(found, times, readers, is_open=place in arrivals.open_ended)
            found.refused += [(sightings, line, problem) for line, problem in refused]
    return found


def _add(
    found: Joined, times: StreamTimes, readers: Mapping[int, Sequence[Sighting]], *, is_open: bool
) -> list[tuple[int, str]]:
    """Add what a stream's readers told; return the lines that are not believed, and why."""
    views, hidden, refused = [], 0, []
    for reader, sightings in readers.items():
        believed = []
        for each in sightings:
            problem = _problem(times, each, is_open=is_open)
            if problem is None:
                believed.append(each)
            elif problem:
                refused.append((each.line, problem))
        if not believed:
            continue
        if any(each.hidden for each in believed):
            hidden += 1
            continue
        view = view_of(times, believed, is_first=reader == 0)
        if view is not None:
            views.append(view)
    found.views += [(view, times.queued) for view in views]
    found.seen += bool(views)
    found.hidden += bool(hidden) and not views
    found.hidden_readers += hidden
    return refused


def _problem(times: StreamTimes, sighting: Sighting, *, is_open: bool) -> str | None:
    """Say why a sighting is not believed; ``""`` where the log lacks its pieces, which is no lie."""
    begin, end = sighting.first, sighting.first + len(sighting.arrived)
    if end > len(times.came):
        return "" if is_open else NEVER_HAD
    early = times.came[begin:end] - np.frombuffer(sighting.arrived)
    return BEFORE_IT_CAME if early.max() > sighting.bound + SLACK else None
