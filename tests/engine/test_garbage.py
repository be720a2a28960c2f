"""Nothing of a stream is left to the cycle collector: it goes when its user lets go of it.

An error that was raised keeps the frames it went through, as any exception does: whoever caught it, and holds
the stream in one of them, lets go of both.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import weakref
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator

import pytest

from lm_deluge import LLMClient, RetryPolicy, Stream, Token, attach
from lm_deluge.api_requests.openai import stream_chat
from lm_deluge.errors import StreamError
from support.clients import Recorder, client_for
from support.scripted import RESET, ScriptedServer, answer, reply


class Late:
    """An ``async`` handler."""

    async def on_token(self, stream: Stream, token: Token) -> None:
        await asyncio.sleep(0)


async def iterated(client: LLMClient) -> None:
    async for _ in client.open_stream("hi"):
        pass


async def left(client: LLMClient) -> None:
    async with client.open_stream("hi") as stream:
        async for _ in stream:
            break


async def chatted(client: LLMClient) -> None:
    async for _ in stream_chat(client.model, "hi", client=client):
        pass


async def never_started(client: LLMClient) -> None:
    client.open_stream("hi", handlers=[Recorder(), Late()])


async def awaited(client: LLMClient) -> None:
    await client.stream("hi", handlers=[Recorder(), Late()])


async def cancelled(client: LLMClient) -> None:
    stream = client.open_stream("hi", handlers=[Recorder()])
    stream.start()
    stream.cancel()
    await asyncio.wait([stream.start()])


WAYS = {way.__name__: way for way in (awaited, iterated, left, chatted, never_started, cancelled)}


class Again:
    """Raises the stream's own error again."""

    def __init__(self) -> None:
        self.stream: weakref.ref[Stream] | None = None

    def on_error(self, stream: Stream, error: StreamError) -> None:
        self.stream = weakref.ref(stream)
        raise error


@contextlib.contextmanager
def left_to_the_collector() -> Iterator[Counter[str]]:
    """Count the objects of our classes that only the cycle collector could free."""
    found: Counter[str] = Counter()
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        yield found
        gc.collect()
        found.update(
            f"{type(one).__module__}.{type(one).__qualname__}"
            for one in gc.garbage
            if type(one).__module__.startswith("lm_deluge")
        )
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("before", ["", "a lost connection", "a busy server"])
async def test_a_stream_that_its_user_let_go_of_is_gone(way: str, before: str) -> None:
    use: Callable[[LLMClient], Awaitable[None]] = WAYS[way]
    fault = {"": [], "a lost connection": [[RESET]], "a busy server": [reply("503 Busy", "busy")]}[
        before
    ]
    async with ScriptedServer(*fault, answer("a", "b")) as server:
        async with client_for(server, retries=RetryPolicy(initial_delay=0)) as client:
            with contextlib.suppress(StreamError):  # what is loaded late is loaded
                await use(client)
            server.scripts[:0] = fault
            await asyncio.sleep(0)
            with left_to_the_collector() as found:
                await use(client)
                # The task's own last step.
                await asyncio.sleep(0)
                await asyncio.sleep(0)
    assert not found


async def test_an_error_that_a_handler_raises_again_keeps_no_stream() -> None:
    handler = Again()
    async with ScriptedServer(reply("400 No", "no")) as server:
        with attach(handler):
            async with client_for(server) as client:
                with pytest.raises(StreamError) as caught:
                    await client.stream("hi")
    assert handler.stream is not None
    assert handler.stream() is None, caught.value
