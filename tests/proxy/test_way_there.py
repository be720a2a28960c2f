"""The way to an upstream: TLS, its authorities, and the proxies that the environment names."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lm_deluge.proxy import Proxy
from support.clients import side_of
from support.proxying import ForwardingProxy
from support.raw_http import OK, Asker, Side, Upstream

if TYPE_CHECKING:
    import trustme

ASK = b"GET /v1//x%20?a=b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@pytest.fixture
def trusting(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))


@pytest.mark.usefixtures("trusting")
async def test_an_upstream_with_tls_passes_byte_for_byte(authority: trustme.CA) -> None:
    async with Upstream(tls=side_of(authority)) as upstream, Proxy(upstream.url) as proxy:
        async with Asker(proxy.url) as asker:
            assert await asker.ask(ASK) == (OK, "end")
    assert upstream.sides[0].raw == ASK.replace(b"localhost", upstream.url[8:].encode())


@pytest.mark.usefixtures("trusting")
async def test_an_upstream_with_tls_that_ends_short_ends_short(authority: trustme.CA) -> None:
    async def script(side: Side) -> None:
        await side.head()
        await side.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")

    async with Upstream(script, tls=side_of(authority)) as upstream, Proxy(upstream.url) as proxy:
        async with Asker(proxy.url) as asker, asyncio.timeout(5):
            got, ending = await asker.ask(ASK)
    assert (got[-7:], ending) == (b"\r\n\r\nabc", "end")


async def test_an_upstream_nobody_vouches_for_is_a_502_that_says_so(authority: trustme.CA) -> None:
    async with Upstream(tls=side_of(authority)) as upstream, Proxy(upstream.url) as proxy:
        async with Asker(proxy.url) as asker:
            got, _ = await asker.ask(ASK)
    assert got.startswith(b"HTTP/1.1 502 ")
    assert b"certificate verify failed" in got


async def test_a_proxy_of_the_environment_is_told_whom_to_ask(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with Upstream() as upstream, ForwardingProxy({"api.invalid": upstream.port}) as between:
        monkeypatch.setenv("http_proxy", f"http://user:pa%40ss@{between.address}")
        async with Proxy("http://api.invalid:8080") as proxy, Asker(proxy.url) as asker:
            assert await asker.ask(ASK) == (OK, "end")
    (asked,) = between.asked
    assert asked == ("GET", "api.invalid", 8080, "basic dxnlcjpwyubzcw==")
    line = upstream.sides[0].raw.partition(b"\r\n")[0]
    assert line == b"GET http://api.invalid:8080/v1//x%20?a=b HTTP/1.1"


@pytest.mark.usefixtures("trusting")
@pytest.mark.parametrize("scheme", ["http", "socks5h"])
async def test_tls_goes_through_a_proxy_of_the_environment_unseen(
    authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    async with Upstream(tls=side_of(authority)) as upstream:
        async with ForwardingProxy({"api.invalid": upstream.port}) as between:
            monkeypatch.setenv("https_proxy", f"{scheme}://{between.address}")
            async with Proxy("https://api.invalid") as proxy, Asker(proxy.url) as asker:
                assert await asker.ask(ASK) == (OK, "end")
        assert upstream.sides[0].raw == ASK.replace(b"localhost", b"api.invalid")


async def test_a_proxy_of_the_environment_that_refuses_is_a_502_without_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with ForwardingProxy(refuse=True) as between:
        monkeypatch.setenv("https_proxy", f"http://user:secret@{between.address}")
        async with Proxy("https://api.invalid") as proxy, Asker(proxy.url) as asker:
            got, _ = await asker.ask(ASK)
    assert got.startswith(b"HTTP/1.1 502 ")
    assert b"refused the connection to https://api.invalid: 403" in got
    assert b"secret" not in got


async def test_what_the_environment_says_wrong_is_told_before_anybody_asks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("https_proxy", "ftp://x")
    with pytest.raises(ValueError, match="https_proxy"):
        await Proxy("https://api.invalid").start()
