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

from lm_deluge.values.locking import LOCK

__all__ = ["Entry", "Sessions", "close_sockets_of"]


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
            if self in _collected:
                _collected.remove(self)

    def close_after_loop(self) -> None:
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
        _instances[key] = weakref.ref(self, lambda _: _instances.pop(key, None))

    def __del__(self) -> None:
        # No ``weakref.finalize``: it would hold the entries, and through them whatever still runs.
        with LOCK:
            left = list(self.entries.values())
            self.entries.clear()
            _collected.extend(left)
        for entry in left:
            entry.detach()
            with contextlib.suppress(RuntimeError):  # it was closed
                entry.loop.call_soon_threadsafe(entry.begin_to_close)
        _close_collected()

    async def get(self, make: Callable[[], aiohttp.ClientSession]) -> Entry:
        """Return the running loop's, made by ``make`` if there is none."""
        loop = asyncio.get_running_loop()
        entry = self.entries.get(loop)
        if entry is None or entry.session.closed:
            self.close_of_closed_loops()
            entry = Entry(loop, make())
            entry.owner = _own(entry, weakref.ref(self))
            with LOCK:
                self.entries[loop] = entry
            # The loop learns of a generator at its first step; it ends at once.
            await entry.owner.asend(None)
        return entry

    async def close(self) -> None:
        """Close the running loop's, and what closed loops left."""
        self.close_of_closed_loops()
        entry = self.entries.get(asyncio.get_running_loop())
        if entry is not None:
            self.forget(entry)
            await entry.close()

    def forget(self, entry: Entry) -> None:
        """Drop the entry of a loop that ends."""
        with LOCK:
            if self.entries.get(entry.loop) is entry:
                del self.entries[entry.loop]

    def close_of_closed_loops(self) -> None:
        """Close what closed loops left open."""
        with LOCK:
            closed = [loop for loop in self.entries if loop.is_closed()]
            entries = [self.entries.pop(loop) for loop in closed]
        for entry in (*entries, *_collected_of_closed_loops()):
            entry.close_after_loop()


#: Sessions whose transport was collected and whose loop was not closed by then.
_collected: Final[list[Entry]] = []

_instances: Final[dict[int, weakref.ref[Sessions]]] = {}


def _collected_of_closed_loops() -> Iterable[Entry]:
    with LOCK:
        entries = [entry for entry in _collected if entry.loop.is_closed()]
        for entry in entries:
            _collected.remove(entry)
    return entries


def _close_collected() -> None:
    for entry in _collected_of_closed_loops():
        entry.close_after_loop()


def close_sockets_of(loop: asyncio.AbstractEventLoop) -> None:
    """Close, in a child of a fork, the sockets of an event loop that runs in the parent alone.

    Those of the parent stay open. Without this, a connection that the parent closes would stay open for its
    server as long as any child lives, and a stream that was ended would go on there.
    """
    entries = [
        entry
        for reference in list(_instances.values())
        if (sessions := reference()) is not None
        and (entry := sessions.entries.get(loop)) is not None
    ]
    for entry in (*entries, *(entry for entry in _collected if entry.loop is loop)):
        for transport in tuple(entry.transports):
            # Not through the transport, whose loop would take it out of the selector that both share.
            shown = transport.get_extra_info("socket")
            if (own := getattr(shown, "_sock", None)) is not None:
                own.close()


@atexit.register
def _close_at_exit() -> None:
    for reference in list(_instances.values()):
        if (sessions := reference()) is not None:
            sessions.close_of_closed_loops()
    _close_collected()


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
