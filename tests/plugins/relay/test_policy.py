"""What happens to an answer that nobody reads, and to readers that read slowly, or never."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lm_deluge.errors import StreamCancelled
from lm_deluge.simulator import Simulator
from lm_deluge_plugins.relay import MemoryStore, Store
from support.relaying import ADAPTERS, WORDS, App, check_log, cut_after, events_in, serving


def slow() -> Simulator:
    return Simulator(text=WORDS, gap=0.05)


async def ended(app: App) -> Any:
    stream = app.streams[0]
    async with asyncio.timeout(10):
        await stream.start()
    return stream


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_an_answer_that_nobody_reads_for_the_grace_is_cancelled(
    store: Store, adapter: str
) -> None:
    async with serving(adapter, store, simulator=slow(), grace=0.2) as app:
        response = await app.ask()
        stream_id = response.headers["x-stream-id"]
        await cut_after(response, 2)
        stream = await ended(app)
        assert isinstance(stream.error, StreamCancelled)
        assert stream.error.reason == "nobody has read it for 0.2 s"
        assert stream.error.partial.text
        async with await app.read(stream_id) as later:
            check_log(events_in(await later.read()), ending="cancelled")


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_whoever_comes_back_within_the_grace_finds_it_running(
    store: Store, adapter: str
) -> None:
    async with serving(adapter, store, grace=5) as app:
        response = await app.ask()
        stream_id = response.headers["x-stream-id"]
        events = await cut_after(response, 2)
        async with await app.read(stream_id, after=events[-1].id) as again:
            events += events_in(await again.read())
        check_log(events)


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_an_answer_goes_on_without_readers_where_that_is_asked_for(
    store: Store, adapter: str
) -> None:
    async with serving(adapter, store, grace=0.01, on_disconnect="continue") as app:
        response = await app.ask()
        stream_id = response.headers["x-stream-id"]
        await cut_after(response, 2)
        stream = await ended(app)
        assert stream.response is not None
        async with await app.read(stream_id) as later:
            check_log(events_in(await later.read()))


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_one_of_two_readers_that_leaves_changes_nothing(store: Store, adapter: str) -> None:
    sim = Simulator(text=WORDS, gap=0.01)
    async with serving(adapter, store, simulator=sim, grace=0.3) as app:
        response = await app.ask()
        other = await app.read(response.headers["x-stream-id"])
        await cut_after(response, 2)
        check_log(events_in(await other.read()))


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_silence_is_filled_with_comments(store: Store, adapter: str) -> None:
    silent = Simulator(text="late", ttft=0.6)
    async with serving(adapter, store, simulator=silent, heartbeat=0.1) as app:
        for wire in ("events", "ui-message", "ag-ui"):
            body = await (await app.ask(wire)).read()
            assert body.count(b": heartbeat\n\n") >= 3, wire
            if wire == "events":
                check_log(events_in(body))


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_a_head_alone_is_refused_at_once(adapter: str) -> None:
    async with serving(adapter, MemoryStore(), simulator=slow()) as app:
        response = await app.ask()
        where = f"/streams/{response.headers['x-stream-id']}"
        async with asyncio.timeout(1), app.session.head(where) as head:
            assert head.status in (404, 405)
        response.close()
