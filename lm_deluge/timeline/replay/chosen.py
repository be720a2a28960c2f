"""Which streams of many are worth watching: the median one, the worst stall, a broken one."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence

from attrs import frozen

from lm_deluge.timeline.replay.told import EndingKind, ending_kind, ending_told
from lm_deluge.values.timeline import Timeline

__all__ = ["StreamFacts", "broken_of", "facts_of", "median_of", "quantile_of", "worst_of"]

_SEEN = 3  # decimals of a silence's seconds: less than a millisecond makes none longer


@frozen
class StreamFacts:
    """What a stream is chosen by, without its pieces.

    ``place``: among those it was given with. ``first_output``, ``ttfa``, ``e2e``: seconds from t0, as
    ``Timeline`` has them. ``longest``: its longest gap in seconds, that to a failure included, ``None``
    without any. ``ended``: how and when, in words. ``error``: the class, ``""`` without one.
    """

    place: int
    stream: str
    model: str | None
    first_output: float | None
    ttfa: float | None
    e2e: float | None
    longest: float | None
    kind: EndingKind
    ended: str
    error: str


def facts_of(timelines: Iterable[Timeline]) -> list[StreamFacts]:
    """Return the facts of each, in order; of the timelines themselves nothing is kept."""
    return [_facts(place, timeline) for place, timeline in enumerate(timelines)]


def _facts(place: int, timeline: Timeline) -> StreamFacts:
    ending = timeline.ending
    return StreamFacts(
        place=place,
        stream=timeline.stream,
        model=timeline.model_used or timeline.model,
        first_output=timeline.first_output,
        ttfa=timeline.ttfa,
        e2e=timeline.e2e,
        longest=max(timeline.gaps, default=None),
        kind=ending_kind(timeline),
        ended=ending_told(timeline),
        error=(ending.error if ending is not None else None) or "",
    )


def median_of(streams: Sequence[StreamFacts]) -> StreamFacts | None:
    """Return the stream that is nearest to the middle in both its first text and its length in seconds.

    Nearest: by the larger of the distances of its two ranks from the middle rank. Of those whose longest
    silence is among the middle half, if there are any: a stream that stalled is not typical of a group
    that flows. Of whole streams with text; where there are none, of those with text, and at last of all.
    ``None`` without any.
    """
    return quantile_of(streams, 0.5)


def quantile_of(streams: Sequence[StreamFacts], share: float) -> StreamFacts | None:
    """Return the stream whose first text has the rank ``share`` (0 the first), lengths near the middle.

    For 0.5 it is ``median_of``; otherwise the rank of the length decides among equals alone.
    """
    with_text = [stream for stream in streams if stream.ttfa is not None]
    among = [stream for stream in with_text if stream.kind == "whole"] or with_text or streams
    if not among:
        return None
    begins = _ranks([_or_last(stream.ttfa) for stream in among])
    ends = _ranks([_or_last(stream.e2e) for stream in among])
    places: Sequence[int] = range(len(among))
    if share == 0.5:
        flows = _ranks([round(stream.longest or 0.0, _SEEN) for stream in among])
        places = [place for place in places if abs(flows[place] - 0.5) <= 0.25] or places

    def distance(place: int) -> tuple[float, float, int]:
        begin, end = abs(begins[place] - share), abs(ends[place] - 0.5)
        if share == 0.5:
            return max(begin, end), begin + end, place
        return begin, end, place

    return among[min(places, key=distance)]


def worst_of(streams: Sequence[StreamFacts]) -> StreamFacts | None:
    """Return the stream with the longest silence after its first text; ``None`` if none has any."""
    among = [stream for stream in streams if stream.longest is not None]
    return max(among, key=lambda stream: stream.longest or 0.0, default=None)


def broken_of(streams: Sequence[StreamFacts]) -> StreamFacts | None:
    """Return a stream that broke: with text, if one has; of the commonest error; the middle one by time."""
    failed = [stream for stream in streams if stream.kind == "broke"]
    failed = [stream for stream in failed if stream.ttfa is not None] or failed
    if not failed:
        return None
    errors = Counter(stream.error for stream in failed)
    common = max(errors, key=lambda error: (errors[error], error))
    among = [stream for stream in failed if stream.error == common]
    among.sort(key=lambda stream: _or_last(stream.e2e))
    return among[(len(among) - 1) // 2]


def _or_last(seconds: float | None) -> float:
    return float("inf") if seconds is None else seconds


def _ranks(values: Sequence[float]) -> list[float]:
    """Return ranks from 0 to 1, equal values at the middle of theirs."""
    ordered = sorted(values)
    last = max(1, len(ordered) - 1)
    return [
        (bisect_left(ordered, value) + bisect_right(ordered, value) - 1) / 2 / last
        for value in values
    ]
