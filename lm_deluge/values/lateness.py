"""Who held the event loop: the inline handlers, or something else.

The log gives for a piece ``d``, the seconds from the arrival of its read until the inline handlers
had it, and with the first piece of a read (and at the ending) ``busy``, the seconds that handlers
held the loop for the read before. So what handlers did with a read is told by the line after it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import inf, isnan

from attrs import define

__all__ = ["Lateness", "held_silences"]


@define
class Lateness:
    """What one stream's log tells of it, line by line.

    ``handlers``: the longest ``busy``, seconds. ``loop_lag``: the longest ``d`` beyond what handlers
    took, seconds. ``None`` where nothing is known.

    A piece can have waited for handlers of its own read, and of the read before it, where both came
    while the loop was held. Both are taken off: what is left is the least that something else did.
    Of a read whose own handlers are unknown only the first piece counts: the others waited for it.
    """

    handlers: float | None = None
    loop_lag: float | None = None
    _read: float | None = None
    _first: float = -1.0
    _longest: float = -1.0
    _before: float = 0.0
    _is_last_known: bool = True

    def add(self, read: float, d: float | None, busy: float | None) -> None:
        """Take in a piece of text, reasoning or refusal.

        ``read``: whatever tells its network read from the one before.
        """
        if read == self._read:
            if d is not None and d > self._longest:
                self._longest = d
            return
        self.ended(busy)
        self._read = read
        self._before = busy or 0.0
        self._first = self._longest = -1.0 if d is None else d

    def add_other(self) -> None:
        """Take in a piece whose line tells no ``busy``: the next one to come is not of this read."""
        self._is_last_known = False

    def ended(self, busy: float | None) -> None:
        """The next read, or the ending, tells how long handlers took for the one at hand."""
        if busy is not None and (self.handlers is None or busy > self.handlers):
            self.handlers = busy
        own = busy if self._is_last_known else None
        d = self._first if own is None else self._longest
        if d >= 0:
            lag = max(0.0, d - self._before - (own or 0.0))
            if self.loop_lag is None or lag > self.loop_lag:
                self.loop_lag = lag
        self._read, self._first, self._longest, self._is_last_known = None, -1.0, -1.0, True


def held_silences(
    times: Sequence[float], busy: Sequence[float], within: float = inf
) -> Iterator[float]:
    """Yield the seconds that handlers held the loop in each silence before a read.

    At most the silence's own length. ``within``: only where the read came so soon after, in seconds.
    """
    for (before, now), held in zip(pairwise(times), busy[1:], strict=False):
        silence = now - before
        if not isnan(held) and silence - held <= within:
            yield min(held, silence)
