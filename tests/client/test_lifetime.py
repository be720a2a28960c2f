"""In which event loops a client works, and when its connections and streams go."""

from __future__ import annotations

import asyncio
import gc
import warnings
import weakref
from typing import Any

import aiohttp
import pytest

from lm_deluge import (
    APIResponse,
    LLMClient,
    Stream,
)
from lm_deluge.errors import (
    APIStatusError,
    StreamCancelled,
)
from lm_deluge.simulator import Simulator
from support.clients import KEY, client_for
from support.scripted import HANG, HEADERS, ScriptedServer, answer, events, http, reply


def run_in_a_loop(factory: Any, main: Any) -> Any:
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(main)


@pytest.mark.parametrize("kind", ["asyncio", "uvloop"])
def test_one_client_works_in_several_event_loops_one_after_another(kind: str) -> None:
    factory = None if kind == "asyncio" else pytest.importorskip("uvloop").new_event_loop
    client = LLMClient("gpt-4o", api_key=KEY, printer=None)

    async def main() -> str:
        async with ScriptedServer(answer("a"), answer("b")) as server:
            other = client_for(server)
            client._access = other._access
            first = await client.stream("hi")
            second = await client.stream("hi")
            assert server.connections == 1
        return first.completion + second.completion

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            assert run_in_a_loop(factory, main()) == "ab"
        gc.collect()
    assert client._transport._sessions.entries == {}


def test_loops_closed_the_old_way_are_tidied_up_after(caplog: Any) -> None:
    client = LLMClient("gpt-4o", api_key=KEY, printer=None)

    async def main() -> None:
        async with ScriptedServer(answer("a")) as server:
            client._access = client_for(server)._access
            await client.stream("hi")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # the loop's own sockets
        for _ in range(3):
            loop = asyncio.new_event_loop()
            loop.run_until_complete(main())
            loop.close()
        with asyncio.Runner() as runner:
            runner.run(main())
        gc.collect()
    assert "Unclosed" not in caplog.text


async def test_an_answer_before_the_whole_prompt_was_sent_leaves_nothing_behind() -> None:
    complaints: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, said: complaints.append(said))

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(reply("413 Content Too Large", '{"error": {"message": "too long"}}')[0])
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        client = LLMClient("gpt-4o", base_url=url, api_key=KEY, printer=None)
        async with client:
            with pytest.raises(APIStatusError, match="too long"):
                await client.stream("word " * 2_000_000)
        gc.collect()
        await asyncio.sleep(0)
    assert complaints == []


async def test_a_client_that_is_dropped_takes_its_connections_with_it() -> None:
    async with ScriptedServer(answer("a")) as server:
        client = client_for(server)
        await client.stream("hi")
        assert server.open_connections == 1
        del client
        gc.collect()
        await server.all_gone()


async def test_closing_ends_the_streams_and_the_client_can_be_used_again() -> None:
    async with ScriptedServer([HEADERS, http(events("a")), HANG], answer("b")) as server:
        async with client_for(server) as client:
            task = asyncio.ensure_future(client.open_stream("hi"))
            await server.until(lambda: len(server.requests) == 1)
        with pytest.raises(StreamCancelled, match="closed"):
            await task
        await server.all_gone()
        assert (await client.stream("hi")).completion == "b"
        await client.close()


async def test_a_connector_of_the_users_stays_the_users() -> None:
    async with ScriptedServer(answer("a")) as server:
        connector = aiohttp.TCPConnector(limit=3)
        client = client_for(server, connector=connector)
        await client.stream("hi")
        await client.close()
        assert not connector.closed
        await connector.close()


async def test_a_client_in_a_circle_of_references_goes_without_a_word() -> None:
    class App:
        """What many programs do: the client's handler holds the client."""

        def __init__(self, base_url: str) -> None:
            self.client = LLMClient(
                "gpt-4o", base_url=base_url, api_key="x", printer=None, handlers=[self]
            )

        def on_complete(self, stream: Stream, response: APIResponse) -> None:
            """Nothing to do."""

    complaints: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: complaints.append(context["message"]))
    async with Simulator() as simulator:
        for _ in range(3):
            app = App(simulator.base_url)
            await app.client.stream("Hi")
            gone = weakref.ref(app.client)
            del app
            gc.collect()
            assert gone() is None
        await simulator.wait_closed_connections()
    assert complaints == []
