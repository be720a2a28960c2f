"""How long a stream may wait: one lazy timer, moved by assignment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import perf_counter

__all__ = ["Clock", "Deadline"]

_NEVER = float("inf")


class Clock:
    """Seconds since t0, monotonic; 0 before ``start``."""

    def __init__(self) -> None:
        self._t0: float | None = None

    def start(self) -> None:
        """Make now t0."""
        self._t0 = perf_counter()

    def __call__(self) -> float:
        """Return the seconds since t0."""
        return perf_counter() - self._t0 if self._t0 is not None else 0.0


class Deadline:
    """The limits that hold at the moment, and the timer that enforces them.

    ``wait(phase, limit)`` says what is waited for from now on; ``interrupt`` is called once when a
    limit passes, and ``expired`` then names it: ``(phase, limit)``, seconds. Moving a limit away only
    stores a number: the timer looks at it when it goes off, and sleeps on if there is time left.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, interrupt: Callable[[], object]) -> None:
        self.phase = "connect"
        self.expired: tuple[str, float] | None = None
        self._loop = loop
        self._interrupt = interrupt
        self._limit = 0.0
        self._when = _NEVER
        self._total: float | None = None
        self._total_when = _NEVER
        self._handle: asyncio.TimerHandle | None = None
        self._armed = _NEVER

    def start_total(self, limit: float | None) -> None:
        """Begin the limit over all attempts."""
        if limit is not None:
            self._total = limit
            self._total_when = self._loop.time() + limit
            if self._total_when < self._armed:
                self._arm(self._total_when)

    def wait(self, phase: str, limit: float | None) -> None:
        """Wait for ``phase`` from now on, at most ``limit`` seconds; ``None`` for as long as it takes."""
        self.phase = phase
        if limit is None:
            self._when = _NEVER
        else:
            self._limit = limit
            self._when = self._loop.time() + limit
        # After it went off the timer is not armed, and the total limit still holds.
        when = min(self._when, self._total_when)
        if when < self._armed:
            self._arm(when)

    def close(self) -> None:
        """Stop the timer for good."""
        self._when = self._total_when = _NEVER
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _arm(self, when: float) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._handle = self._loop.call_at(when, self._check)
        self._armed = when

    def _check(self) -> None:
        self._handle = None
        self._armed = _NEVER
        now = self._loop.time()
        if now >= self._total_when and self._total is not None:
            self.expired = ("total", self._total)
        elif now >= self._when:
            self.expired = (self.phase, self._limit)
        else:
            when = min(self._when, self._total_when)
            if when < _NEVER:
                self._arm(when)
            return
        self._interrupt()
