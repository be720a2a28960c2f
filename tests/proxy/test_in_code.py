"""``Proxy`` in a program: its life, its fixture, and one handler for all streams."""

from __future__ import annotations

import asyncio
import socket

import pytest

from lm_deluge import LLMClient
from lm_deluge.proxy import Proxy
from lm_deluge.simulator import Simulator
from lm_deluge.testing import StartProxy
from lm_deluge_plugins import ChunkCollector
from support.clients import Recorder


async def test_the_fixture_stands_before_the_simulator(
    simulator: Simulator, proxy: StartProxy
) -> None:
    heard = Recorder()
    running = proxy(handlers=[heard])
    response = await LLMClient("gpt-4o", printer=None).stream("Hi")
    assert simulator.request_count == 1
    async with asyncio.timeout(5):
        while running.running or not heard.endings:
            await asyncio.sleep(0.001)
    assert (heard.text, heard.heard[0], heard.heard[-1]) == (
        response.completion,
        "start",
        "complete",
    )


async def test_streams_of_many_connections_do_not_mix() -> None:
    collector = ChunkCollector()
    async with Simulator(text=lambda body: ["[", body["messages"][0]["content"], "]"]) as simulator:
        async with Proxy(simulator.url, handlers=[collector]) as proxy:
            client = LLMClient("gpt-4o", base_url=proxy.base_url, api_key="k", printer=None)
            prompts = [f"prompt {number}" for number in range(60)]
            responses = await asyncio.gather(*map(client.stream, prompts))
            await client.close()
            await proxy.finish()
    assert [response.completion for response in responses] == [f"[{prompt}]" for prompt in prompts]
    texts = ["".join(token.text for token in tokens) for tokens in collector.by_stream.values()]
    assert sorted(texts) == sorted(f"[{prompt}]" for prompt in prompts)


async def test_a_handler_that_raises_changes_nothing_that_passes() -> None:
    class Bad:
        def on_start(self, stream: object) -> None:
            raise RuntimeError("no")

        def on_token(self, stream: object, token: object) -> None:
            raise RuntimeError("no")

        on_complete = on_token

    async with Simulator(text="Hello") as simulator:
        async with Proxy(simulator.url, handlers=[Bad()]) as proxy:
            async with LLMClient(
                "gpt-4o", base_url=proxy.base_url, api_key="k", printer=None
            ) as client:
                assert (await client.stream("Hi")).completion == "Hello"


async def test_a_proxy_is_started_once_and_closed_as_often_as_you_like() -> None:
    proxy = Proxy("http://127.0.0.1:9")
    with pytest.raises(RuntimeError, match="has not been started"):
        _ = proxy.url
    await proxy.close()
    async with proxy:
        with pytest.raises(RuntimeError, match="has been started"):
            await proxy.start()
        await proxy.close()
    assert proxy.running == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"port": 70_000}, "port"),
        ({"host": ""}, "host"),
        ({"head_timeout": 0}, "head_timeout"),
        ({"upstream": "x"}, "upstream"),
    ],
)
def test_arguments_that_make_no_sense_are_named(arguments: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Proxy(**arguments)  # type: ignore[arg-type]


def test_a_handler_without_methods_is_refused_at_once() -> None:
    with pytest.raises(TypeError, match="handler"):
        Proxy(handlers=[object()])


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
async def test_a_proxy_that_would_ask_itself_does_not_start(name: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    proxy = Proxy(named={"loop": f"http://{name}:{port}/v1"}, port=port)
    with pytest.raises(ValueError, match="is this proxy itself"):
        await proxy.start()
    async with Proxy(f"http://{name}:9", port=port):  # the address is free again
        pass
