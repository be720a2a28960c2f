"""Every reader, whenever it joins and however often it comes back, gets the same frames, each once, in
order, then exactly one ending."""

from __future__ import annotations

import asyncio

import pytest

from lm_deluge.simulator import Simulator
from lm_deluge_plugins.relay import FORMATS, Store
from support.relaying import (
    ADAPTERS,
    ENDINGS,
    WORDS,
    App,
    check_log,
    cut_after,
    events_in,
    serving,
    text_of,
)


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_the_asker_and_late_readers_get_the_same_bytes_in_every_format(
    store: Store, adapter: str
) -> None:
    async with serving(adapter, store) as app:
        for wire in FORMATS:
            response = await app.ask(wire)
            stream_id = response.headers["x-stream-id"]
            late = [
                asyncio.ensure_future(_late(app, stream_id, wire, pieces))
                for pieces in (0, 5, 30, 10_000)
            ]
            whole = await response.read()
            assert [await body for body in late] == [whole] * 4, wire
        assert not len(app.relay.readers)


async def _late(app: App, stream_id: str, wire: str, pieces: int) -> bytes:
    stream = next(each for each in app.streams if each.id == stream_id)
    while stream.state == "running" and len(stream.partial.completion) < pieces:
        await asyncio.sleep(0)
    async with await app.read(stream_id, wire=wire) as response:
        assert response.status == 200
        return await response.read()


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_a_reader_that_comes_back_at_every_frame_misses_nothing_and_gets_nothing_twice(
    store: Store, adapter: str
) -> None:
    async with serving(adapter, store) as app:
        response = await app.ask()
        stream_id = response.headers["x-stream-id"]
        events = await cut_after(response, 1)
        while events[-1].items[-1]["kind"] not in ENDINGS:
            header = {"Last-Event-ID": str(events[-1].id)}
            response = await app.read(stream_id, **header)
            if response.status == 204:
                break
            events += await cut_after(response, 1)
        check_log(events)
        assert text_of(events) == WORDS
        async with await app.read(stream_id, after=events[-1].id) as again:
            assert again.status == 204  # nothing is left: an EventSource does not come back


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_a_stop_ends_the_stream_once_for_all_its_readers(store: Store, adapter: str) -> None:
    async with serving(adapter, store, simulator=Simulator(text=WORDS, gap=0.05)) as app:
        first = await app.ask()
        stream_id = first.headers["x-stream-id"]
        second = await app.read(stream_id)
        assert await app.stop(stream_id)
        bodies = [await first.read(), await second.read()]
        assert bodies[0] == bodies[1]
        check_log(events_in(bodies[0]), ending="cancelled")
        assert not await app.stop(stream_id)
        assert app.streams[0].state == "error"
        assert not await app.stop("f" * 32)
        async with await app.read("f" * 32) as nothing:
            assert nothing.status == 204
