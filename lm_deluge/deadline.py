"""How long a stream may wait: one lazy timer, moved by assignment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import perf_counter

__all__ = ["Clock", "Deadline"]

_NEVER = float("inf")


class Clock:
    """Seconds since t0, monotonic; 0 before ``start``."""

    __slots__ = ("_t0",)

    def __init__(self) -> None:
        self._t0: float | None = None

    def start(self) -> None:
        """Make now t0."""
        self._t0 = perf_counter()

    def __call__(self) -> float:
        """Return the seconds since t0."""
        return perf_counter() - self._t0 if self._t0 is not None else 0.0

    def at(self, moment: float) -> float:
        """Return the seconds from t0 to a moment by ``time.perf_counter``."""
        return moment - self._t0 if self._t0 is not None else 0.0


class Deadline:
    """The limits that hold at the moment, and the timer that enforces them.

    ``wait(phase, limit)`` says what is waited for from now on; ``interrupt`` is called once when a
    limit passes, and ``expired`` then names it: ``(phase, limit)``, seconds. ``since``: when the
    present wait began, by ``now``; whoever sees progress moves it on, which costs an assignment: the
    timer looks at it when it goes off, and sleeps on if there is time left.

    ``now``: the clock that ``since`` is told by, in seconds, monotonic; the loop's if not given.
    """

    __slots__ = (
        "_armed",
        "_handle",
        "_interrupt",
        "_limit",
        "_loop",
        "_now",
        "_total",
        "_total_end",
        "expired",
        "phase",
        "since",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        interrupt: Callable[[], object],
        now: Callable[[], float] | None = None,
    ) -> None:
        self.phase = "connect"
        self.since = 0.0
        self.expired: tuple[str, float] | None = None
        self._loop = loop
        self._interrupt = interrupt
        self._now = now if now is not None else loop.time
        self._limit = _NEVER
        self._total = _NEVER
        self._total_end = _NEVER
        self._handle: asyncio.TimerHandle | None = None
        self._armed = _NEVER

    def start_total(self, limit: float | None) -> None:
        """Begin the limit over all attempts."""
        if limit is not None:
            self._total = limit
            self._total_end = self._now() + limit
            self._arm_by(self._total_end)

    def wait(self, phase: str, limit: float | None) -> None:
        """Wait for ``phase`` from now on, at most ``limit`` seconds; ``None`` for as long as it takes."""
        self.phase = phase
        self.since = self._now()
        self._limit = _NEVER if limit is None else limit
        # After it went off the timer is not armed, and the total limit still holds.
        self._arm_by(min(self.since + self._limit, self._total_end))

    def close(self) -> None:
        """Stop the timer for good."""
        self._limit = self._total_end = _NEVER
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _arm_by(self, when: float) -> None:
        """Let the timer go off no later than ``when``."""
        if when >= self._armed:
            return
        if self._handle is not None:
            self._handle.cancel()
        self._handle = self._loop.call_at(self._loop.time() + when - self._now(), self._check)
        self._armed = when

    def _check(self) -> None:
        self._handle = None
        self._armed = _NEVER
        now = self._now()
        if now >= self._total_end:
            self.expired = ("total", self._total)
        elif now >= self.since + self._limit:
            self.expired = (self.phase, self._limit)
        else:
            self._arm_by(min(self.since + self._limit, self._total_end))
            return
        self._interrupt()
