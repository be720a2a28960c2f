"""Which streams of a large log are drawn, chosen by their numbers, and these streams themselves."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable
from random import Random

from attrs import define, field

from lm_deluge.timeline.measures.groups import Group
from lm_deluge.timeline.measures.metrics import Measured
from lm_deluge.timeline.measures.numeric import Floats, np
from lm_deluge.values.timeline import Timeline

__all__ = ["Sample"]

BY_CHANCE = 250
WORST = 50


def _random() -> Random:
    # Not for secrets: a fixed seed is the point.
    return Random(0)  # noqa: S311


@define
class _Chosen:
    """What is chosen of one group, by the streams' places in the order of reading.

    Heaps whose first entry is the next to go: ``by_chance`` of (-lot, -place), each stream drawing
    a lot in [0, 1) and the smallest staying; ``worst`` of (longest gap in seconds, -place).
    """

    seen: int = 0
    by_chance: list[tuple[float, int]] = field(factory=list)
    worst: list[tuple[float, int]] = field(factory=list)
    streams: dict[int, Timeline] = field(factory=dict)
    lots: Random = field(factory=_random)

    def offer(self, timeline: Timeline) -> None:
        place = self.seen
        self.seen += 1
        gone = (
            _push(self.by_chance, (-self.lots.random(), -place), BY_CHANCE),
            _push(self.worst, (max(timeline.gaps, default=0.0), -place), WORST),
        )
        if gone == (place, place):
            return
        self.streams[place] = timeline
        for left in gone:
            if left is not None and not self._has(left):
                self.streams.pop(left, None)

    def _has(self, place: int) -> bool:
        return any(-entry[1] == place for heap in (self.by_chance, self.worst) for entry in heap)

    def choose(self, group: Group) -> None:
        """Choose of a whole group what ``offer`` would keep of its streams, one after the other."""
        self.seen = group.streams
        places = np.arange(group.streams)
        lots = np.array([self.lots.random() for _ in places])
        longest = longest_gaps(group)
        for heap, keys, most in (
            (self.by_chance, -lots, BY_CHANCE),
            (self.worst, longest, WORST),
        ):
            best = np.lexsort((places, -keys))[:most]
            heap.extend((float(keys[place]), -int(place)) for place in best)
            heapq.heapify(heap)

    @property
    def places(self) -> list[int]:
        return sorted({-entry[1] for heap in (self.by_chance, self.worst) for entry in heap})


def _push(heap: list[tuple[float, int]], entry: tuple[float, int], most: int) -> int | None:
    """Keep the ``most`` largest entries; return the place of the one that had to go."""
    if len(heap) < most:
        heapq.heappush(heap, entry)
        return None
    return -heapq.heappushpop(heap, entry)[1]


def longest_gaps(group: Group) -> Floats:
    """Return each stream's longest gap in seconds, 0 without one, in the order of reading."""
    longest = np.zeros(group.streams)
    counts = np.array(group.gap_counts, np.int64)
    has = counts > 0
    if has.any():
        firsts = (np.cumsum(counts) - counts)[has]
        longest[has] = np.maximum.reduceat(np.array(group.gaps), firsts)
    return longest


@define
class Sample:
    """Per group 250 streams by chance, the 50 with the longest silences, and others asked for.

    Of streams in memory: ``keep`` is made for ``measure(keep=…)``. Of a log: ``of`` chooses after
    measuring, ``ids`` are then to be read with their text, and ``fill`` takes them in::

        sample = Sample.of(measure(read_timelines(log)))
        sample.fill(read_timelines(log, only=sample.ids))

    Both choose the same. By chance: each stream draws a lot, the smallest lots stay (Knuth, TAOCP
    volume 2, section 3.4.2); seeded, so that the same log gives the same sample.
    """

    _groups: dict[str, _Chosen] = field(factory=dict)
    _places: dict[str, tuple[str, int]] = field(factory=dict)
    _others: dict[str, Timeline] = field(factory=dict)

    @classmethod
    def of(cls, measured: Measured) -> Sample:
        """Choose from what was measured; the streams themselves come with ``fill``."""
        sample = cls()
        for name, group in measured.groups.items():
            chosen = sample._groups[name] = _Chosen()
            chosen.choose(group)
            for place in chosen.places:
                sample._places[group.ids[place]] = name, place
        return sample

    @property
    def ids(self) -> frozenset[str]:
        """The ids of the streams that ``of`` chose."""
        return frozenset(self._places)

    def fill(self, timelines: Iterable[Timeline]) -> None:
        """Take in streams that were chosen, or that somebody else asked for."""
        for timeline in timelines:
            place = self._places.get(timeline.stream)
            if place is None:
                self._others[timeline.stream] = timeline
            else:
                self._groups[place[0]].streams[place[1]] = timeline

    def keep(self, name: str, timeline: Timeline) -> None:
        """See a stream of the group ``name``; keep it or not."""
        chosen = self._groups.get(name)
        if chosen is None:
            chosen = self._groups[name] = _Chosen()
        chosen.offer(timeline)

    def get(self, stream: str) -> Timeline | None:
        """Return the stream of that id; ``None`` where it was not kept or not asked for."""
        if stream in self._others:
            return self._others[stream]
        kept = (each for chosen in self._groups.values() for each in chosen.streams.values())
        return next((timeline for timeline in kept if timeline.stream == stream), None)

    def seen(self, name: str) -> int:
        """How many streams the group has."""
        chosen = self._groups.get(name)
        return chosen.seen if chosen is not None else 0

    def by_chance(self, name: str) -> list[Timeline]:
        """Return the group's streams chosen by chance, in the order of reading: all, if they are few."""
        chosen = self._groups.get(name)
        return _streams(chosen, [-place for _, place in chosen.by_chance]) if chosen else []

    def all(self, name: str) -> list[Timeline]:
        """Return all streams chosen of the group, each once, in the order of reading."""
        chosen = self._groups.get(name)
        return _streams(chosen, chosen.streams) if chosen else []


def _streams(chosen: _Chosen, places: Collection[int]) -> list[Timeline]:
    # One that is missing was in a file that has changed since.
    return [chosen.streams[place] for place in sorted(places) if place in chosen.streams]
