"""Proxies on loopback that pass bytes on and keep what they were asked: HTTP, and SOCKS 4, 4a and 5."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
import struct
from typing import Self
from urllib.parse import urlsplit

from support.loopback import LoopbackServer


class ForwardingProxy(LoopbackServer):
    """``async with ForwardingProxy() as proxy``: speaks what the client speaks first.

    ``hosts`` leads names to loopback ports, as a proxy's own DNS would. ``asked`` holds one
    ``(kind, host, port, credentials)`` for each connection; ``refuse`` answers them all with a no.
    """

    def __init__(
        self,
        hosts: dict[str, int] | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        password: str | None = None,
        refuse: bool = False,
    ) -> None:
        super().__init__(tls)
        self.hosts = hosts or {}
        self.asked: list[tuple[str, str, int, str]] = []
        self._password = password
        self._refuse = refuse

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self.address = f"127.0.0.1:{self.port}"
        return self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            first = await reader.readexactly(1)
            if first == b"\x05":
                await self._socks5(reader, writer)
            elif first == b"\x04":
                await self._socks4(reader, writer)
            else:
                await self._http(first, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _socks5(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        methods = await reader.readexactly((await reader.readexactly(1))[0])
        credentials = ""
        if self._password is not None:
            assert 2 in methods
            writer.write(b"\x05\x02")
            _, length = await reader.readexactly(2)
            user = await reader.readexactly(length)
            password = await reader.readexactly((await reader.readexactly(1))[0])
            credentials = f"{user.decode()}:{password.decode()}"
            writer.write(b"\x01" + (b"\x00" if password.decode() == self._password else b"\x01"))
        else:
            writer.write(b"\x05\x00")
        _, _, _, kind = await reader.readexactly(4)
        if kind == 3:
            host = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
        else:
            host = str(ipaddress.ip_address(await reader.readexactly(4 if kind == 1 else 16)))
        (port,) = struct.unpack("!H", await reader.readexactly(2))
        self.asked.append(("socks5", host, port, credentials))
        writer.write(b"\x05" + (b"\x05" if self._refuse else b"\x00") + b"\x00\x01" + b"\x00" * 6)
        if not self._refuse:
            await self._forward(host, port, reader, writer)

    async def _socks4(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, port, address = struct.unpack("!BH4s", await reader.readexactly(7))
        user = (await reader.readuntil(b"\0"))[:-1]
        host = str(ipaddress.ip_address(address))
        if host.startswith("0.0.0."):  # 4a: the name follows
            host = (await reader.readuntil(b"\0"))[:-1].decode()
        self.asked.append(("socks4", host, port, user.decode()))
        writer.write(b"\x00" + (b"\x5b" if self._refuse else b"\x5a") + b"\x00" * 6)
        if not self._refuse:
            await self._forward(host, port, reader, writer)

    async def _http(
        self, first: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        head = first + await reader.readuntil(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        method, target, _ = lines[0].split(" ")
        fields = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
        parts = urlsplit(f"//{target}" if method == "CONNECT" else target)
        host, port = parts.hostname or "", parts.port or 80
        credentials = fields.get("proxy-authorization", "")
        self.asked.append((method, host, port, credentials))
        if self._refuse:
            writer.write(
                b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
        elif method == "CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await self._forward(host, port, reader, writer)
        else:
            await self._forward(host, port, reader, writer, head)

    async def _forward(
        self,
        host: str,
        port: int,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        head: bytes = b"",
    ) -> None:
        upstream, onward = await asyncio.open_connection("127.0.0.1", self.hosts.get(host, port))
        onward.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        onward.write(head)
        try:
            await asyncio.gather(_copy(reader, onward), _copy(upstream, writer))
        finally:
            onward.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()
