"""A forwarder that makes one write of all that comes in a while: the other end gets it in one read.

``async with Coalescing(url) as forwarder``: ``forwarder.base_url`` stands for ``url``. What ends the
connection, a FIN or a RST, follows in the same turn of the loop as the bytes before it.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any, Self
from urllib.parse import urlsplit

#: Seconds without a byte after which all that came is sent on; and the longest that any waits.
QUIET = 0.03
LONGEST = 0.12


class Coalescing:
    """See above. ``open``: the connections that are open on the client's side."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.open: set[_Near] = set()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        parts = urlsplit(self._url)
        self.where = parts.hostname, parts.port
        self._server = await loop.create_server(lambda: _Near(self), "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.base_url = parts._replace(netloc=f"127.0.0.1:{port}").geturl()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._server.close()
        for near in list(self.open):
            near.transport.abort()
        while self.open:
            await asyncio.sleep(0)


class _Near(asyncio.Protocol):
    """The client's side: what it sends goes on at once."""

    transport: asyncio.Transport

    def __init__(self, forwarder: Coalescing) -> None:
        self._forwarder = forwarder
        self._sent = b""
        self.far: _Far | None = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._forwarder.open.add(self)
        host, port = self._forwarder.where
        loop = asyncio.get_running_loop()
        self._task = loop.create_task(loop.create_connection(lambda: _Far(self), host, port))
        self._task.add_done_callback(self._connected)

    def _connected(self, task: asyncio.Task[Any]) -> None:
        if task.cancelled() or task.exception() is not None:
            reset(self.transport)
            return
        _, self.far = task.result()
        self.far.transport.write(self._sent)

    def data_received(self, data: bytes) -> None:
        if self.far is None:
            self._sent += data
        else:
            self.far.transport.write(data)

    def connection_lost(self, error: Exception | None) -> None:
        self._forwarder.open.discard(self)
        self._task.cancel()
        if self.far is not None:
            self.far.transport.abort()


class _Far(asyncio.Protocol):
    """The server's side: what it sends is held back until it is quiet."""

    transport: asyncio.Transport

    def __init__(self, near: _Near) -> None:
        self._near = near
        self._held = b""
        self._quiet: asyncio.TimerHandle | None = None
        self._longest: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._held += data
        loop = asyncio.get_running_loop()
        if self._quiet is not None:
            self._quiet.cancel()
        self._quiet = loop.call_later(QUIET, self._flush)
        if self._longest is None:
            self._longest = loop.call_later(LONGEST, self._flush)

    def eof_received(self) -> bool:
        self._flush()
        if not self._near.transport.is_closing():
            self._near.transport.write_eof()
        return True

    def connection_lost(self, error: Exception | None) -> None:
        self._flush()
        if isinstance(error, ConnectionResetError):
            reset(self._near.transport)
        else:
            self._near.transport.close()

    def _flush(self) -> None:
        for timer in (self._quiet, self._longest):
            if timer is not None:
                timer.cancel()
        self._quiet = self._longest = None
        if self._held and not self._near.transport.is_closing():
            self._near.transport.write(self._held)
        self._held = b""


def reset(transport: asyncio.Transport) -> None:
    """Close with a RST."""
    raw: socket.socket = transport.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
