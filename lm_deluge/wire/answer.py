"""One answer put together from the bytes of one response body. No I/O."""

from __future__ import annotations

from typing import Any

import msgspec

from lm_deluge.arrivals import Arrivals
from lm_deluge.config import Limits
from lm_deluge.errors import LimitExceededError, ProtocolError, StreamError
from lm_deluge.payloads import Delta, Token, make_token
from lm_deluge.redaction import Redactor
from lm_deluge.response import Choice
from lm_deluge.wire.choice import ChoiceParts, Piece
from lm_deluge.wire.chunks import decode_any, decode_plain
from lm_deluge.wire.facts import Facts
from lm_deluge.wire.provider_errors import error_in, is_error_event, provider_error
from lm_deluge.wire.sse import Event, EventDecoder

__all__ = ["Answer"]

_EVIDENCE = 200

_NO_SECRETS = Redactor()

#: Characters of names, usage and fields of the server's own that do not count for
#: ``Limits.max_answer_chars``: every answer has some.
_BESIDE = 4096

#: Tokens of lone reads that are counted in together: what an open stream holds for the time being.
_BATCH = 16


class Answer:
    """Bytes in, pieces out, and the whole answer at the end.

    Feed every network read with ``feed``; it returns the pieces that became whole with it, in order,
    all with the arrival time given. ``close`` takes the end of the bytes. After each of them:

    ``done``: ``[DONE]`` was read; what follows is ignored. ``finished``: every choice has a finish
    reason that can be trusted; usage or a further tool call may still follow. ``may_be_over``: every
    choice has one, but not all can be trusted: then ``[DONE]``, the end of the bytes or a long silence
    decides. ``error``: the answer cannot become whole; the pieces before it were returned. ``whole``:
    nothing is missing. ``facts``: what the server said beside the choices. ``redactor``: what takes
    secrets out of an error's evidence before it is cut.
    """

    __slots__ = (
        "_accept_eof",
        "_arrivals",
        "_beside",
        "_characters",
        "_choices",
        "_chunks",
        "_closed",
        "_events",
        "_excess",
        "_expected",
        "_index",
        "_last_arrived",
        "_lone",
        "_lone_read",
        "_lone_times",
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

    def __init__(
        self,
        *,
        choices: int = 1,
        limits: Limits | None = None,
        accept_eof: bool = False,
        redactor: Redactor = _NO_SECRETS,
    ) -> None:
        self.limits = limits if limits is not None else _LIMITS
        self.done = False
        self.finished = False
        self.may_be_over = False
        self.error: StreamError | None = None
        self.facts = Facts()
        self._expected = choices
        self._accept_eof = accept_eof
        self._redactor = redactor
        self._events = EventDecoder(self.limits.max_event_bytes, takes_bare=True)
        self._arrivals = Arrivals()
        self._choices: dict[int, ChoiceParts] = {}
        self._lone: list[str] = []
        self._lone_times: list[float] = []
        self._lone_read = 0
        self._chunks = 0
        self._characters = 0
        self._beside = 0
        self._excess = 0
        self._reads = 0
        self._last_arrived = 0.0
        self._index = 0
        self._closed = False
        # The beginning of the first event that said nothing anybody understands.
        self._unread = b""
        # Only while no piece of a character is held back, and after the first chunk with choice 0,
        # whose ids and model name are wanted, may a chunk be decoded for its text alone.
        self._plain = False

    @property
    def arrivals(self) -> Arrivals:
        """When its pieces arrived."""
        self._count_in()
        return self._arrivals

    @property
    def has_output(self) -> bool:
        """Whether a piece of any kind arrived."""
        return self.arrivals.first_output is not None

    @property
    def has_chunks(self) -> bool:
        """Whether a chunk of any kind arrived."""
        return self._chunks > 0

    @property
    def whole(self) -> bool:
        """Whether the answer may end here without anything missing."""
        if self.error is not None:
            return False
        if self.done or self.finished:
            return True
        return self._closed and (self.may_be_over or (self._accept_eof and self.says_something))

    @property
    def says_something(self) -> bool:
        """Whether a choice has output or a finish reason: less is an empty reply and no answer."""
        return any(
            parts.has_output or parts.finish_reason is not None for parts in self._choices.values()
        )

    def _is_over(self) -> bool:
        return self.done or self.error is not None

    def feed(self, data: bytes, arrived: float) -> list[Token | Delta]:
        """Take one network read; ``arrived`` in seconds from t0."""
        read = self._reads
        self._reads = read + 1
        self._last_arrived = arrived
        if self.done or self.error is not None:
            return []
        if not self._plain or (payload := self._events.lone(data)) is None:
            return self._feed_events(data, arrived, read)
        try:
            choice = decode_plain(payload).choices[0]
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return self._feed_events(data, arrived, read)
        if choice.index != 0 and self._expected > 1:
            return self._feed_events(data, arrived, read)
        self._events.skip(data)
        text = choice.delta.content
        if not text:
            self._count_in()
            return []
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
        return [make_token(text, index, arrived, read, 0)]

    def _count_in(self) -> None:
        """Count in the tokens of the lone reads, which followed one another: sixteen at once cost a
        quarter of what each by itself does."""
        if texts := self._lone:
            self._choices[0].text.extend(texts)
            self._arrivals.add_lone(texts, self._lone_times, self._lone_read)
            self._lone, self._lone_times = [], []

    def _feed_events(self, data: bytes, arrived: float, read: int) -> list[Token | Delta]:
        """Take a read of any shape."""
        self._count_in()
        events = self._events.feed(data)
        if self._characters + self._events.size <= self.limits.max_answer_chars:
            pieces = self._take_events(events, 0, len(events), arrived, read)
        else:
            # What is kept up to a limit must not depend on how many events a read holds.
            pieces = []
            for at in range(len(events)):
                pieces += self._take_events(events, at, at + 1, arrived, read)
                if self._is_over():
                    break
        if self._events.error is not None and not self._is_over():
            self.error = self._events.error
            held: list[Token | Delta] = []
            self._flush_held(arrived, held)
            self._account(held)
            pieces += held
        return pieces

    def _take_events(
        self, events: list[Event], start: int, stop: int, arrived: float, read: int
    ) -> list[Token | Delta]:
        """Take some of the events of a read, and count them in."""
        pieces: list[Token | Delta] = []
        plain = True
        texts: list[str] = []
        for event in events[start:stop]:
            if self._plain:
                try:
                    chunk = decode_plain(event.data)
                except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                    pass
                else:
                    choice = chunk.choices[0]
                    if (choice.index == 0 or self._expected == 1) and not event.event:
                        text = choice.delta.content
                        if text:
                            pieces.append(make_token(text, self._index, arrived, read, 0))
                            self._index += 1
                            texts.append(text)
                        continue
            plain = False
            if texts:
                self._choices[0].text.extend(texts)
                texts = []
            self._take(event, arrived, read, pieces)
            if self._is_over():
                self._locate(event, events)
                break
        if texts:
            self._choices[0].text.extend(texts)
        if self.error is not None:
            self._flush_held(arrived, pieces)
        elif plain:
            if texts:
                self._count(self._arrivals.add_visible(texts, arrived, read))
            return pieces
        self._account(pieces)
        return pieces

    def close(self, arrived: float) -> list[Token | Delta]:
        """Take the end of the bytes: the last event may lack its blank line.

        What becomes a piece only now arrived with the last read; ``arrived`` counts if there was none.
        """
        self._count_in()
        pieces: list[Token | Delta] = []
        if self._reads:
            arrived = self._last_arrived
        if not self._closed and not self._is_over():
            events = self._events.close()
            for event in events:
                # Anything else was cut in the middle: the answer is incomplete, not malformed.
                if _is_whole(event.data):
                    self._take(event, arrived, max(self._reads - 1, 0), pieces)
                self._locate(event, events)
            if not self.done:
                self.error = self.error or self._events.error
        if not self._closed:
            self._closed = True
            self._flush_held(arrived, pieces)
            self._account(pieces)
        return pieces

    def give_up(self) -> list[Token | Delta]:
        """Nobody waits for the end of the bytes: return the half characters that were held back.

        An event that is not whole is none.
        """
        self._count_in()
        pieces: list[Token | Delta] = []
        if not self._closed:
            self._closed = True
            self._flush_held(self._last_arrived, pieces)
            self._account(pieces)
        return pieces

    def feed_json(self, data: bytes, arrived: float) -> list[Token | Delta]:
        """Take the JSON body of a server that did not stream: a whole answer, or an error object."""
        pieces: list[Token | Delta] = []
        self._reads += 1
        event = Event(data)
        self._take(event, arrived, 0, pieces, what="the body")
        if self.error is None and not self.says_something:
            self.error = ProtocolError(
                "the server answered with JSON that is neither an answer nor an error",
                evidence=self._redactor.beginning(data, _EVIDENCE),
            )
        self._locate(event, [event])
        self.done = self.error is None
        self._closed = True
        self._flush_held(arrived, pieces)
        self._account(pieces)
        return pieces

    def choices(self) -> list[Choice]:
        """Return what was received of every choice, ordered by index."""
        self._count_in()
        return [self._choices[index].build(index) for index in sorted(self._choices)]

    def _locate(self, event: Event, events: list[Event]) -> None:
        """Say where in the body the fault is, if one was found in ``event``."""
        if isinstance(self.error, ProtocolError):
            position = next(at for at, other in enumerate(events) if other is event)
            self.error.offset = self._events.offset_of(position)

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
        if isinstance(chunk, list) and any(_reports(item) for item in chunk):  # Gemini's errors
            chunk = next(item for item in chunk if _reports(item))
        if not isinstance(chunk, dict):
            if is_message:
                kind = type(chunk).__name__
                found = f"{what} holds {kind} where a chunk object is expected"
                self.error = self._no_chunk(found, data)
            return
        self._take_object(chunk, event.event, arrived, read, pieces)
        if not self._chunks and not self._unread:
            self._unread = self._redactor.beginning(data, _EVIDENCE)

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
        evidence = self._redactor.beginning(data, _EVIDENCE)
        return ProtocolError(f"{found}: {evidence!r}", evidence=evidence)

    def _empty_reply(self, data: bytes) -> ProtocolError:
        """Return the error for an end before any answer."""
        evidence = self.evidence or self._redactor.beginning(data, _EVIDENCE)
        return ProtocolError(
            "the server said [DONE] without an answer: no text, reasoning, refusal, tool call or "
            f"finish reason came before it; the body began {evidence!r}",
            evidence=evidence,
        )

    @property
    def evidence(self) -> bytes:
        """The first bytes that were no part of any answer: of an event, or of lines that are none."""
        return self._unread or self._redactor.beginning(self._events.stray, _EVIDENCE)

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


def _reports(item: object) -> bool:
    return isinstance(item, dict) and error_in(item, "") is not None


_LIMITS = Limits()

#: The largest index of a choice that is believed; ``Arrivals`` keeps it in 32 bits.
_MAX_INDEX = 2**31 - 1


def _is_whole(data: bytes) -> bool:
    """Whether the data of an event without its blank line is all there: ``[DONE]`` or an object."""
    if data.strip().startswith(b"[DONE]"):
        return True
    try:
        return isinstance(decode_any(data), dict)
    except ValueError:
        return False
