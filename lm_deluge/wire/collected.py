"""What came of one answer: its choices and pieces, numbered, kept and counted. No bytes, no I/O."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, Final, Generic, TypeVar

from lm_deluge.config import Limits
from lm_deluge.errors import LimitExceededError, StreamError
from lm_deluge.values.arrivals import Arrivals
from lm_deluge.values.pieces import Delta, Token, make_token
from lm_deluge.wire.choice import ChoiceParts, Piece
from lm_deluge.wire.facts import Facts

__all__ = ["BESIDE", "C", "Collected"]

#: Characters of names, usage and fields of the server's own that do not count for
#: ``Limits.max_answer_chars``: every answer has some.
BESIDE: Final = 4096

#: Tokens of lone reads that are counted in together: what an open stream holds for the time being.
_BATCH: Final = 16

C = TypeVar("C", bound=ChoiceParts)


class Collected(ABC, Generic[C]):
    """The half of an ``Answer`` that knows no bytes; its attributes are told there."""

    __slots__ = (
        "_arrivals",
        "_arrived",
        "_beside",
        "_characters",
        "_choices",
        "_excess",
        "_index",
        "_lone",
        "_lone_read",
        "_lone_times",
        "_pieces",
        "_read",
        "done",
        "error",
        "expected",
        "facts",
        "finished",
        "limits",
        "may_be_over",
    )

    def __init__(self, *, choices: int, limits: Limits) -> None:
        self.limits = limits
        self.expected = choices
        self.facts = self.new_facts()
        self.done = False
        self.finished = False
        self.may_be_over = False
        self.error: StreamError | None = None
        self._arrivals = Arrivals()
        self._choices: dict[int, C] = {}
        self._index = 0
        self._characters = 0
        self._beside = 0
        self._excess = 0
        # Of the read that is being taken: its ordinal and moment, and its pieces.
        self._read = 0
        self._arrived = 0.0
        self._pieces: list[Token | Delta] = []
        # Tokens that came alone, still to be counted in.
        self._lone: list[str] = []
        self._lone_times: list[float] = []
        self._lone_read = 0

    @abstractmethod
    def new_facts(self) -> Facts:
        """Return facts of which nothing has come."""

    @abstractmethod
    def new_choice(self) -> C:
        """Return a choice of which nothing has come."""

    def hear(self, index: int, parts: C, said: Iterable[Piece]) -> None:
        """Take what an event says of one choice: pieces are told, what is kept is counted."""
        size, beside = parts.size, parts.beside
        try:
            for piece in said:
                self._append(piece, index)
        finally:
            self._characters += parts.size - size
            if parts.beside != beside:
                self.count_beside(parts.beside - beside)
        if self._characters > self.limits.max_answer_chars:
            self._check_size()
        if parts.finish_reason is not None:
            self.note_finish()

    def choice(self, index: int) -> C:
        """Return a choice, which begins with this; ``LimitExceededError`` where there are too many."""
        parts = self._choices.get(index)
        if parts is None:
            if len(self._choices) >= self.limits.max_choices:
                raise LimitExceededError(
                    "max_choices", limit=self.limits.max_choices, value=len(self._choices) + 1
                )
            parts = self._choices[index] = self.new_choice()
        return parts

    def count_beside(self, characters: int) -> None:
        """Count what is kept beside the answer, of which every answer has some for nothing."""
        self._beside += characters
        if self._beside > BESIDE or self._excess:
            excess = max(self._beside - BESIDE, 0)
            self._characters += excess - self._excess
            self._excess = excess
            self._check_size()

    def end(self) -> None:
        """The server said that the answer is over."""
        self.done = True
        self._flush_held()

    @property
    def says_something(self) -> bool:
        """Whether a choice has output or a reason for its end, whose word nobody need know.

        Less is an empty reply and no answer.
        """
        return any(
            parts.has_output
            or parts.finish_reason is not None
            or parts.finish_reason_raw is not None
            for parts in self._choices.values()
        )

    def _lone_token(self, text: str, arrived: float, read: int) -> Token:
        """Take the only token of a read that holds nothing else."""
        index = self._index
        self._index = index + 1
        self._characters += len(text)
        self._lone.append(text)
        self._lone_times.append(arrived)
        self._lone_read = read
        if len(self._lone) == _BATCH:
            self._count_in()
        if self._characters > self.limits.max_answer_chars:
            self._check_size()
        return make_token(text, index, arrived, read, 0)

    def _count_in(self) -> None:
        """Count in the tokens of the lone reads, which followed one another: sixteen at once cost a
        quarter of what each by itself does."""
        if texts := self._lone:
            self._choices[0].text.extend(texts)
            self._arrivals.add_lone(texts, self._lone_times, self._lone_read)
            self._lone, self._lone_times = [], []

    def _tell(self, texts: Sequence[str]) -> Sequence[str]:
        """Make tokens of the texts of choice 0; return those that are not empty."""
        if "" in texts:
            texts = [text for text in texts if text]
        index, arrived, read = self._index, self._arrived, self._read
        self._pieces += [
            make_token(text, at, arrived, read, 0) for at, text in enumerate(texts, index)
        ]
        self._index = index + len(texts)
        self._choices[0].text.extend(texts)
        return texts

    def _append(self, piece: Piece, choice: int) -> None:
        if piece.kind == "text":
            token = make_token(piece.text, self._index, self._arrived, self._read, choice)
            self._pieces.append(token)
            self._index += 1
            return
        self._pieces.append(
            Delta(
                kind=piece.kind,
                index=piece.index,
                text=piece.text,
                arrived=self._arrived,
                read=self._read,
                choice=choice,
                id=piece.id,
                name=piece.name,
                arguments=piece.text if piece.kind == "tool_call" else None,
                data=piece.data,
            )
        )

    def note_finish(self) -> None:
        """A choice has a finish reason: see what that says of the answer."""
        ended, trusted = len(self._choices) >= self.expected, True
        for parts in self._choices.values():
            ended = ended and parts.finish_reason is not None
            trusted = trusted and not parts.is_doubtful
        self.finished = ended and trusted
        self.may_be_over = ended and not trusted

    def _flush_held(self) -> None:
        """Nothing follows: a half character that waited for its other half stays alone."""
        for index, parts in self._choices.items():
            for piece in parts.flush():
                self._append(piece, index)

    def _account(self, pieces: list[Token | Delta]) -> None:
        if not pieces:
            return
        tokens: list[Any] = [piece for piece in pieces if type(piece) is not Delta]
        deltas: list[Delta] = []
        if len(tokens) < len(pieces):
            # Where a text is from is told beside it: no output.
            deltas = [
                piece for piece in pieces if type(piece) is Delta and piece.kind != "citation"
            ]
            if not tokens and not deltas:
                return
        self._count(self._arrivals.add(tokens, deltas))

    def _count(self, characters: int) -> None:
        self._characters += characters
        if self._characters > self.limits.max_answer_chars:
            self._check_size()

    def _check_size(self) -> None:
        if self._characters > self.limits.max_answer_chars and self.error is None:
            self.error = LimitExceededError(
                "max_answer_chars", limit=self.limits.max_answer_chars, value=self._characters
            )
