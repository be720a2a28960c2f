"""Requests whose body comes slowly: each byte goes on as it comes, and nobody's time limit is ours."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from lm_deluge.proxy import Proxy
from lm_deluge.simulator import Simulator
from lm_deluge_plugins import FileLogger
from support.raw_http import OK, Asker, Side, Upstream

HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer k\r\n"
JSON = b"Content-Type: application/json\r\n"
BODY = json.dumps(
    {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
).encode()


def _framed(framing: str) -> tuple[bytes, list[bytes]]:
    """A head, and the bytes that follow it one by one."""
    if framing == "length":
        return HEAD + JSON + b"Content-Length: %d\r\n\r\n" % len(BODY), [
            b"%c" % byte for byte in BODY
        ]
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in BODY) + b"0\r\n\r\n"
    return HEAD + JSON + b"Transfer-Encoding: chunked\r\n\r\n", [b"%c" % byte for byte in chunks]


@pytest.mark.parametrize("framing", ["length", "chunks"])
async def test_each_byte_goes_on_before_the_next_one_comes(framing: str) -> None:
    head, rest = _framed(framing)
    got = asyncio.Queue[bytes]()

    async def script(side: Side) -> None:
        await side.head()
        for _ in rest:
            got.put_nowait(await side.exactly(1))
        await side.write(OK)
        await side.rest()

    async with (
        Upstream(script) as upstream,
        Proxy(upstream.url) as proxy,
        Asker(proxy.url) as asker,
        asyncio.timeout(60),
    ):
        await asker.write(head)
        for byte in rest:
            await asker.write(byte)
            assert await got.get() == byte
        assert (await asker.answer())[1] == b"ok"


@pytest.mark.parametrize("framing", ["length", "chunks"])
async def test_a_body_that_is_slower_than_a_head_may_be_is_watched_as_any_other(
    framing: str, tmp_path: Path
) -> None:
    head, rest = _framed(framing)
    log = tmp_path / "log.jsonl"
    logger = FileLogger(log)
    async with (
        Simulator(text="Good day") as simulator,
        Proxy(simulator.url, handlers=[logger], head_timeout=0.05) as proxy,
        Asker(proxy.url) as asker,
        asyncio.timeout(60),
    ):
        await asker.write(head)
        for at in range(0, len(rest), 10):
            await asker.write(b"".join(rest[at : at + 10]))
            await asyncio.sleep(0.01)
        await asker.reader.readuntil(b"[DONE]")
        await proxy.finish()
    logger.close()
    rows = [json.loads(line) for line in log.read_text().splitlines() if line]
    assert rows[0]["model"] == "gpt-4o"
    assert rows[0]["prompt_chars"] == 2
    assert rows[-1]["e"] == "complete"


async def test_one_that_never_ends_holds_up_nobody_and_ends_with_its_app() -> None:
    async with (
        Simulator(text="Good day") as simulator,
        Proxy(simulator.url) as proxy,
        asyncio.timeout(60),
    ):
        head, rest = _framed("length")
        async with Asker(proxy.url) as slow:
            await slow.write(head + b"".join(rest[:-1]))
            async with Asker(proxy.url) as other:
                await other.write(head + b"".join(rest))
                await other.reader.readuntil(b"[DONE]")
            assert proxy.running == 1
        while proxy.running:
            await asyncio.sleep(0.001)
        await simulator.wait_closed_connections()


async def test_a_proxy_that_finishes_waits_for_it_and_one_that_closes_does_not() -> None:
    head, rest = _framed("length")
    for ends in (True, False):
        async with (
            Simulator(text="Good day") as simulator,
            Proxy(simulator.url) as proxy,
            Asker(proxy.url) as slow,
            asyncio.timeout(60),
        ):
            await slow.write(head + b"".join(rest[:-1]))
            while not proxy.running:
                await asyncio.sleep(0.001)
            if ends:
                finishing = asyncio.create_task(proxy.finish())
                await slow.write(rest[-1])
                assert b"[DONE]" in (await slow.ending())[0]
                await finishing
            else:
                await proxy.close()
                assert (await slow.ending())[0] == b""
