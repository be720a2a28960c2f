"""One attempt: a request, and its answer read to the end."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, Final, Literal

from lm_deluge.config import Limits
from lm_deluge.dialects.dialect import AnswerReader
from lm_deluge.engine.cut import cut_error
from lm_deluge.engine.deadline import Clock
from lm_deluge.engine.interruption import Interruption, out_of_time
from lm_deluge.engine.logging_lines import (
    DEBUG,
    is_enabled_for,
    log_head,
    log_output,
)
from lm_deluge.engine.plan import ModelRequest, ReadRecorder
from lm_deluge.engine.reading import Happening, Then, after
from lm_deluge.engine.reads import NetworkRead, Reads, What
from lm_deluge.errors import (
    APITimeoutError,
    LimitExceededError,
    ProtocolError,
    ProviderError,
    StreamError,
)
from lm_deluge.http.exchange import HttpExchange
from lm_deluge.http.redacted_errors import redact_error
from lm_deluge.http.transport import Transport
from lm_deluge.observers.dispatch import Dispatcher
from lm_deluge.values.pieces import Delta, Token
from lm_deluge.wire.beginning import is_object, kind_of
from lm_deluge.wire.headers import request_id

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

#: A limit passed.
_LIMITS: Final[frozenset[What]] = frozenset({"limit", "total"})

#: The answer will not become whole.
_FAILURES: Final[frozenset[Then]] = frozenset({"fault", "cut", "lost", "timeout"})


class Attempt:
    """``run()`` returns when the answer is whole and raises a ``StreamError`` when it cannot be.

    ``answer``: what was received. ``decided``: seconds from t0 to the arrival of the bytes, or to the
    fault, that ended it. ``request_id``: the server's. ``clock`` gives seconds since t0.
    """

    __slots__ = (
        "_clock",
        "_connected",
        "_dispatcher",
        "_goes_on",
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
        target: ModelRequest,
        *,
        stream_id: str,
        limits: Limits,
        dispatcher: Dispatcher,
        interruption: Interruption,
        clock: Clock,
        answer: AnswerReader | None = None,
    ) -> None:
        """``answer``: of the attempt that this one goes on with."""
        self.target: Final = target
        self._goes_on = answer is not None
        new = target.dialect.answer if target.resumption is None else target.resumption.answer
        self.answer: Final = answer or new(
            choices=target.choices,
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
        self._undrained: HttpExchange | None = None

    @property
    def phase(self) -> str:
        """What the attempt waits for; the names are those of ``Timeouts``."""
        if self.answer.finished:
            return "tail"
        if self.answer.has_output:
            return "between_tokens"
        return "first_token" if self._connected else "connect"

    def run(self, transport: Transport) -> Coroutine[Any, Any, None]:
        """Send the request and read the answer."""
        recorder = self._recorder
        return self._run(transport) if recorder is None else self._recorded(transport, recorder)

    async def _recorded(self, transport: Transport, recorder: ReadRecorder) -> None:
        target = self.target
        recorder.sent(target.request, self._clock(), target.choices, target.dialect.name)
        try:
            await self._run(transport)
        except BaseException as error:
            recorder.closed(error, self.decided or self._clock())
            raise
        recorder.closed(None, self.decided)

    async def _run(self, transport: Transport) -> None:
        target, interruption = self.target, self._interruption
        if self._goes_on and self.answer.has_output:
            interruption.deadline.wait("between_tokens", target.timeouts.between_tokens)
        else:
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

    def let_go(self) -> None:
        """No attempt goes on with the answer: take what was held back for that."""
        if self.target.resumption is not None:
            from lm_deluge.engine.resuming import is_resumable

            if is_resumable(self.answer):
                self._emit(self.answer.let_go())

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

    async def _read(self, exchange: HttpExchange) -> None:
        """Read the body as what it is: by its status, its content type and its first bytes."""
        shown = request_id(exchange.headers)
        self.request_id = None if shown is None else exchange.request.redact(shown)
        if is_enabled_for(DEBUG):
            model, at = self.target.info.name, self._clock.at(exchange.arrived)
            log_head(self._stream_id, model, exchange, self.request_id, at)
        reads = Reads(
            exchange,
            interruption=self._interruption,
            clock=self._clock,
            recorder=self._recorder,
        )
        status, content_type = exchange.status, exchange.content_type
        if not 200 <= status < 300:
            await self._raise_status(exchange, reads)
        elif content_type == _EVENTS:
            await self._read_events(reads)
        else:
            kind = await self._read_beginning(reads, content_type)
            if kind == "events":
                await self._read_events(reads)
            elif content_type in _JSON_TYPES or (kind == "json" and content_type not in _PAGES):
                await self._read_json(reads)
            elif content_type:
                await self._raise_content_type(exchange, reads)
            elif status == 200 and kind is None:
                # Neither the head nor the body says anything.
                await self._read_events(reads)
            else:
                await self._raise_status(exchange, reads)
        if self.answer.done:
            # The end is told first; what is left of the body may follow meanwhile.
            self._undrained = exchange

    async def _read_beginning(
        self, reads: Reads, content_type: str
    ) -> Literal["events", "json", "other"] | None:
        """Return what a body is by its first bytes: as many reads as it takes to tell."""
        begun: list[NetworkRead] = []
        while (kind := kind_of(_joined(begun))) is None:
            read = await reads.next()
            if read.what in _LIMITS and not begun and content_type not in _PAGES:
                raise self._timeout()
            if read.what == "lost":
                raise reads.lost_error()
            if not read.data:
                break
            begun.append(read)
        reads.again(begun)
        return kind

    async def _read_events(self, reads: Reads) -> None:
        """Read the event stream and emit its pieces, until the answer is whole."""
        answer, interruption, dispatcher = self.answer, self._interruption, self._dispatcher
        deadline = interruption.deadline
        phase: Then = "as before"
        happening: Happening
        while True:
            try:
                read = await reads.next()
            except asyncio.CancelledError:
                # What arrived before it was received.
                late = reads.salvage()
                answer.feed(late.data, late.arrived)
                raise
            self.decided = arrived = read.arrived
            if read.what == "bytes":
                pieces = answer.feed(read.data, arrived)
                happening = "pieces" if pieces else "nothing"
            else:
                happening = read.what
                # Where a limit passed, nobody waits for the other half of a character.
                pieces = answer.give_up() if happening in _LIMITS else answer.close(arrived)
            if pieces and interruption.stopped is None:
                dispatcher.emit_pieces(pieces)
            if interruption.stopped is not None:
                raise interruption.stopped
            then = after(happening, answer)
            if phase == "as before" and (pieces or then == "silence") and is_enabled_for(DEBUG):
                log_output(self._stream_id, self.target.info.name, arrived)
            if then == "whole":
                return
            if then in _FAILURES:
                raise self._failure(then, reads)
            if then != phase and then != "as before":
                phase = then
                self._wait(phase)
            elif pieces:
                # Handlers' time is not the server's.
                deadline.since = arrived + dispatcher.busy

    def _wait(self, phase: Then) -> None:
        """Wait for what the table says from now on."""
        deadline, timeouts = self._interruption.deadline, self.target.timeouts
        if phase == "tail":
            deadline.wait("tail", timeouts.tail)
        elif phase == "silence":
            limit = timeouts.between_tokens
            deadline.wait("between_tokens", _SILENCE if limit is None else min(limit, _SILENCE))
        else:
            deadline.wait("between_tokens", timeouts.between_tokens)

    def _failure(self, then: Then, reads: Reads) -> StreamError:
        """Return what the reading ended with."""
        if then == "timeout":
            return self._timeout()
        if then == "lost":
            return reads.lost_error()
        if then == "cut":
            return cut_error(self.answer, self.target.choices)
        return self._reported()

    async def _read_json(self, reads: Reads) -> None:
        """Take a whole answer from a server that did not stream."""
        # JSON may spell a character in twelve bytes; the answer itself counts its characters.
        limit = 12 * self._limits.max_answer_chars + self._limits.max_event_bytes
        body = bytearray()
        while len(body) < limit and (read := await reads.next()).what == "bytes":
            body += read.data
        self.decided = read.arrived
        if len(body) >= limit:
            raise LimitExceededError(
                "max_answer_chars", limit=self._limits.max_answer_chars, value=len(body)
            )
        # All of it may be there though its end is not.
        if read.what != "end" and not is_object(body):
            raise reads.lost_error() if read.what == "lost" else self._timeout()
        pieces = self.answer.feed_json(bytes(body), read.arrived)
        self._emit(pieces)
        self._interruption.check()
        if self.answer.error is not None:
            raise self._reported()

    def _reported(self) -> StreamError:
        """Return what the answer failed with, and under which id the server logged it."""
        error = self.answer.error
        assert error is not None
        if isinstance(error, ProviderError) and error.request_id is None:
            error.request_id = self.request_id
        return redact_error(error, self.target.request.redactor)

    async def _raise_status(self, exchange: HttpExchange, reads: Reads) -> None:
        """Raise the exception for a status that is no answer, with the body as far as it comes."""
        body = await self._error_body(reads, self._limits.max_error_body_bytes)
        request = exchange.request
        refusal = self.target.dialect.refusal(
            exchange.status, exchange.headers, body, shown_url=request.shown_url
        )
        from lm_deluge.models.retiring import explain_retirement

        explain_retirement(refusal, self.target.info)
        raise redact_error(refusal, request.redactor)

    async def _raise_content_type(self, exchange: HttpExchange, reads: Reads) -> None:
        evidence = await self._error_body(reads, 200)
        request = exchange.request
        error = ProtocolError(
            f"{request.shown_url} answered with {exchange.content_type!r} where "
            f"'text/event-stream' is expected: is the base_url right? It begins {evidence!r}",
            offset=0,
            evidence=evidence,
            content_type=exchange.content_type,
        )
        raise redact_error(error, request.redactor)

    async def _error_body(self, reads: Reads, limit: int) -> bytes:
        """Return the body as far as it comes: what the head said stands, whatever ends it."""
        self._interruption.deadline.wait_no_longer(_ERROR_BODY)
        body = bytearray()
        while len(body) < limit and (read := await reads.next()).what == "bytes":
            body += read.data
        return self.target.request.redactor.beginning(bytes(body), limit)

    def _timeout(self) -> StreamError:
        expired = self._interruption.deadline.expired
        assert expired is not None
        return out_of_time(*expired)


def _joined(reads: list[NetworkRead]) -> bytes:
    return b"".join([read.data for read in reads])
