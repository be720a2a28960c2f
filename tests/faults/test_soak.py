"""20,000 streams of all wires with random faults in one process: nothing grows, each stream ends once."""

from __future__ import annotations

import asyncio
import gc
import random
import sys
import threading
import time
import tracemalloc
import weakref
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from lm_deluge import APIResponse, LLMClient, RetryPolicy, Stream, Timeouts, attach
from lm_deluge.api_requests.openai import stream_chat
from lm_deluge.errors import StreamError
from lm_deluge.http.transport import Transport
from lm_deluge.simulator import Simulator
from support.aftermath import Aftermath, open_files, pooled, rss, within
from support.consumers import Raising, Slow
from support.promises import KEY

STREAMS = 20_000
AT_ONCE = 200

#: One in two is healthy; what has to wait for a timeout is rare, or it would be all there is.
FAULTS: dict[str, float] = {
    "status:500": 0.03,
    "status:429:retry-after=0": 0.03,
    "status:401:echo": 0.02,
    "reset-before-headers": 0.03,
    "close-before-headers": 0.03,
    "json-error": 0.02,
    "json-answer": 0.02,
    "wrong-content-type": 0.02,
    "redirect": 0.02,
    "reset:1": 0.04,
    "drop:1": 0.04,
    "eof:1": 0.03,
    "eof:0": 0.02,
    "half-close:1": 0.02,
    "truncated-utf8:1": 0.02,
    "bad-utf8:1": 0.02,
    "malformed-json:1": 0.02,
    "error-frame:object:1": 0.02,
    "error-frame:event:0": 0.02,
    "gzip-cut": 0.01,
    "bad-chunk-size:1": 0.02,
    "no-done": 0.02,
    "no-finish": 0.02,
    "lone-surrogate:1": 0.01,
    "reset-after-finish": 0.02,
    "stall:1": 0.01,
    "hang-before-headers": 0.005,
    "hang-after-finish": 0.01,
    "comments-before:0.05": 0.005,
}


class Ledger:
    """Counts the signals of every stream of the process; keeps nothing of one that has ended."""

    def __init__(self) -> None:
        self.started = 0
        self.endings: Counter[str] = Counter()
        self.running: dict[str, str] = {}
        self.wrong: list[str] = []
        self.alive: weakref.WeakSet[Stream] = weakref.WeakSet()

    def on_start(self, stream: Stream) -> None:
        self.started += 1
        self.alive.add(stream)
        self.running[stream.id] = ""

    def on_token(self, stream: Stream, token: object) -> None:
        if stream.id not in self.running:
            self.wrong.append("a token of a stream that is not running")
        elif token.choice == 0:  # type: ignore[attr-defined]
            self.running[stream.id] += token.text  # type: ignore[attr-defined]

    def on_complete(self, stream: Stream, response: APIResponse) -> None:
        self._end(stream, "complete", response.completion)

    def on_error(self, stream: Stream, error: StreamError) -> None:
        assert error.partial is not None
        text = error.partial.text
        self._end(stream, type(error).__name__, text[: len(self.running.get(stream.id, ""))])

    def _end(self, stream: Stream, name: str, text: str) -> None:
        heard = self.running.pop(stream.id, None)
        if heard is None:
            self.wrong.append(f"a second ending: {name}")
        elif heard != text:
            self.wrong.append(f"{name}: heard {heard!r}, kept {text!r}")
        self.endings[name] += 1


#: In the order in which they take turns.
WIRES = ("chat", "responses", "messages", "gemini")
MODELS = ["gpt-4o", "gpt-4o-mini"]


def client_of(sim: Simulator, wire: str, **options: Any) -> LLMClient:
    base_url = sim.url if wire == "gemini" else sim.base_url
    return LLMClient(
        "gpt-4o", base_url=base_url, dialect=wire, api_key=KEY, printer=None, **options
    )


async def one(clients: Sequence[LLMClient], rng: random.Random, number: int) -> None:
    """One stream of the next wire, consumed or left in one of many ways."""
    client = clients[number % len(clients)]
    handlers = [[], [], [], [Raising()], [Slow()]][rng.randrange(5)]
    prompt = f"number {number}"
    try:
        match rng.randrange(6):
            case 0 | 1:
                await client.stream(prompt, handlers=handlers)
            case 2:
                async for _ in stream_chat("gpt-4o", prompt, client=client, handlers=handlers):
                    pass
            case 3:
                async with client.open_stream(prompt, handlers=handlers) as stream:
                    async for _ in stream:
                        if rng.random() < 0.2:
                            break
            case 4:
                stream = client.open_stream(prompt, handlers=handlers)
                stream.start()
                for _ in range(rng.randrange(40)):
                    await asyncio.sleep(0)
                stream.cancel()
                await stream
            case _:
                task = asyncio.ensure_future(client.stream(prompt, handlers=handlers))
                for _ in range(rng.randrange(40)):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait([task])
                task.cancelled() or task.exception()
    except StreamError:
        pass


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_20000_streams_leave_nothing_behind(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL", "lm_deluge")  # the records of failing handlers would be what grows
    ledger = Ledger()
    rng = random.Random(7)
    begun, worked = time.monotonic(), time.process_time()
    memory: list[int] = []
    traced: list[int] = []
    objects: list[int] = []
    files: list[int] = []
    async with Aftermath():
        async with Simulator(
            faults=FAULTS,
            text=["Once ", "upon ", "a ", "🙂."],
            seed=7,
            keep_requests=50,
            models=MODELS,
        ) as sim:
            transport = Transport()
            clients = [
                client_of(
                    sim,
                    wire,
                    transport=transport,
                    timeouts=Timeouts(
                        connect=10, first_token=2, between_tokens=1, tail=0.2, total=20
                    ),
                    retries=RetryPolicy(max_attempts=2, initial_delay=0.001, max_delay=0.01),
                    fallback_models=MODELS[1:],
                )
                for wire in WIRES
            ]
            numbers = iter(range(STREAMS))

            async def worker() -> None:
                for number in numbers:  # the iterator of the moment
                    await one(clients, rng, number)

            async def sample() -> None:
                for done in range(0, STREAMS, STREAMS // 10):
                    while ledger.started < done:
                        await asyncio.sleep(0.05)
                    gc.collect()
                    memory.append(rss())
                    files.append(open_files())
                    objects.append(len(gc.get_objects()))

            with attach(ledger):
                sampler = asyncio.ensure_future(sample())
                await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
                sampler.cancel()
                assert await within(5, lambda: not ledger.running), (
                    f"{len(ledger.running)} without an ending"
                )
                assert await within(2, lambda: sim.open_connections == pooled(transport)), (
                    f"{sim.open_connections} connections, {pooled(transport)} in the pool"
                )
                gc.collect()
                assert not list(ledger.alive), f"{len(ledger.alive)} streams alive"
                # The same once more for the allocator's own books, which cost half the speed.
                tracemalloc.start()
                for more in (300, 900):
                    numbers = iter(range(more))
                    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
                    assert await within(5, lambda: not ledger.running)
                    await within(2, lambda: sim.open_connections == pooled(transport))
                    gc.collect()
                    traced.append(tracemalloc.get_traced_memory()[0])
                tracemalloc.stop()
            for client in clients:
                await client.close()
            await sim.wait_closed_connections()
    took, worked = time.monotonic() - begun, time.process_time() - worked
    print(f"\n{ledger.started} streams in {took:.0f} s ({worked:.0f} s of the processor)")
    print(f"{dict(ledger.endings.most_common())}")
    print(
        f"RSS in MB: {[round(size / 1e6) for size in memory]}; files: {files}; objects: {objects}"
    )
    print(f"traced bytes after 300 and 900 more: {traced}")
    assert not ledger.wrong, ledger.wrong[:10]
    assert sum(ledger.endings.values()) == ledger.started
    # A stream that is cancelled before its task's first step never begins.
    assert ledger.started > 0.8 * STREAMS
    assert len(ledger.endings) > 8, "the faults were played"
    # After the warm-up nothing grows: neither memory nor objects nor file descriptors.
    settled = memory[3:]
    assert max(settled) - min(settled) < 24e6, f"RSS: {memory}"
    assert max(objects[3:]) < 1.3 * min(objects[3:]), f"objects: {objects}"
    assert traced[1] - traced[0] < 500_000, f"traced: {traced}"
    assert max(files[3:]) <= max(files[:3]) + AT_ONCE, f"files: {files}"
    assert worked < 300


class Clerk:
    """A ``Ledger`` for many threads: each stream is heard in one of them only."""

    def __init__(self) -> None:
        self.started = 0
        self.endings: Counter[str] = Counter()
        self.running: set[str] = set()
        self.wrong: list[str] = []
        self._lock = threading.Lock()

    def on_start(self, stream: Stream) -> None:
        with self._lock:
            self.started += 1
            self.running.add(stream.id)

    def on_token(self, stream: Stream, token: object) -> None:
        if stream.id not in self.running:
            self.wrong.append("a token of a stream that is not running")

    def on_complete(self, stream: Stream, response: APIResponse) -> None:
        self._end(stream, "complete")

    def on_error(self, stream: Stream, error: StreamError) -> None:
        self._end(stream, type(error).__name__)

    def _end(self, stream: Stream, name: str) -> None:
        with self._lock:
            if stream.id not in self.running:
                self.wrong.append(f"a second ending: {name}")
            self.running.discard(stream.id)
            self.endings[name] += 1


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_4000_streams_in_8_threads_with_loops_of_their_own_leave_nothing_behind(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A client a wire; loops end with and without ceremony; each thread opens and closes the client too."""
    caplog.set_level("CRITICAL", "lm_deluge")
    clerk = Clerk()
    before = open_files()
    failures: list[BaseException] = []
    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        async with Simulator(
            faults=FAULTS,
            text=["Once ", "upon ", "a ", "🙂."],
            seed=7,
            keep_requests=50,
            models=MODELS,
        ) as sim:
            clients = [
                client_of(
                    sim,
                    wire,
                    max_concurrent_streams=20,
                    timeouts=Timeouts(
                        connect=10, first_token=3, between_tokens=2, tail=0.3, total=30
                    ),
                    retries=RetryPolicy(max_attempts=2, initial_delay=0.001, max_delay=0.01),
                )
                for wire in WIRES
            ]

            def work(seed: int) -> None:
                rng = random.Random(seed)

                async def some(count: int) -> None:
                    await asyncio.gather(*(one(clients, rng, number) for number in range(count)))
                    for client in clients if rng.random() < 0.3 else ():
                        await client.close()

                try:
                    for _ in range(20):
                        loop = asyncio.new_event_loop()
                        loop.run_until_complete(some(25))
                        if rng.random() < 0.5:
                            loop.run_until_complete(loop.shutdown_asyncgens())
                        loop.close()
                except BaseException as error:
                    failures.append(error)

            threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
            with attach(clerk):
                for thread in threads:
                    thread.start()
                while any(thread.is_alive() for thread in threads):
                    await asyncio.sleep(0.05)
            for client in clients:
                await client.close()
            await sim.wait_closed_connections()
    finally:
        sys.setswitchinterval(switch)
    gc.collect()
    print(f"\n{clerk.started} streams: {dict(clerk.endings.most_common())}")
    assert not failures, failures
    assert not clerk.wrong, clerk.wrong[:10]
    assert not clerk.running
    assert sum(clerk.endings.values()) == clerk.started > 3000
    assert open_files() <= before + 4
