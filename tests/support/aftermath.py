"""What streams leave behind (docs/design/contract.md, promise 6): tasks, receivers, files, connections."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import time
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from blinker.base import ANY_ID

from lm_deluge import Stream
from lm_deluge.http.transport import Transport
from lm_deluge.observers.attach import ROUTER_IDS
from lm_deluge.signals import SIGNALS
from support.promises import Consumed

#: Seconds within which the server has to see a connection go (docs/design/contract.md, promise 6).
PATIENCE = 1.0


class Aftermath:
    """Promise 6: what is left when all streams have ended. ``async with Aftermath() as after: …``.

    Inside it, ``watch`` tells which streams must be dead; leaving it collects garbage and asserts
    that no task, receiver, stream or file descriptor is left and that nothing was logged by asyncio.
    The servers must be stopped and the clients closed by then.
    """

    def __init__(self) -> None:
        self.streams: list[weakref.ref[Stream] | None] = []
        self.complaints: list[str] = []

    async def __aenter__(self) -> Aftermath:
        # Whatever tests before this one left to the collector is none of ours.
        gc.collect()
        self._tasks = asyncio.all_tasks()
        self._files = open_files()
        self._logged = _Logged()
        logging.getLogger("asyncio").addHandler(self._logged)
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: self.complaints.append(repr(context)))
        return self

    def watch(self, *seen: Consumed) -> None:
        """The streams behind these must be dead at the end."""
        self.streams += [ear.stream for one in seen for ear in one.ears]

    async def __aexit__(self, kind: object, error: BaseException | None, tb: object) -> None:
        loop = asyncio.get_running_loop()
        try:
            if error is not None:
                return
            await within(PATIENCE, lambda: asyncio.all_tasks() <= self._tasks)
            left = asyncio.all_tasks() - self._tasks
            assert not left, f"tasks left: {left}"
            gc.collect()
            check_no_receivers()
            alive = [ref() for ref in self.streams if ref is not None and ref() is not None]
            assert not alive, f"streams alive: {[gc.get_referrers(stream) for stream in alive[:1]]}"
            await within(PATIENCE, lambda: open_files() <= self._files)
            assert open_files() <= self._files, f"{open_files()} files open, {self._files} before"
            # A task that was destroyed or an exception nobody retrieved shows at its collection.
            await asyncio.sleep(0)
            assert not self.complaints, self.complaints
            assert not self._logged.lines, self._logged.lines
        finally:
            logging.getLogger("asyncio").removeHandler(self._logged)
            loop.set_exception_handler(None)


def check_no_receivers() -> None:
    """No receiver is left in any of the signals."""
    for signal in SIGNALS:
        # blinker never lets go of a receiver that was connected to one sender: the library has one
        # per signal for all streams, and no more.
        left = [receiver for key, receiver in signal.receivers.items() if key not in ROUTER_IDS]
        assert not left, f"{signal.name}: {left}"
        assert not signal._weak_senders, f"{signal.name}: {signal._weak_senders}"
        assert not set(signal._by_sender) - {ANY_ID}, f"{signal.name}: {signal._by_sender}"


def open_files() -> int:
    """How many file descriptors this process has."""
    files = Path("/proc/self/fd")
    return len(list(files.iterdir())) if files.is_dir() else 0


def pooled(transport: Transport) -> int:
    """How many idle connections a transport keeps for its next request, in the running loop."""
    entry = transport._sessions.entries.get(asyncio.get_running_loop())
    if entry is None or entry.session.connector is None:
        return 0
    return sum(len(idle) for idle in entry.session.connector._conns.values())


async def within(seconds: float, condition: Callable[[], bool]) -> bool:
    """Wait until a condition holds, at most so long; return whether it does."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        await asyncio.sleep(0.002)
    return True


async def all_of(jobs: Sequence[Coroutine[Any, Any, Consumed]]) -> list[Consumed]:
    """Run jobs side by side, each of which returns what it saw."""
    return list(await asyncio.gather(*jobs))


@contextlib.asynccontextmanager
async def no_longer_than(seconds: float, what: str) -> AsyncIterator[None]:
    """Fail, with a name, instead of hanging."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise AssertionError(f"{what} took longer than {seconds} s") from None


class _Logged(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        # Debug mode reports slow callbacks; they are no fault.
        if "took" not in record.getMessage():
            self.lines.append(record.getMessage())


def rss() -> int:
    """Resident memory of this process in bytes, 0 where it cannot be told."""
    path = Path("/proc/self/statm")
    if not path.exists():
        return 0
    return int(path.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
