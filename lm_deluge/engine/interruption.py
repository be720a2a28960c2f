"""What ends a stream's waits before their time: a limit that passed, a ``stop``, somebody outside.

A wait is for a coroutine (``run``), for time (``sleep``), or for bytes; the last is the attempt's own,
which says by ``reading`` how it is woken. A limit or a ``stop`` only wakes whoever waits, who then
looks at what came in, and at ``Deadline.verdict`` and ``stopped`` when there is nothing. Only ``run``
cancels, because what it waits for is not ours, and takes that back before it returns. So a
``CancelledError`` that leaves a wait always comes from outside.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from lm_deluge.engine.deadline import Clock, Deadline, nothing
from lm_deluge.errors import APITimeoutError, StreamError

__all__ = ["Interruption", "out_of_time"]

T = TypeVar("T")

_WAITED: Final = {
    "connect": "there was no connection",
    "first_token": "no output arrived",
    "between_tokens": "no further output arrived",
    "tail": "no end arrived",
    "total": "the stream did not end",
}


class _Waker:
    """Ends the wait at hand. ``wake``: how whoever waits is woken.

    It is what an interruption and its deadline share, so that neither holds the other in a circle.
    """

    wake: Callable[[], object] | None = None

    def __call__(self) -> None:
        if self.wake is not None:
            self.wake()


class Interruption:
    """The interruptions of one task. ``stopped``: the error that ``stop`` was given first.
    ``deadline``: the limits on waiting; there once ``guard`` was called.

    ``clock``: what the deadline's ``since`` is told by.
    """

    __slots__ = ("_clock", "_waker", "deadline", "stopped")

    deadline: Deadline

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.stopped: StreamError | None = None
        self._waker = _Waker()

    def guard(self, loop: asyncio.AbstractEventLoop) -> None:
        """Keep the time from now on."""
        self.deadline = Deadline(loop, self._waker, self._clock)

    def release(self) -> None:
        """Interrupt no more."""
        self.deadline.close()
        self._waker.wake = None

    def stop(self, error: StreamError) -> None:
        """End the wait at hand and all that would follow with ``error``; the first call counts."""
        if self.stopped is None:
            self.stopped = error
            # A handler that stops its own stream runs while nothing is waited for; the task asks after
            # the handlers.
            self._waker()

    def check(self) -> None:
        """Raise the error of ``stop`` if there was one."""
        if self.stopped is not None:
            raise self.stopped

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what ``work`` returns; it is cancelled when a limit passes or the stream is stopped.

        Raises what it raises, the error of ``stop``, or ``APITimeoutError``.
        """
        task = asyncio.current_task()
        assert task is not None
        others = task.cancelling()
        cancelled = False

        def cancel() -> None:
            nonlocal cancelled
            if not cancelled:
                cancelled = True
                task.cancel()

        self._waker.wake = cancel
        try:
            return await work
        except asyncio.CancelledError:
            if cancelled and task.cancelling() == others + 1:
                raise self._why() from None
            raise
        finally:
            self._waker.wake = None
            if cancelled:
                task.uncancel()

    async def sleep(self, seconds: float) -> None:
        """Wait between two attempts. Raises the error of ``stop``; the limit over all ends it early."""
        # Only that one holds while nothing is asked.
        self.deadline.wait("first_token", None)
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()

        def wake() -> None:
            if not waiter.done():
                waiter.set_result(None)

        handle = loop.call_later(seconds, wake)
        self._waker.wake = wake
        try:
            await waiter
        finally:
            self._waker.wake = None
            handle.cancel()
        self.check()

    def reading(self, wake: Callable[[], object], heard: Callable[[], object]) -> None:
        """From now on ``wake`` ends the wait at hand; ``heard``: see ``Deadline``."""
        self._waker.wake = wake
        self.deadline.heard = heard

    def done_reading(self) -> None:
        """Nothing is waited for any more."""
        self._waker.wake = None
        self.deadline.heard = nothing

    def _why(self) -> StreamError:
        if self.stopped is not None:
            return self.stopped
        assert self.deadline.expired is not None
        return out_of_time(*self.deadline.expired)


def out_of_time(phase: str, limit: float, more: str = "") -> APITimeoutError:
    """Return the error for a limit, in seconds, that passed. ``more``: what else is to be said."""
    return APITimeoutError(
        f"{_WAITED[phase]} within {limit:g} s (Timeouts.{phase}){more}", phase=phase, limit=limit
    )
