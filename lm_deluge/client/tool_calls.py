"""The calls of one answer, run: approved, at the same time, each within its limit, in the order asked."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from logging import INFO, WARNING
from time import perf_counter
from typing import Any, Final, TypeAlias

from attrs import field, frozen

from lm_deluge.engine.plan import Running
from lm_deluge.errors import StreamCancelled
from lm_deluge.tools.arguments import object_in
from lm_deluge.tools.kit import Kit
from lm_deluge.tools.results import cut, text_and_images, text_of, told_of
from lm_deluge.tools.signatures import is_async
from lm_deluge.tools.tool import Tool
from lm_deluge.values.conversation import ToolCall
from lm_deluge.values.foreign import is_awaitable, is_exit, log, traceback_of, type_name
from lm_deluge.values.rounds import ToolResult

__all__ = ["Approve", "Calls", "Manner"]

Verdict: TypeAlias = "bool | str | Mapping[str, Any]"
Approve: TypeAlias = "Callable[[ToolCall], Verdict | Awaitable[Verdict]]"
"""Asked before a call: ``True`` runs it, ``False`` or a reason refuses it, a dict changes its arguments."""

#: What a function returned (``True``, value), or what it raised (``False``, error).
Outcome: TypeAlias = "tuple[bool, Any]"

#: Seconds that a function which was cancelled gets to clean up.
_GRACE: Final = 1.0

_REFUSED: Final = "the call was refused"
_STOPPED: Final = "the call was stopped before it ended"


@frozen(kw_only=True)
class Manner:
    """How calls are run. ``timeout``: seconds, of tools that have no limit of their own.

    ``most``: at most so many at a time. ``chars``: of a result, ``None`` for no bound. ``running``: what the
    client ends when it is closed.
    """

    running: Running = field(repr=False)
    kit: Kit
    approve: Approve | None
    timeout: float | None
    most: int
    chars: int | None


@frozen
class _Ran:
    """What came of one function. ``elapsed``: seconds; ``None``: it did not run."""

    text: str
    is_error: bool = False
    value: Any = field(default=None, repr=False)
    elapsed: float | None = None
    images: list[dict[str, Any]] = field(factory=list, repr=False)


class _Failed(Exception):  # noqa: N818 - nobody else sees it
    """``error`` ends the run. It may be one that would end or cancel only the task it is raised in."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error


class Calls:
    """The calls of one answer. ``results`` are complete once ``run`` has returned.

    ``redact`` takes the client's secrets out of what is logged, and out of errors that a model is told.
    """

    def __init__(
        self, calls: Sequence[ToolCall], manner: Manner, redact: Callable[[str], str]
    ) -> None:
        self._calls = calls
        self._manner = manner
        self._redact = redact
        self._done: dict[int, ToolResult] = {}
        self._failure: BaseException | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._asking = asyncio.Lock()
        self._room = asyncio.Semaphore(manner.most)

    @property
    def results(self) -> list[ToolResult]:
        """In the order in which the model asked; of a call that was stopped, that it was."""
        return [
            self._done.get(at) or ToolResult(call=call, text=_STOPPED, is_error=True)
            for at, call in enumerate(self._calls)
        ]

    async def run(self) -> None:
        """Run all calls. Nothing that a tool does is raised, but what ends the program.

        Raises what ``approve`` raises, and ``StreamCancelled`` when the client is closed. Before anything
        is raised, and when the task is cancelled, all that still runs is cancelled; of threads nobody waits
        for the end.
        """
        if self._failure is None:
            await self._run_all()
        failure, self._failure = self._failure, None
        if failure is not None:
            try:
                raise failure
            finally:
                del failure

    async def _run_all(self) -> None:
        self._tasks = [
            asyncio.create_task(self._run(at, call), name=f"lm_deluge tool {call.name}")
            for at, call in enumerate(self._calls)
        ]
        try:
            with self._manner.running.between(self.end):
                await asyncio.wait(self._tasks)
        except asyncio.CancelledError:
            self._cancel_all()
            await asyncio.wait(self._tasks)
            raise
        finally:
            self._cancel_all()
            self._tasks = []

    def end(self, reason: str) -> None:
        """Have ``run`` stop what runs and raise ``StreamCancelled``."""
        self._failure = self._failure or StreamCancelled(reason)
        self._cancel_all()

    def _cancel_all(self) -> None:
        for task in self._tasks:
            if not task.done() and not task.get_loop().is_closed():
                task.cancel()

    async def _run(self, at: int, call: ToolCall) -> None:
        """Run one call. What ends all of them is kept for ``run``, as a task must not raise an exit."""
        try:
            ran = await self._ran(call)
        except (asyncio.CancelledError, GeneratorExit):
            raise
        except BaseException as error:  # noqa: BLE001 - raised by ``run``
            self._failure = self._failure or (error.error if isinstance(error, _Failed) else error)
            here = asyncio.current_task()
            for task in self._tasks:
                if task is not here:
                    task.cancel()
            return
        text = cut(text_of(ran.text), self._manner.chars)  # half a surrogate cannot be sent
        self._done[at] = ToolResult(
            call=call,
            text=text,
            is_error=ran.is_error,
            value=ran.value,
            elapsed=ran.elapsed,
            images=ran.images,
        )
        told = "failed" if ran.is_error else "ended"
        log(INFO, "tool %s %s after %.3f s", call.name, told, ran.elapsed or 0.0)

    async def _ran(self, call: ToolCall) -> _Ran:
        tool = self._manner.kit.functions.get(call.name)
        if tool is None:
            known = ", ".join(self._manner.kit.functions) or "none"
            return _Ran(f"there is no tool {call.name!r}; there are: {known}", is_error=True)
        try:
            given = object_in(call.arguments)
            arguments = tool.arguments.read(given)
        except ValueError as error:
            return _Ran(str(error), is_error=True)
        if self._manner.approve is not None:
            verdict = await self._verdict(self._manner.approve, call)
            if verdict is False or isinstance(verdict, str):
                why = verdict if isinstance(verdict, str) and verdict.strip() else ""
                return _Ran(f"{_REFUSED}: {why}" if why else _REFUSED, is_error=True)
            if isinstance(verdict, Mapping):
                try:
                    arguments = tool.arguments.read(verdict)
                except ValueError as error:
                    raise ValueError(f"approve gave arguments for {call.name}: {error}") from None
        async with self._room:
            return await self._called(tool, *arguments)

    async def _verdict(self, approve: Approve, call: ToolCall) -> Verdict:
        """Ask; one call after the other, for it may be a person who is asked."""
        async with self._asking:
            ask: Callable[[], Any] = partial(approve, call)
            job = asyncio.ensure_future(_outcome_of(ask)) if is_async(approve) else _in_thread(ask)
            came, said = await self._waited(job, "approve", None)
            if came and is_awaitable(said):
                later = said
                job = asyncio.ensure_future(_outcome_of(lambda: later))
                came, said = await self._waited(job, "approve", None)
        if not came:
            raise _Failed(said)
        verdict: Any = said
        if isinstance(verdict, (bool, str, Mapping)):
            return verdict
        raise TypeError(
            "approve must return True, False, a reason (str) or other arguments (dict), "
            f"not {type_name(verdict)}"
        )

    async def _called(self, tool: Tool, positional: list[Any], named: dict[str, Any]) -> _Ran:
        limit = self._manner.timeout if tool.timeout == "run" else tool.timeout
        call = partial(tool.function, *positional, **named)
        begun = perf_counter()
        try:
            job: asyncio.Future[Outcome]
            job = (
                asyncio.ensure_future(_outcome_of(call))
                if is_async(tool.function)
                else _in_thread(call)
            )
            came, value = await self._waited(job, tool.name, limit)
            if came and is_awaitable(value):
                left = None if limit is None else max(0.0, limit - (perf_counter() - begun))
                job = asyncio.ensure_future(_outcome_of(lambda: value))
                came, value = await self._waited(job, tool.name, left)
        except TimeoutError:
            text = f"the tool did not end within {limit:g} s"
            return _Ran(text, is_error=True, elapsed=perf_counter() - begun)
        elapsed = perf_counter() - begun
        if came:
            try:
                text, images = text_and_images(value)
                return _Ran(text, value=value, elapsed=elapsed, images=images)
            except (TypeError, ValueError) as error:
                log(WARNING, "tool %s: %s", tool.name, self._redact(str(error)))
                return _Ran(str(error), is_error=True, elapsed=elapsed)
        if is_exit(value):
            raise _Failed(value)
        log(WARNING, "tool %s failed\n%s", tool.name, traceback_of(value, self._redact))
        text = told_of(value, self._redact)
        value.__traceback__ = None  # its frames hold whatever the function had
        return _Ran(text, is_error=True, elapsed=elapsed)

    async def _waited(
        self, job: asyncio.Future[Outcome], name: str, limit: float | None
    ) -> Outcome:
        """Return what came of a function; ``TimeoutError`` where it is too slow. A thread is abandoned."""
        try:
            await asyncio.wait((job,), timeout=limit)
            if not job.done():
                raise TimeoutError
        finally:
            if not job.done():
                await _stop(job, name)
        if job.cancelled():
            return False, asyncio.CancelledError("it was cancelled from within")
        return job.result()


async def _stop(job: asyncio.Future[Outcome], name: str) -> None:
    """Cancel what runs; say so where it goes on all the same."""
    if isinstance(job, asyncio.Task):
        job.cancel()
        await asyncio.wait((job,), timeout=_GRACE)
        if not job.done():
            log(WARNING, "tool %s goes on: it did not end when it was cancelled", name)
        return
    job.cancel()
    log(
        WARNING, "tool %s goes on in its thread, which cannot be stopped; nobody waits for it", name
    )


async def _outcome_of(call: Callable[[], Any]) -> Outcome:
    try:
        return True, await call()
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # noqa: BLE001 - a tool may raise anything
        return False, error


def _in_thread(call: Callable[[], Any]) -> asyncio.Future[Outcome]:
    """Call a function in a thread of its own, with the context of whoever calls this.

    Of its own and a daemon, as one that blocks for ever must neither take the place of others nor keep
    the program from ending.
    """
    loop = asyncio.get_running_loop()
    job: asyncio.Future[Outcome] = loop.create_future()
    context = contextvars.copy_context()

    def deliver(outcome: Outcome) -> None:
        if not job.done():
            job.set_result(outcome)

    def work() -> None:
        outcome: Outcome
        try:
            outcome = True, context.run(call)
        except BaseException as error:  # noqa: BLE001 - a tool may raise anything
            outcome = False, error
        with contextlib.suppress(RuntimeError):  # the event loop is gone
            loop.call_soon_threadsafe(deliver, outcome)

    try:
        threading.Thread(target=work, name="lm_deluge tool", daemon=True).start()
    except RuntimeError as error:  # there are too many
        job.set_result((False, error))
    return job
