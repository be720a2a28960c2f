"""After a watched stream ended nothing holds it: no task, receiver, or error that is kept."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Sequence
from time import perf_counter
from typing import Any

import pytest

from lm_deluge import Stream, Token
from lm_deluge.proxy.exchange import Ending
from lm_deluge.proxy.watcher import Watcher
from support.aftermath import Aftermath
from support.exchanges import EVENTS, WatchingEar, asks, opened
from support.promises import Consumed
from support.wires import BEGUN, ENDED


class Late:
    """An ``async`` handler."""

    async def on_token(self, stream: Stream, token: Token) -> None:
        await asyncio.sleep(0)


WAYS: list[tuple[Sequence[bytes], Ending]] = [
    ([BEGUN["chat"], ENDED["chat"]], "whole"),
    ([BEGUN["chat"]], "whole"),
    ([BEGUN["chat"]], "reset"),
    ([BEGUN["chat"]], "reader left"),
    ([BEGUN["chat"]], "cut by us"),
    ([], "unreachable"),
]


async def _through(watcher: Watcher, reads: Sequence[bytes], how: Ending) -> Any:
    exchange = opened(watcher, asks())
    if how != "unreachable":
        exchange.head(200, EVENTS)
    for data in reads:
        exchange.read(data, perf_counter())
    try:
        raise ConnectionResetError("as the pipe has it, with frames")
    except ConnectionResetError as error:
        exchange.ended(how, error if how in ("reset", "unreachable") else None)
    await watcher.aclose()
    return exchange


@pytest.mark.parametrize(("reads", "how"), WAYS)
async def test_nothing_is_left_of_a_stream_that_ended(reads: Sequence[bytes], how: Ending) -> None:
    async with Aftermath() as after:
        ear = WatchingEar()
        watcher = Watcher([ear, Late()])
        exchange = await _through(watcher, reads, how)
        # Its error, its watcher and its exchange are still held here.
        after.watch(Consumed(name=how, ears=[ear]))
    assert ear.endings
    assert exchange is not None


@pytest.mark.parametrize(("reads", "how"), WAYS)
async def test_a_stream_goes_without_the_cycle_collector(
    reads: Sequence[bytes], how: Ending
) -> None:
    ear = WatchingEar()
    gc.collect()
    gc.disable()
    try:
        await _through(Watcher([ear, Late()]), reads, how)
        await asyncio.sleep(0)
        assert ear.stream is not None
        assert ear.stream() is None
    finally:
        gc.enable()


def bodies_kept() -> int:
    """How many request bodies with a long value are in memory."""
    gc.collect()
    found = [
        one
        for one in gc.get_objects()
        if isinstance(one, dict) and isinstance(one.get("metadata"), dict)
    ]
    return len([one for one in found if len(one["metadata"].get("a", "")) == 100_000])


async def test_the_body_of_a_request_is_kept_once_for_stream_request_and_no_longer_than_its_stream() -> (
    None
):
    watcher = Watcher([WatchingEar()])
    exchange = opened(watcher, asks(metadata={"a": "x" * 100_000}))
    assert bodies_kept() == 1
    exchange.ended("reader left")
    await watcher.aclose()
    del exchange
    assert bodies_kept() == 0


async def test_an_event_loop_that_ends_leaves_no_stream_without_an_ending() -> None:
    ear = WatchingEar()

    async def abandoned() -> None:
        opened(Watcher([ear]), asks()).ended("cut by us")

    await asyncio.to_thread(asyncio.run, abandoned())
    assert ear.calls == ["start", "error"]
    assert ear.stream is not None
    gc.collect()
    assert ear.stream() is None


def test_an_exchange_can_end_when_its_event_loop_is_gone() -> None:
    ear = WatchingEar()
    kept: list[Any] = []

    async def abandoned() -> None:
        kept.append(opened(Watcher([ear]), asks()))

    asyncio.run(abandoned())
    kept.pop().ended("cut by us")
    assert ear.calls == ["start", "error"]
    reference = ear.stream
    assert isinstance(reference, weakref.ref)
    gc.collect()
    assert reference() is None
