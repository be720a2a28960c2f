"""The one task of a stream: from ``on_start`` to its one ending.

slot ─> on_start ─> attempt ─┬─> whole ────────────────> _end(response) ─> on_complete
                      ^      ├─> failed without output ─> on_retry ─┐
                      └──────┼───────────────────────────────────────┘
                             └─> failed, stopped, cancelled ─> _end(error) ─> on_error
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from lm_deluge.engine.attempts import Attempts
from lm_deluge.engine.deadline import Clock
from lm_deluge.engine.interruption import Interruption
from lm_deluge.engine.logging_lines import (
    INFO,
    is_enabled_for,
    log_ending,
)
from lm_deluge.engine.plan import ModelRequest, Plan
from lm_deluge.engine.results import (
    bind_error,
    received_by,
    response_of,
    timeline_source_of,
)
from lm_deluge.errors import HandlerError, StreamCancelled, StreamError
from lm_deluge.observers.dispatch import Dispatcher
from lm_deluge.observers.life import let_out, running_loop
from lm_deluge.observers.stream import Stream
from lm_deluge.signals import on_complete, on_error, on_start
from lm_deluge.values.foreign import is_exit
from lm_deluge.values.locking import LOCK
from lm_deluge.values.response import APIResponse, Partial
from lm_deluge.values.timeline_source import TimelineSource

if TYPE_CHECKING:
    from lm_deluge.engine.endings import Came
    from lm_deluge.observers.stream_request import StreamRequest

__all__ = ["Engine", "new_stream", "planned"]


class Engine:
    """Runs one stream. The only reader of its network and the only emitter of its signals.

    ``id``, ``started_at``, ``queued``, ``attempt``: as ``Stream`` shows them. ``ending``: what the one
    ending carried. ``outcome``: what whoever waits gets: the same, but for a strict client whose
    handler failed in the ending. ``passing``: the ``KeyboardInterrupt`` or ``SystemExit`` that ended
    it and is to go on, until whoever waits takes it; ``is_awaited`` says that somebody does.
    """

    __slots__ = (
        "_attempts",
        "_finished",
        "_interruption",
        "_loop",
        "_plan",
        "_task",
        "_told",
        "dispatcher",
        "elapsed",
        "ending",
        "id",
        "is_awaited",
        "outcome",
        "passing",
        "queued",
        "started_at",
    )

    def __init__(self, plan: Plan) -> None:
        self.id: Final = uuid4().hex
        self.started_at: datetime | None = None
        self.queued = 0.0
        self.ending: APIResponse | StreamError | None = None
        self.outcome: APIResponse | StreamError | None = None
        self.passing: BaseException | None = None
        self.is_awaited = False
        self._told: asyncio.Future[None] | None = None
        self._plan = plan
        self._loop: asyncio.AbstractEventLoop | None = None
        self._finished: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self.elapsed: Final = Clock()
        self._interruption = Interruption(self.elapsed)
        self.dispatcher: Final = Dispatcher(
            strict=plan.strict, interrupt=self._interruption.stop, redactor=plan.redactor
        )
        self._attempts = Attempts(
            plan,
            stream_id=self.id,
            dispatcher=self.dispatcher,
            interruption=self._interruption,
            clock=self.elapsed,
        )

    @property
    def attempt(self) -> int:
        """1-based number of the request at hand, 0 before the first."""
        return self._attempts.number

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The event loop it runs in; ``None`` before its start and after its end."""
        return self._loop

    def prepare(self, loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
        """Be ready to be started, and to be stopped; return a future that is done once the stream has
        ended for good.
        """
        self._loop = loop
        finished = self._finished = loop.create_future()
        self._interruption.guard(loop)
        return finished

    def start(self, stream: Stream) -> None:
        """Start the task. Its first step may be taken at once (``asyncio.eager_task_factory``)."""
        loop, finished = self._loop, self._finished
        assert loop is not None
        assert finished is not None
        running = self._plan.running
        running.add(stream)
        task = loop.create_task(self._run(), name=f"lm_deluge stream {self.id}")
        self._task = task

        def finish(task: asyncio.Task[None]) -> None:
            running.discard(stream)
            self._finish(None if task.cancelled() else task.exception())
            if not finished.done():
                finished.set_result(None)

        task.add_done_callback(finish)

    def stop(self, error: StreamError) -> None:
        """End the stream with ``error``; nothing happens if it has ended. From any thread."""
        loop = self._loop
        if loop is None:
            return
        if running_loop() is not loop:
            try:
                loop.call_soon_threadsafe(self.stop, error)
            except RuntimeError:  # it was closed
                self._abandon(error)
        elif self.ending is None:
            self.dispatcher.stop()
            self._interruption.stop(error)

    def hurry(self) -> None:
        """Whoever waits for the end was cancelled: let it come soon, whatever handlers still do."""
        self.dispatcher.hurry()

    def _abandon(self, error: StreamError) -> None:
        """End a stream whose event loop was closed while it ran. From any thread.

        Its task is not run any more. Plain handlers hear the ending here, ``async`` ones cannot.
        """
        with LOCK:
            task, self._task = self._task, None
        if task is None or task.done():
            return
        self.dispatcher.stop()
        self._interruption.stopped = self._interruption.stopped or error
        work = task.get_coro()
        assert work is not None
        with contextlib.suppress(RuntimeError):  # what it leaves may want to call its loop
            work.close()
        # asyncio would complain of a task that was not run to its end.
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001 - as asyncio.gather does
        self._finish(None)
        if self._finished is not None and not self._finished.done():
            with contextlib.suppress(RuntimeError):
                self._finished.set_result(None)

    def partial(self) -> Partial:
        """What has been received so far."""
        received = Partial(**received_by(self._attempts.current))
        received.source = self._timeline_source()
        return received

    def request(self) -> StreamRequest:
        """What the model at hand is asked for."""
        from lm_deluge.engine.asked import request_of

        return request_of(self._attempts.current.target, self._plan.redactor)

    def _timeline_source(self) -> TimelineSource:
        return timeline_source_of(
            self._plan,
            self._attempts,
            stream_id=self.id,
            queued=self.queued,
            started_at=self.started_at,
            ending=self.ending,
        )

    def told(self) -> asyncio.Future[None]:
        """Return a future that is done once everybody was told of the ending.

        What runs inside a handler of the stream waits for this one: the end itself waits for the handler.
        """
        if self._told is None:
            self._told = asyncio.get_running_loop().create_future()
            if self.outcome is not None:
                self._told.set_result(None)
        return self._told

    async def _run(self) -> None:
        self.dispatcher.enter()
        if not await self._is_let_in():
            return
        kind: Came
        came: APIResponse | BaseException
        try:
            kind, came = await self._answer()
        except GeneratorExit as error:  # what is closed can return nothing to whoever awaits it
            kind, came = "closed", error
        await self._end(kind, came)

    async def _is_let_in(self) -> bool:
        """Wait for a slot; ``False`` if the stream ended before there was one.

        Nobody has heard of the stream by then: only whoever waits for it is told.
        """
        queued = perf_counter()
        slots = self._plan.slots
        try:
            if self._interruption.stopped is not None:
                raise self._interruption.stopped
            if slots.are_bounded:
                await self._interruption.run(slots.acquire())
        except StreamError as error:
            self.outcome = error
            return False
        except asyncio.CancelledError:
            self.outcome = self._interruption.stopped or StreamCancelled("its task was cancelled")
            raise
        self.queued = perf_counter() - queued
        return True

    async def _answer(self) -> tuple[Came, APIResponse | BaseException]:
        """Ask until there is an answer; return what came of it."""
        try:
            self._begin()
            await self._attempts.run(self._bind)
            return "answer", response_of(
                self._plan,
                self._attempts,
                stream_id=self.id,
                failures=self.dispatcher.failures,
            )
        except StreamError as error:
            return "failure", error
        except GeneratorExit:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the stream has to end
            return "broken", error
        except BaseException as error:  # noqa: BLE001 - it goes on after the ending
            return "exit" if is_exit(error) else "cancelled", error
        finally:
            self._interruption.release()
            if self._loop is not None:
                self._plan.slots.release(self._loop)

    def _begin(self) -> None:
        self.started_at = datetime.now(UTC)
        self.elapsed.start()
        total = self._attempts.current.target.timeouts.total
        if total is not None:
            self._interruption.deadline.start_total(total)
        self.dispatcher.emit(on_start)
        if self._plan.carried and not self.dispatcher.stopped:
            self.dispatcher.emit_pieces(self._plan.carried)

    def _bind(self, error: StreamError) -> None:
        """Tell an error what it ended, and what had been received by then."""
        bind_error(
            error,
            self._attempts,
            stream_id=self.id,
            redactor=self._plan.redactor,
            failures=self.dispatcher.complete_failures(),
            partial=self.partial,
        )

    def _decide(self, ending: APIResponse | StreamError, *, is_cut: bool) -> None:
        """Give the ending all it carries. ``is_cut``: something from outside ended the stream."""
        self.ending = ending
        if isinstance(ending, StreamError):
            if ending is self._interruption.stopped or is_cut:
                self._attempts.current.decided = self.elapsed()
            self._bind(ending)
        else:
            ending.source = self._timeline_source()
            if self._plan.shape is not None:
                from lm_deluge.structured.asked import AskedShape

                ending.form = AskedShape(self._plan.shape)
        if is_enabled_for(INFO):
            log_ending(self.id, self._attempts.current.target.info.name, ending)

    async def _end(self, kind: Came, came: APIResponse | BaseException) -> None:
        """The single place that ends a stream: one signal, then nothing; see the table of ``endings``."""
        # Here and not above, as the import of the package has a budget.
        from lm_deluge.engine.endings import ENDINGS, ending_of

        dispatcher = self.dispatcher
        way = ENDINGS[kind]
        ending = ending_of(kind, came, self._interruption.stopped)
        passing = came if way.raised != "nowhere" and isinstance(came, BaseException) else None
        self._decide(ending, is_cut=passing is not None)
        fatal_before = dispatcher.fatal
        dispatcher.emit(on_complete if way.heard == "on_complete" else on_error, ending)
        self.outcome = ending
        if self._told is not None:
            self._tell()
        if way.settled == "never":
            assert passing is not None
            raise passing
        passing = await self._settle(passing)
        if dispatcher.has_failed:
            ending.handler_failures = dispatcher.complete_failures()
        if dispatcher.fatal is not None and fatal_before is None:
            self._fail_late(ending, HandlerError(dispatcher.fatal))
        if passing is None:
            return
        # It may have come meanwhile, by a row of its own.
        if ENDINGS["exit" if is_exit(passing) else "cancelled"].raised == "the task":
            raise passing
        self.passing = passing

    async def _settle(self, passing: BaseException | None) -> BaseException | None:
        """Wait for what may come after the ending: the rest of the body, the ``async`` handlers.

        Returns what is to be raised after it: ``passing``, or what came meanwhile.
        """
        dispatcher = self.dispatcher
        if passing is not None or dispatcher.passing is not None:
            dispatcher.hurry()
        try:
            await self._attempts.current.drain()
            if self._attempts.current.target.resumption is not None or self._attempts.called_off:
                await self._attempts.call_off(self.ending)
        except asyncio.CancelledError as error:
            passing = passing or error
            dispatcher.hurry()
        try:
            await dispatcher.settle(self._plan.handler_wait)
        except asyncio.CancelledError as error:
            passing = passing or error
        return dispatcher.passing or passing

    def _fail_late(self, ending: APIResponse | StreamError, failure: HandlerError) -> None:
        """Raise what failed in the ending to whoever waits; a failed stream keeps its own error."""
        if isinstance(ending, StreamError):
            ending.add_note(str(failure))
        else:
            self._bind(failure)
            self.outcome = failure

    def _tell(self) -> None:
        told = self._told
        if told is not None and not told.done() and not told.get_loop().is_closed():
            told.set_result(None)

    def _finish(self, failure: BaseException | None) -> None:
        """After the task's last step, which may have raised ``failure``: let go of everything."""
        if self.outcome is None:
            # Cancelled before its first step, or broken while ending.
            self.outcome = self._interruption.stopped or StreamCancelled("its task was cancelled")
            self.outcome.__cause__ = failure
        if self._told is not None:
            self._tell()
        self.dispatcher.close()
        if self.passing is not None and not self.is_awaited:
            loop = self._loop
            if loop is not None and not loop.is_closed():
                loop.call_soon(let_out, self.passing)
        for error in (*self._attempts.errors, self.passing, failure, self.outcome, self.ending):
            if isinstance(error, BaseException):
                # Most streams end without an error.
                from lm_deluge.engine.frames import clear_frames

                clear_frames(error, self)
        self._attempts.errors.clear()
        self._task = self._loop = self._finished = None


def new_stream(plan: Plan, kind: type[Stream] = Stream) -> Stream:
    """Return a stream that has not started; ``kind``: its class."""
    target = plan.targets[0]
    return kind(
        Engine(plan),
        model=target.info.name,
        base_url=target.request.shown_url,
        tags=plan.tags,
        prompt=plan.prompt,
        redactor=plan.redactor,
    )


def planned(stream: Stream) -> ModelRequest:
    """Return what a stream is going to send to its first model."""
    life: Any = stream._life  # noqa: SLF001 - whoever made it may look
    request: ModelRequest = life._plan.targets[0]  # noqa: SLF001
    return request
