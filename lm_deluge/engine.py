"""The one task of a stream: from ``on_start`` to its one ending.

slot ─> on_start ─> attempt ─┬─> whole ────────────────> _end(response) ─> on_complete
                      ^      ├─> failed without output ─> on_retry ─┐
                      └──────┼───────────────────────────────────────┘
                             └─> failed, stopped, cancelled ─> _end(error) ─> on_error
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import traceback
from datetime import UTC, datetime
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from attrs import evolve

from lm_deluge.attempt import Attempt
from lm_deluge.deadline import Clock
from lm_deluge.dispatch import Dispatcher
from lm_deluge.errors import APITimeoutError, HandlerError, StreamCancelled, StreamError
from lm_deluge.foreign import is_exit, type_name
from lm_deluge.interruption import Interruption, out_of_time
from lm_deluge.locking import LOCK
from lm_deluge.models import cost_of
from lm_deluge.narration import DEBUG, INFO, hears, tell_ending, tell_request, tell_retry
from lm_deluge.payloads import Retry
from lm_deluge.plan import Plan, Target
from lm_deluge.redaction import redact_error
from lm_deluge.response import APIResponse, FailedAttempt, Partial, TimelineSource
from lm_deluge.retrying import falls_back, retry_delay
from lm_deluge.signals import on_complete, on_error, on_retry, on_start
from lm_deluge.wire.missing import missing_from

if TYPE_CHECKING:
    from lm_deluge.stream import Stream

__all__ = ["Engine"]

logger = logging.getLogger("lm_deluge")


class Engine:
    """Runs one stream. The only reader of its network and the only emitter of its signals.

    ``id``, ``started_at``, ``queued``, ``attempt``: as ``Stream`` shows them. ``ending``: what the one
    ending carried. ``outcome``: what whoever waits gets: the same, but for a strict client whose
    handler failed in the ending. ``passing``: the ``KeyboardInterrupt`` or ``SystemExit`` that ended
    it and is to go on, until whoever waits takes it; ``is_awaited`` says that somebody does.
    """

    __slots__ = (
        "_attempt",
        "_failed",
        "_finished",
        "_interruption",
        "_loop",
        "_plan",
        "_raised",
        "_task",
        "_told",
        "attempt",
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

    def __init__(self, stream: Stream, plan: Plan) -> None:
        self.dispatcher: Final = Dispatcher(
            stream,
            strict=plan.strict,
            interrupt=self._on_handler_that_ends_it,
            redactor=plan.redactor,
        )
        self.id: Final = uuid4().hex
        self.started_at: datetime | None = None
        self.queued = 0.0
        self.attempt = 0
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
        self._attempt = self._new_attempt(plan.targets[0])
        self._failed: list[FailedAttempt] = []
        self._raised: list[BaseException] = []

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
        if _running_loop() is not loop:
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
        received = Partial(**self._received())
        received.source = self._timeline_source()
        return received

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
        passing: BaseException | None = None
        interruption, slots = self._interruption, self._plan.slots
        queued = perf_counter()
        try:
            interruption.check()
            await interruption.run(slots.acquire())
        except StreamError as error:
            # Nobody has heard of the stream: only whoever waits for it is told.
            self.outcome = error
            return
        except asyncio.CancelledError:
            self.outcome = interruption.stopped or StreamCancelled("its task was cancelled")
            raise
        ending: APIResponse | StreamError
        try:
            self.queued = perf_counter() - queued
            self._begin()
            ending = await self._attempts()
        except StreamError as error:
            ending = error
        except asyncio.CancelledError as error:
            passing = error
            ending = interruption.stopped or StreamCancelled("its task was cancelled")
        except GeneratorExit as error:
            passing = error
            ending = interruption.stopped or StreamCancelled("its event loop was closed")
        except Exception as error:  # noqa: BLE001 - whatever it is, the stream has to end
            ending = StreamError(f"internal error: {type(error).__name__}: {error}")
            ending.__cause__ = error
        except BaseException as error:  # noqa: BLE001 - SystemExit and its like go on after it
            ending = StreamCancelled(f"{type(error).__name__} was raised")
            passing = error
        finally:
            interruption.release()
            if self._loop is not None:
                slots.release(self._loop)
        await self._end(ending, passing)

    def _begin(self) -> None:
        self.started_at = datetime.now(UTC)
        self.elapsed.start()
        self._interruption.deadline.start_total(self._attempt.target.timeouts.total)
        self.dispatcher.emit(on_start)

    async def _attempts(self) -> APIResponse:
        """Ask the model, again where that may help, and then its fallbacks."""
        plan = self._plan
        for target, following in zip(plan.targets, (*plan.targets[1:], None), strict=True):
            failures = 0
            again: Target | None = target
            while again is target:
                self._interruption.check()
                if self.attempt > 0:  # the first is there from the start, for `partial`
                    self._attempt = self._new_attempt(target)
                self.attempt += 1
                attempt = self._attempt
                if hears(DEBUG):
                    tell_request(self.id, target, self.attempt)
                try:
                    await attempt.run(plan.transport)
                    return self._response()
                except StreamError as error:
                    failures += 1
                    failure = error
                if attempt.answer.has_output or failure is self._interruption.stopped:
                    raise failure
                delay = retry_delay(plan.policy, failure, failures)
                if delay is None:
                    if following is None or not falls_back(plan.policy, failure):
                        raise failure
                    again = following
                await self._retry(failure, delay or 0.0, again)
        raise AssertionError("unreachable: the last target answers or raises")

    def _new_attempt(self, target: Target) -> Attempt:
        return Attempt(
            target,
            stream_id=self.id,
            choices=self._plan.choices,
            limits=self._plan.limits,
            dispatcher=self.dispatcher,
            interruption=self._interruption,
            clock=self.elapsed,
        )

    async def _retry(self, error: StreamError, delay: float, target: Target) -> None:
        """Tell the observers, then wait. Raises ``APITimeoutError`` if ``Timeouts.total`` forbids it."""
        self._bind(error)
        self._raised.append(error)
        deadline = self._interruption.deadline
        failed = FailedAttempt(
            model=self._attempt.target.info.name,
            error=type(error).__name__,
            message=str(error),
            delay=delay,
        )
        if deadline.total_left <= delay:
            self._failed.append(evolve(failed, delay=0.0))
            raise self._no_time_left(error, delay)
        self._failed.append(failed)
        retry = Retry(error, self.attempt, delay, target.info.name)
        if hears(INFO):
            tell_retry(self.id, failed.model, retry)
        self.dispatcher.emit(on_retry, retry)
        self._interruption.check()
        await self._interruption.sleep(delay)
        if deadline.total_left <= 0:
            raise self._no_time_left(error, delay)

    def _no_time_left(self, error: StreamError, delay: float) -> APITimeoutError:
        """Return the error for a retry that was due and has no time: what failed last is its cause."""
        self._attempt.decided = self.elapsed()
        failure = out_of_time(
            "total",
            self._interruption.deadline.total,
            f": attempt {self.attempt} failed ({type(error).__name__}), and the next one was due "
            f"{delay:.3g} s later",
        )
        failure.__cause__ = error
        return failure

    def _on_handler_that_ends_it(self) -> None:
        passing, failure = self.dispatcher.passing, self.dispatcher.fatal
        if passing is not None:
            self.stop(StreamCancelled(f"{type_name(passing)} was raised"))
        elif failure is not None:
            self.stop(HandlerError(failure))

    def _received(self) -> dict[str, Any]:
        answer = self._attempt.answer
        facts = answer.facts
        return {
            "choices": answer.choices(),
            "usage": facts.usage,
            "model_external": facts.model_external,
            "response_id": facts.response_id,
            "request_id": self._attempt.request_id,
            "system_fingerprint": facts.system_fingerprint,
            "service_tier": facts.service_tier,
            "ttft": answer.arrivals.first_output,
            "extra": facts.extra or {},
        }

    def _timeline_source(self) -> TimelineSource:
        ending, at = self.ending, self.started_at
        outcome = "open"
        if ending is not None:
            outcome = "error" if isinstance(ending, StreamError) else "complete"
        return TimelineSource(
            arrivals=self._attempt.answer.arrivals,
            stream_id=self.id,
            model=self._attempt.target.info.name,
            queued=self.queued,
            at=at.isoformat(timespec="milliseconds") if at is not None else "",
            tags=self._plan.tags,
            outcome=outcome,
            error=type(ending).__name__ if outcome == "error" else None,
            phase=ending.phase if isinstance(ending, StreamError) else None,
            elapsed=self._attempt.decided,
            attempts=self.attempt,
            redactor=self._plan.redactor,
        )

    def _response(self) -> APIResponse:
        info = self._attempt.target.info
        received = self._received()
        missing = missing_from(
            received["choices"], asked=self._plan.choices, logprobs=self._plan.logprobs
        )
        for sentence in missing:
            logger.warning("%s: %s (stream %s)", info.name, sentence, self.id)
        return APIResponse(
            **received,
            missing=missing,
            model=self._plan.targets[0].info.name,
            model_used=info.name,
            cost=cost_of(info, self._attempt.answer.facts.usage),
            elapsed=self._attempt.decided,
            attempts=self.attempt,
            failed_attempts=self._failed,
            tags=dict(self._plan.tags),
            handler_failures=self.dispatcher.failures,
        )

    def _bind(self, error: StreamError) -> None:
        """Tell an error what it ended, and what had been received by then; nothing it shows is secret."""
        redact_error(error, self._plan.redactor)
        error.stream_id = self.id
        error.attempts = self.attempt
        error.failed_attempts = list(self._failed)
        error.handler_failures = self.dispatcher.complete_failures()
        error.elapsed = self._attempt.decided
        if error.phase is None:
            error.phase = self._attempt.phase
        error.partial = self.partial()

    def _decide(self, ending: APIResponse | StreamError, *, is_cut: bool) -> None:
        """Give the ending all it carries. ``is_cut``: something from outside ended the stream."""
        self.ending = ending
        if isinstance(ending, StreamError):
            if ending is self._interruption.stopped or is_cut:
                self._attempt.decided = self.elapsed()
            self._bind(ending)
        else:
            ending.source = self._timeline_source()
        if hears(INFO):
            tell_ending(self.id, self._attempt.target.info.name, ending)

    async def _end(self, ending: APIResponse | StreamError, passing: BaseException | None) -> None:
        """The single place that ends a stream: one signal, then nothing."""
        dispatcher = self.dispatcher
        self._decide(ending, is_cut=passing is not None)
        fatal_before = dispatcher.fatal
        if isinstance(ending, StreamError):
            dispatcher.emit(on_error, ending)
        else:
            dispatcher.emit(on_complete, ending)
        self.outcome = ending
        if self._told is not None:
            self._tell()
        if isinstance(passing, GeneratorExit):
            raise passing  # the loop is gone: nothing can be waited for
        if passing is not None or dispatcher.passing is not None:
            dispatcher.hurry()
        try:
            await self._attempt.drain()
        except asyncio.CancelledError as error:
            passing = passing or error
            dispatcher.hurry()
        try:
            await dispatcher.settle(self._plan.handler_wait)
        except asyncio.CancelledError as error:
            passing = passing or error
        if dispatcher.has_failed:
            ending.handler_failures = dispatcher.complete_failures()
        passing = dispatcher.passing or passing
        if dispatcher.fatal is not None and fatal_before is None:
            self._fail_late(ending, HandlerError(dispatcher.fatal))
        if passing is not None and is_exit(passing):
            # Out of this task it would stop the event loop under everybody else.
            self.passing = passing
        elif passing is not None:
            raise passing

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
        if self.passing is not None:
            self._raised.append(self.passing)
            if not self.is_awaited and self._loop is not None and not self._loop.is_closed():
                self._loop.call_soon(_raise, self.passing)
        if failure is not None:
            self._raised.append(failure)
        if isinstance(self.outcome, StreamError):
            self._raised.append(self.outcome)
        if isinstance(self.ending, StreamError):
            self._raised.append(self.ending)
        for error in self._raised:
            _clear_frames(error)
        self._raised.clear()
        self._task = self._loop = self._finished = None


def _raise(error: BaseException) -> None:
    """Let it out of the event loop: nobody waits for the stream that it ended."""
    raise error


def _clear_frames(error: BaseException) -> None:
    """Drop the locals of every frame along an exception's chain: they hold the stream and its key.

    Line numbers stay.
    """
    seen: set[int] = set()
    queue: list[BaseException | None] = [error]
    while queue:
        link = queue.pop()
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        traceback.clear_frames(link.__traceback__)
        queue += [link.__cause__, link.__context__]


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
