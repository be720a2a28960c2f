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
    _connector: aiohttp.BaseConnector | None = field(default=None, init=False)
    _closing: asyncio.Task[None] | None = field(default=None, init=False)

    async def close(self) -> None:
        """Close the session, in its loop."""
        if self.owner is not None:
            await self.owner.aclose()

    def detach(self) -> None:
        """Take what is to be closed out of the session, so that it can be collected before that."""
        if self.session.connector is not None and self.session.connector_owner:
            self._connector = self.session.connector
        self.session.detach()

    def begin_to_close(self) -> None:
        """Close what was taken out; returns at once. To be called by the loop."""
        self._closing = self.loop.create_task(self.close_detached())

    async def close_detached(self) -> None:
        """Close what was taken out, in its loop."""
        if self._connector is not None:
            await self._connector.close()
        with LOCK:
            if self in _orphans:
                _orphans.remove(self)

    def bury(self) -> None:
        """Close what a closed loop left open. From any thread."""
        self.detach()
        for transport in tuple(self.transports):
            _close_socket(transport)
        self.transports.clear()
        if self._connector is not None:
            _run_to_the_end(self._connector)


class Sessions:
    """By event loop. ``entries``: those of loops that were not seen to be closed."""

    def __init__(self) -> None:
        self.entries: Final[dict[asyncio.AbstractEventLoop, Entry]] = {}
        key = id(self)
        _alive[key] = weakref.ref(self, lambda _: _alive.pop(key, None))

    def __del__(self) -> None:
        # No ``weakref.finalize``: it would hold the entries, and through them whatever still runs.
        with LOCK:
            left = list(self.entries.values())
            self.entries.clear()
            _orphans.extend(left)
        for entry in left:
            entry.detach()
            with contextlib.suppress(RuntimeError):  # it was closed
                entry.loop.call_soon_threadsafe(entry.begin_to_close)
        _bury_orphans()

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

_alive: Final[dict[int, weakref.ref[Sessions]]] = {}


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
    for reference in list(_alive.values()):
        if (sessions := reference()) is not None:
            sessions.bury_closed()
    _bury_orphans()


async def _own(entry: Entry, sessions: weakref.ref[Sessions]) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        if (alive := sessions()) is not None:
            alive.forget(entry)
        await entry.session.close()
        # The loop may end before it gets to what it was asked to begin.
        await entry.close_detached()


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
