"""How things end: an upstream's ending reaches the reader as it was, a reader's reaches its upstream."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

import pytest

from lm_deluge.proxy import Proxy
from support.raw_http import OK, Asker, Script, Side, Upstream, reset

ASK = b"GET /v1/x HTTP/1.1\r\nHost: localhost\r\n\r\n"

_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n"


def _saying(data: bytes, ending: str) -> Script:
    async def script(side: Side) -> None:
        await side.head()
        if data:
            await side.write(data)
            await asyncio.sleep(0.02)
        if ending == "reset":
            reset(side.writer)

    return script


@pytest.mark.parametrize("ending", ["end", "reset"])
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\n\r\nabc",
        _CHUNKED,
        _CHUNKED + b"5\r\nab",
        _CHUNKED + b"zz\r\nabc\r\n0\r\n\r\nmore",
        _CHUNKED + b"3\r\nabcd\r\n0\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\nabc",
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ],
    ids=["nothing", "half a head", "short", "no length", "no last chunk", "half a chunk", "bad size",
         "wrong size", "no HTTP", "no status", "100 alone"],
)  # fmt: skip
async def test_a_broken_answer_breaks_the_same_way(data: bytes, ending: str) -> None:
    async with Upstream(_saying(data, ending)) as upstream, Proxy(upstream.url) as proxy:
        async with Asker(upstream.url) as direct, Asker(proxy.url) as asker, asyncio.timeout(5):
            wanted = await direct.ask(ASK)
            assert wanted == (data, ending)
            assert await asker.ask(ASK) == wanted


async def test_a_reset_comes_after_all_that_a_slow_reader_has_not_read_yet() -> None:
    body = bytes(3_000_000)

    async def script(side: Side) -> None:
        await side.head()
        await side.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n" + body)
        while side.writer.transport.get_write_buffer_size():
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        reset(side.writer)

    async with (
        Upstream(script) as upstream,
        Proxy(upstream.url) as proxy,
        Asker(proxy.url) as asker,
    ):
        await asker.write(ASK)
        await asyncio.sleep(0.3)
        got, ending = await asker.ending()
        assert ending == "reset"
        # What the upstream's own kernel had not sent is lost with it; what it sent is not.
        assert len(got) > 2_000_000


async def _until_gone(side: Side) -> None:
    async with asyncio.timeout(1):
        try:
            while await side.reader.read(1000):
                pass
        except ConnectionError:
            pass


@pytest.mark.parametrize("said", [b"", _CHUNKED], ids=["before an answer", "in an answer"])
@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_reader_that_leaves_closes_its_upstream_at_once(said: bytes, how: str) -> None:
    async def script(side: Side) -> None:
        await side.head()
        await side.write(said)
        await side.rest()

    async with Upstream(script) as upstream, Proxy(upstream.url) as proxy:
        async with Asker(proxy.url) as asker:
            await asker.write(ASK)
            side = await upstream.side()
            if said:
                await asker.exactly(len(said))
            else:
                while not side.raw:
                    await asyncio.sleep(0.001)
            if how == "reset":
                reset(asker.writer)
            else:
                asker.close()
            async with asyncio.timeout(1):
                await side.gone.wait()
        assert proxy.running == 0


async def test_a_reader_that_leaves_during_its_upload_closes_its_upstream_though_that_does_not_read() -> (
    None
):
    async def script(side: Side) -> None:
        await side.head()
        side.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(20)

    async with Upstream(script) as upstream, Proxy(upstream.url) as proxy:
        async with Asker(proxy.url) as asker:
            asker.writer.write(
                b"POST /v1/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n"
                + bytes(20_000_000)
            )
            await asyncio.sleep(0.2)
            assert proxy.running == 1
            reset(asker.writer)  # a polite end would come behind all that it sent
        async with asyncio.timeout(2):
            while proxy.running:
                await asyncio.sleep(0.01)


async def test_an_idle_connection_lives_as_long_as_its_upstreams() -> None:
    close = asyncio.Event()

    async def script(side: Side) -> None:
        await side.head()
        await side.write(OK)
        await close.wait()

    async with (
        Upstream(script) as upstream,
        Proxy(upstream.url) as proxy,
        Asker(proxy.url) as asker,
    ):
        await asker.write(ASK)
        await asker.answer()
        waiting = asyncio.ensure_future(asker.ending())
        assert await asyncio.wait({waiting}, timeout=0.05) == (set(), {waiting})
        close.set()
        async with asyncio.timeout(1):
            assert await waiting == (b"", "end")


async def test_an_early_answer_reaches_a_reader_that_is_still_sending() -> None:
    answer = b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno"

    async def script(side: Side) -> None:
        await side.head()
        await side.write(answer)
        side.writer.write_eof()
        await side.rest()

    async with (
        Upstream(script) as upstream,
        Proxy(upstream.url) as proxy,
        Asker(proxy.url) as asker,
    ):
        await asker.write(
            b"POST /v1/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\n\r\n"
        )
        for _ in range(20):
            asker.writer.write(bytes(100_000))
            await asyncio.sleep(0.001)
        async with asyncio.timeout(2):
            assert (await asker.ending())[0] == answer


def _message_of(wire: str, body: Any) -> str:
    if wire == "messages":
        assert body["type"] == "error"
        assert body["error"]["type"] == "api_error"
        assert body["request_id"].startswith("req_")
    elif wire == "gemini":
        assert body["error"]["code"] == 502
        assert body["error"]["status"] == "UNAVAILABLE"
    else:
        assert set(body["error"]) == {"message", "type", "param", "code"}
        assert body["error"]["code"] == "upstream_unreachable"
    message: str = body["error"]["message"]
    return message


@pytest.mark.parametrize(
    ("path", "wire"),
    [
        ("/v1/chat/completions", "chat"),
        ("/v1/responses", "responses"),
        ("/v1/models", "chat"),
        ("/v1/messages", "messages"),
        ("/v1/messages/count_tokens", "messages"),
        ("/v1beta/models/gemini-3-flash:streamGenerateContent?alt=sse&key=sk-secret", "gemini"),
        ("/v1beta/models/gemini-3-flash:streamGenerateContent?key=sk-secret", "gemini array"),
        ("/v1beta/models/gemini-3-flash:generateContent", "gemini"),
        ("/v1beta/cachedContents", "gemini"),
    ],
)
async def test_an_upstream_that_is_not_there_is_a_502_in_the_wires_shape(
    path: str, wire: str
) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        async with Proxy(url) as proxy, Asker(proxy.url) as asker:
            got, ending = await asker.ask(
                f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{{}}".encode()
            )
    head, _, body = got.partition(b"\r\n\r\n")
    assert ending == "end"
    kind = b"text/event-stream" if b"alt=sse" in path.encode() else b"application/json"
    assert head.startswith(b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: " + kind)
    told = json.loads(body)
    if wire == "gemini array":
        (told,) = told
    message = _message_of(wire.partition(" ")[0], told)
    assert f"no connection to {url}" in message
    assert "sk-secret" not in message


async def test_a_proxy_that_finishes_lets_answers_end_and_one_that_closes_cuts_them() -> None:
    go = asyncio.Event()

    async def script(side: Side) -> None:
        await side.head()
        await side.write(_CHUNKED)
        await go.wait()
        await side.write(b"0\r\n\r\n")

    for cut in (False, True):
        go.clear()
        async with Upstream(script) as upstream, Proxy(upstream.url) as proxy:
            async with Asker(proxy.url) as asker, Asker(proxy.url) as idle:
                await asker.write(ASK)
                await asker.exactly(len(_CHUNKED))
                finishing = asyncio.ensure_future(proxy.finish())
                async with asyncio.timeout(1):
                    assert await idle.ending() == (b"", "end")
                    with pytest.raises(OSError, match="Connect"):
                        await asyncio.open_connection(
                            "127.0.0.1", int(proxy.url.rpartition(":")[2])
                        )
                    if cut:
                        await proxy.close()
                        assert (await asker.ending())[0] == b""
                    else:
                        assert not finishing.done()
                        go.set()
                        assert await asker.ending() == (b"0\r\n\r\n", "end")
                    await finishing
