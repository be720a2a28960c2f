"""When which piece of a text is let through. Pure: a clock is given, nothing is waited for.

The backlog is spread over the time until more is expected: the mean time between arrivals, of which the
recent ones count most. Nothing is kept longer than ``max_delay``. So a steady stream of small pieces goes
through as it comes, and a long piece that comes at once is shown over the time until the next.
"""

from __future__ import annotations

from collections import deque
from typing import Final, Generic, TypeVar

from attrs import define, field

from lm_deluge_plugins.smooth.units import graphemes, whole_units

__all__ = ["STEP", "Pacer"]

T = TypeVar("T")

#: Seconds between two pieces that are let through: what an eye takes for a flow.
STEP: Final = 1 / 30

#: How much a new time between arrivals counts against those before.
_NEWEST: Final = 0.3

#: Characters of a first piece after which others are expected soon.
_SHORT: Final = 24

#: The share of ``max_delay`` for which a last word waits for its end.
_WORD: Final = 0.5


@define
class _Waiting(Generic[T]):
    """A piece as it arrived: ``at`` that time, from ``source``."""

    text: str
    at: float
    source: T


@define
class Pacer(Generic[T]):
    """One text on its way. ``feed`` and ``due`` are given the time, in seconds of one clock."""

    max_delay: float
    _waiting: deque[_Waiting[T]] = field(factory=deque["_Waiting[T]"])
    _gap: float = STEP
    _last: float | None = None
    _credit: float = 0.0
    _asked: float = 0.0

    def feed(self, text: str, at: float, source: T) -> None:
        """Take a piece that arrived at that time."""
        if self._last is None:
            self._credit = 1.0  # the first word goes at once
            # Who begins with more than some words will not go on at once.
            self._gap = STEP if len(text) <= _SHORT else self.max_delay
        elif at > self._last:
            gap = min(at - self._last, self.max_delay)
            self._gap += _NEWEST * (gap - self._gap)
        if not self._waiting:
            self._asked = at
        self._last = at
        self._waiting.append(_Waiting(text, at, source))

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return not self._waiting

    def due(self, now: float) -> list[tuple[str, T]]:
        """Return what is let through now, each with what it came with; its first piece names it."""
        if not self._waiting:
            return []
        size = sum(len(piece.text) for piece in self._waiting)
        spread = min(max(self._gap, STEP), self.max_delay - STEP)
        # What is left of that time for the first of it: so the flow is even up to the end of it.
        left = spread - STEP - (self._asked - self._waiting[0].at)
        self._credit += size * min(1.0, (now - self._asked) / left) if left > 0 else size
        self._asked = now
        text = "".join(piece.text for piece in self._waiting)
        count = self._count(text, now)
        self._credit = max(0.0, self._credit - count) if count else self._credit
        return self._let_through(count)

    def flush(self) -> list[tuple[str, T]]:
        """Return all that waits."""
        return self._let_through(sum(len(piece.text) for piece in self._waiting))

    def _count(self, text: str, now: float) -> int:
        """How many characters go: whole units, as far as there is credit, and what waited long enough."""
        units = whole_units(text)
        overdue = self._older_than(now - self.max_delay + 2 * STEP)
        count = 0
        for unit in units[:-1]:
            if count >= self._credit and count >= overdue:
                return count
            count += len(unit)
        # More of the last word, or of its last character, may come.
        if units and count < self._older_than(now - _WORD * self.max_delay):
            last = graphemes(units[-1])
            kept = 0 if count < overdue or last[-1].isspace() else len(last[-1])
            count += len(units[-1]) - kept
        return count

    def _older_than(self, moment: float) -> int:
        """How many characters, from the first, arrived before that moment."""
        count = 0
        for piece in self._waiting:
            if piece.at > moment:
                break
            count += len(piece.text)
        return count

    def _let_through(self, count: int) -> list[tuple[str, T]]:
        """Take so many characters off; pieces of one source that follow each other stay apart from others."""
        out: list[tuple[str, T]] = []
        text = ""
        source: T | None = None
        while count and self._waiting:
            first = self._waiting[0]
            taken = first.text[:count]
            text += taken
            source = first.source
            count -= len(taken)
            if len(taken) == len(first.text):
                self._waiting.popleft()
            else:
                first.text = first.text[len(taken) :]
        if text and source is not None:
            out.append((text, source))
        return out
