"""The frames of one stream in this process, and whoever waits for more of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from threading import Lock
from typing import Any

from lm_deluge_plugins.relay.frames import Frame
from lm_deluge_plugins.relay.stores.store import StoreError

__all__ = ["FrameLog", "Reading"]

#: Bytes that a reader takes at a time: a slow one holds no more than this and its own socket's buffer.
_MOST_BYTES = 64 * 1024


class FrameLog:
    """Frames 1, 2, 3 …, of which every reader takes what it has not had.

    ``frames``: all of them. ``failure``: why no more of them can be had here, though there may be.
    ``kept``: what readers made of them and share. Frames may be added in another thread than the one
    that reads.
    """

    __slots__ = ("_lock", "_waiting", "failure", "frames", "kept")

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.failure: StoreError | None = None
        self.kept: dict[str, Any] = {}
        self._waiting: set[asyncio.Future[None]] = set()
        self._lock = Lock()

    @property
    def last(self) -> int:
        """The number of the newest frame, 0 without one."""
        return len(self.frames)

    @property
    def is_ended(self) -> bool:
        """Whether the ending is among the frames."""
        return bool(self.frames) and self.frames[-1].is_last

    def extend(self, frames: Sequence[Frame]) -> None:
        """Add what follows the newest frame; what is there already is left out.

        Raises ``ValueError`` where frames between them are missing.
        """
        with self._lock:
            new = [frame for frame in frames if frame.number > len(self.frames)]
            if not new or self.is_ended:
                return
            if new[0].number != len(self.frames) + 1:
                raise ValueError(f"frame {len(self.frames) + 1} is missing before {new[0].number}")
            self.frames.extend(new)
        self.wake()

    def fail(self, error: StoreError) -> None:
        """Let readers know that there is no more here."""
        self.failure = error
        self.wake()

    def wake(self) -> None:
        """Let everyone who waits look again."""
        with self._lock:
            waiting, self._waiting = self._waiting, set()
        for waiter in waiting:
            loop = waiter.get_loop()
            if loop is _running_loop():
                _settle(waiter)
            elif not loop.is_closed():
                loop.call_soon_threadsafe(_settle, waiter)

    def waiter(self, after: int) -> asyncio.Future[None]:
        """Return a future that is done once there is more than ``after`` frames, or news of another kind."""
        waiter = asyncio.get_running_loop().create_future()
        with self._lock:
            if len(self.frames) > after or self.failure is not None:
                waiter.set_result(None)
            else:
                self._waiting.add(waiter)
        return waiter

    def forget(self, waiter: asyncio.Future[None]) -> None:
        """Nobody waits for it any more."""
        with self._lock:
            self._waiting.discard(waiter)


class Reading:
    """One reader's place in a log. Use it in one task.

    ``after``: the number of the newest frame that it took.
    """

    __slots__ = ("_log", "_waiter", "after")

    def __init__(self, log: FrameLog, after: int = 0) -> None:
        self._log = log
        self.after = after
        self._waiter: asyncio.Future[None] | None = None

    @property
    def is_done(self) -> bool:
        """Whether it has taken the ending."""
        return self._log.is_ended and self.after == self._log.last

    @property
    def has_nothing(self) -> bool:
        """Whether the log has ended, and it begins behind the ending."""
        return self._log.is_ended and self.after >= self._log.last

    @property
    def last(self) -> int:
        """The number of the newest frame that there is."""
        return self._log.last

    def take(self) -> list[Frame]:
        """Return frames that it has not had, in order, about 64 kB of them at most; ``[]`` if there is none.

        Raises ``StoreError`` once there is none and no more can be had.
        """
        frames = self._log.frames
        if self.after > len(frames) and self._log.is_ended:
            # It had more than this log came to: the ending is all that it lacks.
            self.after = len(frames) - 1
        start = stop = self.after
        size = 0
        while stop < len(frames) and (size < _MOST_BYTES or stop == start):
            size += len(frames[stop].data)
            stop += 1
        self.after = stop
        if stop == start and self._log.failure is not None and not self.is_done:
            raise self._log.failure
        return frames[start:stop]

    async def wait(self) -> None:
        """Wait until there may be more to take, or ``nudge`` is called."""
        self._waiter = waiter = self._log.waiter(self.after)
        try:
            await waiter
        finally:
            self._waiter = None
            self._log.forget(waiter)

    @property
    def kept(self) -> dict[str, Any]:
        """What all readers of the log share."""
        return self._log.kept

    def reads(self, log: FrameLog) -> bool:
        """Whether this is the log that it reads."""
        return self._log is log

    def nudge(self) -> None:
        """Let ``wait`` return, though there is nothing new."""
        if self._waiter is not None:
            _settle(self._waiter)


def _settle(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
