"""How long a stream may wait: one lazy timer, moved by assignment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import perf_counter

__all__ = ["Clock", "Deadline", "nothing"]

_NEVER = float("inf")

#: Turns of an event loop in which it surely asks once what came in, and whoever waits for it has had
#: its own turn: two do for the first (asyncio runs what ``call_soon`` was given before what it reads
#: in the same turn), one more for the second.
_TURNS = 3

#: How often a loop that brings something each time is asked: at 256 KiB a read, more than a socket
#: buffers. A server that never pauses must not put a limit off for ever.
_ROUNDS = 32


class Clock:
    """Seconds since t0, monotonic; 0 before ``start``."""

    __slots__ = ("_t0",)

    def __init__(self) -> None:
        self._t0: float | None = None

    def start(self, moment: float | None = None) -> None:
        """Make a moment by ``time.perf_counter`` t0; now, if none is given."""
        self._t0 = perf_counter() if moment is None else moment

    def __call__(self) -> float:
        """Return the seconds since t0."""
        return perf_counter() - self._t0 if self._t0 is not None else 0.0

    def at(self, moment: float) -> float:
        """Return the seconds from t0 to a moment by ``time.perf_counter``."""
        return moment - self._t0 if self._t0 is not None else 0.0


class Deadline:
    """The limits that hold at the moment, and the timer that enforces them.

    ``wait(phase, limit)`` begins a wait, with nothing left over from the one before. When a limit
    passes, ``interrupt`` is called once and ``expired`` names it: ``(phase, limit)``, seconds.
    ``since``: when the present wait began, by ``now``; whoever sees progress moves it on, which costs
    an assignment: the timer looks at it when it goes off, and sleeps on if there is time left.

    What is there when a limit passes counts as in time: a process that was suspended, or an event loop
    that was held, takes it up first. So the loop goes round until it brings nothing more, by
    ``heard()``, which returns another value whenever something came in.

    ``total``: the limit over all attempts, seconds. ``now``: the clock that ``since`` is told by, in
    seconds, monotonic; the loop's if not given.
    """

    __slots__ = (
        "_armed",
        "_expired_since",
        "_handle",
        "_interrupt",
        "_limit",
        "_loop",
        "_now",
        "_total_end",
        "expired",
        "heard",
        "phase",
        "since",
        "total",
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
        self.heard: Callable[[], object] = nothing
        self._expired_since = 0.0
        self._loop = loop
        self._interrupt = interrupt
        self._now = now if now is not None else loop.time
        self._limit = _NEVER
        self.total = _NEVER
        self._total_end = _NEVER
        self._handle: asyncio.Handle | None = None
        self._armed = _NEVER

    def start_total(self, limit: float | None) -> None:
        """Begin the limit over all attempts."""
        if limit is not None:
            self.total = limit
            self._total_end = self._now() + limit
            self._arm_by(self._total_end)

    @property
    def total_left(self) -> float:
        """Seconds that are left of the limit over all attempts; infinite without one."""
        return self._total_end - self._now()

    @property
    def is_total(self) -> bool:
        """Whether the limit that passed is the one over all attempts."""
        return self.expired is not None and self.expired[0] == "total"

    def wait(self, phase: str, limit: float | None) -> None:
        """Wait for ``phase`` from now on, at most ``limit`` seconds; ``None`` for as long as it takes."""
        self.phase = phase
        self.since = self._now()
        self.expired = None
        self._limit = _NEVER if limit is None else limit
        # After it went off the timer is not armed, and the total limit still holds.
        self._arm_by(self._next())

    def wait_no_longer(self, limit: float) -> None:
        """Shorten the present wait to ``limit`` seconds from now on, if it would be longer."""
        self._limit = min(self._limit, self._now() - self.since + limit)
        self._arm_by(self._next())

    def verdict(self) -> tuple[str, float] | None:
        """Return the limit that passed; ``None`` if none did, or progress was seen after all.

        To be asked when all that came in was looked at. The timer goes on in the latter case.
        """
        if self.expired is None:
            return None
        if self.since != self._expired_since and not self.is_total:
            self.expired = None
            self._arm_by(self._next())
        return self.expired

    def close(self) -> None:
        """Stop the timer for good."""
        self._limit = self._total_end = _NEVER
        self._disarm()
        self.heard = nothing

    def _next(self) -> float:
        """When the first limit passes."""
        return min(self.since + self._limit, self._total_end)

    def _arm_by(self, when: float) -> None:
        """Let the timer go off no later than ``when``."""
        if when >= self._armed:
            return
        if self._handle is not None:
            self._handle.cancel()
        self._handle = self._loop.call_at(self._loop.time() + when - self._now(), self._check)
        self._armed = when

    def _disarm(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        self._armed = _NEVER

    def _passed(self) -> tuple[str, float] | None:
        now = self._now()
        if now >= self._total_end:
            return "total", self.total
        if now >= self.since + self._limit:
            return self.phase, self._limit
        return None

    def _check(self) -> None:
        self._handle = None
        self._armed = _NEVER
        if self._passed() is None:
            self._arm_by(self._next())
        else:
            self._look_round(_TURNS, _ROUNDS, self.heard())

    def _look_round(self, turns: int, rounds: int, heard: object) -> None:
        """Let the loop read what is there, in so many turns; again if there was something."""
        if turns > 0:
            self._handle = self._loop.call_soon(self._look_round, turns - 1, rounds, heard)
            return
        self._handle = None
        passed = self._passed()
        if passed is None:
            self._arm_by(self._next())
        elif rounds > 0 and heard != (now_heard := self.heard()):
            self._look_round(_TURNS, rounds - 1, now_heard)
        else:
            self.expired = passed
            self._expired_since = self.since
            self._interrupt()


def nothing() -> None:
    """What is heard while nothing is read."""
