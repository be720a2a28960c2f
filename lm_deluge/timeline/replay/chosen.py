"""Which streams of many are worth watching: the median one, the worst stall, a broken one."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence

from lm_deluge.values.timeline import Timeline

__all__ = ["broken_of", "longest_silence", "median_of", "quantile_of", "worst_of"]


def longest_silence(timeline: Timeline) -> float:
    """Return the longest gap in seconds, that to a failure included; 0 without one."""
    return max(timeline.gaps, default=0.0)


def median_of(streams: Sequence[Timeline]) -> Timeline | None:
    """Return the stream that is nearest to the middle in both its first text and its length in seconds.

    Nearest: by the larger of the distances of its two ranks from the middle rank. Of whole streams
    with text; where there are none, of those with text, and at last of all. ``None`` without any.
    """
    return quantile_of(streams, 0.5)


def quantile_of(streams: Sequence[Timeline], share: float) -> Timeline | None:
    """Return the stream whose first text has the rank ``share`` (0 the first), lengths near the middle.

    For 0.5 it is ``median_of``; otherwise the rank of the length decides among equals alone.
    """
    among = (
        [stream for stream in streams if stream.completed and len(stream)]
        or [stream for stream in streams if len(stream)]
        or list(streams)
    )
    if not among:
        return None
    begins = _ranks([_or_last(stream.ttfa) for stream in among])
    ends = _ranks([_or_last(stream.e2e) for stream in among])

    def distance(place: int) -> tuple[float, float, int]:
        begin, end = abs(begins[place] - share), abs(ends[place] - 0.5)
        if share == 0.5:
            return max(begin, end), begin + end, place
        return begin, end, place

    return among[min(range(len(among)), key=distance)]


def worst_of(streams: Sequence[Timeline]) -> Timeline | None:
    """Return the stream with the longest silence after its first text; ``None`` if none has any."""
    among = [stream for stream in streams if stream.gaps]
    return max(among, key=longest_silence, default=None)


def broken_of(streams: Sequence[Timeline]) -> Timeline | None:
    """Return a stream that broke: with text, if one has; of the commonest error; the middle one by time."""
    failed = [stream for stream in streams if stream.failed]
    failed = [stream for stream in failed if len(stream)] or failed
    if not failed:
        return None
    errors = Counter(_error(stream) for stream in failed)
    common = max(errors, key=lambda error: (errors[error], error))
    among = sorted(
        (stream for stream in failed if _error(stream) == common),
        key=lambda stream: _or_last(stream.e2e),
    )
    return among[(len(among) - 1) // 2]


def _error(stream: Timeline) -> str:
    return (stream.ending.error if stream.ending is not None else None) or ""


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
