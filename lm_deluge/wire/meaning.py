"""What the events of one answer say, and what is kept of it. No I/O."""

from __future__ import annotations

from typing import Any, Final

from lm_deluge.arrivals import Arrivals
from lm_deluge.config import Limits
from lm_deluge.errors import LimitExceededError, ProtocolError, StreamError
from lm_deluge.payloads import Delta, Token, make_token
from lm_deluge.redaction import Redactor
from lm_deluge.wire.choice import ChoiceParts, Piece
from lm_deluge.wire.chunks import decode_any
from lm_deluge.wire.facts import Facts
from lm_deluge.wire.provider_errors import error_in, is_error_event, provider_error
from lm_deluge.wire.sse import Event, EventDecoder

__all__ = ["EVIDENCE", "Meaning", "reports"]

#: Bytes of what was received that an error shows.
EVIDENCE: Final = 200

#: Characters of names, usage and fields of the server's own that do not count for
#: ``Limits.max_answer_chars``: every answer has some.
_BESIDE: Final = 4096

#: The largest index of a choice that is believed; ``Arrivals`` keeps it in 32 bits.
_MAX_INDEX: Final = 2**31 - 1


class Meaning:
    """One answer, put together from its events: the half of ``Answer`` that knows no reads.

    Its attributes are told there. Whatever is kept is counted here, for ``Limits``.
    """

    __slots__ = (
        "_arrivals",
        "_beside",
        "_characters",
        "_choices",
        "_chunks",
        "_events",
        "_excess",
        "_expected",
        "_index",
        "_plain",
        "_reads",
        "_redactor",
        "_unread",
        "done",
        "error",
        "facts",
        "finished",
        "limits",
        "may_be_over",
    )

    def __init__(self, *, choices: int, limits: Limits, redactor: Redactor) -> None:
        self.limits = limits
        self.done = False
        self.finished = False
        self.may_be_over = False
        self.error: StreamError | None = None
        self.facts = Facts()
        self._expected = choices
        self._redactor = redactor
        self._events = EventDecoder(limits.max_event_bytes, takes_bare=True)
        self._arrivals = Arrivals()
        self._choices: dict[int, ChoiceParts] = {}
        self._chunks = 0
        self._characters = 0
        self._beside = 0
        self._excess = 0
        self._reads = 0
        self._index = 0
        # The beginning of the first event that said nothing anybody understands.
        self._unread = b""
        # Only while no piece of a character is held back, and after the first chunk with choice 0,
        # whose ids and model name are wanted, may a chunk be decoded for its text alone.
        self._plain = False

    @property
    def says_something(self) -> bool:
        """Whether a choice has output or a finish reason: less is an empty reply and no answer."""
        return any(
            parts.has_output or parts.finish_reason is not None for parts in self._choices.values()
        )

    def _is_over(self) -> bool:
        return self.done or self.error is not None

    def _parts(self, index: int) -> ChoiceParts:
        parts = self._choices.get(index)
        if parts is None:
            if len(self._choices) >= self.limits.max_choices:
                raise LimitExceededError(
                    "max_choices", limit=self.limits.max_choices, value=len(self._choices) + 1
                )
            parts = self._choices[index] = ChoiceParts(self.limits.max_tool_calls)
        return parts

    def _take(
        self,
        event: Event,
        arrived: float,
        read: int,
        pieces: list[Token | Delta],
        what: str = "an event",
    ) -> None:
        """Take one event the general way."""
        data = event.data.strip()
        is_message = event.event in ("", "message")
        if event.event and is_error_event(event.event):
            self._take_error(event.event, data, arrived, read, pieces)
            return
        if not data:
            return
        if data.startswith(b"[DONE]"):
            self.done = True
            self._flush_held(arrived, pieces)
            if not (self.finished or self.says_something):
                self.error = self._empty_reply(data)
            return
        try:
            chunk = decode_any(data)
        except ValueError as error:
            # Else a ping or the like, with a payload of its own.
            if is_message:
                self.error = self._no_chunk(f"{what} holds no JSON ({error})", data)
            return
        if isinstance(chunk, list) and any(reports(item) for item in chunk):  # Gemini's errors
            chunk = next(item for item in chunk if reports(item))
        if not isinstance(chunk, dict):
            if is_message:
                kind = type(chunk).__name__
                found = f"{what} holds {kind} where a chunk object is expected"
                self.error = self._no_chunk(found, data)
            return
        self._take_object(chunk, event.event, arrived, read, pieces)
        if not self._chunks and not self._unread:
            self._unread = self._redactor.beginning(data, EVIDENCE)

    def _take_error(
        self, kind: str, data: bytes, arrived: float, read: int, pieces: list[Token | Delta]
    ) -> None:
        """Take an event that its type calls an error."""
        try:
            told = decode_any(data)
        except ValueError:
            told = data.decode("utf-8", "replace")
        if isinstance(told, dict):
            self._take_object(told, kind, arrived, read, pieces)
        if self.error is None:
            self.error = provider_error(told or f"an event of type {kind!r} without a word")

    def _take_object(
        self,
        chunk: dict[str, Any],
        kind: str,
        arrived: float,
        read: int,
        pieces: list[Token | Delta],
    ) -> None:
        try:
            self._take_chunk(chunk, arrived, read, pieces)
        except LimitExceededError as error:
            self.error = error
            return
        reported = error_in(chunk, kind)
        if reported is not None:
            self.error = provider_error(reported)
        first = self._choices.get(0)
        # What follows a finish reason says that it was none.
        self._plain = first is not None and first.finish_reason is None
        for parts in self._choices.values():
            if parts.held:
                self._plain = False

    def _no_chunk(self, found: str, data: bytes) -> ProtocolError:
        evidence = self._redactor.beginning(data, EVIDENCE)
        return ProtocolError(f"{found}: {evidence!r}", evidence=evidence)

    def _empty_reply(self, data: bytes) -> ProtocolError:
        """Return the error for an end before any answer."""
        evidence = self.evidence or self._redactor.beginning(data, EVIDENCE)
        return ProtocolError(
            "the server said [DONE] without an answer: no text, reasoning, refusal, tool call or "
            f"finish reason came before it; the body began {evidence!r}",
            evidence=evidence,
        )

    @property
    def evidence(self) -> bytes:
        """The first bytes that were no part of any answer: of an event, or of lines that are none."""
        return self._unread or self._redactor.beginning(self._events.stray, EVIDENCE)

    def _take_chunk(
        self, chunk: dict[str, Any], arrived: float, read: int, pieces: list[Token | Delta]
    ) -> None:
        facts = self.facts
        before = facts.size
        facts.take(chunk)
        choices = chunk.get("choices")
        if isinstance(choices, list):
            self._chunks += 1
            for position, choice in enumerate(choices):
                if isinstance(choice, dict):
                    self._take_choice(choice, position, len(choices), arrived, read, pieces)
                    for place in (choice, choice.get("delta"), choice.get("message")):
                        if isinstance(place, dict) and "usage" in place:
                            facts.take_usage(place["usage"])
        if facts.size != before:
            self._beside += facts.size - before
            if self._beside > _BESIDE or self._excess:
                self._count_excess()

    def _take_choice(
        self,
        choice: dict[str, Any],
        position: int,
        beside_it: int,
        arrived: float,
        read: int,
        pieces: list[Token | Delta],
    ) -> None:
        index = choice.get("index")
        if self._expected == 1 and beside_it == 1:
            # Some servers count the chunks with it.
            index = 0
        elif isinstance(index, bool) or not isinstance(index, int) or not 0 <= index <= _MAX_INDEX:
            index = position
        parts = self._parts(index)
        size, beside = parts.size, parts.beside
        try:
            for piece in parts.take(choice):
                self._append(piece, index, arrived, read, pieces)
        finally:
            self._characters += parts.size - size
            self._beside += parts.beside - beside
            if self._beside > _BESIDE or self._excess:
                self._count_excess()
        if self._characters > self.limits.max_answer_chars:
            self._check_size()
        if parts.finish_reason is not None:
            self._note_finish()

    def _append(
        self, piece: Piece, choice: int, arrived: float, read: int, pieces: list[Token | Delta]
    ) -> None:
        if piece.kind == "text":
            pieces.append(make_token(piece.text, self._index, arrived, read, choice))
            self._index += 1
            return
        pieces.append(
            Delta(
                kind=piece.kind,
                index=piece.index,
                text=piece.text,
                arrived=arrived,
                read=read,
                choice=choice,
                id=piece.id,
                name=piece.name,
                arguments=piece.text if piece.kind == "tool_call" else None,
            )
        )

    def _note_finish(self) -> None:
        ended, trusted = len(self._choices) >= self._expected, True
        for parts in self._choices.values():
            ended = ended and parts.finish_reason is not None
            trusted = trusted and not parts.is_doubtful
        self.finished = ended and trusted
        self.may_be_over = ended and not trusted

    def _flush_held(self, arrived: float, pieces: list[Token | Delta]) -> None:
        """Nothing follows: a half character that waited for its other half stays alone."""
        for index, parts in self._choices.items():
            for piece in parts.flush():
                self._append(piece, index, arrived, max(self._reads - 1, 0), pieces)

    def _account(self, pieces: list[Token | Delta]) -> None:
        if not pieces:
            return
        tokens = [piece for piece in pieces if type(piece) is Token]
        deltas: list[Delta] = []
        if len(tokens) < len(pieces):
            deltas = [piece for piece in pieces if type(piece) is Delta]
        self._count(self._arrivals.add(tokens, deltas))

    def _count(self, characters: int) -> None:
        self._characters += characters
        self._check_size()

    def _count_excess(self) -> None:
        """Count what is kept beside the answer, of which every answer has some for nothing."""
        excess = max(self._beside - _BESIDE, 0)
        self._characters += excess - self._excess
        self._excess = excess
        self._check_size()

    def _check_size(self) -> None:
        if self._characters > self.limits.max_answer_chars and self.error is None:
            self.error = LimitExceededError(
                "max_answer_chars", limit=self.limits.max_answer_chars, value=self._characters
            )


def reports(item: object) -> bool:
    """Whether an item of a list is an object that tells of a failure."""
    return isinstance(item, dict) and error_in(item, "") is not None
