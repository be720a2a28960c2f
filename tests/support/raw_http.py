"""HTTP byte by byte, on both sides of a proxy: a server that a function plays, and a plain client."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from typing import Any, Self

from support.loopback import LoopbackServer

__all__ = ["OK", "Asker", "Script", "Side", "Upstream", "reset"]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection with RST."""
    raw: socket.socket = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class Side:
    """One connection, as its owner sees it. ``raw``: all that was read."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.raw = b""
        self.gone = asyncio.Event()

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def head(self) -> bytes:
        """Read the head of a message."""
        data = await self.reader.readuntil(b"\r\n\r\n")
        self.raw += data
        return data

    async def exactly(self, count: int) -> bytes:
        data = await self.reader.readexactly(count)
        self.raw += data
        return data

    async def rest(self) -> bytes:
        """Read to the end of the connection. Raises ``ConnectionError`` for a reset."""
        data = b""
        while piece := await self.reader.read(1 << 16):
            data += piece
            self.raw += piece
        return data

    async def ending(self) -> tuple[bytes, str]:
        """Read to the end: all there was, and ``"end"`` or ``"reset"``."""
        before = len(self.raw)
        try:
            await self.rest()
        except ConnectionError:
            return self.raw[before:], "reset"
        return self.raw[before:], "end"

    def close(self) -> None:
        self.writer.close()


Script = Callable[[Side], Awaitable[Any]]


class Upstream(LoopbackServer):
    """``async with Upstream(script) as upstream``: the script plays each connection, which it ends by ending.

    ``bytes`` for a script answer every request so, whatever it is. ``tls``: its side, if it speaks that.
    """

    def __init__(self, script: Script | bytes = OK, *, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(tls)
        self._script = script
        self.sides: list[Side] = []

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self.url = f"http{'s' if self._tls else ''}://127.0.0.1:{self.port}"
        return self

    async def side(self, number: int = 0) -> Side:
        """Wait for a connection."""
        async with asyncio.timeout(5):
            while len(self.sides) <= number:
                await asyncio.sleep(0.001)
        return self.sides[number]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        side = Side(reader, writer)
        self.sides.append(side)
        try:
            if isinstance(self._script, bytes):
                while True:
                    await side.head()
                    await side.write(self._script)
            await self._script(side)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            side.gone.set()
            writer.close()


class Asker(Side):
    """``async with Asker(port) as asker``: a client's connection to a proxy."""

    def __init__(self, address: str | int) -> None:
        self._port = address if isinstance(address, int) else int(address.rpartition(":")[2])

    async def __aenter__(self) -> Self:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        super().__init__(reader, writer)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.writer.transport.abort()

    async def ask(self, data: bytes) -> tuple[bytes, str]:
        """Write and read to the end."""
        await self.write(data)
        return await self.ending()

    async def answer(self) -> tuple[bytes, bytes]:
        """Read a response with a length: its head and its body."""
        head = await self.head()
        length = next(
            int(line.partition(b":")[2])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length:")
        )
        return head, await self.exactly(length)
