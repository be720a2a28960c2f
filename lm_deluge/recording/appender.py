"""A thread that appends to a file, so that the event loop never waits for the disk."""

from __future__ import annotations

import copy
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

__all__ = ["Appender"]

T = TypeVar("T")

#: Seconds that an item waits for others, at most. What a killed process loses.
_INTERVAL: Final = 0.25


class Appender(Generic[T]):
    """Appends batches of items to one file, each batch with one ``write``.

    ``encode`` makes the bytes of a batch, in the thread. ``failures``: batches that could not be written
    so far. ``last_failure``: why the last of them; whoever raises it raises a copy.
    """

    def __init__(self, path: Path, encode: Callable[[list[T]], bytes]) -> None:
        self.failures = 0
        self.last_failure: Exception | None = None
        self._path = path
        self._encode = encode
        self._descriptor: int | None = None
        self.reset()
        _appenders.add(self)

    def reset(self) -> None:
        """Begin with nothing to write and no thread, as in a forked child: the parent writes its own."""
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

    def flush(self) -> Future[None]:
        """Return a future that is done, or fails with the reason, once all before it is written."""
        written: Future[None] = Future()
        self._waiting.append(written)
        self._start()
        self._wake.set()
        return written

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
                self._thread = threading.Thread(
                    target=self._work, name=f"Recorder {self._path.name}", daemon=True
                )
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
        if self._descriptor is None:
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        while data:
            try:
                count = os.write(self._descriptor, data)
            except OSError as error:
                error.filename = str(self._path)
                raise
            data = data[count:]

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
