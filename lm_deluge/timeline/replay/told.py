"""A stream in words, for whoever hears it, prints it, or has no time to watch."""

from __future__ import annotations

from typing import Literal

from lm_deluge.timeline.measures.error_words import ending_words
from lm_deluge.values.timeline import Timeline

__all__ = ["EndingKind", "ending_kind", "ending_told", "short", "stream_told"]

EndingKind = Literal["whole", "broke", "cancelled", "open"]

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_MOST_SILENCES = 5

#: What a whole answer's finish reason says of it, where it says more than "whole".
_FINISHED = {
    "length": "stopped at the limit of its length",
    "max_tokens": "stopped at the limit of its length",
    "max_output_tokens": "stopped at the limit of its length",
    "content_filter": "was stopped by a content filter",
    "tool_calls": "ended whole, with a tool call,",
    "tool_use": "ended whole, with a tool call,",
    "refusal": "ended with a refusal",
}


def short(seconds: float) -> str:
    """Return seconds as somebody says them who looks at a clock: ``0.3 s``, ``12.0 s``, ``0.04 s``."""
    if seconds >= 99.95:
        return f"{seconds:,.0f} s"
    return f"{seconds:.1f} s" if seconds >= 0.095 or not seconds else f"{seconds:.2f} s"


def ending_kind(timeline: Timeline) -> EndingKind:
    """Say how a stream ended: whole, broke, cancelled by its caller, or open where no ending is known."""
    if timeline.ending is None:
        return "open"
    if timeline.completed:
        return "whole"
    return "broke" if timeline.failed else "cancelled"


def ending_told(timeline: Timeline) -> str:
    """Return how and when a stream ended: ``"ended whole after 6.2 s"``, ``"broke after 3.1 s: …"``."""
    ending = timeline.ending
    if ending is None:
        last = timeline.last_output
        since = f"; its last output came after {short(last)}" if last is not None else ""
        return f"has no ending in the log{since}"
    after = f"after {short(ending.t)}"
    if timeline.completed:
        return f"{_FINISHED.get(timeline.finish_reason or '', 'ended whole')} {after}"
    if timeline.cancelled:
        return f"was cancelled by its caller {after}"
    words = ending_words(ending.error or "", ending.phase, text=bool(len(timeline)))
    return f"broke {after}: {words}"


def stream_told(timeline: Timeline, stall: float) -> str:
    """Return a stream in one sentence: its first text, its silences above ``stall`` seconds, its ending."""
    parts = []
    first, text = timeline.first_output, timeline.ttfa
    if timeline.retries:
        count = _count(len(timeline.retries), "attempt")
        parts.append(f"{count} failed before")
    if first is not None and (text is None or text > first):
        what = "thinking" if timeline.reasoning else "at work without text"
        parts.append(f"{what} from {short(first)}")
    parts.append(f"first text after {short(text)}" if text is not None else "no text")
    if text is not None:
        parts.append(_silences(timeline, stall))
    parts.append(ending_told(timeline))
    return ", ".join(parts)


def _silences(timeline: Timeline, stall: float) -> str:
    silences = [silence.seconds for silence in timeline.stalls(stall)]
    said = f"{_count(len(silences), 'silence')} above {stall:g} s"
    if not silences:
        return said
    listed = ", ".join(map(short, silences[:_MOST_SILENCES]))
    more = len(silences) - _MOST_SILENCES
    return f"{said} ({listed}{f' and {more} more' if more > 0 else ''})"


def _count(number: int, noun: str) -> str:
    word = _NUMBERS[number] if number < len(_NUMBERS) else f"{number:,}"
    return f"{word} {noun}{'s' if number > 1 else ''}"
