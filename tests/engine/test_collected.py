"""Streams that are collected in a cycle end in silence."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from lm_deluge.api_requests.openai import stream_chat
from support.clients import Recorder, client_for
from support.scripted import HANG, HEADERS, ScriptedServer, answer, events, http


async def test_a_chat_collected_in_a_cycle_is_silent_and_ends_its_stream(
    caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    complaints: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    recorder = Recorder()
    async with ScriptedServer([HEADERS, http(events("a", "b")), HANG]) as server:
        client = client_for(server, handlers=[recorder])

        async def many() -> Any:
            async for one in client.stream_many(["a", "b"], concurrency=1):
                yield one

        for make in (
            lambda: stream_chat("gpt-4o", "hi", client=client),
            lambda: aiter(client.open_stream("hi")),
        ):
            holder: dict[str, Any] = {}
            holder["chat"], holder["self"] = make(), holder
            await anext(holder["chat"])
            del holder
            gc.collect()
            await server.all_gone(within=1.0)
        crowd: dict[str, Any] = {"many": many()}
        crowd["self"] = crowd
        waiting = asyncio.ensure_future(anext(crowd["many"]))
        await server.until(lambda: len(server.requests) == 3)
        waiting.cancel()
        await asyncio.wait([waiting])
        del crowd, waiting
        gc.collect()
        await server.all_gone(within=1.0)
        await asyncio.sleep(0.05)
    assert complaints == []
    assert caplog.records == []
    assert list(recwarn) == []
    assert len(recorder.endings) == 3
    assert len(asyncio.all_tasks()) == 1


async def test_a_crowd_collected_in_a_cycle_is_silent_and_ends_its_streams() -> None:
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    recorder = Recorder()
    scripts = [answer("a"), [HEADERS, http(events("a")), HANG]]
    async with ScriptedServer(*scripts) as server:
        client = client_for(server, handlers=[recorder])
        holder: dict[str, Any] = {"many": client.stream_many(["a", "b", "c"], concurrency=1)}
        holder["self"] = holder
        await anext(holder["many"])
        await server.until(lambda: len(server.requests) == 2)
        del holder
        gc.collect()
        await server.all_gone(within=1.0)
        await asyncio.sleep(0.05)
    assert complaints == []
    assert len(recorder.endings) == 2
    assert len(asyncio.all_tasks()) == 1


@pytest.mark.parametrize("started", [True, False])
async def test_a_chat_collected_together_with_its_client_is_silent(
    started: bool, recwarn: pytest.WarningsRecorder
) -> None:
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    async with ScriptedServer([HEADERS, http(events("a", "b")), HANG]) as server:
        holder: dict[str, Any] = {"client": client_for(server)}
        holder["chat"] = stream_chat("gpt-4o", "hi", client=holder["client"])
        holder["self"] = holder
        if started:
            await anext(holder["chat"])
        del holder
        gc.collect()
        await server.all_gone(within=1.0)
        async with asyncio.timeout(1.0):
            while len(asyncio.all_tasks()) > 1 + server.open_connections:
                await asyncio.sleep(0.01)
        gc.collect()
    assert complaints == []
    assert [str(warning.message) for warning in recwarn] == []
