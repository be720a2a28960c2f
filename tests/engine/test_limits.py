"""Nothing a server sends grows without bound, and a client opens no more streams than it is told."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lm_deluge import Limits, Timeouts
from lm_deluge.errors import BadRequestError, LimitExceededError, StreamCancelled
from support.clients import Recorder, client_for
from support.scripted import (
    HANG,
    HEADERS,
    ScriptedServer,
    answer,
    delta,
    ending,
    events,
    http,
    reply,
    sse,
)


def call(index: int) -> dict[str, Any]:
    return {"index": index, "id": f"call_{index}", "function": {"name": "f", "arguments": "{}"}}


@pytest.mark.parametrize(
    ("bound", "limit", "body"),
    [
        ("max_event_bytes", 1000, b"data: " + b"x" * 5000),
        ("max_answer_chars", 100, events(*["word "] * 50)),
        ("max_choices", 2, sse({"choices": [delta("a", index=i)["choices"][0] for i in range(5)]})),
        ("max_tool_calls", 2, sse(delta(tool_calls=[call(i) for i in range(5)]))),
    ],
)
async def test_the_error_says_which_bound_was_passed_and_by_how_much(
    bound: str, limit: int, body: bytes
) -> None:
    async with ScriptedServer([HEADERS, http(events("a")), http(body), HANG]) as server:
        with pytest.raises(LimitExceededError) as caught:
            await client_for(server, limits=Limits(**{bound: limit})).stream("hi")
        await server.all_gone()
    assert (caught.value.name, caught.value.limit) == (bound, limit)
    assert caught.value.value > limit
    assert f"Limits.{bound}" in str(caught.value)
    assert caught.value.partial is not None
    assert caught.value.partial.text.startswith("a")


async def test_an_endless_error_body_is_cut() -> None:
    steps = [b"HTTP/1.1 400 Bad Request\r\nContent-Length: 100000000\r\n\r\n", b"x" * 100_000, HANG]
    async with ScriptedServer(steps) as server:
        with pytest.raises(BadRequestError) as caught:
            await client_for(server, limits=Limits(max_error_body_bytes=1000)).stream("hi")
        await server.all_gone()
    assert isinstance(caught.value.body, str)
    assert len(caught.value.body) == 1000
    assert len(str(caught.value)) < 400


async def test_streams_beyond_the_bound_wait_in_order() -> None:
    gates = [asyncio.Event() for _ in range(4)]
    scripts = [
        [HEADERS, gate, http(events(str(i)) + ending()) + b"0\r\n\r\n"]
        for i, gate in enumerate(gates)
    ]
    async with ScriptedServer(*scripts) as server:
        client = client_for(server, max_concurrent_streams=2)
        streams = [client.open_stream(f"prompt {i}") for i in range(4)]
        tasks = [asyncio.ensure_future(stream) for stream in streams]
        await server.until(lambda: len(server.requests) == 2)
        for i, gate in enumerate(gates):
            gate.set()
            await server.until(lambda i=i: len(server.requests) >= min(i + 3, 4))
        await asyncio.gather(*tasks)
        prompts = [request.json["messages"][0]["content"] for request in server.requests]
    # The first two go at once, over connections of their own.
    assert sorted(prompts[:2]) == ["prompt 0", "prompt 1"]
    assert prompts[2:] == ["prompt 2", "prompt 3"]
    assert streams[0].queued < streams[2].queued
    assert streams[2].elapsed >= 0


async def test_a_stream_cancelled_while_it_waits_for_a_slot_emits_nothing() -> None:
    recorder = Recorder()
    async with ScriptedServer([HEADERS, HANG]) as server:
        client = client_for(server, max_concurrent_streams=1)
        first = client.open_stream("hi")
        first.start()
        second = client.open_stream("hi", handlers=[recorder])
        second.start()
        await server.until(lambda: len(server.requests) == 1)
        second.cancel()
        with pytest.raises(StreamCancelled):
            await second
        await first.aclose()
        assert recorder.heard == []
        third = asyncio.ensure_future(client.open_stream("hi", timeouts=Timeouts(first_token=0.1)))
        await server.until(lambda: len(server.requests) == 2)
        await asyncio.wait([third])
        assert third.exception() is not None


async def test_queued_time_is_not_part_of_the_arrival_times() -> None:
    gate = asyncio.Event()
    async with ScriptedServer(
        [HEADERS, gate, http(events("a") + ending()) + b"0\r\n\r\n"], answer("b")
    ) as server:
        client = client_for(server, max_concurrent_streams=1)
        first = client.open_stream("hi")
        second = client.open_stream("hi")
        tasks = [asyncio.ensure_future(first), asyncio.ensure_future(second)]
        await asyncio.sleep(0.5)
        gate.set()
        _, response = await asyncio.gather(*tasks)
    assert second.queued > 0.4
    assert response.ttft is not None
    assert response.ttft < 0.4


async def test_an_error_body_that_never_ends_does_not_hold_the_stream() -> None:
    slow = reply("400 Bad Request", "x")[0].replace(b"Content-Length: 1", b"Content-Length: 50")
    async with ScriptedServer([slow, HANG]) as server:
        with pytest.raises(BadRequestError) as caught:
            await client_for(server, timeouts=Timeouts(first_token=0.3)).stream("hi")
    assert caught.value.status_code == 400


async def test_a_stream_cancelled_in_the_queue_lets_go_of_its_handlers() -> None:
    async with ScriptedServer([HEADERS, HANG]) as server:
        client = client_for(server, max_concurrent_streams=1, handlers=[Recorder()])
        first, second = client.open_stream("hi"), client.open_stream("hi")
        first.start()
        ended = second.start()
        await server.until(lambda: len(server.requests) == 1)
        second.cancel()
        await ended
        assert second.roster.attachments == ()
        assert isinstance(second.error, StreamCancelled)
        await first.aclose()
