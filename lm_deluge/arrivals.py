"""When the pieces of one answer arrived, kept compactly while it streams."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from attrs import define, field

from lm_deluge.payloads import Delta, Token

__all__ = ["Arrivals"]


def _floats() -> array[float]:
    return array("d")


def _counts() -> array[int]:
    return array("I")


@define(eq=False, repr=False)
class Arrivals:
    """Arrival times of one answer: 8 bytes a token and 12 bytes a network read that held output.

    Per visible token, in order of arrival: ``lengths`` (characters of its text) and ``slots`` (index
    into the two arrays per read). Per network read that held output: ``times`` (seconds from t0,
    monotonic clock) and ``reads`` (ordinal of the read). ``choices`` (per token) stays empty until a
    token of another choice than 0 arrives. ``first_output``: seconds from t0 to the first piece of
    any kind, ``None`` before it. ``last_output``: to the last one. ``deltas``: pieces that were not
    visible text.
    """

    lengths: array[int] = field(factory=_counts)
    slots: array[int] = field(factory=_counts)
    choices: array[int] = field(factory=_counts)
    times: array[float] = field(factory=_floats)
    reads: array[int] = field(factory=_counts)
    first_output: float | None = None
    last_output: float | None = None
    deltas: int = 0

    def __len__(self) -> int:
        """Visible tokens so far."""
        return len(self.lengths)

    def add(self, tokens: Sequence[Token], deltas: Sequence[Delta]) -> int:
        """Count in the pieces of one network read; return how many characters they hold."""
        piece = tokens[0] if tokens else deltas[0]
        if self.first_output is None:
            self.first_output = piece.arrived
        self.last_output = piece.arrived
        self.deltas += len(deltas)
        characters = sum([len(delta.text) for delta in deltas])
        if not tokens:
            return characters
        before = len(self.lengths)
        lengths = [len(token.text) for token in tokens]
        self.lengths.extend(lengths)
        self.slots.extend([len(self.times)] * len(tokens))
        self.times.append(piece.arrived)
        self.reads.append(piece.read)
        if self.choices or any(token.choice for token in tokens):
            self.choices.extend([0] * (before - len(self.choices)))
            self.choices.extend([token.choice for token in tokens])
        return characters + sum(lengths)

    def add_visible(self, texts: Sequence[str], arrived: float, read: int) -> int:
        """``add`` for tokens of choice 0 and nothing else, of which only the texts are needed."""
        if self.first_output is None:
            self.first_output = arrived
        self.last_output = arrived
        slot = len(self.times)
        self.times.append(arrived)
        self.reads.append(read)
        if self.choices:
            self.choices.extend([0] * len(texts))
        if len(texts) == 1:  # what every read is at live pace
            self.slots.append(slot)
            self.lengths.append(characters := len(texts[0]))
            return characters
        lengths = list(map(len, texts))
        self.slots.fromlist([slot] * len(lengths))
        self.lengths.fromlist(lengths)
        return sum(lengths)
