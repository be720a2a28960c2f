"""One attempt: a request, and its answer read to the end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, TypeAlias

from lm_deluge.config import Limits
from lm_deluge.deadline import Clock
from lm_deluge.dispatch import Dispatcher
from lm_deluge.errors import (
    AnswerCutError,
    APITimeoutError,
    ConnectionLostError,
    LimitExceededError,
    ProtocolError,
    StreamError,
)
from lm_deluge.exchange import Exchange
from lm_deluge.http_errors import error_from_reply, request_id
from lm_deluge.interruption import Interruption, out_of_time
from lm_deluge.narration import DEBUG, hears, tell_head, tell_output
from lm_deluge.payloads import Delta, Token
from lm_deluge.plan import Target
from lm_deluge.redaction import redact_error
from lm_deluge.transport import Transport
from lm_deluge.wire.answer import Answer
from lm_deluge.wire.beginning import is_object, kind_of

__all__ = ["Attempt"]

#: Seconds after ``[DONE]`` in which the body may end, so that its connection can be reused.
_DRAIN: Final = 0.1

#: Seconds for the body of a reply that is no answer.
_ERROR_BODY: Final = 10.0

#: Seconds of silence that make an answer whole which may be over, by a finish reason that cannot be
#: trusted.
_SILENCE: Final = 10.0

_EVENTS: Final = "text/event-stream"

_JSON_TYPES: Final = frozenset({"application/json", "text/json", "application/problem+json"})

#: What is a page for people, whatever it holds.
_PAGES: Final = frozenset({"text/html", "application/xhtml+xml"})

#: The bytes of one network read, and when they arrived: seconds from t0.
Read: TypeAlias = tuple[bytes, float]


class Attempt:
    """``run()`` returns when the answer is whole and raises a ``StreamError`` when it cannot be.

    ``answer``: what was received. ``decided``: seconds from t0 to the arrival of the bytes, or to the
    fault, that ended it. ``request_id``: the server's. ``clock`` gives seconds since t0.
    """

    __slots__ = (
        "_choices",
        "_clock",
        "_connected",
        "_dispatcher",
        "_interruption",
        "_limits",
        "_recorder",
        "_stream_id",
        "_undrained",
        "answer",
        "decided",
        "request_id",
        "target",
    )

    def __init__(
        self,
        target: Target,
        *,
        stream_id: str,
        choices: int,
        limits: Limits,
        dispatcher: Dispatcher,
        interruption: Interruption,
        clock: Clock,
    ) -> None:
        self.target: Final = target
        self.answer: Final = Answer(
            choices=choices,
            limits=limits,
            accept_eof=target.info.accept_eof,
            redactor=target.request.redactor,
        )
        self.decided = 0.0
        self.request_id: str | None = None
        self._recorder = target.recorder
        self._stream_id = stream_id
        self._limits = limits
        self._dispatcher = dispatcher
        self._interruption = interruption
        self._clock = clock
        self._connected = False
        self._undrained: Exchange | None = None
        self._choices = choices

    @property
    def phase(self) -> str:
        """What the attempt waits for; the names are those of ``Timeouts``."""
        if self.answer.finished:
            return "tail"
        if self.answer.has_output:
            return "between_tokens"
        return "first_token" if self._connected else "connect"

    async def run(self, transport: Transport) -> None:
        """Send the request and read the answer."""
        recorder = self._recorder
        if recorder is None:
            await self._run(transport)
            return
        recorder.sent(self.target.request, self._clock(), self._choices)
        try:
            await self._run(transport)
        except BaseException as error:
            recorder.closed(error, self.decided or self._clock())
            raise
        recorder.closed(None, self.decided)

    async def _run(self, transport: Transport) -> None:
        target, interruption = self.target, self._interruption
        interruption.deadline.wait("first_token", target.timeouts.first_token)
        try:
            exchange = await interruption.run(
                transport.open(target.request, connect_timeout=target.timeouts.connect)
            )
            self._connected = True
            if self._recorder is not None:
                head = (exchange.status, exchange.headers.items())
                self._recorder.answered(target.request, *head, self._clock.at(exchange.arrived))
            interruption.reading(exchange.wake, exchange.heard)
            try:
                await self._read(exchange)
            finally:
                interruption.done_reading()
                if self._undrained is None:
                    exchange.close()
        except asyncio.CancelledError:
            self.decided = self._clock()
            self._give_up()
            raise
        except StreamError as error:
            if isinstance(error, APITimeoutError):
                self.decided = self._clock()
            self.decided = self.decided or self._clock()
            self._give_up()
            raise

    def _give_up(self) -> None:
        """Take what was held back."""
        self._emit(self.answer.give_up())

    def _emit(self, pieces: Sequence[Token | Delta]) -> None:
        """Let those who listen hear the pieces, unless they were told to stop."""
        if pieces and self._interruption.stopped is None:
            self._dispatcher.emit_pieces(pieces)

    async def drain(self) -> None:
        """Read the rest of a whole answer's body, so that its connection serves the next turn."""
        exchange, self._undrained = self._undrained, None
        if exchange is not None:
            try:
                await exchange.drain(_DRAIN)
            finally:
                exchange.close()

    async def _read(self, exchange: Exchange) -> None:
        """Read the body as what it is: by its status, its content type and its first bytes."""
        shown = request_id(exchange.headers)
        self.request_id = None if shown is None else exchange.request.redact(shown)
        if hears(DEBUG):
            model, at = self.target.info.name, self._clock.at(exchange.arrived)
            tell_head(self._stream_id, model, exchange, self.request_id, at)
        status, content_type = exchange.status, exchange.content_type
        if not 200 <= status < 300:
            await self._raise_status(exchange, [])
        elif content_type == _EVENTS:
            await self._read_events(exchange, [])
        else:
            begun = await self._read_beginning(exchange)
            kind = kind_of(_joined(begun))
            if kind == "events":
                await self._read_events(exchange, begun)
            elif content_type in _JSON_TYPES or (kind == "json" and content_type not in _PAGES):
                await self._read_json(exchange, begun)
            elif content_type:
                await self._raise_content_type(exchange, begun)
            elif status == 200 and kind is None:
                # Neither the head nor the body says anything.
                await self._read_events(exchange, begun)
            else:
                await self._raise_status(exchange, begun)
        if self.answer.done:
            # The end is told first; what is left of the body may follow meanwhile.
            self._undrained = exchange

    async def _read_beginning(self, exchange: Exchange) -> list[Read]:
        """Return the first reads of a body: as many as it takes to tell what it is."""
        begun: list[Read] = []
        while kind_of(_joined(begun)) is None:
            data = await self._next(exchange)
            if data is None and not begun and exchange.content_type not in _PAGES:
                raise self._timeout()
            if not data:
                break
            begun.append((data, self._heard(exchange, data)))
        return begun

    async def _next(self, exchange: Exchange) -> bytes | None:
        """Wait for the next bytes: ``b""`` at the end of the body, ``None`` when a limit has passed.

        Raises ``ConnectionLostError``, and the error of ``stop``; not while there are bytes.
        """
        interruption = self._interruption
        while (data := exchange.take()) is None:
            interruption.check()
            if interruption.deadline.verdict() is not None:
                return None
            await exchange.more()
        return data

    async def _read_events(self, exchange: Exchange, begun: list[Read]) -> None:  # noqa: C901 - one loop, told in order
        """Read the event stream and emit its pieces, until the answer is whole."""
        answer, interruption, dispatcher = self.answer, self._interruption, self._dispatcher
        deadline, timeouts = interruption.deadline, self.target.timeouts
        waiting = "first_token"
        while True:
            lost: ConnectionLostError | None = None
            data: bytes | None
            if begun:
                data, arrived = begun.pop(0)
            else:
                try:
                    data = exchange.take() or await self._next(exchange)
                except ConnectionLostError as error:
                    data, lost = b"", error
                except asyncio.CancelledError:
                    # What arrived before it was received.
                    data = exchange.salvage()
                    answer.feed(data, self._heard(exchange, data))
                    raise
                if data is None:
                    if answer.whole or (answer.may_be_over and not deadline.is_total):
                        self._give_up()
                        return
                    raise self._timeout()
                arrived = self._heard(exchange, data)
            self.decided = arrived
            pieces = answer.feed(data, arrived) if data else answer.close(arrived)
            if pieces and interruption.stopped is None:
                dispatcher.emit_pieces(pieces)
            if interruption.stopped is not None:
                raise interruption.stopped
            if answer.error is not None:
                raise redact_error(answer.error, exchange.request.redactor)
            if answer.done:
                if waiting == "first_token" and hears(DEBUG) and answer.has_output:
                    tell_output(self._stream_id, self.target.info.name, arrived)
                return
            if not data:
                # A lost connection is no end that ``accept_eof`` accepts.
                if answer.finished or (answer.whole and lost is None):
                    return
                raise lost if lost is not None else _cut(answer, self._choices)
            if answer.finished:
                if pieces or waiting != "tail":
                    waiting = "tail"
                    deadline.wait(waiting, timeouts.tail)
            elif pieces or answer.may_be_over:
                phase = "silence" if answer.may_be_over else "between_tokens"
                if waiting != phase:
                    if waiting == "first_token" and hears(DEBUG):
                        tell_output(self._stream_id, self.target.info.name, arrived)
                    waiting = phase
                    deadline.wait("between_tokens", _patience(answer, timeouts.between_tokens))
                elif pieces:
                    # Handlers' time is not the server's.
                    deadline.since = arrived + dispatcher.busy

    async def _read_json(self, exchange: Exchange, begun: list[Read]) -> None:
        """Take a whole answer from a server that did not stream."""
        # JSON may spell a character in twelve bytes; the answer itself counts its characters.
        limit = 12 * self._limits.max_answer_chars + self._limits.max_event_bytes
        body = bytearray(_joined(begun))
        failure: StreamError | None = None
        try:
            while len(body) < limit and (data := await self._next(exchange)) != b"":
                if data is None:
                    failure = self._timeout()
                    break
                self._heard(exchange, data)
                body += data
        except ConnectionLostError as error:
            failure = error
        # All of it may be there though its end is not.
        if failure is not None and not is_object(body):
            raise failure
        self.decided = arrived = self._clock.at(exchange.arrived)
        if len(body) >= limit:
            raise LimitExceededError(
                "max_answer_chars", limit=self._limits.max_answer_chars, value=len(body)
            )
        pieces = self.answer.feed_json(bytes(body), arrived)
        self._emit(pieces)
        self._interruption.check()
        if self.answer.error is not None:
            raise redact_error(self.answer.error, exchange.request.redactor)

    async def _raise_status(self, exchange: Exchange, begun: list[Read]) -> None:
        """Raise the exception for a status that is no answer, with the body as far as it comes."""
        body = await self._error_body(exchange, begun, self._limits.max_error_body_bytes)
        request = exchange.request
        raise redact_error(
            error_from_reply(exchange.status, exchange.headers, body, shown_url=request.shown_url),
            request.redactor,
        )

    async def _raise_content_type(self, exchange: Exchange, begun: list[Read]) -> None:
        evidence = await self._error_body(exchange, begun, 200)
        request = exchange.request
        error = ProtocolError(
            f"{request.shown_url} answered with {exchange.content_type!r} where "
            f"'text/event-stream' is expected: is the base_url right? It begins {evidence!r}",
            offset=0,
            evidence=evidence,
            content_type=exchange.content_type,
        )
        raise redact_error(error, request.redactor)

    async def _error_body(self, exchange: Exchange, begun: list[Read], limit: int) -> bytes:
        """Return the body as far as it comes: what the head said stands, whatever ends it."""
        self._interruption.deadline.wait_no_longer(_ERROR_BODY)
        body = bytearray(_joined(begun))
        try:
            while len(body) < limit and (data := await self._next(exchange)):
                self._heard(exchange, data)
                body += data
        except ConnectionLostError:
            pass
        return exchange.request.redactor.beginning(bytes(body), limit)

    def _heard(self, exchange: Exchange, data: bytes) -> float:
        """Tell the recorder of a network read; return its moment."""
        arrived = self._clock.at(exchange.arrived)
        if self._recorder is not None:
            self._recorder.read(data, arrived)
        return arrived

    def _timeout(self) -> StreamError:
        expired = self._interruption.deadline.expired
        assert expired is not None
        return out_of_time(*expired)


def _patience(answer: Answer, between_tokens: float | None) -> float | None:
    """Return how long a silence may be, in seconds, before it is an end, good or bad."""
    if not answer.may_be_over:
        return between_tokens
    return _SILENCE if between_tokens is None else min(between_tokens, _SILENCE)


def _joined(reads: list[Read]) -> bytes:
    return b"".join([data for data, _ in reads])


def _cut(answer: Answer, asked: int) -> StreamError:
    """Return the error for a clean end before the end of the answer. ``asked``: choices asked for."""
    if answer.evidence and not answer.says_something:
        return ProtocolError(
            f"the body ended without an answer; it began {answer.evidence!r}",
            evidence=answer.evidence,
        )
    return AnswerCutError(
        f"the answer was cut: the body ended cleanly with {_missing(answer, asked)} "
        "(accept_eof=True takes such an end as whole, for servers known to do so)"
    )


def _missing(answer: Answer, asked: int) -> str:
    if not answer.has_chunks:
        return "no event at all"
    choices = {choice.index: choice for choice in answer.choices()}
    if not choices:
        return "no [DONE] and nothing of an answer"
    absent = [index for index in range(asked) if index not in choices]
    endless = [index for index, choice in choices.items() if choice.finish_reason is None]
    if not absent and endless == list(choices):
        return "no [DONE] and no finish reason"
    missing = []
    if endless:
        missing.append(f"no finish reason for {_named(endless)}")
    if absent:
        missing.append(f"nothing of {_named(absent)}")
    return f"no [DONE], {' and '.join(missing)} ({asked} asked for)"


def _named(indices: list[int]) -> str:
    shown = ", ".join(map(str, indices[:8])) + (", …" if len(indices) > 8 else "")
    return f"choice {shown}" if len(indices) == 1 else f"choices {shown}"
