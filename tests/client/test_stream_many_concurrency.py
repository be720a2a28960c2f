"""``client.stream_many``: how many streams run at a time, and what is held of many prompts."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Iterator

import pytest

from lm_deluge.simulator import Simulator
from support.clients import client_for


class Highest:
    """Counts the streams that run at a time."""

    def __init__(self) -> None:
        self.now = self.highest = 0

    def on_start(self, stream: object) -> None:
        self.now += 1
        self.highest = max(self.highest, self.now)

    def on_complete(self, stream: object, response: object) -> None:
        self.now -= 1

    def on_error(self, stream: object, error: object) -> None:
        self.now -= 1


async def test_outcomes_come_in_order_of_finishing() -> None:
    slow = asyncio.Event()
    reply = lambda request: [slow] if request.json["messages"][0]["content"] == "a" else None  # noqa: E731
    async with Simulator(reply=reply) as simulator:
        order: list[int] = []
        async for index, _ in client_for(simulator).stream_many(["a", "b", "c"], concurrency=3):
            order.append(index)
            if len(order) == 2:
                slow.set()
    assert order[-1] == 0


async def test_at_most_concurrency_streams_run_and_prompts_are_taken_as_needed() -> None:
    taken = 0

    def prompts() -> Iterator[str]:
        nonlocal taken
        for n in range(60):
            taken += 1
            yield f"prompt {n}"

    highest, ahead, ended = Highest(), 0, 0
    async with Simulator(text="one two three", gap=0.001) as simulator:
        async for _ in client_for(simulator).stream_many(
            prompts(), concurrency=5, handlers=[highest]
        ):
            ended += 1
            ahead = max(ahead, taken - ended)
    assert (ended, highest.highest) == (60, 5)
    assert ahead <= 5 + 16


async def test_a_slow_consumer_holds_back_the_prompts() -> None:
    taken = 0

    def prompts() -> Iterator[str]:
        nonlocal taken
        for n in range(1000):
            taken += 1
            yield f"prompt {n}"

    async with Simulator(text="hi") as simulator:
        outcomes = client_for(simulator).stream_many(prompts(), concurrency=4)
        await anext(outcomes)
        await simulator.wait_request(20)
        for _ in range(200):
            await asyncio.sleep(0)
        assert taken <= 1 + 4 + 16
        await outcomes.aclose()


@pytest.mark.parametrize("prompts", [150, pytest.param(4000, marks=pytest.mark.slow)])
async def test_memory_stays_bounded_however_many_prompts_there_are(prompts: int) -> None:
    answer = "x" * 40_000  # 150 of them kept would be 6 MB
    async with Simulator(text=[answer], keep_requests=0) as simulator:
        client = client_for(simulator)

        async def consume(count: int) -> int:
            done = 0
            async for _, response in client.stream_many(
                (f"p{n}" for n in range(count)), concurrency=10
            ):
                assert len(str(response)) == len(answer)
                done += 1
            assert done == count
            return tracemalloc.get_traced_memory()[1]

        await consume(20)  # connections, caches
        tracemalloc.start()
        try:
            few = await consume(30)
            tracemalloc.reset_peak()
            many = await consume(prompts)
        finally:
            tracemalloc.stop()
        await client.close()
    assert many < few + 3_000_000
