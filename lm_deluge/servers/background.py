"""An event loop on a thread of its own, for what is started and looked at without one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

__all__ = ["Background"]

T = TypeVar("T")


class Background:
    """Runs ``start()``, then everything it left running, until ``close()`` runs ``stop()``.

    Both are coroutine functions and run in the thread's loop, as all does that ``run`` is given. What
    they raise is raised to whoever called. ``name``: of what runs there; the thread has it, too.
    """

    def __init__(
        self,
        start: Callable[[], Awaitable[object]],
        stop: Callable[[], Awaitable[object]],
        name: str,
    ) -> None:
        self._start = start
        self._stop = stop
        self._name = name
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing: asyncio.Event | None = None
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._main, name=f"lm_deluge {name}", daemon=True)

    def open(self) -> None:
        """Start the thread and wait until ``start()`` is done."""
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure

    def close(self) -> None:
        """Run ``stop()`` and wait until the thread has ended; a second time does nothing."""
        loop, closing = self._loop, self._closing
        if loop is None or closing is None or not self._thread.is_alive():
            return
        loop.call_soon_threadsafe(closing.set)
        self._thread.join()
        self._loop = None
        if self._failure is not None:
            raise self._failure

    def is_here(self) -> bool:
        """Whether the caller runs on the thread already."""
        return threading.current_thread() is self._thread

    async def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the thread's loop and wait for it in the caller's."""
        return await asyncio.wrap_future(self._submit(coroutine))

    def run_blocking(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """The same for a caller without an event loop."""
        return self._submit(coroutine).result()

    def _submit(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        if self._loop is None:
            coroutine.close()
            raise RuntimeError(f"the {self._name} has been stopped")
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def _main(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001 - it is raised where the thread was opened or closed
            self._failure = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._closing = asyncio.Event()
        await self._start()
        self._ready.set()
        try:
            await self._closing.wait()
        finally:
            await self._stop()
