"""The life of a stream that somebody else's client asked for: from ``on_start`` to its one ending.

There is no task: whoever passes the bytes on tells of them afterwards. What they come to is decided where the
engine decides it: ``engine.body`` and ``engine.endings``.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from contextvars import copy_context
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import Any, Final

from lm_deluge.engine.body import FAILURES, Body, NetworkRead
from lm_deluge.engine.deadline import Clock
from lm_deluge.engine.endings import ENDINGS, Came, ending_of
from lm_deluge.engine.logging_lines import INFO, is_enabled_for, log_ending
from lm_deluge.engine.plan import ReadRecorder
from lm_deluge.engine.results import bind_error, received_by, response_of, timeline_source_of
from lm_deluge.errors import StreamCancelled, StreamError
from lm_deluge.observers.dispatch import Dispatcher
from lm_deluge.observers.life import let_out, running_loop
from lm_deluge.observers.stream import Stream
from lm_deluge.observers.stream_request import StreamRequest
from lm_deluge.proxy.planned import AppAttempts, WatchedPlan
from lm_deluge.signals import on_complete, on_error, on_start
from lm_deluge.values.response import APIResponse, Partial
from lm_deluge.values.timeline_source import TimelineSource
from lm_deluge.wire.headers import Caseless

__all__ = ["AppLife"]

#: What ``StreamCancelled`` says of a caller who leaves, as ``Stream.aclose`` has it.
_LEFT: Final = "its consumer walked away"


class _Stop:
    """What a handler ends the watching with; ``wake``: how the stream is told, while it runs."""

    wake: Callable[[], object] | None = None
    error: StreamError | None = None

    def __call__(self, error: StreamError) -> None:
        if self.error is None:
            self.error = error
            if self.wake is not None:
                self.wake()


class AppLife:
    """One stream of an app: a ``Life``, as ``observers.life`` has it. Nothing here is raised to the pipe.

    ``start`` of its ``Stream`` tells ``on_start``; then ``answered``, ``take`` and one ``end`` follow.
    ``notes``: hears of bytes that were not understood: offset, what.
    """

    def __init__(
        self,
        plan: WatchedPlan,
        *,
        known_as: str,
        began: float,
        recorder: ReadRecorder | None = None,
        note: Callable[[int, str], object],
        ends: set[asyncio.Future[None]],
    ) -> None:
        """``known_as``: the id. ``began``: t0, by ``time.perf_counter``. ``ends``: holds a future until the
        stream has ended."""
        self.id: Final = known_as
        self.started_at: datetime | None = None
        self.queued = 0.0
        self.ending: APIResponse | StreamError | None = None
        self.outcome: APIResponse | StreamError | None = None
        self.passing: BaseException | None = None
        self.is_awaited = False
        self.elapsed: Final = Clock()
        self.loop: asyncio.AbstractEventLoop | None = None
        self._stop: Final = _Stop()
        self.dispatcher: Final = Dispatcher(
            strict=False, interrupt=self._stop, redactor=plan.redactor
        )
        self._plan: Final = plan
        self._attempts: Final = AppAttempts(plan)
        self._began: Final = began
        self._recorder = recorder
        self._note: Callable[[int, str], object] | None = note
        self._ends = ends
        self._body: Body | None = None
        self._bytes = 0
        self._has_noted = False
        self._context: Final = copy_context()
        self._stream: Stream | None = None
        self._finished: asyncio.Future[None] | None = None
        self._told: asyncio.Future[None] | None = None
        self._settling: asyncio.Task[None] | None = None

    # What a ``Stream`` asks of its life.

    @property
    def attempt(self) -> int:
        """1 once the request was sent."""
        return self._attempts.number

    def request(self) -> StreamRequest:
        """What the app asks for."""
        from lm_deluge.proxy.app_request import request_of_app

        return request_of_app(self._plan.asks, self._plan.targets[0], self._plan.redactor)

    def prepare(self, loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
        """Be ready to be started, and to be stopped; return a future of the end."""
        self.loop = loop
        finished = self._finished = loop.create_future()
        self._ends.add(finished)
        finished.add_done_callback(self._ends.discard)
        return finished

    def start(self, stream: Stream) -> None:
        """Tell ``on_start``; the stream is kept alive from here on."""
        self._stream = stream
        self._stop.wake = self._wake
        self._context.run(self._start)

    def stop(self, error: StreamError) -> None:
        """End the watching with ``error``; nothing happens if it has ended. From any thread."""
        loop = self.loop
        if loop is None:
            return
        if running_loop() is not loop:
            with contextlib.suppress(RuntimeError):  # it was closed
                loop.call_soon_threadsafe(self.stop, error)
        elif self.ending is None:
            self.dispatcher.stop()
            self._stop(error)

    def hurry(self) -> None:
        """Let the end come soon, whatever handlers still do."""
        self.dispatcher.hurry()

    def partial(self) -> Partial:
        """Return what has been received so far."""
        received = Partial(**received_by(self._attempts.current))
        received.source = self._timeline_source()
        return received

    def told(self) -> asyncio.Future[None]:
        """Return a future that is done once everybody was told of the ending."""
        if self._told is None:
            self._told = asyncio.get_running_loop().create_future()
            if self.outcome is not None:
                self._told.set_result(None)
        return self._told

    # What the exchange tells.

    def answered(self, status: int, headers: Sequence[tuple[str, str]], arrived: float) -> None:
        """The head of the answer came. ``arrived``: here and below by ``time.perf_counter``."""
        current = self._attempts.current
        if self.ending is not None:
            return
        known = Caseless(headers)
        content_type = (known.get("content-type") or "").partition(";")[0].strip().lower()
        current.has_head = True
        current.decided = self.elapsed.at(arrived)
        self._body = Body(
            current.target,
            current.answer,
            self._plan.limits,
            status=status,
            headers=known,
            content_type=content_type,
        )
        current.request_id = self._body.request_id
        if self._recorder is not None:
            self._recorder.answered(current.target.request, status, headers, current.decided)

    def read(self, data: bytes, arrived: float) -> None:
        """Bytes of the answer came."""
        if self.ending is None and self._body is not None and data:
            at = self.elapsed.at(arrived)
            if self._recorder is not None:
                self._recorder.read(data, at)
            self._bytes += len(data)
            self._context.run(self._take, self._body, NetworkRead(data, at))

    def over(self, arrived: float) -> None:
        """The body of the answer came to its end."""
        if self._body is not None:
            self._last("end", arrived, None)

    def lost(self, error: StreamError, arrived: float) -> None:
        """The connection to the server was lost, or never there."""
        if self._body is None:
            self.fail(error, arrived)
        else:
            self._last("lost", arrived, error)

    def left(self, arrived: float) -> None:
        """The app's reader is gone."""
        error = StreamCancelled(_LEFT)
        if self._body is None:
            self.fail(error, arrived)
        else:
            self._last("left", arrived, error)

    def fail(self, error: StreamError, arrived: float) -> None:
        """End with an error, whatever was received."""
        if self.ending is None:
            self._attempts.current.decided = self.elapsed.at(arrived)
            self._context.run(self._end, "failure", error)

    def broke(self, error: Exception) -> None:
        """The watching itself failed: a mistake of ours."""
        if self.ending is None:
            self._context.run(self._end, "broken", error)

    def _last(self, what: Any, arrived: float, error: StreamError | None) -> None:
        body = self._body
        if self.ending is not None or body is None:
            return
        current = self._attempts.current
        # A reader who leaves decides nothing of an answer that was whole by then.
        at = current.decided if what == "left" else self.elapsed.at(arrived)
        self._context.run(self._take, body, NetworkRead(b"", at, what), error)
        if self.ending is None and error is not None:
            self.fail(error, arrived)

    def _start(self) -> None:
        self.elapsed.start(self._began)
        self.started_at = datetime.now(UTC) - timedelta(seconds=perf_counter() - self._began)
        self.dispatcher.enter()
        self._attempts.number = 1
        target = self._plan.targets[0]
        self.dispatcher.emit(on_start)
        if self._recorder is not None:
            self._recorder.sent(target.request, 0.0, target.choices, target.dialect.name)
        self._is_stopped()

    def _take(self, body: Body, read: NetworkRead, lost: StreamError | None = None) -> None:
        if self._is_stopped():
            return
        self._attempts.current.decided = read.arrived
        pieces = body.take(read)
        if body.answer.evidence and not self._has_noted and self._note is not None:
            self._has_noted = True
            self._note(self._bytes, "an event of the answer was not understood")
        if pieces and body.then != "left":
            self.dispatcher.emit_pieces(pieces)
        if self._is_stopped():
            return
        if body.then == "whole":
            self._end("answer", None)
        elif body.then in FAILURES:
            error = body.error or lost
            if error is lost and read.what == "left":
                return  # told with the moment at which it left
            self._end("failure", error or StreamCancelled(_LEFT))

    def _wake(self) -> None:
        if self.loop is not None and not self.loop.is_closed():
            self.loop.call_soon(self._context.run, self._is_stopped)

    def _is_stopped(self) -> bool:
        """Whether a handler, or whoever called ``stop``, wants no more; then it ends here."""
        error = self._stop.error
        if error is None:
            return False
        if self.ending is None:
            self._attempts.current.decided = self.elapsed()
            self._end("failure", error)
        return True

    def _end(self, kind: Came, came: BaseException | None) -> None:
        """The single place that ends a watched stream: one signal, then nothing."""
        attempts, current, dispatcher = self._attempts, self._attempts.current, self.dispatcher
        if came is not None:
            late = current.answer.give_up()
            if late and not isinstance(came, StreamCancelled):
                dispatcher.emit_pieces(late)
        told: APIResponse | BaseException = came or response_of(
            self._plan, attempts, stream_id=self.id, failures=dispatcher.failures
        )
        ending = self.ending = ending_of(kind, told, None)
        if isinstance(ending, StreamError):
            bind_error(
                ending,
                attempts,
                stream_id=self.id,
                redactor=self._plan.redactor,
                failures=dispatcher.complete_failures(),
                partial=self.partial,
            )
        else:
            ending.source = self._timeline_source()
        if is_enabled_for(INFO):
            log_ending(self.id, current.target.info.name, ending)
        if self._recorder is not None:
            self._recorder.closed(came, current.decided)
        dispatcher.emit(on_complete if ENDINGS[kind].heard == "on_complete" else on_error, ending)
        self.outcome = ending
        if self._told is not None and not self._told.done():
            self._told.set_result(None)
        self._stop.wake = None
        loop = running_loop()
        if loop is None or loop is not self.loop:
            self._let_go()  # its event loop is gone: nothing can be waited for
        else:
            self._settling = loop.create_task(self._settle(), name=f"lm_deluge ending {self.id}")

    async def _settle(self) -> None:
        """Wait until the ``async`` handlers have heard everything."""
        try:
            if self.dispatcher.passing is not None:
                self.dispatcher.hurry()
            await self.dispatcher.settle(self._plan.handler_wait)
        finally:
            self._let_go()

    def _let_go(self) -> None:
        """Hold nothing any more; what ends the program goes on, unless somebody waits for the stream."""
        ending, dispatcher, loop = self.ending, self.dispatcher, self.loop
        if ending is not None and dispatcher.has_failed:
            ending.handler_failures = dispatcher.complete_failures()
        self.passing = dispatcher.passing
        dispatcher.close()
        if isinstance(ending, StreamError):
            # Nothing here raised it: what it went through are frames of handlers, which hold the stream.
            ending.__traceback__ = None
        finished, self._finished = self._finished, None
        self._stream = self._body = self.loop = self._settling = None
        self._recorder = self._note = None
        if finished is not None and not finished.done() and not finished.get_loop().is_closed():
            finished.set_result(None)
        if self.passing is not None and not self.is_awaited and loop and not loop.is_closed():
            loop.call_soon(let_out, self.passing)

    def _timeline_source(self) -> TimelineSource:
        return timeline_source_of(
            self._plan,
            self._attempts,
            stream_id=self.id,
            queued=self.queued,
            started_at=self.started_at,
            ending=self.ending,
        )
