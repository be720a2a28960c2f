"""Which streams the page holds for its replay, and by which names people choose among them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from attrs import define, field, frozen

from lm_deluge.timeline.measures.comparing.comparisons import Comparisons
from lm_deluge.timeline.measures.groups import Group
from lm_deluge.timeline.measures.metrics import Measured
from lm_deluge.timeline.measures.numeric import np
from lm_deluge.timeline.measures.sampling import Sample
from lm_deluge.timeline.replay.chosen import (
    StreamFacts,
    broken_of,
    facts_of,
    median_of,
    quantile_of,
    worst_of,
)
from lm_deluge.values.timeline import Timeline

__all__ = ["MOST_PANELS", "Watched", "WatchedGroup", "WatchedStream", "watched", "watched_ids"]

MOST_PANELS = 4
_MOST_BY_CHANCE = 8
_FEW = 4  # streams of a group with text, of which none is quick or slow

_Choose = Callable[[Sequence[StreamFacts]], StreamFacts | None]


@define(eq=False)
class WatchedStream:
    """A stream that the page may hold. ``group``: its place. ``labels``: what it is, in words."""

    group: int
    timeline: Timeline
    labels: list[str]


@frozen
class WatchedGroup:
    """A group whose streams can be watched: ``name``, as it is shown, and where its streams are."""

    name: str
    group: Group
    sample: Sample


@define
class Watched:
    """Streams to watch.

    ``presets``: by name (``median``, ``worst``, ``broken``) the streams that stand side by side.
    ``needed``: all of these, each once; ``others``: what else can be chosen. ``side``: the places of
    the groups that stand side by side.
    """

    side: list[int]
    presets: dict[str, list[WatchedStream]] = field(
        factory=lambda: {"median": [], "worst": [], "broken": []}
    )
    needed: list[WatchedStream] = field(factory=list)
    others: list[WatchedStream] = field(factory=list)
    _known: dict[tuple[int, int], WatchedStream] = field(factory=dict)

    def add(self, group: int, timeline: Timeline, label: str, preset: str = "") -> None:
        """Take in a stream, or one more label of it."""
        stream = self._known.get((group, id(timeline)))
        if stream is None:
            stream = WatchedStream(group, timeline, [])
            self._known[group, id(timeline)] = stream
            (self.needed if preset else self.others).append(stream)
        if label not in stream.labels:
            stream.labels.append(label)
        if preset:
            self.presets[preset].append(stream)

    def knows(self, group: int, timeline: Timeline) -> bool:
        """Whether the stream was taken in."""
        return (group, id(timeline)) in self._known


@define
class _Kept:
    """The streams of a group that are at hand: some by chance, and all of them."""

    by_chance: list[Timeline]
    all: list[Timeline]
    facts_by_chance: list[StreamFacts]
    facts: list[StreamFacts]

    def median(self) -> Timeline | None:
        return _one(self.by_chance, median_of(self.facts_by_chance))

    def quantile(self, share: float) -> Timeline | None:
        return _one(self.by_chance, quantile_of(self.facts_by_chance, share))

    def any(self, choose: _Choose) -> Timeline | None:
        return _one(self.all, choose(self.facts))

    def first(self, kind: str) -> Timeline | None:
        return self.any(lambda facts: next((one for one in facts if one.kind == kind), None))


def _one(streams: Sequence[Timeline], facts: StreamFacts | None) -> Timeline | None:
    return streams[facts.place] if facts is not None else None


def watched(groups: Sequence[WatchedGroup], side: Sequence[int]) -> Watched:
    """Choose among the streams that were kept: those of the groups at ``side`` stand side by side."""
    chosen = Watched(list(side))
    kept = [_kept(each.group, each.sample) for each in groups]
    for place in chosen.side:
        for preset, label, stream in _told(kept[place]):
            chosen.add(place, stream, label, preset)
    for place, of_group in enumerate(kept):
        for _, label, stream in (*_told(of_group), *_particular(of_group)):
            chosen.add(place, stream, label)
    for place, of_group in enumerate(kept):
        new = (line for line in of_group.by_chance if not chosen.knows(place, line))
        for number, stream in zip(range(1, _MOST_BY_CHANCE + 1), new, strict=False):
            chosen.add(place, stream, f"another, {number}")
    return chosen


def _kept(group: Group, sample: Sample) -> _Kept:
    by_chance, kept = sample.by_chance(group.name), sample.all(group.name)
    known = {id(stream) for stream in kept}
    others = (sample.get(stream) for stream in _broken_ids(group)) if group.failed else ()
    kept += [stream for stream in others if stream is not None and id(stream) not in known]
    return _Kept(by_chance, kept, facts_of(by_chance), facts_of(kept))


def _told(kept: _Kept) -> Iterator[tuple[str, str, Timeline]]:
    for preset, label, stream in (
        ("median", "median", kept.median()),
        ("worst", "longest silence", kept.any(worst_of)),
        ("broken", "broke", kept.any(broken_of)),
    ):
        if stream is not None:
            yield preset, label, stream


def _particular(kept: _Kept) -> Iterator[tuple[str, str, Timeline]]:
    many = sum(stream.ttfa is not None for stream in kept.facts_by_chance) > _FEW
    for label, stream in (
        ("quick to begin", kept.quantile(0.05) if many else None),
        ("slow to begin", kept.quantile(0.95) if many else None),
        ("cancelled", kept.first("cancelled")),
        ("no ending", kept.first("open")),
    ):
        if stream is not None:
            yield "", label, stream


def watched_ids(
    measured: Measured, _: Measured | None = None, __: Comparisons | None = None
) -> Iterator[str]:
    """Yield the ids of streams to watch that a sample may lack: of each group one that broke."""
    for group in measured.groups.values():
        if group.failed:
            yield from _broken_ids(group)


def _broken_ids(group: Group) -> list[str]:
    """Return the id of a stream that broke, in the middle by its first text, if one had any."""
    begins = group.column("ttfa")
    (broke,) = np.nonzero(group.column("qoe") == 0.0)  # which of whole ones is above 0
    if not len(broke):
        return []
    ordered = broke[np.argsort(begins[broke], kind="stable")]  # NaN, where there is none, last
    seen = max(1, int((~np.isnan(begins[broke])).sum()))
    return [group.ids[int(ordered[(seen - 1) // 2])]]
