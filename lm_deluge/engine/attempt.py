"""One attempt: a request, and its answer read to the end."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, Final

from lm_deluge.config import Limits
from lm_deluge.dialects.dialect import AnswerReader
from lm_deluge.engine.body import FAILURES, Body, Next, What
from lm_deluge.engine.deadline import Clock
from lm_deluge.engine.interruption import Interruption, out_of_time
from lm_deluge.engine.logging_lines import (
    DEBUG,
    is_enabled_for,
    log_head,
    log_output,
)
from lm_deluge.engine.plan import ModelRequest, ReadRecorder
from lm_deluge.engine.reading import phase_of
from lm_deluge.engine.reads import Reads
from lm_deluge.errors import APITimeoutError, StreamError
from lm_deluge.http.exchange import HttpExchange
from lm_deluge.http.transport import Transport
from lm_deluge.observers.dispatch import Dispatcher
from lm_deluge.values.pieces import Delta, Token

__all__ = ["Attempt"]

#: Seconds after ``[DONE]`` in which the body may end, so that its connection can be reused.
_DRAIN: Final = 0.1

#: Seconds for the body of a reply that is no answer.
_ERROR_BODY: Final = 10.0

#: A limit passed.
_LIMITS: Final[frozenset[What]] = frozenset({"limit", "total"})

#: Seconds of silence that make an answer whole which may be over, by a finish reason that cannot be
#: trusted.
_SILENCE: Final = 10.0


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
        return phase_of(self.answer, has_head=self._connected)

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
                if self.answer.done:
                    # The end is told first; what is left of the body may follow meanwhile.
                    self._undrained = exchange
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
        """Read the body and emit its pieces, until the answer is whole."""
        body = Body(
            self.target,
            self.answer,
            self._limits,
            status=exchange.status,
            headers=exchange.headers,
            content_type=exchange.content_type,
        )
        self.request_id = body.request_id
        if is_enabled_for(DEBUG):
            model, at = self.target.info.name, self._clock.at(exchange.arrived)
            log_head(self._stream_id, model, exchange, self.request_id, at)
        reads = Reads(
            exchange,
            interruption=self._interruption,
            clock=self._clock,
            recorder=self._recorder,
        )
        interruption, dispatcher = self._interruption, self._dispatcher
        deadline = interruption.deadline
        phase: Next = "as before"
        if body.then != phase:
            phase = body.then
            self._wait(phase)
        while True:
            try:
                read = await reads.next()
            except asyncio.CancelledError:
                late = reads.salvage()
                body.salvage(late.data, late.arrived)
                raise
            self.decided = arrived = read.arrived
            pieces = body.take(read)
            if pieces and interruption.stopped is None:
                dispatcher.emit_pieces(pieces)
            if interruption.stopped is not None:
                raise interruption.stopped
            then = body.then
            if phase == "as before" and (pieces or then == "silence") and is_enabled_for(DEBUG):
                log_output(self._stream_id, self.target.info.name, arrived)
            if then == "whole":
                return
            if then in FAILURES:
                if read.what in _LIMITS:
                    self.decided = self._clock()
                raise body.error or (reads.lost_error() if then == "lost" else self._timeout())
            if then != phase and then != "as before":
                phase = then
                self._wait(phase)
            elif pieces:
                # Handlers' time is not the server's.
                deadline.since = arrived + dispatcher.busy

    def _wait(self, phase: Next) -> None:
        """Wait for what the table says from now on."""
        deadline, timeouts = self._interruption.deadline, self.target.timeouts
        if phase == "tail":
            deadline.wait("tail", timeouts.tail)
        elif phase == "rest":
            deadline.wait_no_longer(_ERROR_BODY)
        elif phase == "silence":
            limit = timeouts.between_tokens
            deadline.wait("between_tokens", _SILENCE if limit is None else min(limit, _SILENCE))
        else:
            deadline.wait("between_tokens", timeouts.between_tokens)

    def _timeout(self) -> StreamError:
        expired = self._interruption.deadline.expired
        assert expired is not None
        return out_of_time(*expired)
