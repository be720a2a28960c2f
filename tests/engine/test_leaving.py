"""A stream that is cancelled, or left by its consumer, ends at once and once."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from lm_deluge import Stream
from lm_deluge.api_requests.openai import stream_chat
from lm_deluge.errors import (
    StreamCancelled,
)
from support.clients import AtToken, Recorder, client_for
from support.scripted import (
    END,
    HANG,
    HEADERS,
    ScriptedServer,
    answer,
    ending,
    events,
    http,
)


async def test_cancelling_the_waiting_task_cancels_the_stream_and_goes_on() -> None:
    recorder = Recorder()
    async with ScriptedServer([HEADERS, http(events("Once")), HANG]) as server:
        client = client_for(server, handlers=[recorder])
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(None) as limit:
                now = AtToken(lambda: limit.reschedule(asyncio.get_running_loop().time()))
                await client.stream("hi", handlers=[now])
        await server.all_gone()
    assert recorder.heard == ["start", "token", "error"]
    error = recorder.endings[0]
    assert isinstance(error, StreamCancelled)
    assert error.partial is not None
    assert error.partial.text == "Once"


async def test_stream_cancel_gives_stream_cancelled_to_whoever_awaits() -> None:
    async with ScriptedServer([HEADERS, http(events("Once")), HANG]) as server:
        soon = asyncio.get_running_loop().call_soon
        at_token = AtToken(lambda: soon(stream.cancel))
        stream = client_for(server).open_stream("hi", handlers=[at_token])
        with pytest.raises(StreamCancelled) as caught:
            await stream
        await server.all_gone()
    assert caught.value.partial is not None
    assert caught.value.partial.text == "Once"
    assert stream.error is caught.value


async def test_a_stream_can_be_cancelled_from_another_thread() -> None:
    async with ScriptedServer([HEADERS, http(events("Once")), HANG]) as server:
        stream = client_for(server).open_stream("hi")
        stream.start()
        await server.until(lambda: server.requests)
        await asyncio.to_thread(stream.cancel)
        with pytest.raises(StreamCancelled):
            await stream


async def test_a_handler_that_cancels_its_own_stream_hears_no_further_token() -> None:
    class Stopper(Recorder):
        def on_token(self, stream: Stream, token: Any) -> None:
            super().on_token(stream, token)
            stream.cancel()

    handler = Stopper()
    async with ScriptedServer(
        [answer("a", "b")[0], http(events("a", "b") + ending()) + END]
    ) as server:
        with pytest.raises(StreamCancelled) as caught:
            await client_for(server, handlers=[handler]).stream("hi")
    assert handler.heard == ["start", "token", "error"]
    assert caught.value.partial is not None
    assert caught.value.partial.text == "ab"


async def test_breaking_out_of_the_loop_ends_the_stream() -> None:
    recorder = Recorder()
    async with ScriptedServer([HEADERS, http(events("a", "b")), HANG]) as server:
        async with client_for(server, handlers=[recorder]).open_stream("hi") as stream:
            async for token in stream:
                assert token.text == "a"
                break
        await server.all_gone()
    assert recorder.heard[-1] == "error"
    assert isinstance(recorder.endings[0], StreamCancelled)


async def test_an_abandoned_generator_ends_its_stream_when_it_is_collected() -> None:
    recorder = Recorder()
    async with ScriptedServer([HEADERS, http(events("a", "b")), HANG]) as server:
        client = client_for(server, handlers=[recorder])
        tokens = stream_chat("gpt-4o", "hi", client=client)
        assert await anext(tokens) == "a"
        del tokens
        gc.collect()
        await server.all_gone()
    assert recorder.heard.count("error") == 1


async def test_an_exception_inside_the_loop_ends_the_stream_and_goes_on() -> None:
    recorder = Recorder()
    async with ScriptedServer([HEADERS, http(events("a", "b")), HANG]) as server:
        client = client_for(server, handlers=[recorder])
        with pytest.raises(KeyError):
            async with client.open_stream("hi") as stream:
                async for _ in stream:
                    raise KeyError
        await server.all_gone()
    assert recorder.heard.count("error") == 1


def test_the_end_of_asyncio_run_ends_a_running_stream() -> None:
    recorder = Recorder()

    async def main() -> None:
        server = ScriptedServer([HEADERS, http(events("a")), HANG])
        await server.__aenter__()
        stream = client_for(server, handlers=[recorder]).open_stream("hi")
        stream.start()
        async with asyncio.timeout(2):
            while "token" not in recorder.heard:
                await asyncio.sleep(0.01)
        server._server.close()

    asyncio.run(main())
    assert recorder.heard == ["start", "token", "error"]


async def test_leaving_after_the_last_token_is_no_abandonment() -> None:
    recorder = Recorder()
    async with ScriptedServer(answer("a")) as server:
        client = client_for(server, handlers=[recorder])
        async for item in stream_chat("gpt-4o", "hi", client=client):
            if not isinstance(item, str):
                break
    assert recorder.heard == ["start", "token", "complete"]
