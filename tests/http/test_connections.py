"""A stream gets what was sent in answer to its own request, and every request that goes out is told."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable, Coroutine
from typing import Any, Self

import aiohttp
import pytest
import trustme

from lm_deluge import RetryPolicy
from lm_deluge.errors import APIConnectionError, APIStatusError, StreamError
from support.clients import Recorder, client_for
from support.scripted import (
    CLOSE,
    END,
    HANG,
    HEADERS,
    RESET,
    ScriptedServer,
    answer,
    ending,
    events,
    http,
)
from support.scripted import reply as replying

Run = Callable[[Coroutine[Any, Any, None]], None]

FOREIGN = b"".join([HEADERS, http(events("foreign")), http(ending()) + END])

#: What nobody asked for.
POISONS = {
    "an answer": FOREIGN,
    "a refusal": b"".join(replying("408 Request Timeout", "{}")),
    "a head": HEADERS,
    "half a head": HEADERS[:30],
    "a head and half a body": HEADERS + http(events("foreign")),
    "a hint": b"HTTP/1.1 103 Early Hints\r\n\r\n",
    "garbage": b"\x00\xff garbage",
    "one byte": b"H",
    "two answers": FOREIGN * 2,
    "much": FOREIGN * 3000,
}


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Both event loops: each has transports of its own."""
    return pytest.importorskip(request.param).run  # type: ignore[no-any-return]


class Answering(asyncio.Protocol):
    """One connection of a server that answers the nth request with ``answer n`` and ``extra``."""

    def __init__(self, server: AnsweringServer) -> None:
        self.server = server
        self.gone = asyncio.Event()
        self._data = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.server.connections.append(self)
        if self.server.greeting:
            transport.write(self.server.greeting)

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, separator, body = self._data.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
        if separator and len(body) >= length:
            self._data = b""
            self.server.requests += 1
            text = f"answer {self.server.requests}"
            whole = b"".join([HEADERS, http(events(text)), http(ending()) + END])
            self.transport.write(whole + self.server.extra)

    def connection_lost(self, error: Exception | None) -> None:
        self.gone.set()


class AnsweringServer:
    """``requests``: how many came. ``extra``: sent in one write with each answer. ``greeting``: sent to
    whoever connects."""

    def __init__(
        self, *, tls: ssl.SSLContext | None = None, extra: bytes = b"", greeting: bytes = b""
    ) -> None:
        self.connections: list[Answering] = []
        self.requests = 0
        self.extra = extra
        self.greeting = greeting
        self._tls = tls

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Answering(self), "127.0.0.1", 0, ssl=self._tls
        )
        port = self._server.sockets[0].getsockname()[1]
        self.base_url = f"http{'s' if self._tls else ''}://127.0.0.1:{port}/v1"
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._server.close()
        for connection in self.connections:
            connection.transport.abort()
        await asyncio.gather(*(connection.gone.wait() for connection in self.connections))


def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    authority = trustme.CA()
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(serving)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    return serving, trusting


@pytest.mark.parametrize("poison", POISONS)
@pytest.mark.parametrize("seen", ["read by the event loop", "not read yet"])
@pytest.mark.parametrize("kind", ["plain", "tls", "with a connector of the user's"])
def test_bytes_on_an_idle_connection_reach_no_stream(
    run: Run, poison: str, seen: str, kind: str
) -> None:
    async def main() -> None:
        serving, trusting = contexts() if kind == "tls" else (None, None)
        connector = aiohttp.TCPConnector() if kind.startswith("with") else None
        async with AnsweringServer(tls=serving) as server:
            client = client_for(server, connector=connector, ssl_context=trusting)  # type: ignore[arg-type]
            assert (await client.stream("hi")).completion == "answer 1"
            [idle] = server.connections
            if seen == "not read yet" and kind != "tls":
                os.write(idle.transport.get_extra_info("socket").fileno(), POISONS[poison][:60_000])
            else:
                idle.transport.write(POISONS[poison])
                await asyncio.wait_for(idle.gone.wait(), 2)
            response = await client.stream("hi")
            assert response.completion == "answer 2"
            assert (response.attempts, server.requests) == (1, 2)
            assert len(server.connections) == 2
            await client.close()
            if connector is not None:
                await connector.close()

    run(main())


@pytest.mark.parametrize("poison", POISONS)
def test_bytes_after_the_end_of_an_answer_reach_no_stream(run: Run, poison: str) -> None:
    async def main() -> None:
        async with AnsweringServer(extra=POISONS[poison]) as server:
            client = client_for(server)
            for number in (1, 2, 3):
                response = await client.stream("hi")
                assert (response.completion, response.attempts) == (f"answer {number}", 1)
            assert server.requests == 3
            await client.close()

    run(main())


def test_an_answer_that_was_there_before_the_request_is_none(run: Run) -> None:
    async def main() -> None:
        async with AnsweringServer(greeting=FOREIGN) as server:
            client = client_for(server)  # type: ignore[arg-type]
            # Where it came while the connection was being made, the end of the loop's turn decides.
            [outcome] = [outcome async for _, outcome in client.stream_many(["hi"])]
            assert isinstance(outcome, StreamError)
            assert "before it was asked" in str(outcome)
            assert outcome.partial is not None
            assert outcome.partial.text == ""
            await client.close()

    run(main())


async def test_a_refusal_of_the_connection_itself_is_told() -> None:
    """Servers that are full say so to whoever connects."""
    async with AnsweringServer(greeting=POISONS["a refusal"]) as server:
        client = client_for(server)
        with pytest.raises(APIStatusError) as caught:
            await client.stream("hi")
        assert caught.value.status_code == 408
        await client.close()


def test_a_silent_connection_is_used_again(run: Run) -> None:
    async def main() -> None:
        for tls in (False, True):
            serving, trusting = contexts() if tls else (None, None)
            async with AnsweringServer(tls=serving) as server:
                client = client_for(server, ssl_context=trusting)  # type: ignore[arg-type]
                for _ in range(5):
                    await client.stream("hi")
                assert (len(server.connections), server.requests) == (1, 5)
                await client.close()

    run(main())


def test_a_connector_of_the_users_serves_other_sessions_too(run: Run) -> None:
    async def main() -> None:
        connector = aiohttp.TCPConnector()
        async with AnsweringServer() as server:
            client = client_for(server, connector=connector)  # type: ignore[arg-type]
            async with aiohttp.ClientSession(connector=connector, connector_owner=False) as other:
                for number in (1, 3, 5):
                    assert (await client.stream("hi")).completion == f"answer {number}"
                    async with other.post(server.base_url, data=b"x") as response:
                        assert f"answer {number + 1}" in await response.text()
            assert len(server.connections) == 1
            await client.close()
        await connector.close()

    run(main())


async def pool(client: Any, server: ScriptedServer, size: int) -> None:
    """Leave so many connections in the client's pool."""
    await asyncio.gather(*(client.stream("hi") for _ in range(size)))
    assert server.connections == size


@pytest.mark.parametrize("step", [CLOSE, RESET], ids=str)
async def test_a_stale_connection_costs_an_attempt_and_without_retries_the_stream(
    step: Any,
) -> None:
    go = asyncio.Event()
    together = [HEADERS, http(events("a")), go, http(ending()) + END]
    async with ScriptedServer(*[together] * 8, [step]) as server:
        client = client_for(server)
        pooling = asyncio.ensure_future(pool(client, server, 8))
        await server.until(lambda: len(server.requests) == 8)
        go.set()
        await pooling
        with pytest.raises(APIConnectionError) as caught:
            await client.stream("hi")
        assert len(server.requests) == 9
        assert caught.value.attempts == 1
        assert caught.value.stale


async def test_the_first_retry_after_a_stale_connection_is_at_once_and_on_a_new_one() -> None:
    go = asyncio.Event()
    together = [HEADERS, http(events("a")), go, http(ending()) + END]
    async with ScriptedServer(*[together] * 8, [CLOSE], answer("b")) as server:
        recorder = Recorder()
        client = client_for(server, retries=RetryPolicy(initial_delay=30), handlers=[recorder])
        pooling = asyncio.ensure_future(pool(client, server, 8))
        await server.until(lambda: len(server.requests) == 8)
        go.set()
        await pooling
        response = await client.stream("hi")
        assert (response.completion, response.attempts) == ("b", 2)
        assert [retry.delay for retry in recorder.retries] == [0.0]
        assert server.requests[-1].connection == 9
        await client.close()


async def test_a_new_connection_that_is_closed_is_retried_with_a_delay() -> None:
    async with ScriptedServer([CLOSE], answer("b")) as server:
        recorder = Recorder()
        policy = RetryPolicy(initial_delay=0.02)
        client = client_for(server, retries=policy, handlers=[recorder])
        await client.stream("hi")
        [retry] = recorder.retries
        assert retry.delay > 0
        assert isinstance(retry.error, APIConnectionError)
        assert not retry.error.stale
        await client.close()


async def test_a_large_body_is_written_in_pieces_and_arrives_whole() -> None:
    async with ScriptedServer(answer("a")) as server:
        client = client_for(server)
        prompt = "x" * 3_000_000
        for _ in range(2):
            await client.stream(prompt)
            assert server.requests[-1].json["messages"][0]["content"] == prompt
        assert server.connections == 1
        await client.close()


REFUSALS = {
    "403 Forbidden": False,
    "407 Proxy Authentication Required": False,
    "429 Too Many Requests": True,
    "502 Bad Gateway": True,
    "503 Service Unavailable": True,
    "504": True,
}


@pytest.mark.parametrize(("status", "again"), REFUSALS.items())
async def test_a_proxy_that_refuses_to_connect_is_named_with_its_status(
    monkeypatch: pytest.MonkeyPatch, status: str, again: bool
) -> None:
    async with ScriptedServer([*replying(status, "no"), CLOSE]) as proxy:
        port = proxy.base_url.rpartition(":")[2].removesuffix("/v1")
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:proxy-password@127.0.0.1:{port}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)

        class Elsewhere:
            base_url = "https://api.invalid/v1"

        policy = RetryPolicy(max_attempts=2, initial_delay=0.001)
        client = client_for(Elsewhere, retries=policy)  # type: ignore[arg-type]
        with pytest.raises(APIConnectionError) as caught:
            await client.stream("hi")
        error = caught.value
        assert error.status_code == int(status[:3])
        assert f"the proxy http://127.0.0.1:{port} refused" in str(error)
        assert status in str(error)
        assert "proxy-password" not in repr(error) + str(error)
        assert error.attempts == len(proxy.requests) == (2 if again else 1)
        assert all(request.line.startswith("CONNECT api.invalid:443") for request in proxy.requests)
        await client.close()


async def test_a_proxy_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    async with ScriptedServer([HANG]) as gone:
        port = gone.base_url.rpartition(":")[2].removesuffix("/v1")
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)

    class Elsewhere:
        base_url = "http://api.invalid/v1"

    with pytest.raises(APIConnectionError, match=f"proxy http://127.0.0.1:{port}"):
        await client_for(Elsewhere).stream("hi")  # type: ignore[arg-type]


@pytest.mark.parametrize("poison", POISONS)
async def test_a_head_and_what_is_wrong_after_it_may_come_in_one_read(poison: str) -> None:
    """With a head for hints before it, and cut anywhere."""
    whole = POISONS["a hint"] + FOREIGN + POISONS[poison]
    cuts = range(0, 260, 13) if len(whole) < 10_000 else (0,)
    async with ScriptedServer(*[[whole[:cut], whole[cut:]] for cut in cuts]) as server:
        client = client_for(server)
        for _ in cuts:
            assert (await client.stream("hi")).completion == "foreign"
        await client.close()
