"""What happens to readers of a relay when processes die, and Redis with them; rows of the matrix.

The machine that is asked, and both that are read, are processes of their own. One is behind the cell's
adapter, the other behind the other one: a reader that changes machines sees no difference.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from lm_deluge.simulator import Simulator
from support.relay_machines import Machine, machine
from support.relay_readers import Reader, read_on, readers, until_over
from support.relay_situations import WORDS, Place
from support.relaying import RedisServer, check_log, events_in, redis_server, text_of

__all__ = ["producer_killed", "redis_gone", "redis_restarted", "relay_killed"]


@contextlib.asynccontextmanager
async def _machines(
    place: Place, simulator: Simulator, redis: RedisServer | None, count: int = 2, **store: float
) -> AsyncIterator[list[Machine]]:
    other = {"aiohttp": "asgi", "asgi": "aiohttp"}[place.adapter]
    async with contextlib.AsyncExitStack() as stack:
        begun = [
            stack.enter_async_context(machine(adapter, simulator, redis, **store))
            for adapter in (place.adapter, other, other)[:count]
        ]
        yield [await each for each in begun]


async def _begun(asked: Machine) -> str:
    """Ask a machine, and leave once the answer has begun."""
    response = await asked.session.post("/chat", params={"format": "events"})
    await response.content.readany()
    response.close()
    return response.headers["x-stream-id"]


async def producer_killed(place: Place) -> None:
    """Its readers hear one ending, the same, in time, and what came before stays readable."""
    async with Simulator(text=WORDS, gap=0.1) as sim:
        async with _machines(place, sim, place.redis, 3, liveness=1.0) as (one, two, maker):
            stream_id = await _begun(maker)
            readings = [
                asyncio.ensure_future(until_over(stream_id, *fronts, ending="error"))
                for fronts in ((one,), (two,), (one, two))
            ]
            await asyncio.sleep(0.3)
            await maker.kill()
            async with asyncio.timeout(4):
                found = await asyncio.gather(*readings)
            later = await until_over(stream_id, two, ending="error")
            assert found == [later] * 3
            assert later[-1].items[-1]["error"] == "ProducerLost"
            assert text_of(later)
            assert WORDS.startswith(text_of(later))


async def relay_killed(place: Place) -> None:
    """Its readers go on at the other machine. With a store in memory the log dies with its process:
    they hear no ending that never was, and then that there is nothing.
    """
    async with Simulator(text=WORDS, gap=0.1) as sim:
        if place.store == "memory":
            async with _machines(place, sim, None) as (one, two):
                stream_id = await _begun(one)
                those = readers(stream_id)
                connected = [asyncio.ensure_future(reader.connect(one)) for reader in those]
                await asyncio.sleep(0.3)
                await one.kill()
                await asyncio.gather(*connected)
                for reader in those:
                    assert reader.body, reader.wire
                    assert not reader.is_over, reader.wire
                    await reader.connect(two)
                    assert reader.nothing == 1, reader.wire
            return
        async with _machines(place, sim, place.redis, 3, liveness=1.0) as (one, two, maker):
            stream_id = await _begun(maker)
            reading = asyncio.ensure_future(until_over(stream_id, one, two))
            elsewhere = asyncio.ensure_future(until_over(stream_id, two))
            await asyncio.sleep(0.3)
            await one.kill()
            events = await reading
            assert events == await elsewhere
            assert text_of(events) == WORDS


async def redis_restarted(place: Place) -> None:
    """Within the patience: no frame is lost, whether Redis kept its log or comes back empty."""
    for durable in (True, False):
        async with Simulator(text=WORDS, gap=0.1) as sim:
            with redis_server(durable=durable) as redis:
                async with _machines(place, sim, redis) as (one, two):
                    stream_id = await _begun(one)
                    stay = asyncio.ensure_future(until_over(stream_id, one))
                    come = asyncio.ensure_future(until_over(stream_id, two, one))
                    await asyncio.sleep(0.3)
                    await asyncio.to_thread(redis.kill)
                    await asyncio.to_thread(redis.start)
                    events = await stay
                    assert events == await come
                    assert text_of(events) == WORDS


async def redis_gone(place: Place) -> None:
    """For longer than the patience: readers are told to come back, in their format, and once Redis is
    back hear one ending. The stream itself goes on, as its ``handler_failures`` say (test_redis.py).
    """
    async with Simulator(text=WORDS, gap=0.1) as sim:
        with redis_server(durable=True) as redis:
            async with _machines(place, sim, redis, patience=0.3, liveness=1.0) as (one, two):
                stream_id = await _begun(one)
                those = readers(stream_id)
                connected = [asyncio.ensure_future(reader.connect(two)) for reader in those]
                await asyncio.sleep(0.3)
                await asyncio.to_thread(redis.kill)
                async with asyncio.timeout(10):
                    await asyncio.gather(*connected)
                for reader in those:
                    assert reader.unavailable == 1, reader.wire
                    assert not reader.is_over, reader.wire
                again = Reader("events", stream_id)
                await again.connect(two)
                assert again.unavailable == 1  # refused as 503
                await asyncio.to_thread(redis.start)
                for reader in those:
                    await read_on(reader, (two, one))
                bodies = {reader.wire: reader.body for reader in those}
                check_log(events_in(bodies["events"]), ending="error")
                assert await until_over(stream_id, two, ending="error")
