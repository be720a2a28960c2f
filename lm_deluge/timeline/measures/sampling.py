"""Which streams of a large log are kept whole, so that they can be drawn."""

from __future__ import annotations

import heapq
from random import Random

from attrs import define, field

from lm_deluge.values.timeline import Timeline

__all__ = ["Sample"]

BY_CHANCE = 250
WORST = 50


@define
class _Kept:
    seen: int = 0
    by_chance: list[Timeline] = field(factory=list)
    worst: list[tuple[float, int, Timeline]] = field(factory=list)


@define
class Sample:
    """Per group 250 streams by chance, and the 50 with the longest silences.

    By chance: reservoir sampling (Vitter, ACM TOMS 11, 1985, algorithm R), seeded: the same log gives
    the same sample. ``keep`` is made for ``measure(keep=…)``.
    """

    _groups: dict[str, _Kept] = field(factory=dict)
    # Not for secrets: a fixed seed is the point.
    _random: Random = field(factory=lambda: Random(0))  # noqa: S311

    def keep(self, name: str, timeline: Timeline) -> None:
        """See a stream of the group ``name``; keep it or not."""
        kept = self._groups.get(name)
        if kept is None:
            kept = self._groups[name] = _Kept()
        kept.seen += 1
        if len(kept.by_chance) < BY_CHANCE:
            kept.by_chance.append(timeline)
        else:
            place = self._random.randrange(kept.seen)
            if place < BY_CHANCE:
                kept.by_chance[place] = timeline
        entry = (max(timeline.gaps, default=0.0), -kept.seen, timeline)
        if len(kept.worst) < WORST:
            heapq.heappush(kept.worst, entry)
        elif entry > kept.worst[0]:
            heapq.heapreplace(kept.worst, entry)

    def seen(self, name: str) -> int:
        """How many streams the group has."""
        kept = self._groups.get(name)
        return kept.seen if kept is not None else 0

    def by_chance(self, name: str) -> list[Timeline]:
        """Return the group's streams kept by chance: all of them, if they are few."""
        kept = self._groups.get(name)
        return list(kept.by_chance) if kept is not None else []

    def all(self, name: str) -> list[Timeline]:
        """Return all streams kept of the group, each once."""
        kept = self._groups.get(name)
        if kept is None:
            return []
        streams = {id(timeline): timeline for timeline in kept.by_chance}
        streams.update((id(timeline), timeline) for _, _, timeline in kept.worst)
        return list(streams.values())
