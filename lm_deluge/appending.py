"""A thread that appends to a file, so that the event loop never waits for the disk.

``FileLogger`` and ``Recorder`` write through it; so may a logger of your own.
"""

from __future__ import annotations

import asyncio
import copy
import os
import threading
import weakref
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

__all__ = ["Appender"]

T = TypeVar("T")

#: Seconds that an item waits for others, at most. What a killed process loses.
_INTERVAL: Final = 0.25

#: Windows would write each line end as two bytes.
_FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)


class Appender(Generic[T]):
    """Appends batches of items to one file.

    A batch is one ``write`` to a file opened for appending, so that batches of several processes do
    not mix. It is written after a quarter of a second, or when ``batch`` items wait. Every method may
    be called from any thread; after a fork the child begins with nothing to write.

    Arguments:
        path: the file; made if it is not there, in a directory that is. A relative one is fixed here:
            ``os.chdir`` does not split what is written.
        encode: makes the bytes of a batch, in the thread.
        name: of the thread.
        mode: of a file that is made.
        batch: items that do not wait for others; ``None``: they always do.
        follow: open the path anew when another file, or none, has it (logrotate).

    ``failures``: batches that could not be written so far. ``last_failure``: why the last of them;
    whoever raises it raises a copy, for a raised exception holds the frames it went through.
    """

    def __init__(
        self,
        path: Path,
        encode: Callable[[list[T]], bytes],
        *,
        name: str,
        mode: int = 0o644,
        batch: int | None = None,
        follow: bool = False,
    ) -> None:
        self.failures = 0
        self.last_failure: Exception | None = None
        self._path = path.absolute()
        self._encode = encode
        self._name = name
        self._mode = mode
        self._batch = batch
        self._follow = follow
        self._descriptor: int | None = None
        self.reset()
        _appenders.add(self)

    def reset(self) -> None:
        """Begin with nothing to write and no thread, as in a forked child.

        The parent writes its own items, and its locks may have been held at the moment of the fork.
        """
        self._items: deque[T] = deque()
        self._waiting: deque[Future[None]] = deque()
        self._wake = threading.Event()
        self._starting = threading.Lock()
        self._writing = threading.Lock()
        self._thread: threading.Thread | None = None

    def add(self, item: T) -> None:
        """Queue one item; never blocks."""
        self._items.append(item)
        if self._thread is None:
            self._start()
        if self._batch is not None and len(self._items) >= self._batch:
            self._wake.set()

    def flush(self) -> Future[None]:
        """Return a future that is done, or fails with the reason, once all before it is written."""
        written: Future[None] = Future()
        self._waiting.append(written)
        self._start()
        self._wake.set()
        return written

    def kept(self, since: int) -> Awaitable[None]:
        """Begin to write what waits; return what to await until it is written.

        ``since``: ``failures`` before the first item that matters. The await raises what kept any
        item from the file after that.
        """
        return self._kept(self.flush(), since)

    async def _kept(self, written: Future[None], since: int) -> None:
        await asyncio.wrap_future(written)
        if self.last_failure is not None and self.failures > since:
            raise copy.copy(self.last_failure)

    def close(self, within: float | None = None) -> None:
        """Write what waits, then end the thread; give up after ``within`` seconds, if given."""
        with self._starting:
            thread, self._thread = self._thread, None
        self._wake.set()
        if thread is not None and thread is not threading.current_thread():
            thread.join(within)
            if thread.is_alive():  # the disk hangs, and so would we
                return
        self._write_batch()
        with self._writing:
            self._release()

    def _start(self) -> None:
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
                self._thread.start()

    def _work(self) -> None:
        while self._thread is threading.current_thread():
            self._wake.wait(_INTERVAL)
            self._wake.clear()
            self._write_batch()

    def _write_batch(self) -> None:
        with self._writing:
            waiting = [self._waiting.popleft() for _ in range(len(self._waiting))]
            items = [self._items.popleft() for _ in range(len(self._items))]
            failure: Exception | None = None
            try:
                if items and (data := self._encode(items)):
                    self._append(data)
            except Exception as error:  # noqa: BLE001 - whoever waits is told, whatever it is
                self._release()
                failure = self.last_failure = error.with_traceback(None)
                self.failures += 1
        for written in waiting:
            # Whoever waited may have given up meanwhile.
            if written.set_running_or_notify_cancel():
                if failure is None:
                    written.set_result(None)
                else:
                    written.set_exception(copy.copy(failure))

    def _append(self, data: bytes) -> None:
        descriptor = self._open()
        while data:
            try:
                count = os.write(descriptor, data)
            except OSError as error:
                error.filename = str(self._path)
                raise
            data = data[count:]

    def _open(self) -> int:
        """Return the descriptor of the file; if it is to be followed, of the one that has the path now."""
        if self._descriptor is not None:
            if not self._follow or self._is_there(self._descriptor):
                return self._descriptor
            self._release()
        self._descriptor = os.open(self._path, _FLAGS, self._mode)
        return self._descriptor

    def _is_there(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(self._path.stat(), os.fstat(descriptor))
        except FileNotFoundError:
            return False

    def _release(self) -> None:
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            os.close(descriptor)


_appenders: weakref.WeakSet[Appender[Any]] = weakref.WeakSet()


def _reset_after_fork() -> None:
    for appender in list(_appenders):
        appender.reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_after_fork)
