"""What a reader has before them at a second, in the words of the page's replay (watch.js)."""

from __future__ import annotations

from math import floor
from typing import Literal

from attrs import frozen

from lm_deluge.timeline.replay.pieces import ReplayedAnswer, answer_of
from lm_deluge.timeline.replay.told import EndingKind, ending_kind, ending_told
from lm_deluge.values.timeline import Timeline

__all__ = ["GLYPHS", "ReplayState", "StateKind", "StreamReplay", "on_clock"]

StateKind = Literal["waiting", "thinking", "writing", "stalled"] | EndingKind

GLYPHS: dict[EndingKind, str] = {"whole": "✓", "broke": "✕", "cancelled": "■", "open": "?"}

_NOTICED = 0.4  # seconds of silence that a reader notices


@frozen
class ReplayState:
    """``kind`` and ``words`` of a moment; ``silence``: seconds that count up in it, if some do."""

    kind: StateKind
    words: str
    silence: float | None = None


@frozen
class StreamReplay:
    """A stream to be shown again: ``name`` it is shown by; a gap above ``stall`` seconds is a stall."""

    name: str
    timeline: Timeline
    answer: ReplayedAnswer
    stall: float

    @classmethod
    def of(cls, name: str, timeline: Timeline, stall: float) -> StreamReplay:
        """Take a stream apart."""
        return cls(name, timeline, answer_of(timeline), stall)

    @property
    def end(self) -> float:
        """Seconds from t0 to the ending; where none is known, to the last output."""
        ending = self.timeline.ending
        last = self.timeline.last_output or 0.0
        return ending.t if ending is not None else last

    def state_at(self, seconds: float) -> ReplayState:
        """Return what the stream is at after so many seconds."""
        timeline = self.timeline
        if seconds >= self.end:
            kind = ending_kind(timeline)
            return ReplayState(kind, f"{GLYPHS[kind]} {ending_told(timeline)}")
        count = self.answer.count_at(seconds)
        if not count:
            first = timeline.first_output
            if first is None or seconds < first:
                return _counting("waiting", "waiting", seconds)
            if timeline.reasoning:
                return _counting("thinking", "thinking", seconds - first)
            return _counting("waiting", "at work, no text yet", seconds - first)
        silence = seconds - self.answer.pieces[count - 1].t
        if silence > self.stall:
            return _counting("stalled", "stalled, nothing comes", silence)
        if silence > min(_NOTICED, self.stall / 2):
            return _counting("waiting", "waiting", silence)
        return ReplayState("writing", "writing")


def on_clock(seconds: float) -> str:
    """Return seconds as a clock shows them that counts tenths: ``1.2 s``."""
    return f"{floor(seconds * 10 + 1e-6) / 10:.1f} s"


def _counting(kind: StateKind, words: str, seconds: float) -> ReplayState:
    return ReplayState(kind, f"{words} … {on_clock(seconds)}", seconds)
