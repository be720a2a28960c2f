"""When the pieces of one answer arrived, kept compactly while it streams."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate
from typing import cast

from attrs import define, field

from lm_deluge.values.pieces import Delta, Token

__all__ = ["Arrivals", "floats"]


floats = cast("Callable[[], array[float]]", partial(array, "d"))
"""Return an empty array of doubles."""

#: Small numbers, a byte each.
_small = cast("Callable[[], array[int]]", partial(array, "B"))


def _extended(values: array[int], more: list[int]) -> array[int]:
    """Append small numbers at a byte each; at the first larger one all become four bytes wide."""
    try:
        values.fromlist(more)  # all of them, or none
    except OverflowError:
        values = array("I", values)
        values.extend(array("I", more))
    return values


@define(eq=False, repr=False)
class Arrivals:
    """Arrival times of one answer: a byte a token and ten a network read that held output, more only
    for tokens of over 255 characters and the like.

    Per visible token, in order of arrival: ``lengths`` (characters of its text) and ``slots`` (index
    into the two arrays per read). Per network read that held tokens: ``times`` (seconds from t0,
    monotonic clock) and ``reads`` (ordinal of the read). ``choices`` (per token) stays empty until a
    token of another choice than 0 arrives. ``first_output``: seconds from t0 to the first piece of
    any kind, ``None`` before it. ``last_output``: to the last one. ``deltas``: pieces that were not
    visible text.
    """

    lengths: array[int] = field(factory=_small)
    choices: array[int] = field(factory=_small)
    times: array[float] = field(factory=floats)
    first_output: float | None = None
    last_output: float | None = None
    deltas: int = 0
    _held: array[int] = field(factory=_small)  # per read: how many tokens
    _steps: array[int] = field(factory=_small)  # per read: how many reads after the one before it
    _last_read: int = 0

    def __len__(self) -> int:
        """Visible tokens so far."""
        return len(self.lengths)

    @property
    def slots(self) -> array[int]:
        """Per token: index into ``times`` and ``reads``. Made anew each time."""
        return array("I", [slot for slot, held in enumerate(self._held) for _ in range(held)])

    @property
    def reads(self) -> array[int]:
        """Per time: the ordinal of its network read. Made anew each time."""
        return array("I", accumulate(self._steps))

    def add(self, tokens: Sequence[Token], deltas: Sequence[Delta]) -> int:
        """Count in the pieces of one network read; return how many characters they hold."""
        characters = sum([len(delta.text) for delta in deltas])
        if tokens:
            if any([token.choice for token in tokens]):  # noqa: C419 - faster than a generator
                missing = [0] * (len(self.lengths) - len(self.choices))
                choices = missing + [token.choice for token in tokens]
                self.choices = _extended(self.choices, choices)
            texts = [token.text for token in tokens]
            characters += self.add_visible(texts, tokens[0].arrived, tokens[0].read)
        else:
            self._note_output(deltas[0].arrived)
        self.deltas += len(deltas)
        return characters

    def add_visible(self, texts: Sequence[str], arrived: float, read: int) -> int:
        """Count in the tokens of one network read, of choice 0 unless ``choices`` knows better."""
        self._add_reads(texts, [arrived], [len(texts)], [read - self._last_read])
        return sum(map(len, texts))

    def add_lone(self, texts: Sequence[str], times: list[float], last_read: int) -> None:
        """Count in tokens of choice 0 of which each was all that its network read held.

        ``times``: their arrivals. ``last_read``: the ordinal of the last read; the others came right
        before it, one after the other.
        """
        count = len(texts)
        first_step = last_read - count + 1 - self._last_read
        self._add_reads(texts, times, [1] * count, [first_step, *[1] * (count - 1)])

    def _add_reads(
        self, texts: Sequence[str], times: list[float], held: list[int], steps: list[int]
    ) -> None:
        """Count in some reads. ``held``: tokens of each; ``steps``: how many reads after the one before."""
        self._note_output(times[0])
        self.last_output = times[-1]
        self.times.extend(times)
        self.lengths = _extended(self.lengths, list(map(len, texts)))
        self._held = _extended(self._held, held)
        self._steps = _extended(self._steps, steps)
        self._last_read += sum(steps)
        if self.choices:
            self.choices.extend([0] * (len(self.lengths) - len(self.choices)))

    def _note_output(self, arrived: float) -> None:
        if self.first_output is None:
            self.first_output = arrived
        self.last_output = arrived
