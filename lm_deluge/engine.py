"""The one task of a stream: from ``on_start`` to its one ending.

    slot ─> on_start ─> attempt ─┬─> whole ───────────────> _end(response) ─> on_complete
                          ^      ├─> failed, no output yet ─> on_retry ─┐
                          └──────┼───────────────────────────────────────┘
                                 └─> failed for good, cancelled, broken ─> _end(error) ─> on_error
"""

from __future__ import annotations

import asyncio
import traceback
from datetime import UTC, datetime
from time import perf_counter
from typing import TYPE_CHECKING, Final

from lm_deluge.deadline import Deadline
from lm_deluge.dispatch import Dispatcher
from lm_deluge.errors import (
    AnswerCutError,
    APITimeoutError,
    ConnectionLostError,
    HandlerError,
    LimitExceededError,
    ProtocolError,
    StreamCancelled,
    StreamError,
)
from lm_deluge.http_errors import error_from_reply, request_id
from lm_deluge.models import cost_of
from lm_deluge.payloads import Retry
from lm_deluge.plan import Plan, Target
from lm_deluge.response import APIResponse, FailedAttempt, Partial, TimelineSource
from lm_deluge.retrying import falls_back, retry_delay
from lm_deluge.signals import on_complete, on_error, on_retry, on_start
from lm_deluge.transport import Exchange
from lm_deluge.wire.answer import Answer

if TYPE_CHECKING:
    from lm_deluge.stream import Stream

__all__ = ["Engine"]

#: Seconds after ``[DONE]`` in which the body may end, so that its connection can be reused.
_DRAIN: Final = 0.1

#: Seconds for the body of an error reply.
_ERROR_BODY: Final = 10.0

_JSON_TYPES: Final = ("application/json", "text/json", "application/problem+json")


class Engine:
    """Runs one stream. The only reader of its network and the only emitter of its signals."""

    def __init__(self, stream: Stream, plan: Plan) -> None:
        self.plan: Final = plan
        self.dispatcher: Final = Dispatcher(
            stream, strict=plan.strict, interrupt=self._on_fatal_handler
        )
        self.answer = Answer(choices=plan.choices, limits=plan.limits)
        self.ending: APIResponse | StreamError | None = None
        self.outcome: APIResponse | StreamError | None = None
        self.t0: float | None = None
        self._stream = stream
        self._task: asyncio.Task[None] | None = None
        self._deadline: Deadline | None = None
        self._stop: StreamError | None = None
        self._target: Target = plan.targets[0]
        self._failed: list[FailedAttempt] = []
        self._raised: list[BaseException] = []
        self._request_id: str | None = None
        self._at = ""
        self._decided = 0.0
        self._is_connected = False
        self._cancelled_itself = False
        self._undrained: Exchange | None = None

    def start(self) -> asyncio.Future[None]:
        """Start the task; return a future that is done once the stream has ended for good."""
        loop = asyncio.get_running_loop()
        finished: asyncio.Future[None] = loop.create_future()
        self._task = loop.create_task(self._run(), name=f"lm_deluge stream {self._stream.id}")
        self._task.add_done_callback(lambda task: self._finish(task, finished))
        return finished

    def stop(self, error: StreamError) -> None:
        """End the stream with ``error``; nothing happens if it has ended."""
        if self.ending is not None or self._stop is not None:
            return
        self._stop = error
        self.dispatcher.stop()
        # A handler that stops its own stream runs inside the task: it is asked after the handlers.
        if self._task is not None and self._task is not asyncio.current_task():
            self._cancelled_itself = True
            self._task.cancel()

    def elapsed(self) -> float:
        """Seconds since t0."""
        return perf_counter() - self.t0 if self.t0 is not None else 0.0

    def partial(self) -> Partial:
        """What has been received so far."""
        received = Partial(**self._received())
        received.source = self._timeline_source("error" if self.ending is not None else "open")
        return received

    async def _run(self) -> None:
        passing: BaseException | None = None
        slots = self.plan.slots
        try:
            queued = perf_counter()
            await slots.acquire()
        except asyncio.CancelledError:
            # Nobody has heard of the stream: only whoever waits for it is told.
            self.outcome = self._stop or StreamCancelled("the task was cancelled")
            if self._is_cancelled_from_outside():
                raise
            return
        try:
            self._stream.queued = perf_counter() - queued
            self._begin()
            ending = await self._attempts()
        except StreamError as error:
            ending = error
        except asyncio.CancelledError as error:
            outside = self._is_cancelled_from_outside()
            passing = error if outside else None
            ending = self._stop or StreamCancelled("its task was cancelled")
        except Exception as error:  # noqa: BLE001 - whatever it is, the stream has to end
            ending = StreamError(f"internal error: {type(error).__name__}: {error}")
            ending.__cause__ = error
        except BaseException as error:  # noqa: BLE001 - SystemExit and its like go on after the ending
            ending = StreamCancelled(f"{type(error).__name__} was raised")
            passing = error
        finally:
            if self._deadline is not None:
                self._deadline.close()
            slots.release()
        await self._end(ending, passing)

    def _begin(self) -> None:
        task = self._task
        assert task is not None
        self._deadline = Deadline(asyncio.get_running_loop(), task.cancel)
        now = datetime.now(UTC)
        self._at = now.isoformat(timespec="milliseconds")
        self._stream.started_at = now
        self.t0 = perf_counter()
        self._deadline.start_total(self._target.timeouts.total)
        self.dispatcher.emit(on_start)

    async def _attempts(self) -> APIResponse:
        """Ask the model, again where that may help, and then its fallbacks."""
        plan = self.plan
        for position, target in enumerate(plan.targets):
            following = plan.targets[position + 1] if position + 1 < len(plan.targets) else None
            self._target = target
            failures = 0
            while True:
                self._check_stopped()
                self._stream.attempt += 1
                self.answer = Answer(
                    choices=plan.choices, limits=plan.limits, accept_eof=target.info.accept_eof
                )
                self._request_id = None
                try:
                    await self._attempt(target, self.answer)
                    return self._response()
                except StreamError as error:
                    if self.answer.has_output or error is self._stop:
                        raise
                    failures += 1
                    delay = retry_delay(plan.policy, error, failures)
                    if delay is None and (following is None or not falls_back(plan.policy, error)):
                        raise
                    failure = error
                await self._retry(failure, delay or 0.0, target if delay is not None else following)
                if delay is None:
                    break
        raise AssertionError("unreachable: the last target either answers or raises")

    async def _retry(self, error: StreamError, delay: float, target: Target | None) -> None:
        assert target is not None
        self._bind(error)
        self._raised.append(error)
        asked = self._target.info.name
        self._failed.append(
            FailedAttempt(
                model=asked, error=type(error).__name__, message=str(error), delay=delay
            )
        )
        retry = Retry(error, self._stream.attempt, delay, target.info.name)
        self.dispatcher.emit(on_retry, retry)
        self._check_stopped()
        try:
            await asyncio.sleep(delay)
        except asyncio.CancelledError:
            self._raise_timeout()
            raise

    async def _attempt(self, target: Target, answer: Answer) -> None:
        """Send one request and read its answer to the end; raise if it does not become whole."""
        deadline = self._deadline
        assert deadline is not None
        self._is_connected = False
        deadline.wait("first_token", target.timeouts.first_token)
        try:
            exchange = await self.plan.transport.open(
                target.request, connect_timeout=target.timeouts.connect
            )
        except asyncio.CancelledError:
            self._raise_timeout()
            raise
        except StreamError:
            self._decided = self.elapsed()
            raise
        self._is_connected = True
        try:
            self._request_id = request_id(exchange.headers)
            if exchange.status != 200:
                await self._raise_status(exchange)
            elif exchange.content_type in _JSON_TYPES:
                await self._read_json(exchange, answer)
            elif exchange.content_type not in ("text/event-stream", ""):
                await self._raise_content_type(exchange)
            else:
                await self._read(exchange, answer)
                if answer.done:
                    # The end is told first; what is left of the body may follow meanwhile.
                    self._undrained = exchange
        finally:
            if self._undrained is not exchange:
                exchange.close()

    async def _read(self, exchange: Exchange, answer: Answer) -> None:
        """Read the event stream, emitting its pieces, until the answer is whole."""
        deadline = self._deadline
        assert deadline is not None
        timeouts = self._target.timeouts
        finished = False
        while True:
            lost: ConnectionLostError | None = None
            try:
                data = await exchange.read()
            except ConnectionLostError as error:
                data, lost = b"", error
            except asyncio.CancelledError:
                # What arrived before the interruption was received; it may even be what the
                # deadline waited for, if something held the event loop.
                data = exchange.salvage()
                if not self._is_interrupted_by_deadline():
                    self._take_last(data, answer)
                    raise
                if not data:
                    lost = self._lost_connection(exchange)
                    if lost is None:
                        if answer.whole:
                            return
                        raise self._timeout() from None
            self._decided = arrived = self.elapsed()
            pieces = answer.feed(data, arrived) if data else answer.close(arrived)
            if pieces:
                self.dispatcher.emit_pieces(pieces)
                self._check_stopped()
            if answer.error is not None:
                raise self._redacted(answer.error)
            if answer.done:
                return
            if not data:
                if answer.whole:
                    return
                raise lost if lost is not None else self._cut(answer)
            if deadline.expired is not None:
                if not pieces or deadline.expired[0] == "total":
                    if answer.whole:
                        return
                    raise self._timeout()
                deadline.expired = None
            if answer.finished:
                if pieces or not finished:
                    finished = True
                    deadline.wait("tail", timeouts.tail)
            elif pieces:
                deadline.wait("between_tokens", timeouts.between_tokens)

    async def _read_json(self, exchange: Exchange, answer: Answer) -> None:
        """Take a whole answer from a server that did not stream."""
        limit = self.plan.limits.max_answer_chars
        try:
            body = await exchange.body(limit)
        except asyncio.CancelledError:
            self._raise_timeout()
            raise
        self._decided = arrived = self.elapsed()
        if len(body) >= limit:
            raise LimitExceededError("max_answer_chars", limit=limit, value=len(body))
        pieces = answer.feed_json(body, arrived)
        if pieces:
            self.dispatcher.emit_pieces(pieces)
            self._check_stopped()
        if answer.error is not None:
            raise self._redacted(answer.error)

    async def _raise_status(self, exchange: Exchange) -> None:
        """Raise the exception for a status other than 200, with the body as far as it comes."""
        body = b""
        try:
            async with asyncio.timeout(_ERROR_BODY):
                body = await exchange.body(self.plan.limits.max_error_body_bytes)
        except (ConnectionLostError, TimeoutError):
            body = exchange.salvage()
        except asyncio.CancelledError:
            self._raise_timeout()
            raise
        request = exchange.request
        text = request.redact(body.decode("utf-8", "replace")).encode()
        self._decided = self.elapsed()
        raise error_from_reply(
            exchange.status, exchange.headers, text, shown_url=request.shown_url
        )

    async def _raise_content_type(self, exchange: Exchange) -> None:
        try:
            async with asyncio.timeout(1.0):
                body = await exchange.read()
        except (ConnectionLostError, TimeoutError):
            body = b""
        except asyncio.CancelledError:
            self._raise_timeout()
            raise
        request = exchange.request
        evidence = request.redact(body[:200].decode("utf-8", "replace")).encode()
        self._decided = self.elapsed()
        raise ProtocolError(
            f"{request.shown_url} answered with {exchange.content_type!r} where "
            f"'text/event-stream' is expected: is the base_url right? It begins {evidence!r}",
            offset=0,
            evidence=evidence,
        )

    def _take_last(self, data: bytes, answer: Answer) -> None:
        """Keep what had arrived for the partial answer, without sending it to anyone."""
        if data:
            answer.feed(data, self.elapsed())

    def _lost_connection(self, exchange: Exchange) -> ConnectionLostError | None:
        """Tell a read that hangs on a dead connection from a server that is silent."""
        if not exchange.is_gone:
            return None
        return ConnectionLostError(
            "the connection is gone, and the read did not notice: a malformed body"
        )

    def _cut(self, answer: Answer) -> AnswerCutError:
        missing = "no event at all" if not answer.has_chunks else "no [DONE] and no finish reason"
        return AnswerCutError(
            f"the answer was cut: the body ended cleanly with {missing} "
            "(accept_eof=True takes such an end as whole, for servers known to do so)"
        )

    def _redacted(self, error: StreamError) -> StreamError:
        """Replace the key in what an error of the wire quotes."""
        redact = self._target.request.redact
        text = redact(error.message)
        if text != error.message:
            error.message = text
            error.args = (text,)
        if isinstance(error, ProtocolError):
            error.evidence = redact(error.evidence.decode("utf-8", "replace")).encode()
        return error

    def _check_stopped(self) -> None:
        if self._stop is not None:
            raise self._stop

    def _on_fatal_handler(self) -> None:
        failure = self.dispatcher.fatal
        assert failure is not None
        self.stop(HandlerError(failure))

    def _is_cancelled_from_outside(self) -> bool:
        """Take back our own ``task.cancel()``; return whether somebody else cancelled, too."""
        task = self._task
        assert task is not None
        if self._cancelled_itself:
            self._cancelled_itself = False
            task.uncancel()
        return task.cancelling() > 0 or self._stop is None

    def _is_interrupted_by_deadline(self) -> bool:
        """Whether the deadline alone interrupted; then its ``task.cancel()`` is taken back."""
        task, deadline = self._task, self._deadline
        assert task is not None
        assert deadline is not None
        if deadline.expired is None:
            return False
        return task.uncancel() == 0 and self._stop is None

    def _raise_timeout(self) -> None:
        """Raise if it was the deadline that interrupted, and nobody else."""
        if self._is_interrupted_by_deadline():
            raise self._timeout() from None

    def _timeout(self) -> APITimeoutError:
        assert self._deadline is not None
        assert self._deadline.expired is not None
        phase, limit = self._deadline.expired
        self._decided = self.elapsed()
        return APITimeoutError(
            f"{_WAITED[phase]} within {limit:g} s (Timeouts.{phase})", phase=phase, limit=limit
        )

    def _received(self) -> dict[str, object]:
        answer = self.answer
        return {
            "choices": answer.choices(),
            "usage": answer.usage,
            "model_external": answer.model_external,
            "response_id": answer.response_id,
            "request_id": self._request_id,
            "system_fingerprint": answer.system_fingerprint,
            "service_tier": answer.service_tier,
            "ttft": answer.arrivals.first_output,
        }

    def _timeline_source(self, outcome: str) -> TimelineSource:
        ending = self.ending
        return TimelineSource(
            arrivals=self.answer.arrivals,
            stream_id=self._stream.id,
            model=self._target.info.name,
            queued=self._stream.queued,
            at=self._at,
            tags=self._stream.tags,
            outcome=outcome,
            error=type(ending).__name__ if isinstance(ending, StreamError) else None,
            phase=ending.phase if isinstance(ending, StreamError) else None,
            elapsed=self._decided,
            attempts=self._stream.attempt,
        )

    def _response(self) -> APIResponse:
        response = APIResponse(
            **self._received(),  # type: ignore[arg-type]  # the fields of _Received
            model=self._stream.model,
            model_used=self._target.info.name,
            cost=cost_of(self._target.info, self.answer.usage),
            elapsed=self._decided,
            attempts=self._stream.attempt,
            failed_attempts=self._failed,
            tags=dict(self._stream.tags),
            handler_failures=self.dispatcher.failures,
        )
        response.source = self._timeline_source("complete")
        return response

    def _bind(self, error: StreamError) -> None:
        """Tell an error what it ended, and what had been received by then."""
        error.stream_id = self._stream.id
        error.attempts = self._stream.attempt
        error.handler_failures = self.dispatcher.failures
        error.elapsed = self._decided
        if error.phase is None:
            error.phase = self._phase()
        error.partial = self.partial()

    def _phase(self) -> str:
        if self.answer.finished:
            return "tail"
        if self.answer.has_output:
            return "between_tokens"
        return "first_token" if self._is_connected else "connect"

    async def _end(
        self, ending: APIResponse | StreamError, passing: BaseException | None
    ) -> None:
        """The single place that ends a stream: one signal, then nothing."""
        stream, dispatcher = self._stream, self.dispatcher
        if isinstance(ending, StreamCancelled | HandlerError):
            self._decided = self.elapsed()
        self.ending = ending
        if isinstance(ending, StreamError):
            self._bind(ending)
            stream.error = ending
        else:
            stream.response = ending
        failed_before = dispatcher.fatal
        try:
            if isinstance(ending, StreamError):
                dispatcher.emit(on_error, ending)
            else:
                dispatcher.emit(on_complete, ending)
        except BaseException as error:  # noqa: BLE001 - the rest of the ending has to happen
            passing = passing or error
        try:
            await self._drain()
            await dispatcher.settle(self.plan.handler_wait)
        except asyncio.CancelledError as error:
            passing = passing or error
        finally:
            dispatcher.close()
        self.outcome = ending
        if dispatcher.fatal is not None and failed_before is None:
            late = HandlerError(dispatcher.fatal)
            if isinstance(ending, StreamError):
                ending.add_note(str(late))
            else:
                self._bind(late)
                self.outcome = late
        if passing is not None:
            raise passing

    async def _drain(self) -> None:
        """Read the rest of a whole answer's body, so that its connection serves the next turn."""
        exchange, self._undrained = self._undrained, None
        if exchange is not None:
            try:
                await exchange.drain(_DRAIN)
            finally:
                exchange.close()

    def _finish(self, task: asyncio.Task[None], finished: asyncio.Future[None]) -> None:
        """After the task's last step: let go of everything, wake whoever waits."""
        failure = None if task.cancelled() else task.exception()
        if self.outcome is None:
            # Cancelled before its first step, or broken while ending.
            self.outcome = self._stop or StreamCancelled("its task was cancelled")
            if failure is not None:
                self.outcome.__cause__ = failure
        self._raised += [error for error in (failure, self.outcome) if error is not None
                         and isinstance(error, BaseException)]  # fmt: skip
        for error in self._raised:
            _clear_frames(error)
        self._raised.clear()
        self._task = None
        self._deadline = None
        if not finished.done():
            finished.set_result(None)


_WAITED: Final = {
    "connect": "no connection",
    "first_token": "no output arrived",
    "between_tokens": "no further output arrived",
    "tail": "no end arrived",
    "total": "the stream did not end",
}


def _clear_frames(error: BaseException | None) -> None:
    """Drop the locals of every frame along an exception's chain: they hold the stream and its key.

    Line numbers stay.
    """
    seen: set[int] = set()
    queue = [error]
    while queue:
        error = queue.pop()
        if error is None or id(error) in seen:
            continue
        seen.add(id(error))
        traceback.clear_frames(error.__traceback__)
        queue += [error.__cause__, error.__context__]
