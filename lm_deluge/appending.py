"""A thread that appends to a file, so that the event loop never waits for the disk.

``FileLogger`` and ``Recorder`` write through it; so may a logger of your own.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import os
import threading
import weakref
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from lm_deluge.values.checks import (
    checked_flag,
    checked_instance,
    checked_integer,
    checked_path,
    wrong_type,
)
from lm_deluge.values.foreign import message_of, type_name

__all__ = ["Appender", "appendable"]

T = TypeVar("T")

#: Seconds that an item waits for others, at most. What a killed process loses.
_INTERVAL: Final = 0.25

#: Seconds that the end of the program waits for a disk that hangs, at most.
_EXIT: Final = 10.0

#: Windows would write each line end as two bytes.
_FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)


def appendable(path: str | os.PathLike[str], what: str) -> Path:
    """Return the absolute path of a file that can be appended to, or made; ``what``: what it is to be.

    Raises ``FileNotFoundError`` if its directory does not exist, ``IsADirectoryError`` for a directory,
    ``TypeError`` or ``ValueError`` for what is no path.
    """
    given = Path(checked_path("path", path))
    if given.is_dir():
        message = f"{what} must be a file; {str(given)!r} is a directory"
        raise IsADirectoryError(message)
    if not given.parent.is_dir():
        message = f"there is no directory {str(given.parent)!r} for {what}"
        raise FileNotFoundError(message)
    return given.absolute()


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

    Raises ``TypeError`` or ``ValueError`` naming an argument that makes no sense.

    ``failures``: batches that could not be written so far. ``last_failure``: why the last of them;
    whoever raises it raises a copy, for a raised exception holds the frames it went through.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        encode: Callable[[list[T]], bytes],
        *,
        name: str,
        mode: int = 0o644,
        batch: int | None = None,
        follow: bool = False,
    ) -> None:
        if not callable(encode):
            raise wrong_type(
                "encode", "a function that returns the bytes of a list of items", encode
            )
        self.failures = 0
        self.last_failure: Exception | None = None
        self._path = Path(checked_path("path", path)).absolute()
        self._encode = encode
        self._name = checked_instance("name", name, str)
        self._mode = checked_integer("mode", mode, 0, 0o7777)
        self._batch = checked_integer("batch", batch, 1, optional="all wait for others")
        self._follow = checked_flag("follow", follow)
        self._descriptor: int | None = None
        self._opened: os.stat_result | None = None
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
            raise _copied(self.last_failure)

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

    def close_with(self, owner: object) -> None:
        """Close when ``owner`` is collected, and at the end of the program: nothing that waits is lost."""
        weakref.finalize(owner, self.close, _EXIT)

    def _start(self) -> None:
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                # The thread asks for its own name here as soon as it runs.
                self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
                try:
                    self._thread.start()
                except BaseException:
                    self._thread = None
                    raise

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
                with contextlib.suppress(OSError):  # the first failure says more
                    self._release()
                failure = self.last_failure = error.with_traceback(None)
                self.failures += 1
        for written in waiting:
            # Whoever waited may have given up meanwhile.
            if written.set_running_or_notify_cancel():
                if failure is None:
                    written.set_result(None)
                else:
                    written.set_exception(_copied(failure))

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
            if self._is_ours() and (not self._follow or self._is_there()):
                return self._descriptor
            self._release()
        self._descriptor = os.open(self._path, _FLAGS, self._mode)
        self._opened = os.fstat(self._descriptor)
        return self._descriptor

    def _is_ours(self) -> bool:
        """Whether the descriptor is still of the file that was opened.

        A program that becomes a daemon closes them all, and its next file gets the number of ours.
        """
        if self._descriptor is None or self._opened is None:
            return False
        try:
            return os.path.samestat(self._opened, os.fstat(self._descriptor))
        except OSError:
            return False

    def _is_there(self) -> bool:
        """Whether the path is still that of the file that was opened."""
        try:
            return self._opened is not None and os.path.samestat(self._path.stat(), self._opened)
        except FileNotFoundError:
            return False

    def _release(self) -> None:
        """Close the file, unless somebody has."""
        descriptor = self._descriptor if self._is_ours() else None
        self._descriptor = self._opened = None
        if descriptor is not None:
            os.close(descriptor)


def _copied(error: Exception) -> Exception:
    """Return a copy to be raised; of an exception that cannot be made anew, one with its words."""
    try:
        return copy.copy(error)
    except Exception:  # noqa: BLE001 - its class may want other arguments than it keeps
        return RuntimeError(f"{type_name(error)}: {message_of(error)}")


_appenders: weakref.WeakSet[Appender[Any]] = weakref.WeakSet()


def _reset_after_fork() -> None:
    for appender in list(_appenders):
        appender.reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_after_fork)
