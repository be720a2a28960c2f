"""One answer as the page shows it in place: facts in words, its text with the silences marked in it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from typing import Any

from lm_deluge.timeline.measures.error_words import ending_words, retry_words
from lm_deluge.timeline.measures.groups import last_moment
from lm_deluge.timeline.measures.wording import seconds
from lm_deluge.values.timeline import Timeline

__all__ = ["MOST_CHARACTERS", "answer_facts", "answer_parts", "how_it_ended", "retries_told"]

MOST_CHARACTERS = 4_000
"""Of a text, the beginning; where a stall comes later, what is around it as well."""

_AROUND = 300
_MOST_BARS = 400
_MOST_WIDTH = 24


def answer_facts(timeline: Timeline, stall: float) -> dict[str, Any]:
    """Return how an answer began, flowed and ended, in words, and its parts."""
    return {
        "stream": timeline.stream,
        "first": seconds(timeline.ttfa) if timeline.ttfa is not None else "",
        "thinks": seconds(timeline.ttft)
        if timeline.ttft is not None and timeline.ttft != timeline.ttfa
        else "",
        "pieces": f"{len(timeline):,}",
        "ended": how_it_ended(timeline),
        "broke": timeline.failed,
        "after": seconds(last_moment(timeline)),
        "retries": retries_told(timeline),
        "parts": list(answer_parts(timeline, stall)),
        "has_text": timeline.texts is not None,
    }


def how_it_ended(timeline: Timeline) -> str:
    """Return how a stream ended, in words and with the class of its error."""
    ending = timeline.ending
    if ending is None:
        return "no ending in the log"
    if ending.kind == "complete":
        return "whole"
    error = ending.error or "unknown"
    words = ending_words(error, ending.phase, text=len(timeline) > 0)
    return words if timeline.cancelled else f"{words} ({error})"


def retries_told(timeline: Timeline) -> list[str]:
    """Return each attempt that failed before another, in words."""
    moments = list(timeline.retry_moments)
    told = []
    for number, error in enumerate(timeline.retries):
        t, delay = moments[number] if number < len(moments) else (None, None)
        after = f" after {seconds(t)}" if t is not None else ""
        pause = f", the next one {seconds(delay)} later" if delay else ""
        told.append(f"attempt {number + 1}{after}: {retry_words(error)} ({error}){pause}")
    return told


def answer_parts(
    timeline: Timeline, stall: float, *, most: int = MOST_CHARACTERS
) -> Iterator[dict[str, Any]]:
    """Yield a text in parts: ``text``, ``stall`` (how long a silence was), ``cut`` (characters left out).

    Of a log without text ``bar``, a width in characters, in the place of each word. The text is that of
    choice 0; lengths are those of the log, so that a text from which a secret was taken may be marked a
    few characters off.
    """
    stalls = {each.index: each.seconds for each in timeline.stalls(stall)}
    mine = [
        place
        for place in range(len(timeline))
        if not timeline.choices or timeline.choices[place] == 0
    ]
    ends = list(accumulate(timeline.lengths[place] for place in mine))
    offset = {place: end - timeline.lengths[place] for place, end in zip(mine, ends, strict=True)}
    marks = sorted(
        (offset.get(index, ends[-1] if ends else 0), length) for index, length in stalls.items()
    )
    if timeline.texts is None:
        yield from _bars(timeline, mine, offset, marks)
        return
    text = timeline.texts.get(0, "")
    at = 0
    for place, length in [*marks, (len(text), 0.0)]:
        shown = text[at : max(at, place)]
        yield from _shortened(shown, most)
        most = max(0, most - len(shown))
        if length:
            yield {"kind": "stall", "text": seconds(length)}
        at = max(at, place)


def _shortened(text: str, most: int) -> Iterator[dict[str, Any]]:
    """Yield a text, or its beginning and what is before the next silence."""
    if len(text) <= most + 2 * _AROUND:
        if text:
            yield {"kind": "text", "text": text}
        return
    head = max(most, _AROUND)
    yield {"kind": "text", "text": text[:head]}
    yield {"kind": "cut", "text": f"{len(text) - head - _AROUND:,} characters"}
    yield {"kind": "text", "text": text[len(text) - _AROUND :]}


def _bars(
    timeline: Timeline,
    mine: list[int],
    offset: dict[int, int],
    marks: list[tuple[int, float]],
) -> Iterator[dict[str, Any]]:
    left = list(marks)
    for count, place in enumerate(mine):
        while left and left[0][0] <= offset[place] and offset[place]:
            yield {"kind": "stall", "text": seconds(left.pop(0)[1])}
        if count < _MOST_BARS:
            yield {"kind": "bar", "text": str(min(_MOST_WIDTH, max(1, timeline.lengths[place])))}
    if len(mine) > _MOST_BARS:
        yield {"kind": "cut", "text": f"{len(mine) - _MOST_BARS:,} pieces"}
    for _, length in left:
        yield {"kind": "stall", "text": seconds(length)}
