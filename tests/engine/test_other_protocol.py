"""A server that speaks something else than its URL says, TLS or a content encoding, is told in words."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trustme
from aiohttp import compression_utils

from lm_deluge import RetryPolicy, Timeouts
from lm_deluge.errors import (
    APIConnectionError,
    APITimeoutError,
    ConnectionLostError,
    ProtocolError,
    StreamError,
)
from support.clients import client_for, side_of
from support.scripted import (
    CLOSE,
    DONE,
    END,
    HANG,
    HEADERS,
    RESET,
    ScriptedServer,
    answer,
    events,
    http,
    reply,
)

BAD = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
ALERT = b"\x15\x03\x01\x00\x02\x02\x46"


@asynccontextmanager
async def listening(said: bytes | None, *, stays: bool = False) -> AsyncIterator[int]:
    """The port of a server that says one thing to whatever comes, and goes or stays."""
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(said or b"")
        if stays:
            await over.wait()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        over.set()


async def failure_of(url: str, **options: Any) -> StreamError:
    with pytest.raises(StreamError) as caught:
        await client_for(url, **options).stream("hi")
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("said", "stays", "kind", "words"),
    [
        (BAD, False, APIConnectionError, "the server speaks HTTP without TLS: .* http://"),
        (None, False, APIConnectionError, "while TLS was to begin.* if the server speaks HTTP"),
        (None, True, APITimeoutError, "Timeouts.connect.*if the server speaks HTTP without TLS"),
    ],
)
async def test_plain_http_on_an_https_url_is_asked_about(
    said: bytes | None, stays: bool, kind: type[StreamError], words: str
) -> None:
    async with listening(said, stays=stays) as port:
        error = await failure_of(f"https://127.0.0.1:{port}/v1", timeouts=Timeouts(connect=0.1))
    assert type(error) is kind
    assert re.search(words, str(error))


@pytest.mark.parametrize(
    ("said", "stays", "kind", "words"),
    [
        (ALERT, True, ProtocolError, "the server speaks TLS: its base_url begins with https://"),
        (None, False, APIConnectionError, "without an answer; if the server speaks TLS"),
    ],
)
async def test_tls_on_an_http_url_is_asked_about(
    said: bytes | None, stays: bool, kind: type[StreamError], words: str
) -> None:
    async with listening(said, stays=stays) as port:
        error = await failure_of(f"http://127.0.0.1:{port}/v1")
    assert type(error) is kind
    assert words in str(error)


async def test_a_server_of_tls_that_is_spoken_to_without_is_asked_about(
    authority: trustme.CA,
) -> None:
    async with ScriptedServer(answer("a"), tls=side_of(authority)) as server:
        error = await failure_of(server.base_url.replace("https:", "http:"))
    assert "if the server speaks TLS, its base_url begins with https://" in str(error)


async def test_a_connection_that_served_before_is_not_asked_about() -> None:
    async with ScriptedServer(answer("a"), [CLOSE], [RESET]) as server:
        client = client_for(server, retries=RetryPolicy(max_attempts=2, initial_delay=0))
        await client.stream("hi")
        with pytest.raises(APIConnectionError) as caught:
            await client.stream("hi")
    assert "TLS" not in caught.value.failed_attempts[0].message


#: Which of them aiohttp can read depends on what is installed, and on the Python.
READABLE = {"br": compression_utils.HAS_BROTLI, "zstd": compression_utils.HAS_ZSTD}


@pytest.mark.parametrize(
    ("encoding", "named"),
    [
        pytest.param(
            encoding,
            named,
            marks=pytest.mark.skipif(
                READABLE[encoding], reason=f"aiohttp can read {encoding} here"
            ),
        )
        for encoding, named in (("br", "brotli (br)"), ("zstd", "zstandard (zstd)"))
    ],
)
@pytest.mark.parametrize("script", [lambda head: [head, http(b"\x8b") + END, HANG], None])
async def test_a_content_encoding_that_cannot_be_read_is_named(
    encoding: str, named: str, script: Callable[[bytes], list[Any]] | None
) -> None:
    field = f"Content-Encoding: {encoding}\r\n"
    head = HEADERS.replace(b"Transfer", field.encode() + b"Transfer")
    async with ScriptedServer(
        reply("400 Bad", b"\x8b", headers=field) if script is None else script(head)
    ) as server:
        with pytest.raises(ProtocolError) as caught:
            await client_for(server).stream("hi")
        assert server.requests[0].headers["accept-encoding"] == "identity"
    assert f"the content encoding {named}, which cannot be read here" in str(caught.value)
    assert "not HTTP" not in str(caught.value)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", *(e for e in READABLE if READABLE[e])])
async def test_a_body_that_is_not_in_the_encoding_it_claims_is_told(encoding: str) -> None:
    head = HEADERS.replace(b"Transfer", f"Content-Encoding: {encoding}\r\nTransfer".encode())
    async with ScriptedServer([head, http(events("a") + DONE) + END]) as server:
        with pytest.raises(ConnectionLostError, match=f"content encoding {encoding}, which"):
            await client_for(server).stream("hi")
