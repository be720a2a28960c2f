"""Who is refused, and with what: web pages, and heads that two servers could read differently."""

from __future__ import annotations

import asyncio
import json

import pytest

from lm_deluge.proxy import Proxy
from support.raw_http import OK, Asker, Upstream

LOCAL = b"Host: localhost\r\n"


async def refusal_of(request: bytes, **options: object) -> tuple[int, str]:
    """Return the status and message of a refusal; nothing reaches the upstream, and others are served."""
    async with Upstream() as upstream:
        async with Proxy(upstream.url, **options) as proxy:  # type: ignore[arg-type]
            async with Asker(proxy.url) as asker, asyncio.timeout(5):
                got, _ = await asker.ask(request)
            assert upstream.sides == []
            async with Asker(proxy.url) as other, asyncio.timeout(5):
                await other.write(b"GET /v1/x HTTP/1.1\r\n" + LOCAL + b"\r\n")
                assert (await other.answer())[1] == b"ok"
    head, _, body = got.partition(b"\r\n\r\n")
    assert b"\r\nConnection: close" in head
    return int(head.split(b" ")[1]), json.loads(body)["error"]["message"]


@pytest.mark.parametrize(
    ("status", "says", "head"),
    [
        (400, "not both", b"POST /v1/x HTTP/1.1\r\n@Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"),
        (400, "not both", b"POST /v1/x HTTP/1.1\r\n@transfer-encoding: chunked\r\ncontent-length: 0\r\n"),
        (501, "chunked", b"POST /v1/x HTTP/1.1\r\n@Transfer-Encoding: gzip, chunked\r\n"),
        (501, "chunked", b"POST /v1/x HTTP/1.1\r\n@Transfer-Encoding: xchunked\r\n"),
        (501, "chunked", b"POST /v1/x HTTP/1.1\r\n@Transfer-Encoding: chunked\r\n"
         + b"Transfer-Encoding: identity\r\n"),
        (400, "HTTP/1.0", b"POST /v1/x HTTP/1.0\r\n@Transfer-Encoding: chunked\r\n"),
        (400, "Content-Length", b"POST /v1/x HTTP/1.1\r\n@Content-Length: 3\r\nContent-Length: 4\r\n"),
        (400, "Content-Length", b"POST /v1/x HTTP/1.1\r\n@Content-Length: 3, 3\r\n"),
        (400, "Content-Length", b"POST /v1/x HTTP/1.1\r\n@Content-Length: +3\r\n"),
        (400, "Content-Length", b"POST /v1/x HTTP/1.1\r\n@Content-Length: 0x3\r\n"),
        (400, "Content-Length", b"POST /v1/x HTTP/1.1\r\n@Content-Length: " + b"9" * 30 + b"\r\n"),
        (400, "NAME: VALUE", b"POST /v1/x HTTP/1.1\r\n@Content-Length : 3\r\n"),
        (400, "NAME: VALUE", b"POST /v1/x HTTP/1.1\r\n@X: a\r\n folded\r\n"),
        (400, "NAME: VALUE", b"POST /v1/x HTTP/1.1\r\n@X: a\x00b\r\n"),
        (400, "NAME: VALUE", b"POST /v1/x HTTP/1.1\r\n@no colon\r\n"),
        (400, "CR LF", b"GET /v1/x HTTP/1.1\n@"),
        (400, "CR LF", b"GET /v1/x HTTP/1.1\r\n@X: a\rY: b\r\n"),
        (400, "CR LF", b"GET /v1/x HTTP/1.1\r\n@X: a\nTransfer-Encoding: chunked\r\n"),
        (400, "METHOD TARGET", b"GET  /v1/x HTTP/1.1\r\n@"),
        (400, "METHOD TARGET", b"GET /v1/x y HTTP/1.1\r\n@"),
        (400, "METHOD TARGET", b"G\xe4T /v1/x HTTP/1.1\r\n@"),
        (400, "METHOD TARGET", b"\x16\x03\x01\x02\x00\r\n@"),
        (505, "HTTP/1.1", b"GET /v1/x HTTP/2.0\r\n@"),
        (505, "HTTP/1.1", b"GET /v1/x HTTP/1.2\r\n@"),
        (505, "HTTP/1.1", b"PRI * HTTP/2.0\r\n"),
        (400, "one Host", b"GET /v1/x HTTP/1.1\r\n"),
        (400, "one Host", b"GET /v1/x HTTP/1.1\r\n@@"),
        (414, "request line", b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n@"),
        (431, "65536 bytes", b"GET /v1/x HTTP/1.1\r\n@X: " + b"x" * 70_000 + b"\r\n"),
        (431, "200 fields", b"GET /v1/x HTTP/1.1\r\n@" + b"X: a\r\n" * 201),
        (400, "has to be a path", b"GET http://example.com/v1/x HTTP/1.1\r\n@"),
        (400, "has to be a path", b"GET * HTTP/1.1\r\n@"),
        (405, "no tunnels", b"CONNECT example.com:443 HTTP/1.1\r\n@"),
    ],
)  # fmt: skip
async def test_a_hostile_head_is_refused_and_nothing_of_it_passes(
    status: int, says: str, head: bytes
) -> None:
    got, message = await refusal_of(head.replace(b"@", LOCAL) + b"\r\nabc")
    assert (got, says in message) == (status, True), message


@pytest.mark.parametrize(
    "body",
    [b"zz\r\n", b"-1\r\n", b"0x3\r\nabc\r\n", b"3 \r\nabc\r\n", b"3\nabc\n", b"3\r\nabcd\r\n", b"\r\n",
     b"3;a\x00=b\r\nabc\r\n", b"3;a\nb\r\nabc\r\n", b"11111111111111111\r\n", b"3" * 5000,
     b"0\r\nContent-Length: 3\r\n\r\n", b"0\r\nno trailer\r\n\r\n", b"0\r\nX: a\n\r\n"],
)  # fmt: skip
async def test_a_bad_chunk_is_refused_and_its_upstream_let_go(body: bytes) -> None:
    async with Upstream(lambda side: side.rest()) as upstream, Proxy(upstream.url) as proxy:
        async with Asker(proxy.url) as asker, asyncio.timeout(5):
            await asker.write(
                b"POST /v1/x HTTP/1.1\r\n" + LOCAL + b"Transfer-Encoding: chunked\r\n\r\n"
            )
            side = await upstream.side()
            got, _ = await asker.ask(body)
            assert got.startswith(b"HTTP/1.1 400 ")
            await side.gone.wait()
        assert b"\r\n\r\n" + body not in side.raw


async def test_what_follows_a_body_is_another_request_and_checked_as_one() -> None:
    """The oldest way to smuggle one: behind a body that says it is shorter."""
    async with Upstream() as upstream, Proxy(upstream.url) as proxy, Asker(proxy.url) as asker:
        got, _ = await asker.ask(
            b"POST /v1/x HTTP/1.1\r\n" + LOCAL + b"Content-Length: 0\r\n\r\n"
            b"GET /v1/x HTTP/1.1\r\nHost: evil.example\r\n\r\n"
        )
        assert got.startswith(OK + b"HTTP/1.1 421 ")
        assert len(upstream.sides) == 1


async def test_a_slow_head_is_ended_and_an_empty_connection_closed() -> None:
    async with Upstream() as upstream, Proxy(upstream.url, head_timeout=0.1) as proxy:
        async with Asker(proxy.url) as slow, Asker(proxy.url) as empty, asyncio.timeout(5):
            await slow.write(b"GET /v1/x HTTP/1.1\r\nX: ")
            assert (await slow.ending())[0].startswith(b"HTTP/1.1 408 ")
            assert await empty.ending() == (b"", "end")
        assert upstream.sides == []


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:1",
        "localhost.:80",
        "127.0.0.1:4141",
        "127.9.9.9",
        "[::1]:4141",
        "app.localhost",
    ],
)
async def test_names_of_this_machine_are_let_in(host: str) -> None:
    async with Upstream() as upstream, Proxy(upstream.url) as proxy, Asker(proxy.url) as asker:
        await asker.write(f"GET /v1/x HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert (await asker.answer())[1] == b"ok"


@pytest.mark.parametrize(
    ("status", "says", "fields"),
    [
        (421, "--allow-host evil.example", "Host: evil.example"),
        (421, "--allow-host", "Host: localhost.evil.example"),
        (421, "--allow-host", "Host: 192.0.2.1:4141"),
        (421, "--allow-host", "Host: proxy:4141"),
        (400, "NAME:PORT", "Host: a@localhost"),
        (400, "NAME:PORT", "Host:"),
        (400, "NAME:PORT", "Host: localhost/x"),
        (403, "https://evil.example", "Host: localhost\r\nOrigin: https://evil.example"),
        (403, "Origin", "Host: localhost\r\nOrigin: null"),
        (403, "Origin", "Host: localhost\r\nOrigin: http://localhost@evil.example"),
        (
            403,
            "Origin",
            "Host: localhost\r\nOrigin: http://localhost\r\nOrigin: https://evil.example",
        ),
        (403, "another site", "Host: localhost\r\nSec-Fetch-Site: cross-site"),
    ],
)
async def test_a_web_page_gets_nowhere(status: int, says: str, fields: str) -> None:
    got, message = await refusal_of(f"GET /v1/x HTTP/1.1\r\n{fields}\r\n\r\n".encode())
    assert (got, says in message) == (status, True), message


async def test_a_page_of_this_machine_and_names_that_are_allowed_are_let_in() -> None:
    async with (
        Upstream() as upstream,
        Proxy(upstream.url, allow_hosts=["proxy", "app.test"]) as proxy,
    ):
        for fields in ("Host: proxy:4141", "Host: localhost\r\nOrigin: http://localhost:3000",
                       "Host: PROXY\r\nOrigin: https://app.test"):  # fmt: skip
            async with Asker(proxy.url) as asker:
                await asker.write(f"GET /v1/x HTTP/1.1\r\n{fields}\r\n\r\n".encode())
                assert (await asker.answer())[1] == b"ok"


def test_an_address_that_others_reach_wants_to_be_allowed() -> None:
    for host in ("0.0.0.0", "::", "192.168.1.5", "my-host"):
        with pytest.raises(ValueError, match="allow_remote"):
            Proxy(host=host)
    Proxy(host="0.0.0.0", allow_remote=True)


@pytest.mark.parametrize("name", ["", "http://x", "a b", "host:80", "x/y"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="allow_hosts"):
        Proxy(allow_hosts=[name])


async def test_a_head_in_single_bytes_is_read_and_refused_as_in_one() -> None:
    async with Upstream() as upstream, Proxy(upstream.url) as proxy:
        for request, status in ((b"GET /v1/x HTTP/1.1\r\nHost: localhost\r\n\r\n", b"200"),
                                (b"GET /v1/x HTTP/1.1\r\nHost: localhost\rX: a\r\n\r\n", b"400"),
                                (b"GET /v1/x HTTP/1.1\r\nHost: localhost\n\r\n", b"400")):  # fmt: skip
            async with Asker(proxy.url) as asker, asyncio.timeout(5):
                for byte in request:
                    asker.writer.write(bytes([byte]))
                    await asyncio.sleep(0)
                assert (await asker.head()).split(b" ")[1] == status
