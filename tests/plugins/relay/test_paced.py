"""A relay whose readers get text as a steady flow, however it arrives."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lm_deluge.simulator import Simulator
from lm_deluge_plugins.relay import MemoryStore, Relay, Store
from support.relaying import ADAPTERS, check_log, cut_after, events_in, serving, text_of

pytest.importorskip("regex", reason="needs the extra smooth")

TEXT = "The sea is blue because water takes red light in, and lets the blue pass. " * 4
LINES = [TEXT[at : at + 74] for at in range(0, len(TEXT), 74)]


def texts(events: list[Any]) -> list[str]:
    return [item["text"] for event in events for item in event.items if item["kind"] == "text"]


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_lines_that_come_at_once_are_read_word_by_word(store: Store, adapter: str) -> None:
    sim = Simulator(text=LINES, gap=0.3)
    async with serving(adapter, store, simulator=sim, smooth=0.4) as app:
        async with await app.ask() as response:
            events = events_in(await response.read())
        stream = app.streams[0]
    check_log(events)
    assert text_of(events) == stream.response.completion == TEXT
    assert len([event for event in events if texts([event])]) > 3 * len(LINES)
    # What is recorded of the stream is as it came.
    assert len(stream.response.timeline.times) == len(LINES)


async def test_what_waits_goes_before_a_call_and_before_the_ending() -> None:
    sim = Simulator(text=[TEXT], reasoning="let me think", tool_calls=[("look", "{}")])
    async with serving("aiohttp", MemoryStore(), simulator=sim, smooth=0.4) as app:
        async with await app.ask() as response:
            events = events_in(await response.read())
    kinds = [item["kind"] for event in events for item in event.items]
    order = list(dict.fromkeys(kinds))
    assert order == ["start", "reasoning", "text", "tool_call", "complete"]
    assert text_of(events) == TEXT


async def test_a_reader_who_stops_it_or_comes_back_misses_nothing() -> None:
    sim = Simulator(text=[*LINES, *["word "] * 1000], gap=0.1)
    async with serving("aiohttp", MemoryStore(), simulator=sim, smooth=0.4) as app:
        response = await app.ask()
        stream_id = response.headers["x-stream-id"]
        events = await cut_after(response, 4)
        await app.stop(stream_id)
        async with await app.read(stream_id, after=events[-1].id) as again:
            events += events_in(await again.read())
        error = app.streams[0].error
    check_log(events, ending="cancelled")
    assert text_of(events) == error.partial.text


async def test_the_steps_of_one_answer_flow_as_well() -> None:
    sim = Simulator(text=[TEXT])
    async with serving("aiohttp", MemoryStore(), simulator=sim, smooth=0.2) as app:
        async with app.relay.publication("a log") as publication:
            for _ in range(2):
                await app.client.stream("hi", handlers=[publication], printer=None)
        async with await app.read("a log") as response:
            events = events_in(await response.read())
    assert text_of(events) == TEXT * 2
    kinds = [item["kind"] for event in events for item in event.items]
    assert [kind for kind in kinds if kind != "text"] == [
        "start", "step_end", "start", "step_end", "complete",
    ]  # fmt: skip


def test_a_delay_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match=r"smooth .*0\.05"):
        Relay(smooth=2.0)
    with pytest.raises(TypeError, match="smooth"):
        Relay(smooth="fast")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="give one of the two"):
        Relay(smooth=0.2, seen=print)


async def test_readers_who_come_later_get_it_at_once() -> None:
    sim = Simulator(text=LINES, gap=0.05)
    async with serving("aiohttp", MemoryStore(), simulator=sim, smooth=0.4) as app:
        async with await app.ask() as response:
            stream_id = response.headers["x-stream-id"]
            first = events_in(await response.read())
        async with asyncio.timeout(5), await app.read(stream_id) as later:
            assert events_in(await later.read()) == first
