"""The sessions of a transport: one for every event loop it is used in, closed when that loop ends.

A loop that ends as ``asyncio.run`` ends it closes its async generators, and one of those owns the
session. One that is only closed cannot close anything any more: its sockets are closed by whoever
comes next, in any thread.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import weakref
from collections.abc import AsyncGenerator, Callable, Iterable
from typing import Any, Final

import aiohttp
from attrs import define, field

from lm_deluge.locking import LOCK

__all__ = ["Entry", "Sessions"]


@define(eq=False)
class Entry:
    """The session of one event loop. ``transports``: of its open connections. ``owner``: the generator
    that closes it when the loop ends."""

    loop: asyncio.AbstractEventLoop
    session: aiohttp.ClientSession
    transports: set[asyncio.Transport] = field(factory=set)
    owner: AsyncGenerator[None, None] | None = None
    _closing: asyncio.Task[None] | None = field(default=None, init=False)

    async def close(self) -> None:
        """Close the session, in its loop."""
        if self.owner is not None:
            await self.owner.aclose()

    def begin_to_close(self) -> None:
        """The same; returns at once. To be called by the loop."""
        self._closing = self.loop.create_task(self.close())

    def bury(self) -> None:
        """Close what a closed loop left open. From any thread."""
        for transport in tuple(self.transports):
            _close_socket(transport)
        self.transports.clear()
        connector = self.session.connector
        owns_it = self.session.connector_owner
        self.session.detach()
        if connector is not None and owns_it:
            _run_to_the_end(connector)


class Sessions:
    """By event loop. ``entries``: those of loops that were not seen to be closed."""

    def __init__(self) -> None:
        self.entries: Final[dict[asyncio.AbstractEventLoop, Entry]] = {}
        _alive.add(self)
        # What it is told holds the entries, so that a client in a circle of references does not take
        # its sessions with it as garbage: aiohttp would complain of each.
        weakref.finalize(self, _release, self.entries).atexit = False

    async def get(self, make: Callable[[], aiohttp.ClientSession]) -> Entry:
        """Return the running loop's, made by ``make`` if there is none."""
        loop = asyncio.get_running_loop()
        entry = self.entries.get(loop)
        if entry is None or entry.session.closed:
            self.bury_closed()
            entry = Entry(loop, make())
            entry.owner = _own(entry, weakref.ref(self))
            with LOCK:
                self.entries[loop] = entry
            # The loop learns of a generator at its first step; it ends at once.
            await entry.owner.asend(None)
        return entry

    async def close(self) -> None:
        """Close the running loop's, and what closed loops left."""
        self.bury_closed()
        entry = self.entries.get(asyncio.get_running_loop())
        if entry is not None:
            self.forget(entry)
            await entry.close()

    def forget(self, entry: Entry) -> None:
        """Drop the entry of a loop that ends."""
        with LOCK:
            if self.entries.get(entry.loop) is entry:
                del self.entries[entry.loop]

    def bury_closed(self) -> None:
        """Close what closed loops left open."""
        with LOCK:
            closed = [loop for loop in self.entries if loop.is_closed()]
            dead = [self.entries.pop(loop) for loop in closed]
        for entry in (*dead, *_orphans_of_closed_loops()):
            entry.bury()


#: Sessions whose transport was collected and whose loop was not closed by then.
_orphans: Final[list[Entry]] = []

_alive: Final[weakref.WeakSet[Sessions]] = weakref.WeakSet()


def _release(entries: dict[asyncio.AbstractEventLoop, Entry]) -> None:
    """Close the sessions of a transport that was collected, each in its loop."""
    with LOCK:
        left = list(entries.values())
        entries.clear()
        _orphans.extend(left)
    for entry in left:
        with contextlib.suppress(RuntimeError):  # it was closed
            entry.loop.call_soon_threadsafe(entry.begin_to_close)
    _bury_orphans()


def _orphans_of_closed_loops() -> Iterable[Entry]:
    with LOCK:
        dead = [entry for entry in _orphans if entry.loop.is_closed()]
        for entry in dead:
            _orphans.remove(entry)
    return dead


def _bury_orphans() -> None:
    for entry in _orphans_of_closed_loops():
        entry.bury()


@atexit.register
def _bury_all() -> None:
    for sessions in list(_alive):
        sessions.bury_closed()
    _bury_orphans()


async def _own(entry: Entry, sessions: weakref.ref[Sessions]) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        if (alive := sessions()) is not None:
            alive.forget(entry)
        await entry.session.close()
        with LOCK:
            if entry in _orphans:
                _orphans.remove(entry)


def _close_socket(transport: Any) -> None:
    """Close the socket of a transport whose loop is closed, and so cannot take the last step itself.

    asyncio's would complain of it when it is collected. uvloop closes all of its own with the loop.
    """
    # Under TLS there is another one below.
    lower = getattr(getattr(transport, "_ssl_protocol", None), "_transport", None) or transport
    last_step = getattr(lower, "_call_connection_lost", None)
    if last_step is None:
        return
    with contextlib.suppress(RuntimeError):
        transport.abort()
    if transport is lower:
        transport.set_protocol(asyncio.Protocol())
    with contextlib.suppress(RuntimeError):
        last_step(None)


def _run_to_the_end(connector: aiohttp.BaseConnector) -> None:
    """Close a connector of a closed loop: there is nothing to wait for."""
    closing = connector.close().__await__()
    with contextlib.suppress(StopIteration, RuntimeError):
        closing.send(None)
    if hasattr(closing, "close"):
        closing.close()
