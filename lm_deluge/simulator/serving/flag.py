"""A flag that any thread and any event loop may set, ask and wait for."""

from __future__ import annotations

import asyncio
import contextlib
import threading

__all__ = ["Flag"]


class Flag:
    """Raised once, for good. ``asyncio.Event`` belongs to one event loop, and a simulator that runs on
    a thread of its own is looked at from another.
    """

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = []

    def __repr__(self) -> str:
        return f"<Flag {'set' if self.is_set() else 'not set'}>"

    def is_set(self) -> bool:
        """Whether it was raised."""
        return self._event.is_set()

    def set(self) -> None:
        """Raise it, and wake everyone who waits."""
        with self._lock:
            self._event.set()
            waiting, self._waiting = self._waiting, []
        for loop, future in waiting:
            with contextlib.suppress(RuntimeError):  # that loop is closed: nobody waits any more
                loop.call_soon_threadsafe(_wake, future)

    async def wait(self) -> None:
        """Wait for it without holding up the running event loop."""
        loop = asyncio.get_running_loop()
        with self._lock:
            if self._event.is_set():
                return
            future: asyncio.Future[None] = loop.create_future()
            self._waiting.append((loop, future))
        try:
            await future
        finally:
            with self._lock:
                self._waiting = [entry for entry in self._waiting if entry[1] is not future]

    def wait_blocking(self, timeout: float | None = None) -> bool:
        """Wait for it on this thread, ``timeout`` seconds at most; return whether it was raised."""
        return self._event.wait(timeout)


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
