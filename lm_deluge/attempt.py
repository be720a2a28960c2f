"""One attempt: a request, and its answer read to the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from lm_deluge.config import Limits
from lm_deluge.deadline import Clock
from lm_deluge.dispatch import Dispatcher
from lm_deluge.errors import (
    AnswerCutError,
    ConnectionLostError,
    LimitExceededError,
    ProtocolError,
    StreamError,
)
from lm_deluge.exchange import Exchange
from lm_deluge.http_errors import error_from_reply, request_id
from lm_deluge.interruption import Interruption
from lm_deluge.plan import Target
from lm_deluge.redaction import redact_error
from lm_deluge.transport import Transport
from lm_deluge.wire.answer import Answer

__all__ = ["Attempt"]

#: Seconds after ``[DONE]`` in which the body may end, so that its connection can be reused.
_DRAIN: Final = 0.1

#: Seconds for the body of a reply that is no answer.
_ERROR_BODY: Final = 10.0

_JSON_TYPES: Final = frozenset({"application/json", "text/json", "application/problem+json"})


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
        choices: int,
        limits: Limits,
        dispatcher: Dispatcher,
        interruption: Interruption,
        clock: Clock,
    ) -> None:
        self.target: Final = target
        self.answer: Final = Answer(
            choices=choices, limits=limits, accept_eof=target.info.accept_eof
        )
        self.decided = 0.0
        self.request_id: str | None = None
        self._recorder = target.recorder
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
            exchange = await transport.open(target.request, connect_timeout=target.timeouts.connect)
            self._connected = True
            if self._recorder is not None:
                head = (exchange.status, exchange.headers.items())
                self._recorder.answered(target.request, *head, self._clock.at(exchange.arrived))
            try:
                await self._read(exchange)
            finally:
                if self._undrained is None:
                    exchange.close()
        except asyncio.CancelledError:
            self.decided = self._clock()
            self._give_up()
            interruption.raise_if_deadline()
            raise
        except StreamError:
            self.decided = self.decided or self._clock()
            self._give_up()
            raise

    def _give_up(self) -> None:
        """Take what was held back; those who listen hear it, unless they were told to stop."""
        pieces = self.answer.give_up()
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
        shown = request_id(exchange.headers)
        self.request_id = None if shown is None else exchange.request.redact(shown)
        if exchange.status != 200:
            await self._raise_status(exchange)
        elif exchange.content_type in _JSON_TYPES:
            await self._read_json(exchange)
        elif exchange.content_type not in ("text/event-stream", ""):
            await self._raise_content_type(exchange)
        else:
            await self._read_events(exchange)
            if self.answer.done:
                # The end is told first; what is left of the body may follow meanwhile.
                self._undrained = exchange

    async def _read_events(self, exchange: Exchange) -> None:  # noqa: C901 - one loop, told in order
        """Read the event stream and emit its pieces, until the answer is whole."""
        answer, interruption, dispatcher = self.answer, self._interruption, self._dispatcher
        deadline, timeouts = interruption.deadline, self.target.timeouts
        waiting = "first_token"
        while True:
            lost: ConnectionLostError | None = None
            try:
                if (data := exchange.take()) is None:
                    await exchange.more()
                    continue
            except ConnectionLostError as error:
                data, lost = b"", error
            except asyncio.CancelledError:
                # What arrived before the interruption was received; it may even be what the
                # deadline waited for, if something held the event loop.
                data = exchange.salvage()
                if not interruption.is_deadline():
                    answer.feed(data, self._heard(exchange, data))
                    raise
                if not data:
                    lost = exchange.lost()
                    if lost is None and not answer.whole:
                        raise self._timeout() from None
                    if lost is None:
                        return
            self.decided = arrived = self._heard(exchange, data)
            pieces = answer.feed(data, arrived) if data else answer.close(arrived)
            if pieces:
                dispatcher.emit_pieces(pieces)
                interruption.check()
            if answer.error is not None:
                raise redact_error(answer.error, exchange.request)
            if answer.done:
                return
            if not data:
                # A lost connection is no end that ``accept_eof`` accepts.
                if answer.finished or (answer.whole and lost is None):
                    return
                raise lost if lost is not None else _cut(answer)
            if deadline.expired is not None:
                if not pieces or deadline.expired[0] == "total":
                    if answer.whole:
                        return
                    raise self._timeout()
                interruption.forgive_deadline()
                waiting = ""
            if answer.finished:
                if pieces or waiting != "tail":
                    waiting = "tail"
                    deadline.wait(waiting, timeouts.tail)
            elif pieces:
                if waiting == "between_tokens":
                    # Handlers' time is not the server's.
                    deadline.since = arrived + dispatcher.busy
                else:
                    waiting = "between_tokens"
                    deadline.wait(waiting, timeouts.between_tokens)

    async def _read_json(self, exchange: Exchange) -> None:
        """Take a whole answer from a server that did not stream."""
        # JSON may spell a character in twelve bytes; the answer itself counts its characters.
        limit = 12 * self._limits.max_answer_chars + self._limits.max_event_bytes
        body = b"".join([data async for data in self._reads(exchange, limit)])
        self.decided = arrived = self._clock.at(exchange.arrived)
        if len(body) >= limit:
            raise LimitExceededError(
                "max_answer_chars", limit=self._limits.max_answer_chars, value=len(body)
            )
        pieces = self.answer.feed_json(body, arrived)
        if pieces:
            self._dispatcher.emit_pieces(pieces)
            self._interruption.check()
        if self.answer.error is not None:
            raise redact_error(self.answer.error, exchange.request)

    async def _raise_status(self, exchange: Exchange) -> None:
        """Raise the exception for a status other than 200, with the body as far as it comes."""
        body = await self._error_body(exchange, self._limits.max_error_body_bytes)
        request = exchange.request
        raise redact_error(
            error_from_reply(exchange.status, exchange.headers, body, shown_url=request.shown_url),
            request,
        )

    async def _raise_content_type(self, exchange: Exchange) -> None:
        evidence = await self._error_body(exchange, 200)
        request = exchange.request
        error = ProtocolError(
            f"{request.shown_url} answered with {exchange.content_type!r} where "
            f"'text/event-stream' is expected: is the base_url right? It begins {evidence!r}",
            offset=0,
            evidence=evidence,
        )
        raise redact_error(error, request)

    async def _error_body(self, exchange: Exchange, limit: int) -> bytes:
        """Return the body as far as it comes."""
        body = b""
        try:
            async with asyncio.timeout(_ERROR_BODY):
                async for data in self._reads(exchange, limit):
                    body += data
        except (ConnectionLostError, TimeoutError):
            data = exchange.salvage()
            self._heard(exchange, data)
            body += data
        return body[:limit]

    async def _reads(self, exchange: Exchange, limit: int) -> AsyncIterator[bytes]:
        """Yield the network reads of a body that is no event stream, ``limit`` bytes and the rest of a
        read at most."""
        size = 0
        while size < limit and (data := await exchange.read()):
            self._heard(exchange, data)
            yield data
            size += len(data)

    def _heard(self, exchange: Exchange, data: bytes) -> float:
        """Tell the recorder of a network read; return its moment."""
        arrived = self._clock.at(exchange.arrived)
        if self._recorder is not None:
            self._recorder.read(data, arrived)
        return arrived

    def _timeout(self) -> StreamError:
        self.decided = self._clock()
        return self._interruption.timeout()


def _cut(answer: Answer) -> AnswerCutError:
    missing = "no [DONE] and no finish reason" if answer.has_chunks else "no event at all"
    return AnswerCutError(
        f"the answer was cut: the body ended cleanly with {missing} "
        "(accept_eof=True takes such an end as whole, for servers known to do so)"
    )
