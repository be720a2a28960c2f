"""What goes wrong on a socket, on the way to a server and within an answer, is told as one of our errors."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import attrs
import pytest
import trustme
from aiohttp import client_exceptions, http_exceptions

from lm_deluge import Timeouts
from lm_deluge.errors import (
    APIConnectionError,
    APITimeoutError,
    ConnectionLostError,
    ProtocolError,
    StreamError,
)
from support.clients import client_for, side_of
from support.scripted import CLOSE, HANG, HEADERS, RESET, ScriptedServer, Step, events, http, reply


class Nameless(aiohttp.abc.AbstractResolver):
    """Knows no name."""

    async def resolve(self, *args: Any, **named: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async def close(self) -> None:
        pass


@contextlib.asynccontextmanager
async def saying(words: bytes, *, hang: bool = False) -> AsyncIterator[str]:
    """A server that says this to whoever connects, and hangs up; the host and port of it."""
    writers = []

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        writer.write(words)
        if not hang:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    yield f"{host}:{port}"
    server.close()
    for writer in writers:
        writer.close()


@contextlib.asynccontextmanager
async def nobody() -> AsyncIterator[str]:
    """The host and port of a server that is gone."""
    async with saying(b"") as place:
        pass
    yield place


@contextlib.asynccontextmanager
async def scripted(*steps: Step, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    async with ScriptedServer(list(steps), tls=tls) as server:
        yield server.base_url.split("/")[2]


@attrs.frozen(kw_only=True)
class Way:
    """A way for a connection to fail: the server, the class of aiohttp's error, and ours."""

    server: Callable[[], contextlib.AbstractAsyncContextManager[str]]
    cause: type[Exception]
    error: type[StreamError] = APIConnectionError
    connector: Callable[[], aiohttp.BaseConnector] | None = None
    tls: bool = False
    proxy: bool = False


def tls_of(authority: trustme.CA = trustme.CA()) -> ssl.SSLContext:  # noqa: B008 - made once
    return side_of(authority)


WAYS: dict[str, Way] = {
    "nobody listens": Way(server=nobody, cause=aiohttp.ClientConnectorError),
    "no such name": Way(
        server=lambda: contextlib.nullcontext("api.invalid"),
        cause=aiohttp.ClientConnectorDNSError,
        connector=lambda: aiohttp.TCPConnector(resolver=Nameless()),
    ),
    "no such path": Way(
        server=lambda: contextlib.nullcontext("api.invalid"),
        cause=client_exceptions.UnixClientConnectorError,
        connector=lambda: aiohttp.UnixConnector("/no/such/socket"),
    ),
    "an authority that nobody trusts": Way(
        server=lambda: scripted(HANG, tls=tls_of()),
        cause=aiohttp.ClientConnectorCertificateError,
        tls=True,
    ),
    "a certificate that was not expected": Way(
        server=lambda: scripted(HANG, tls=tls_of()),
        cause=aiohttp.ServerFingerprintMismatch,
        connector=lambda: aiohttp.TCPConnector(ssl=aiohttp.Fingerprint(b"x" * 32)),
        tls=True,
    ),
    "no TLS": Way(
        server=lambda: saying(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        cause=aiohttp.ClientConnectorSSLError,
        tls=True,
    ),
    "an end within the handshake": Way(
        server=lambda: saying(b""), cause=aiohttp.ClientConnectorError, tls=True
    ),
    "a handshake that hangs": Way(
        server=lambda: saying(b"", hang=True),
        cause=aiohttp.ConnectionTimeoutError,
        error=APITimeoutError,
        tls=True,
    ),
    "an end without an answer": Way(
        server=lambda: scripted(CLOSE), cause=aiohttp.ServerDisconnectedError
    ),
    "a reset": Way(server=lambda: scripted(RESET), cause=aiohttp.ClientOSError),
    "no HTTP": Way(
        server=lambda: scripted(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"),
        cause=http_exceptions.HttpProcessingError,
        error=ProtocolError,
    ),
    "a line of a head that is endless": Way(
        server=lambda: scripted(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n"),
        cause=http_exceptions.HttpProcessingError,
        error=ProtocolError,
    ),
    "no proxy": Way(server=nobody, cause=aiohttp.ClientProxyConnectionError, proxy=True, tls=True),
    "a proxy that refuses": Way(
        server=lambda: scripted(*reply("407 Proxy Authentication Required", "no")),
        cause=aiohttp.ClientHttpProxyError,
        proxy=True,
        tls=True,
    ),
}


@pytest.mark.parametrize("name", WAYS)
async def test_what_goes_wrong_on_the_way_to_a_server_is_one_of_ours(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    way = WAYS[name]
    async with way.server() as place:
        if way.proxy:
            monkeypatch.setenv("HTTPS_PROXY", f"http://{place}")
            place = "api.invalid"
        connector = None if way.connector is None else way.connector()
        client = client_for(
            f"http{'s' if way.tls else ''}://{place}/v1",
            connector=connector,
            timeouts=Timeouts(connect=0.1 if way.error is APITimeoutError else 10),
        )
        with pytest.raises(StreamError) as caught:
            await client.stream("hi")
        await client.close()
        if connector is not None:
            await connector.close()
    assert type(caught.value) is way.error
    assert len(str(caught.value).splitlines()) == 1
    assert caught.value.phase == "connect"
    if way.cause is aiohttp.ClientHttpProxyError:  # its repr would show the request's headers
        assert caught.value.__cause__ is None
    else:
        assert isinstance(caught.value.__cause__, way.cause)


LENGTH = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 10000\r\n\r\n"
GZIP = HEADERS.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n")
ONCE = http(events("Once"))

#: Steps, and the class of aiohttp's error.
BROKEN: dict[str, tuple[list[Step], type[Exception] | None]] = {
    "a length that is not reached": ([LENGTH + events("Once"), CLOSE], aiohttp.ClientPayloadError),
    "a chunk that is not reached": (
        [HEADERS, ONCE + b"ff\r\nx", CLOSE],
        aiohttp.ClientPayloadError,
    ),
    "no last chunk": ([HEADERS, ONCE, CLOSE], aiohttp.ClientPayloadError),
    "a reset": ([HEADERS, ONCE, RESET], aiohttp.ClientPayloadError),
    # aiohttp's parser in C tells no reader of it.
    "a chunk whose size is none": ([HEADERS, ONCE, b"zz\r\n", HANG], None),
    "a body that cannot be unpacked": (
        [GZIP, http(gzip.compress(events("Once"))), http(b"\xff" * 99), HANG],
        aiohttp.ClientPayloadError,
    ),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_what_breaks_within_an_answer_is_one_of_ours_and_keeps_what_had_come(
    name: str,
) -> None:
    steps, cause = BROKEN[name]
    async with ScriptedServer(steps) as server:
        with pytest.raises(StreamError) as caught:
            await client_for(server).stream("hi")
    assert type(caught.value) is ConnectionLostError
    assert len(str(caught.value).splitlines()) == 1
    assert cause is None or isinstance(caught.value.__cause__, cause)
    assert caught.value.partial is not None
    assert caught.value.partial.text == "Once"
