"""Why a stream's task is interrupted: its deadline, a ``stop`` from inside, or somebody outside.

All three come as one ``asyncio.CancelledError``; here they are told apart.
"""

from __future__ import annotations

import asyncio
from typing import Final

from lm_deluge.deadline import Clock, Deadline
from lm_deluge.errors import APITimeoutError, StreamError

__all__ = ["Interruption"]

_WAITED: Final = {
    "connect": "there was no connection",
    "first_token": "no output arrived",
    "between_tokens": "no further output arrived",
    "tail": "no end arrived",
    "total": "the stream did not end",
}


class Interruption:
    """The interruptions of one task. ``stopped``: the error that ``stop`` was given first.

    ``clock``: what the deadline's ``since`` is told by.
    """

    __slots__ = (
        "_cancelled_itself",
        "_clock",
        "_deadline",
        "_deadline_taken_back",
        "_task",
        "stopped",
    )

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.stopped: StreamError | None = None
        self._task: asyncio.Task[None] | None = None
        self._deadline: Deadline | None = None
        self._cancelled_itself = False
        self._deadline_taken_back = False

    @property
    def deadline(self) -> Deadline:
        """The limits on waiting; there once ``guard`` was called."""
        assert self._deadline is not None
        return self._deadline

    def guard(self, task: asyncio.Task[None]) -> None:
        """Interrupt this task from now on."""
        self._task = task
        self._deadline = Deadline(task.get_loop(), task.cancel, self._clock)

    def release(self) -> None:
        """Interrupt it no more."""
        if self._deadline is not None:
            self._deadline.close()
        self._task = None

    def stop(self, error: StreamError) -> None:
        """Interrupt the task, which is to end with ``error``; the first call counts."""
        if self.stopped is not None:
            return
        self.stopped = error
        # A handler that stops its own stream runs inside the task, which asks after the handlers.
        if self._task is not None and self._task is not asyncio.current_task():
            self._cancelled_itself = True
            self._task.cancel()

    def check(self) -> None:
        """Raise the error of ``stop`` if there was one."""
        if self.stopped is not None:
            raise self.stopped

    def is_from_outside(self) -> bool:
        """Take back what ``stop`` did; return whether somebody else cancelled the task, too."""
        task = self._task
        assert task is not None
        if self._cancelled_itself:
            self._cancelled_itself = False
            task.uncancel()
        return task.cancelling() > 0 or self.stopped is None

    def is_deadline(self) -> bool:
        """Take back what the deadline did; return whether it alone interrupted."""
        task = self._task
        assert task is not None
        if self.deadline.expired is None:
            return False
        if not self._deadline_taken_back:
            self._deadline_taken_back = True
            task.uncancel()
        return task.cancelling() == 0 and self.stopped is None

    def forgive_deadline(self) -> None:
        """Forget a limit that passed: what it waited for had arrived."""
        self.deadline.expired = None
        self._deadline_taken_back = False

    def raise_if_deadline(self) -> None:
        """Raise ``APITimeoutError`` if the deadline alone interrupted."""
        if self.is_deadline():
            raise self.timeout() from None

    def timeout(self) -> APITimeoutError:
        """Return the error for the limit that passed."""
        assert self.deadline.expired is not None
        phase, limit = self.deadline.expired
        return APITimeoutError(
            f"{_WAITED[phase]} within {limit:g} s (Timeouts.{phase})", phase=phase, limit=limit
        )
