"""Pressure passes both ways: whoever is slow slows the other side, and little waits in between."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import pytest

from lm_deluge.proxy import Proxy
from support.raw_http import OK, Asker, Side, Upstream

MEGA = 1 << 20
PIECE = bytes(range(256)) * 256  # 64 KiB

#: What kernels and event loops of three hops may hold, at most.
HELD = 24 * MEGA


async def _settled(count: Any) -> int:
    """Wait until a count stands still; return it."""
    async with asyncio.timeout(10):
        before = -1
        while before != (now := count()) or not now:
            before = now
            await asyncio.sleep(0.1)
    return int(before)


async def test_a_slow_reader_slows_its_upstream_and_gets_every_byte() -> None:
    written = 0

    async def script(side: Side) -> None:
        nonlocal written
        await side.head()
        await side.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (64 * MEGA))
        for _ in range(64 * MEGA // len(PIECE)):
            await side.write(PIECE)
            written += len(PIECE)

    async with (
        Upstream(script) as upstream,
        Proxy(upstream.url) as proxy,
        Asker(proxy.url) as asker,
    ):
        asker.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asker.write(b"GET /v1/x HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert await _settled(lambda: written) < HELD
        asker.writer.transport.resume_reading()  # type: ignore[attr-defined]
        await asker.head()
        digest = hashlib.sha256()
        for _ in range(64):
            digest.update(await asker.reader.readexactly(MEGA))
        assert digest.digest() == hashlib.sha256(PIECE * (64 * MEGA // len(PIECE))).digest()


@pytest.mark.parametrize("framing", ["length", "chunks"])
async def test_a_slow_upstream_slows_an_upload_and_gets_every_byte(framing: str) -> None:
    go = asyncio.Event()
    digest = hashlib.sha256()
    frame = b"%x\r\n%b\r\n" % (len(PIECE), PIECE) if framing == "chunks" else PIECE
    count = 64 * MEGA // len(PIECE)

    async def script(side: Side) -> None:
        await side.head()
        side.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await go.wait()
        side.writer.transport.resume_reading()  # type: ignore[attr-defined]
        for _ in range(count):
            digest.update(await side.reader.readexactly(len(frame)))
        if framing == "chunks":
            assert await side.reader.readexactly(5) == b"0\r\n\r\n"
        await side.write(OK)

    async with (
        Upstream(script) as upstream,
        Proxy(upstream.url) as proxy,
        Asker(proxy.url) as asker,
    ):
        said = (
            b"Content-Length: %d" % (64 * MEGA)
            if framing == "length"
            else b"Transfer-Encoding: chunked"
        )
        await asker.write(b"POST /v1/x HTTP/1.1\r\nHost: localhost\r\n%b\r\n\r\n" % said)
        sent = 0

        async def send() -> None:
            nonlocal sent
            for _ in range(count):
                await asker.write(frame)
                sent += len(frame)
            if framing == "chunks":
                await asker.write(b"0\r\n\r\n")

        sending = asyncio.create_task(send())
        assert await _settled(lambda: sent) < HELD
        go.set()
        await sending
        assert (await asker.answer())[1] == b"ok"
    assert digest.digest() == hashlib.sha256(frame * count).digest()


async def test_requests_that_do_not_wait_for_answers_wait_themselves() -> None:
    async with Upstream(lambda side: side.head()) as upstream, Proxy(upstream.url) as proxy:
        async with Asker(proxy.url) as asker:
            sent = 0

            async def send() -> None:
                nonlocal sent
                for _ in range(64 * MEGA // len(PIECE)):
                    await asker.write(b"GET /v1/x HTTP/1.1\r\nHost: localhost\r\n\r\n" * 1500)
                    sent += len(PIECE)

            sending = asyncio.create_task(send())
            assert await _settled(lambda: sent) < HELD
            sending.cancel()
