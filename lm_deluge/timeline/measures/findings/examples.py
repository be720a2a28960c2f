"""Streams that show what a finding says: typical ones and the worst, chosen by their numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from attrs import frozen

from lm_deluge.timeline.measures.error_words import error_kinds
from lm_deluge.timeline.measures.groups import Group
from lm_deluge.timeline.measures.metrics import Measured
from lm_deluge.timeline.measures.numeric import Counts, Floats, np
from lm_deluge.timeline.measures.wording import seconds

__all__ = ["SUBJECTS", "Example", "examples_of"]

SUBJECTS: Final = {
    "broke": "Answers that broke",
    "stalled": "Answers that stalled",
    "retried": "Answers that needed another attempt",
    "began": "How late answers begin",
}
"""What examples are of, and their heading."""

_MOST_GROUPS = 4
_MOST_KINDS = 3


@frozen
class Example:
    """A stream of a ``group`` that shows a ``subject``: its ``id``, and in ``why`` which one it is."""

    subject: str
    group: str
    id: str
    why: str


def examples_of(measured: Measured) -> list[Example]:
    """Return two or three streams a subject, of each of the four largest groups that have any."""
    groups = sorted(measured.groups.values(), key=lambda group: -group.streams)[:_MOST_GROUPS]
    groups.sort(key=lambda group: group.name)
    return [
        example
        for choose in (_broke, _stalled, _retried, _began)
        for group in groups
        for example in choose(group)
    ]


def _broke(group: Group) -> Iterator[Example]:
    """Of the most frequent kinds a typical stream, and of the first one that which broke last."""
    kinds = [kind for kind in error_kinds(group) if not kind.cancelled][:_MOST_KINDS]
    for place, kind in enumerate(kinds):
        ended = np.array(kind.seconds)
        typical = _nearest(ended)
        times = f"{kind.count}\N{NO-BREAK SPACE}×"
        yield Example(
            "broke", group.name, kind.ids[typical], f"{kind.words} ({times}): a typical one"
        )
        latest = int(ended.argmax())
        if place == 0 and latest != typical:
            yield Example(
                "broke", group.name, kind.ids[latest], f"{kind.words}: the latest of them"
            )


def _stalled(group: Group) -> Iterator[Example]:
    stalled = np.nan_to_num(group.column("stalled"))
    yield from _typical_and_worst(
        group, "stalled", stalled, np.flatnonzero(stalled > 0), "of silence"
    )


def _retried(group: Group) -> Iterator[Example]:
    place = {stream: at for at, stream in enumerate(group.ids)}
    places = np.array([place[stream] for stream in group.retried_ids], np.int64)
    waited = np.nan_to_num(group.column("ttft"))
    yield from _typical_and_worst(group, "retried", waited, places, "until the first output")


def _began(group: Group) -> Iterator[Example]:
    ttft = group.column("ttft")
    yield from _typical_and_worst(
        group, "began", ttft, np.flatnonzero(~np.isnan(ttft)), "until the first output"
    )


def _typical_and_worst(
    group: Group, subject: str, values: Floats, places: Counts, what: str
) -> Iterator[Example]:
    """Yield the stream nearest to the median of ``values`` (seconds) at ``places``, and the largest."""
    if not len(places):
        return
    kept = np.asarray(places, np.int64)
    found = values[kept]
    typical, worst = _nearest(found), int(found.argmax())
    yield Example(
        subject,
        group.name,
        group.ids[kept[typical]],
        f"typical: {seconds(float(found[typical]))} {what}",
    )
    if worst != typical:
        yield Example(
            subject,
            group.name,
            group.ids[kept[worst]],
            f"the worst: {seconds(float(found[worst]))} {what}",
        )


def _nearest(values: Floats) -> int:
    return int(np.abs(values - np.median(values)).argmin())
