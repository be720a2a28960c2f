"""The place of one handler's ``async`` methods in one stream.

A task that awaits them in order, so that a slow one delays nobody, and none is dropped.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from inspect import iscoroutine
from typing import Any, TypeVar

from lm_deluge.observers.attach import Sender
from lm_deluge.values.foreign import is_awaitable

__all__ = ["HandlerQueue", "Settling"]

T = TypeVar("T")

#: Seconds that a cancelled handler gets to end before the stream goes on without it.
_CANCEL_GRACE = 1.0

#: The same two, and together 1 s, where whoever waits for the end was cancelled.
_HURRIED_WAIT = 0.75
_HURRIED_GRACE = 0.2


class HandlerQueue:
    """Awaits the calls it is given, one after the other.

    ``method``: the one at hand. ``failed`` is told what a call raises.
    """

    def __init__(self, failed: Callable[[str, BaseException], None], *, name: str) -> None:
        self.method = ""
        self._failed = failed
        self._name = name
        self._queue: deque[tuple[str, Callable[[], Any]]] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._parent: asyncio.Task[Any] | None = None
        self._finishing = False
        self._given_up = False

    @property
    def behind(self) -> int:
        """Calls not finished yet."""
        return len(self._queue) + 1

    def push(self, name: str, method: Callable[..., Any], stream: Sender, *payload: Any) -> None:
        """Queue one call."""
        self._push(name, partial(method, stream, *payload))

    def push_awaitable(self, name: str, awaitable: Any) -> None:
        """Queue what a plain method returned."""
        if not self._push(name, lambda: awaitable) and iscoroutine(awaitable):
            awaitable.close()

    def finish(self) -> asyncio.Task[None] | None:
        """Take no more calls; return the task that still works, ``None`` if all is done."""
        self._finishing = True
        self._wake()
        return self._task if self._task is not None and not self._task.done() else None

    def give_up(self) -> None:
        """Cancel the call at hand and leave the others."""
        self._given_up = True
        if self._task is not None and not self._task.get_loop().is_closed():
            self._task.cancel()

    def abandon(self) -> None:
        """Tell nobody of what a call that cannot be stopped still raises."""
        self._failed = _nobody
        self.finish()
        self.give_up()
        while self._queue:
            _, call = self._queue.popleft()
            # A coroutine that was returned was begun by nobody: it has to be closed. A call was not made.
            if not isinstance(call, partial) and iscoroutine(awaitable := call()):
                awaitable.close()

    def _push(self, name: str, call: Callable[[], Any]) -> bool:
        if self._task is None:
            self._parent = asyncio.current_task()
            self._task = asyncio.get_running_loop().create_task(self._work(), name=self._name)
        if self._task.done():
            return False
        self._queue.append((name, call))
        self._wake()
        return True

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done() and not waiter.get_loop().is_closed():
            waiter.set_result(None)

    async def _work(self) -> None:
        while True:
            while self._queue:
                self.method, call = self._queue.popleft()
                try:
                    result = call()
                    if is_awaitable(result):
                        await result
                except BaseException as error:
                    if self._ends_with(error):
                        raise
                    self._failed(self.method, error)
                del call
            if self._finishing:
                return
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            except asyncio.CancelledError as error:
                if self._ends_with(error):
                    raise
            finally:
                self._waiter = None

    def _ends_with(self, error: BaseException) -> bool:
        """Whether it is the end of this task: anything else was done by a handler, or to it.

        A closing loop cancels all its tasks, the stream's included; a handler that cancels the task it
        runs in does so alone.
        """
        kind = type(error)  # not isinstance: that asks the exception
        if not issubclass(kind, (asyncio.CancelledError, GeneratorExit)):
            return False
        try:
            task = asyncio.current_task()
        except RuntimeError:  # closed from outside the loop
            return True
        if task is None or task is not self._task or self._given_up:
            return True
        if self._parent is None or self._parent.cancelling():
            return not issubclass(kind, GeneratorExit)
        while task.cancelling():
            task.uncancel()
        return False


class Settling:
    """The wait for queues that finish, at the end of a stream."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self._begun = loop.time()
        self._up = loop.create_future()
        self._timer: asyncio.TimerHandle | None = None
        self._grace = _CANCEL_GRACE

    def hurry(self) -> None:
        """Make what is left of the wait short."""
        self._grace = _HURRIED_GRACE
        if self._timer is not None:
            loop = self._up.get_loop()
            self._until(min(self._timer.when(), loop.time() + _HURRIED_WAIT))

    async def wait(
        self,
        working: Mapping[asyncio.Task[None], T],
        limit: float,
        lagging: Callable[[T, float], None],
    ) -> None:
        """Wait until the tasks are done, at most ``limit`` seconds.

        Those that are not are told to ``lagging``, with the seconds waited; it cancels them. They are
        waited for a little longer.
        """
        loop = self._up.get_loop()
        left = len(working)

        def ended(task: asyncio.Task[None]) -> None:
            nonlocal left
            left -= 1
            if not left:
                self._time_is_up()

        for task in working:
            task.add_done_callback(ended)
        if self._grace is _HURRIED_GRACE:
            limit = min(limit, _HURRIED_WAIT)
        self._until(self._begun + limit)
        try:
            await self._up
        finally:
            assert self._timer is not None
            self._timer.cancel()
            self._timer = None
            late = [task for task in working if not task.done()]
            for task in late:
                lagging(working[task], loop.time() - self._begun)
        if late:
            await asyncio.wait(late, timeout=self._grace)

    def _until(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._up.get_loop().call_at(when, self._time_is_up)

    def _time_is_up(self) -> None:
        if not self._up.done():
            self._up.set_result(None)


def _nobody(method: str, error: BaseException) -> None:
    """Hear of a failure after the stream has ended."""
