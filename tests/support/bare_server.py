"""A scripted server without a single task: what is cancelled is the client's alone.

The scripts are those of ``scripted``: bytes (one write each), ``RESET``, ``CLOSE`` and ``HANG``.
"""

from __future__ import annotations

import asyncio
import re
import socket
import struct
import threading
import time
from collections.abc import Sequence
from typing import Any, Self

from support.scripted import CLOSE, HANG, RESET

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class BareServer:
    """``async with BareServer([steps], [steps]) as server``: a script per request, in order; the last
    one serves all further requests.

    ``open_connections``: how many are open now. ``connections``: how many ever were. ``requests``: how
    many arrived. ``paced``: wait so many turns of the loop before each step.
    """

    def __init__(self, *scripts: Sequence[Any], paced: int = 1) -> None:
        self.scripts = list(scripts)
        self.paced = paced
        self.connections = 0
        self.requests = 0
        self.open: set[Connection] = set()
        self.is_closing = False

    @property
    def open_connections(self) -> int:
        return len(self.open)

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Connection(self), "127.0.0.1", 0, backlog=4096
        )
        port = self._server.sockets[0].getsockname()[1]
        self.base_url = f"http://127.0.0.1:{port}/v1"
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.is_closing = True
        for connection in list(self.open):
            connection.transport.abort()
        # A connection that was accepted just now is made some turns of the loop later, and asyncio leaves
        # its socket open where the server is closed before.
        loop = asyncio.get_running_loop()
        for listening in self._server.sockets:
            loop.remove_reader(listening.fileno())
        for _ in range(10):
            await asyncio.sleep(0)
        self._server.close()
        while self.open:
            await asyncio.sleep(0)

    async def all_gone(self, within: float = 1.0) -> None:
        """Wait until no connection is open."""
        async with asyncio.timeout(within):
            while self.open:
                await asyncio.sleep(0)


class Connection(asyncio.Protocol):
    """One connection of a server: plays a script for each request."""

    transport: asyncio.Transport

    def __init__(self, server: BareServer) -> None:
        self._server = server
        self._data = b""
        self._handle: asyncio.Handle | None = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._server.connections += 1
        self._server.open.add(self)
        if self._server.is_closing:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.open.discard(self)
        if self._handle is not None:
            self._handle.cancel()

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, separator, body = self._data.partition(b"\r\n\r\n")
        if not separator:
            return
        length = _LENGTH.search(head)
        if len(body) < (int(length[1]) if length else 0):
            return
        self._data = b""
        server = self._server
        script = server.scripts[min(server.requests, len(server.scripts) - 1)]
        server.requests += 1
        self._play(iter(script), server.paced)

    def _play(self, steps: Any, turns: int) -> None:
        if self.transport.is_closing():
            return
        loop = asyncio.get_running_loop()
        if turns > 0:
            self._handle = loop.call_soon(self._play, steps, turns - 1)
            return
        step = next(steps, None)
        if step is None or step is HANG:
            return
        if step is CLOSE:
            self.transport.close()
        elif step is RESET:
            raw: socket.socket = self.transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.transport.abort()
        else:
            self.transport.write(step)
            self._handle = loop.call_soon(self._play, steps, self._server.paced)


class ThreadedServer:
    """``with ThreadedServer([steps]) as server``: a ``BareServer`` in a thread and a loop of its own."""

    def __init__(self, *scripts: Sequence[Any], paced: int = 1) -> None:
        self._server = BareServer(*scripts, paced=paced)
        self._ready = threading.Event()

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        assert self._ready.wait(5)
        self.base_url = self._server.base_url
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(5)

    @property
    def open_connections(self) -> int:
        return self._server.open_connections

    def all_gone(self, within: float = 1.0) -> None:
        """Wait until no connection is open."""
        until = time.monotonic() + within
        while self.open_connections:
            assert time.monotonic() < until, f"{self.open_connections} connections still open"
            time.sleep(0.001)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        async with self._server:
            self._ready.set()
            await self._stop.wait()
