"""A proxy that the environment names is used, or refused before anything is sent; never bypassed."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest
import trustme

from lm_deluge.errors import APIConnectionError
from support.clients import KEY, client_for, side_of
from support.programs import clean_environment
from support.proxying import ForwardingProxy
from support.scripted import ScriptedServer, answer

SECRET = "hunter2-hunter2"


#: The extra test has the package of the extra socks.
needs_socks = pytest.mark.skipif(find_spec("aiohttp_socks") is None, reason="needs the extra test")


def port_of(server: ScriptedServer) -> int:
    return urlsplit(server.base_url).port or 0


@pytest.mark.parametrize(
    ("written", "kind", "host"),
    [
        ("{}", "CONNECT", "api.invalid"),
        ("http://{}", "CONNECT", "api.invalid"),
        pytest.param("socks5h://{}", "socks5", "api.invalid", marks=needs_socks),
        pytest.param("socks://{}", "socks5", "api.invalid", marks=needs_socks),
        pytest.param("socks4a://{}", "socks4", "api.invalid", marks=needs_socks),
    ],
)
@pytest.mark.parametrize("variable", ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])
async def test_an_encrypted_request_goes_through_the_proxy(
    monkeypatch: pytest.MonkeyPatch,
    authority: trustme.CA,
    bundle: Path,
    variable: str,
    written: str,
    kind: str,
    host: str,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    async with (
        ScriptedServer(answer("a"), tls=side_of(authority)) as server,
        ForwardingProxy({host: port_of(server)}) as proxy,
    ):
        monkeypatch.setenv(variable, written.format(proxy.address))
        client = client_for("https://api.invalid/v1")
        for _ in range(2):
            assert (await client.stream("hi")).completion == "a"
        assert proxy.asked == [(kind, host, 443, "")]  # the second request found it open
        assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
        await client.close()


@pytest.mark.parametrize(
    ("written", "kind", "host"),
    [
        ("{}", "POST", "127.0.0.1"),
        ("http://{}", "POST", "127.0.0.1"),
        pytest.param("socks5://{}", "socks5", "127.0.0.1", marks=needs_socks),
        pytest.param("socks5h://{}", "socks5", "127.0.0.1", marks=needs_socks),
        pytest.param("socks4://{}", "socks4", "127.0.0.1", marks=needs_socks),
    ],
)
async def test_a_plain_request_goes_through_the_proxy(
    monkeypatch: pytest.MonkeyPatch, written: str, kind: str, host: str
) -> None:
    async with ScriptedServer(answer("a")) as server, ForwardingProxy() as proxy:
        monkeypatch.setenv("HTTP_PROXY", written.format(proxy.address))
        assert (await client_for(server).stream("hi")).completion == "a"
        assert proxy.asked == [(kind, host, port_of(server), "")]


@needs_socks
async def test_names_are_looked_up_here_for_socks5_and_there_for_socks5h(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with ScriptedServer(answer("a")) as server, ForwardingProxy() as proxy:
        url = f"http://localhost:{port_of(server)}/v1"
        for scheme in ("socks5", "socks5h"):
            monkeypatch.setenv("ALL_PROXY", f"{scheme}://{proxy.address}")
            await client_for(url).stream("hi")
    assert [asked[1] for asked in proxy.asked] in (["127.0.0.1", "localhost"], ["::1", "localhost"])


@pytest.mark.parametrize("method", ["POST", "CONNECT"])
async def test_a_proxy_may_itself_be_encrypted(
    monkeypatch: pytest.MonkeyPatch, authority: trustme.CA, bundle: Path, method: str
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    tls = side_of(authority) if method == "CONNECT" else None
    async with (
        ScriptedServer(answer("a"), tls=tls) as server,
        ForwardingProxy(tls=side_of(authority)) as proxy,
    ):
        monkeypatch.setenv("ALL_PROXY", f"https://{proxy.address}")
        client = client_for(server)
        assert (await client.stream("hi")).completion == "a"
        assert [asked[0] for asked in proxy.asked] == [method]
        await client.close()


@needs_socks
@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
async def test_a_proxy_is_told_who_asks(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    async with (
        ScriptedServer(answer("a")) as server,
        ForwardingProxy(password="p@ss word") as proxy,
    ):
        monkeypatch.setenv("ALL_PROXY", f"{scheme}://me:p%40ss%20word@{proxy.address}")
        assert (await client_for(server).stream("hi")).completion == "a"
        assert proxy.asked[0][3] == "me:p@ss word"


@needs_socks
@pytest.mark.parametrize("scheme", ["socks5h", "socks4a"])
async def test_a_proxy_that_refuses_is_named_without_its_password(
    monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    async with ForwardingProxy(refuse=True) as proxy:
        monkeypatch.setenv("ALL_PROXY", f"{scheme}://me:{SECRET}@{proxy.address}")
        with pytest.raises(APIConnectionError, match=f"{scheme}://{proxy.address} refused") as told:
            await client_for("http://api.invalid/v1").stream("hi")
    assert SECRET not in str(told.value)
    assert len(proxy.asked) == 1


@pytest.mark.parametrize(
    "scheme",
    [
        "",
        "http://",
        "https://",
        *(pytest.param(s, marks=needs_socks) for s in ("socks5://", "socks4a://")),
    ],
)
async def test_a_proxy_that_is_not_there_is_not_bypassed(
    monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    async with ScriptedServer(answer("a")) as server:
        async with ForwardingProxy() as gone:
            pass
        monkeypatch.setenv("ALL_PROXY", f"{scheme}{gone.address}")
        with pytest.raises(APIConnectionError):
            await client_for(server).stream("hi")
        assert server.connections == 0


async def test_what_is_no_proxy_is_refused_before_anything_is_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with ScriptedServer(answer("a")) as server:
        monkeypatch.setenv("HTTP_PROXY", f"ftp://me:{SECRET}@127.0.0.1:1")
        with pytest.raises(ValueError, match="HTTP_PROXY: ftp://") as told:
            await client_for(server).stream("hi")
        assert SECRET not in str(told.value)
        assert server.connections == 0


@needs_socks
async def test_an_exception_leads_past_the_proxy_and_trust_env_past_all_variables(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with ScriptedServer(answer("a")) as server, ForwardingProxy() as proxy:
        monkeypatch.setenv("ALL_PROXY", f"socks5://{proxy.address}")
        monkeypatch.setenv("NO_PROXY", "127.0.0.0/8")
        await client_for(server).stream("hi")
        monkeypatch.setenv("NO_PROXY", "no such thing;")
        await client_for(server, trust_env=False).stream("hi")
        assert (len(server.requests), proxy.asked) == (2, [])


@needs_socks
async def test_a_connector_of_ones_own_knows_no_socks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1")
    async with ScriptedServer(answer("a")) as server, aiohttp.TCPConnector() as connector:
        with pytest.raises(ValueError, match=r"ALL_PROXY.*connector="):
            await client_for(server, connector=connector).stream("hi")
        await client_for(server, connector=connector, trust_env=False).stream("hi")


@needs_socks
@pytest.mark.parametrize("kind", ["asyncio", "uvloop"])
def test_a_socks_proxy_serves_every_event_loop_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, authority: trustme.CA, bundle: Path, kind: str
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    factory = None if kind == "asyncio" else pytest.importorskip("uvloop").new_event_loop
    client = client_for("https://api.invalid/v1")

    async def main() -> list[str]:
        async with ScriptedServer(answer("a", "b"), tls=side_of(authority)) as server:
            async with ForwardingProxy({"api.invalid": port_of(server)}) as proxy:
                monkeypatch.setenv("ALL_PROXY", f"socks5h://{proxy.address}")
                answers = await asyncio.gather(*(client.stream("hi") for _ in range(3)))
                await client.close()
                await server.all_gone()
        return [response.completion for response in answers]

    for _ in range(2):
        with asyncio.Runner(loop_factory=factory) as runner:
            assert runner.run(main()) == ["ab"] * 3


def test_a_missing_package_for_socks_is_named_before_anything_is_sent(tmp_path: Path) -> None:
    program = """
import asyncio, sys
sys.modules["aiohttp_socks"] = None
from lm_deluge import LLMClient
try:
    asyncio.run(LLMClient("gpt-4o", base_url="http://127.0.0.1:9/v1", printer=None).stream("hi"))
except ImportError as error:
    print(error)
"""
    env = clean_environment(ALL_PROXY=f"socks5://me:{SECRET}@127.0.0.1:9", NO_PROXY="")
    done = subprocess.run(
        [sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True
    )
    assert "ALL_PROXY" in done.stdout
    assert "pip install aiohttp-socks" in done.stdout
    assert SECRET not in done.stdout
