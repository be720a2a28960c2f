"""Producers and readers in processes of their own, and a Redis that dies."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

import pytest

from lm_deluge.simulator import Simulator
from lm_deluge_plugins.relay import RedisStore
from support.relay_machines import machine
from support.relay_readers import Reader, read_on, until_over
from support.relaying import (
    WORDS,
    App,
    RedisServer,
    check_log,
    cut_after,
    events_in,
    redis_server,
    serving,
    store_of,
    text_of,
)

PRODUCER = """
import asyncio, sys
from redis.asyncio import Redis
from lm_deluge import LLMClient
from lm_deluge_plugins.relay import RedisStore, Relay

async def main():
    store = RedisStore(Redis(port=int(sys.argv[1])), liveness=1)
    relay = Relay(store, on_disconnect=sys.argv[3], grace=0.3)
    client = LLMClient("gpt-4.1-mini", base_url=sys.argv[2], api_key="k")
    stream = client.open_stream("hi")
    print(await relay.publish(stream), flush=True)
    await stream.start()
    await asyncio.sleep(0.2)
    print(stream.error.reason if stream.error else "whole", flush=True)

asyncio.run(main())
"""


async def producer(redis: RedisServer, sim: Simulator, policy: str = "continue") -> Any:
    """Start a process that publishes one stream; return it and the stream's id."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PRODUCER, str(redis.port), sim.base_url, policy,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )  # fmt: skip
    assert process.stdout is not None
    stream_id = (await process.stdout.readline()).decode().strip()
    return process, stream_id


async def said_by(process: Any) -> bytes:
    """Return what a producer printed until its end."""
    async with asyncio.timeout(20):
        printed: bytes = (await process.communicate())[0]
        return printed


async def read_when_there(app: App, stream_id: str, after: int = 0) -> Any:
    """Read a stream of another process, which may not have stored anything yet."""
    async with asyncio.timeout(10):
        while True:
            response = await app.read(stream_id, after)
            if response.status == 200:
                return response
            await asyncio.sleep(0.01)


@pytest.mark.slow
async def test_a_stop_on_another_machine_ends_the_stream(redis: RedisServer) -> None:
    async with Simulator(text=WORDS, gap=0.05) as sim:
        async with store_of("redis", redis) as store, serving("aiohttp", store) as app:
            process, stream_id = await producer(redis, sim)
            response = await read_when_there(app, stream_id)
            assert await app.stop(stream_id)
            check_log(events_in(await response.read()), ending="cancelled")
        assert await said_by(process) == b"the reader stopped it\n"


@pytest.mark.slow
async def test_the_last_reader_of_another_machine_that_leaves_ends_the_stream(
    redis: RedisServer,
) -> None:
    async with Simulator(text=WORDS, gap=0.05) as sim:
        async with store_of("redis", redis) as store, serving("aiohttp", store) as app:
            process, stream_id = await producer(redis, sim, "cancel")
            await cut_after(await read_when_there(app, stream_id), 2)
        assert await said_by(process) == b"nobody has read it for 0.3 s\n"


@pytest.mark.slow
@pytest.mark.parametrize("comes_back", [True, False])
async def test_readers_whose_machine_dies_count_until_the_liveness_has_passed(
    redis: RedisServer, comes_back: bool
) -> None:
    """Where nobody comes back elsewhere, nobody pays for the answer any longer."""
    async with Simulator(text=WORDS, gap=0.1) as sim:
        async with (
            machine("aiohttp", sim, redis, liveness=1.0) as one,
            machine("asgi", sim, redis, liveness=1.0) as two,
        ):
            process, stream_id = await producer(redis, sim, "cancel")
            reader = Reader("events", stream_id)
            reading = asyncio.ensure_future(reader.connect(one))
            await asyncio.sleep(0.5)
            await one.kill()
            await reading
            assert reader.body
            if comes_back:
                await read_on(reader, [two])
                check_log(events_in(reader.body))
                assert await said_by(process) == b"whole\n"
            else:
                async with asyncio.timeout(4):
                    assert await said_by(process) == b"nobody has read it for 0.3 s\n"


@pytest.mark.slow
async def test_a_client_of_redis_that_decodes_what_it_hears_is_as_good(redis: RedisServer) -> None:
    from redis.asyncio import Redis

    sim = Simulator(text="Grüße 👋 " * 5, gap=0.01)
    async with (
        Redis(port=redis.port, decode_responses=True) as decoding,
        serving("aiohttp", RedisStore(decoding), simulator=sim) as app,
    ):
        response = await app.ask()
        stream_id = response.headers["x-stream-id"]
        body = await response.read()
        assert events_in(body) == await until_over(stream_id, app)
        assert text_of(events_in(body)) == "Grüße 👋 " * 5
        await decoding.script_flush()
        again = events_in(await (await app.ask()).read())
        check_log(again)


async def test_a_redis_that_stays_away_is_told_and_does_not_touch_the_stream() -> None:
    with redis_server() as redis:
        sim = Simulator(text=WORDS, gap=0.02)
        async with (
            store_of("redis", redis, patience=0.3, liveness=1) as store,
            serving("aiohttp", store, simulator=sim, on_disconnect="continue") as app,
        ):
            response = await app.ask()
            await response.content.readany()
            await asyncio.to_thread(redis.kill)
            async with asyncio.timeout(10):
                events = events_in(await response.read())
            assert events[-1].name == "unavailable"
            stream = app.streams[0]
            await stream.start()
            assert stream.response is not None
            assert stream.response.completion == WORDS
            (failure,) = stream.response.handler_failures
            assert "Redis could not be written for 0.3 s" in failure.message
            again = await app.read(stream.id)
            assert again.status == 503
