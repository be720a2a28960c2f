"""Two thousand streams that were left and resumed, stopped or given up, and what is left of them."""

from __future__ import annotations

import asyncio
import gc
import resource
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, TCPConnector

from lm_deluge import Stream
from lm_deluge.simulator import Simulator
from lm_deluge_plugins.relay import Publication
from lm_deluge_plugins.relay.stores.log import FrameLog, Reading
from support.relay_readers import Reader, read_on
from support.relay_situations import descriptors
from support.relaying import App, RedisServer, cut_after, redis_server, serving, store_of

_STREAMS, _WAVE = 2_000, 25
_KEEP = 3.0


@pytest.fixture
def new_redis() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


async def _one(app: App, number: int) -> None:
    """Leave a stream after a frame or two and come back; some are stopped, some given up."""
    wire = ("events", "ui-message", "ag-ui", "events")[number % 4]
    response = await app.ask(wire, key="chat" if number % 2 else f"chat {number % 20}")
    stream_id = response.headers["x-stream-id"]
    reader = Reader(wire, stream_id)
    if wire == "events":
        began = await cut_after(response, 1 + number % 3)
        assert began
    else:
        await response.content.readany()
        response.close()
    if number % 20 == 3:
        return  # nobody comes back: it ends after the grace
    if number % 20 == 7:
        await app.stop(stream_id)
    await reader.connect(app, events=2)
    assert await read_on(reader, [app])


class _Footprint:
    """What this process, and Redis, hold."""

    def __init__(self) -> None:
        gc.collect()
        counted = Counter(
            kind.__name__
            for each in gc.get_objects()
            for kind in (Stream, Publication, FrameLog, Reading)
            if type(each) is kind
        )
        self.objects = dict(counted)
        self.descriptors = descriptors()
        self.tasks = sorted(task.get_name().rstrip("0123456789") for task in asyncio.all_tasks())
        self.blocks = sys.getallocatedblocks()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        self.resident = pages * resource.getpagesize()


async def _settled(app: App) -> _Footprint:
    """Wait until the time to live has passed for all."""
    async with asyncio.timeout(20):
        while any(stream.state in ("pending", "running") for stream in app.streams):
            await asyncio.sleep(0.05)
    app.streams.clear()
    # Redis forgets who read a log after twice the liveness; the client closes what is idle after 2 s.
    await asyncio.sleep(10.5)
    return _Footprint()


async def _redis_holds(redis: RedisServer | None) -> dict[str, Any]:
    if redis is None:
        return {}
    from redis.asyncio import Redis

    async with Redis(port=redis.port) as asked:
        async with asyncio.timeout(30):  # for a time to live that a loaded machine set late
            while not all(name.endswith(b":id") for name in await asked.keys("*")):
                await asyncio.sleep(0.5)
        names = await asked.keys("*")
        channels = await asked.pubsub_channels()
        clients = await asked.info("clients")
        return {
            "keys": len(names),
            "channels": len(channels),
            "connections": clients["connected_clients"],
        }


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("kind", "adapter"), [("memory", "asgi"), ("redis", "aiohttp")])
async def test_two_thousand_resumed_streams_leave_nothing_behind(
    kind: str, adapter: str, new_redis: RedisServer
) -> None:
    """With a Redis of its own: what other tests left in theirs lives for minutes."""
    sim = Simulator(text="a few words, one after the other", gap=0.005, keep_requests=0)
    server = new_redis if kind == "redis" else None
    async with (
        store_of(kind, server, keep=_KEEP, **({"liveness": 5.0} if server else {})) as store,
        serving(adapter, store, simulator=sim, grace=0.3) as app,
        # How many connections idle would be that of the last busy moment.
        ClientSession(app.base_url, connector=TCPConnector(keepalive_timeout=2)) as session,
    ):
        app.session = session
        for begin in range(0, _STREAMS // 4, _WAVE):
            await _wave(app, begin)
        before, held = await _settled(app), await _redis_holds(server)
        for begin in range(_STREAMS // 4, _STREAMS, _WAVE):
            await _wave(app, begin)
        after, holds = await _settled(app), await _redis_holds(server)
    assert after.objects == before.objects
    assert after.tasks == before.tasks
    # redis-py keeps as many connections as it ever needed at once.
    more = max(0, holds.pop("connections", 0) - held.pop("connections", 0))
    assert more <= 2 * _WAVE
    assert after.descriptors <= before.descriptors + more + 5
    assert holds == held
    # Of 1,500 more streams not one keeps two objects of any kind; the heap may have become patchy.
    assert after.blocks - before.blocks < 3_000
    assert after.resident - before.resident < 16_000_000


async def _wave(app: App, begin: int) -> None:
    await asyncio.gather(*(_one(app, number) for number in range(begin, begin + _WAVE)))
    app.streams[:] = [each for each in app.streams if each.state in ("pending", "running")]
