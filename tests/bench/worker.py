"""One client in a process of its own: reads commands from stdin, answers each with a line of JSON.

``python worker.py CLIENT PORT [uvloop]``. A command is ``{"do": NAME, ...}`` with the arguments of one
of the coroutines below. The process lives as long as the benchmark, so that rounds of many clients
can be interleaved and everything is warm.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import resource
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
from bench.clients import CLIENTS, Close, Go


class Worker:
    """The client under test, and what its tokens said."""

    def __init__(self, client: str, port: int) -> None:
        self._setup = CLIENTS[client]
        self._port = port
        self._ready: dict[str, Go] = {}
        self._closing: list[Close] = []
        self._noted: list[tuple[str, float]] = []

    async def cpu(self, tokens: int, pause: int, streams: int, concurrency: int) -> dict[str, Any]:
        """CPU time of the process and wall time, microseconds per token."""
        go = await self._go(tokens, pause)
        gate = asyncio.Semaphore(concurrency)

        async def one() -> int:
            async with gate:
                return await go()

        gc.collect()
        used, begun = time.process_time(), time.perf_counter()
        counts = await asyncio.gather(*(one() for _ in range(streams)))
        used, taken = time.process_time() - used, time.perf_counter() - begun
        _check(counts, tokens)
        seen = sum(counts)
        return {"cpu_us": used / seen * 1e6, "wall_us": taken / seen * 1e6, "per_s": seen / taken}

    async def warm(self, tokens: int, pause: int) -> dict[str, Any]:
        """Import, connect, fill the caches."""
        go = await self._go(tokens, pause)
        _check([await go() for _ in range(3)], tokens)
        return {}

    async def lag(self, tokens: int, pause: int, streams: int) -> dict[str, Any]:
        """Milliseconds from the server's write of a token to the arrival that the client reports."""
        go = await self._go(tokens, pause, "w")
        self._noted.clear()
        used, begun = time.process_time(), time.perf_counter()
        counts = await asyncio.gather(*(go() for _ in range(streams)))
        used, taken = time.process_time() - used, time.perf_counter() - begun
        _check(counts, tokens)
        lags = sorted((arrived - int(text) / 1e9) * 1e3 for text, arrived in self._noted)
        return {
            "p50_ms": lags[len(lags) // 2],
            "p99_ms": lags[len(lags) * 99 // 100],
            "cpu_us": used / sum(counts) * 1e6,
            "per_s": sum(counts) / taken,
        }

    async def wire(self, turns: int) -> dict[str, Any]:
        """Microseconds from the call to the receipt of its request, on a connection in the pool."""
        go = await self._go(1, 0, "r")
        delays = []
        for _ in range(turns):
            self._noted.clear()
            called = time.perf_counter_ns()
            await go()
            delays.append((int(self._noted[0][0]) - called) / 1e3)
        # The quickest, too: a busy machine takes the core away for milliseconds in the middle.
        return {"wire_us": statistics.median(delays), "least_us": min(delays)}

    async def memory(self, streams: int, pause: int, *, traced: bool) -> dict[str, Any]:
        """Bytes per open stream: resident, or allocated by Python."""
        if traced:
            tracemalloc.start()
        # The first crowd fills what is kept between streams (caches, arenas).
        go = await self._go(2, 100_000, "w")
        await asyncio.gather(*(go() for _ in range(20)))
        go = await self._go(2, pause, "w")
        measure = (lambda: tracemalloc.get_traced_memory()[0]) if traced else _resident
        self._noted.clear()
        gc.collect()
        before = measure()
        crowd = [asyncio.ensure_future(go()) for _ in range(streams)]
        async with asyncio.timeout(pause / 1e6):
            while len(self._noted) < streams:
                await asyncio.sleep(0.05)
        gc.collect()
        taken = measure() - before
        for stream in crowd:
            stream.cancel()
        await asyncio.gather(*crowd, return_exceptions=True)
        return {"bytes": taken / streams}

    async def peak(self, tokens: int) -> dict[str, Any]:
        """One long answer: bytes per token that the process grew by at its highest."""
        go = await self._go(tokens, 0)
        await (await self._go(100, 0))()
        gc.collect()
        before = _resident()
        _check([await go()], tokens)
        highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        return {"bytes": max(0, highest - before) / tokens}

    async def close(self) -> None:
        """Close every client."""
        for close in self._closing:
            await close()

    async def _go(self, tokens: int, pause: int, stamp: str = "") -> Go:
        path = f"{tokens}/{stamp}{pause}"
        if path not in self._ready:
            url = f"http://127.0.0.1:{self._port}/b/{path}/v1"
            go, close = await self._setup(url, self._note if stamp else None)
            self._ready[path] = go
            self._closing.append(close)
        return self._ready[path]

    def _note(self, text: str, arrived: float) -> None:
        self._noted.append((text, arrived))


def _check(counts: list[int], tokens: int) -> None:
    if set(counts) != {tokens}:
        raise AssertionError(f"{sorted(set(counts))} tokens were seen where {tokens} were sent")


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


async def main(client: str, port: int) -> None:
    """Obey until stdin ends."""
    worker = Worker(client, port)
    # Between commands the loop stands still: nothing of this process runs in another one's round.
    for line in sys.stdin:
        command = json.loads(line)
        do: Callable[..., Any] = getattr(worker, command.pop("do"))
        print(json.dumps(await do(**command)), flush=True)
    await worker.close()


if __name__ == "__main__":
    os.environ.setdefault("OPENAI_API_KEY", "sk-benchmark")
    if sys.argv[3:] == ["uvloop"]:
        import uvloop

        uvloop.run(main(sys.argv[1], int(sys.argv[2])))
    else:
        asyncio.run(main(sys.argv[1], int(sys.argv[2])))
