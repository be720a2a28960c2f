"""What passes, passes as it came: requests and answers byte by byte, on raw sockets."""

from __future__ import annotations

import asyncio

import pytest

from lm_deluge.proxy import Proxy
from support.raw_http import OK, Asker, Side, Upstream

#: What is asked last on a connection.
LAST = b"Connection: close\r\n"


async def asked(request: bytes, answer: bytes = OK) -> tuple[bytes, bytes, Upstream]:
    """Return what an upstream got of a request, what its reader got, and the upstream."""
    async with (
        Upstream(answer) as upstream,
        Proxy(upstream.url) as proxy,
        Asker(proxy.url) as asker,
    ):
        got, ending = await asker.ask(request.replace(b"<host>", _host(proxy)))
        assert ending == "end"
        return upstream.sides[0].raw, got, upstream


def _host(proxy: Proxy) -> bytes:
    return proxy.url.removeprefix("http://").encode()


@pytest.mark.parametrize(
    "target",
    [
        b"/v1/models",
        b"//v1//chat/completions",
        b"/v1/files/a%2Fb%20c%2e%2E/../x?",
        b"/x?a=1&a=2&b=%C3%A4+%20;c=[1]#f",
        b"/%",
        "/ä".encode(),
        b"/v1/x?key=" + b"k" * 5000,
    ],
)
async def test_path_and_query_pass_as_they_were_written(target: bytes) -> None:
    raw, _, _ = await asked(b"GET " + target + b" HTTP/1.1\r\nHost: <host>\r\n" + LAST + b"\r\n")
    assert raw.split(b" ")[1] == target


async def test_headers_pass_in_order_and_case_but_those_between_neighbours() -> None:
    raw, _, upstream = await asked(
        b"POST /v1/x HTTP/1.1\r\nx-first:  two  spaces \r\nHOST: <host>\r\nX-Twice: a\r\nx-twice: b\r\n"
        b"User-Agent: app/1\r\nAuthorization: Bearer sk-1\r\nX-Bytes: \xe4\xff\r\nX-Empty:\r\n"
        b"Keep-Alive: timeout=5\r\nTE: trailers\r\nProxy-Authorization: Basic x\r\nUpgrade: h2c\r\n"
        b"X-Hop: secret\r\nConnection: close, X-Hop, Upgrade\r\nX-LM-Deluge-Tags: variant=B\r\n"
        b"Content-Length: 3\r\n\r\nabc"
    )
    host = upstream.url.removeprefix("http://").encode()
    assert raw == (
        b"POST /v1/x HTTP/1.1\r\nx-first:  two  spaces \r\nHOST: " + host + b"\r\nX-Twice: a\r\n"
        b"x-twice: b\r\nUser-Agent: app/1\r\nAuthorization: Bearer sk-1\r\nX-Bytes: \xe4\xff\r\n"
        b"X-Empty:\r\nConnection: close\r\nContent-Length: 3\r\n\r\n"
    )


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 299 Sehr  gut!\r\nx-A: 1\r\nX-a: 2\r\nServer: s\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: https://elsewhere.example/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 700\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x00\xff",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n"
        b'3;ext="a b"\r\nabc\r\n0002\r\nde\r\n0\r\nx-sum: 1\r\n\r\n',
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na",
    ],
    ids=[
        "reason",
        "no reason",
        "redirect",
        "204",
        "304",
        "compressed",
        "chunks and trailers",
        "103",
    ],
)
async def test_an_answer_passes_byte_for_byte(answer: bytes) -> None:
    _, got, _ = await asked(b"GET /v1/x HTTP/1.1\r\nHost: <host>\r\n" + LAST + b"\r\n", answer)
    assert got == answer


async def test_what_is_between_neighbours_is_taken_off_an_answer() -> None:
    answer = (
        b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nX-Hop: a\r\nConnection: x-hop\r\n"
        b"Proxy-Authenticate: Basic\r\nX-Kept: b\r\nContent-Length: 0\r\n\r\n"
    )
    _, got, _ = await asked(b"GET /v1/x HTTP/1.1\r\nHost: <host>\r\n" + LAST + b"\r\n", answer)
    assert got == b"HTTP/1.1 200 OK\r\nX-Kept: b\r\nContent-Length: 0\r\n\r\n"


async def test_the_answer_to_head_has_no_body_whatever_its_length_says() -> None:
    async with Upstream(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n") as upstream:
        async with Proxy(upstream.url) as proxy, Asker(proxy.url) as asker:
            for _ in range(2):  # the connection can carry another
                await asker.write(b"HEAD /v1/x HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert b"99" in await asker.head()
        assert len(upstream.sides) == 1


async def test_no_read_is_held_back_joined_or_cut() -> None:
    """Each piece is there before the upstream writes the next."""
    pieces = [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"5\r\nab", b"cde\r\n3\r\n", b"fgh",
              b"\r\n", b"0\r\n\r\n"]  # fmt: skip
    go = asyncio.Semaphore(0)

    async def script(side: Side) -> None:
        await side.head()
        for piece in pieces:
            await go.acquire()
            await side.write(piece)

    async with (
        Upstream(script) as upstream,
        Proxy(upstream.url) as proxy,
        Asker(proxy.url) as asker,
    ):
        await asker.write(b"GET /v1/x HTTP/1.1\r\nHost: localhost\r\n\r\n")
        for piece in pieces:
            go.release()
            async with asyncio.timeout(2):
                assert await asker.reader.read(1000) == piece


async def test_an_upload_in_chunks_passes_as_it_was_framed() -> None:
    async def script(side: Side) -> None:
        await side.head()
        while not side.raw.endswith(b"0\r\nx-t: 1\r\n\r\n"):
            await side.exactly(1)
        await side.write(OK)

    body = b"3;a=b\r\nabc\r\n00\r\nx-t: 1\r\n\r\n"
    async with (
        Upstream(script) as upstream,
        Proxy(upstream.url) as proxy,
        Asker(proxy.url) as asker,
    ):
        await asker.write(
            b"POST /v1/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        for byte in body:  # each by itself
            await asker.write(bytes([byte]))
            await asyncio.sleep(0)
        assert (await asker.answer())[1] == b"ok"
        assert upstream.sides[0].raw.endswith(b"chunked\r\n\r\n" + body)


async def test_expect_100_continue_is_the_upstreams_to_answer() -> None:
    async def script(side: Side) -> None:
        assert b"Expect: 100-continue" in await side.head()
        await side.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert await side.exactly(3) == b"abc"
        await side.write(OK)

    async with (
        Upstream(script) as upstream,
        Proxy(upstream.url) as proxy,
        Asker(proxy.url) as asker,
    ):
        await asker.write(
            b"POST /v1/x HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
        )
        assert await asker.head() == b"HTTP/1.1 100 Continue\r\n\r\n"
        await asker.write(b"abc")
        assert (await asker.answer())[1] == b"ok"


async def test_requests_on_one_connection_stay_on_one_and_are_answered_in_order() -> None:
    async def script(side: Side) -> None:
        while True:
            path = (await side.head()).split(b" ")[1]
            await asyncio.sleep(0.01)
            await side.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(path), path))

    async with (
        Upstream(script) as upstream,
        Proxy(upstream.url) as proxy,
        Asker(proxy.url) as asker,
    ):
        # The second and third do not wait for an answer.
        await asker.write(
            b"".join(b"GET /%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % number for number in range(3))
        )
        assert [(await asker.answer())[1] for _ in range(3)] == [b"/0", b"/1", b"/2"]
        assert len(upstream.sides) == 1


async def test_http_1_0_passes_as_http_1_0() -> None:
    async def script(side: Side) -> None:
        assert (await side.head()).startswith(b"GET /v1/x HTTP/1.0\r\nHost: ")
        await side.write(b"HTTP/1.0 200 OK\r\n\r\nuntil the end")

    async with (
        Upstream(script) as upstream,
        Proxy(upstream.url) as proxy,
        Asker(proxy.url) as asker,
    ):
        got = await asker.ask(b"GET /v1/x HTTP/1.0\r\n\r\n")
        assert got == (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", "end")


async def test_http_1_0_keeps_a_connection_that_both_want_to_keep() -> None:
    answer = b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\na"
    async with (
        Upstream(answer) as upstream,
        Proxy(upstream.url) as proxy,
        Asker(proxy.url) as asker,
    ):
        for _ in range(2):
            await asker.write(b"GET /v1/x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            assert (await asker.answer())[1] == b"a"


async def test_a_websocket_passes_both_ways() -> None:
    async def script(side: Side) -> None:
        head = await side.head()
        assert b"Upgrade: websocket\r\nConnection: Upgrade\r\n" in head
        await side.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
        )
        while frame := await side.reader.read(100):
            await side.write(frame[::-1])
        await side.write(b"\xffend")

    async with (
        Upstream(script) as upstream,
        Proxy(upstream.url) as proxy,
        Asker(proxy.url) as asker,
    ):
        await asker.write(
            b"GET /v1/realtime HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: x\r\n\r\n"
        )
        assert b"101 Switching" in await asker.head()
        await asker.write(b"\x00\x01\x02")
        assert await asker.exactly(3) == b"\x02\x01\x00"
        asker.writer.write_eof()
        assert await asker.ending() == (b"\xffend", "end")


async def test_what_is_said_before_a_websocket_is_open_waits_for_it() -> None:
    async def script(side: Side) -> None:
        await side.head()
        await side.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
        await side.write((await side.exactly(3))[::-1])

    async with (
        Upstream(script) as upstream,
        Proxy(upstream.url) as proxy,
        Asker(proxy.url) as asker,
    ):
        got = await asker.ask(
            b"GET /v1/realtime HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\n\r\n\x00\x01\x02"
        )
    assert got == (b"HTTP/1.1 101 Switching Protocols\r\n\r\n\x02\x01\x00", "end")


async def test_no_name_of_the_proxy_is_added_either_way() -> None:
    raw, got, _ = await asked(b"GET /v1/x HTTP/1.1\r\nHost: <host>\r\n" + LAST + b"\r\n")
    assert got == OK
    assert raw.count(b"\r\n") == 4  # the line, Host, Connection, the empty line
