"""``ChunkCollector`` on one stream, on one client and on the whole process."""

from __future__ import annotations

import asyncio

import pytest

from lm_deluge import SamplingParams, attach
from lm_deluge.errors import ConnectionLostError
from lm_deluge_plugins import ChunkCollector
from support.clients import client_for
from support.scripted import (
    DONE,
    END,
    HEADERS,
    RESET,
    ScriptedServer,
    answer,
    delta,
    events,
    http,
    sse,
)


async def test_it_keeps_the_tokens_of_one_stream_in_order() -> None:
    collector = ChunkCollector()
    async with ScriptedServer(answer("Once", " upon", " a"), answer("other")) as server:
        client = client_for(server)
        response = await client.stream("hi", handlers=[collector])
        await client.stream("hi")
    assert [token.text for token in collector.tokens] == ["Once", " upon", " a"]
    assert [token.index for token in collector.tokens] == [0, 1, 2]
    assert collector.text == response.completion
    assert list(collector.by_stream.values()) == [collector.tokens]


async def test_it_tells_the_streams_of_one_client_apart_and_hears_no_other_client() -> None:
    collector = ChunkCollector()
    async with ScriptedServer(*(answer(f"a{n}", f"b{n}") for n in range(20))) as server:
        client, other = client_for(server, handlers=[collector]), client_for(server)
        streams = [client.open_stream("hi") for _ in range(10)]
        outcomes = await asyncio.gather(*streams, *(other.open_stream("hi") for _ in range(10)))
    assert set(collector.by_stream) == {stream.id for stream in streams}
    for stream, response in zip(streams, outcomes[:10], strict=True):
        texts = [token.text for token in collector.by_stream[stream.id]]
        assert "".join(texts) == response.completion
        assert len(texts) == 2
    assert len(collector.tokens) == 20
    assert collector.text == "".join(token.text for token in collector.tokens)


async def test_it_hears_every_stream_of_the_process_until_it_is_detached() -> None:
    collector = ChunkCollector()
    async with ScriptedServer(answer("a"), answer("b"), answer("c")) as server:
        with attach(collector):
            await client_for(server).stream("hi")
            await client_for(server).stream("hi")
        await client_for(server).stream("hi")
    assert collector.text == "ab"
    assert len(collector.by_stream) == 2


async def test_it_adds_up_over_the_scopes() -> None:
    process, client_wide, own = ChunkCollector(), ChunkCollector(), ChunkCollector()
    async with ScriptedServer(answer("a")) as server:
        with attach(process):
            await client_for(server, handlers=[client_wide]).stream("hi", handlers=[own])
    assert process.tokens == client_wide.tokens == own.tokens
    assert own.text == "a"


async def test_it_keeps_what_came_before_an_error() -> None:
    collector = ChunkCollector()
    async with ScriptedServer([HEADERS, http(events("Once", " upon")), RESET]) as server:
        with pytest.raises(ConnectionLostError):
            await client_for(server).stream("hi", handlers=[collector])
    assert collector.text == "Once upon"


async def test_it_keeps_every_choice() -> None:
    collector = ChunkCollector()
    chunks = [delta("b", index=1), delta("a"), delta(index=1, finish="stop"), delta(finish="stop")]
    body = b"".join(sse(chunk) for chunk in chunks) + DONE
    async with ScriptedServer([HEADERS, http(body) + END]) as server:
        await client_for(server, sampling_params=SamplingParams(n=2), handlers=[collector]).stream(
            "hi"
        )
    assert [(token.choice, token.text) for token in collector.tokens] == [(1, "b"), (0, "a")]


async def test_it_can_forget() -> None:
    collector = ChunkCollector()
    async with ScriptedServer(answer("a"), answer("b")) as server:
        client = client_for(server, handlers=[collector])
        await client.stream("hi")
        collector.clear()
        assert (collector.tokens, collector.by_stream, collector.text) == ([], {}, "")
        await client.stream("hi")
    assert collector.text == "b"
