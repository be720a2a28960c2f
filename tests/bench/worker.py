"""One measurement in a process of its own: prints one line of JSON."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import resource
import statistics
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from peers import PEERS


def rss() -> int:
    """Return the resident bytes of this process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


async def cpu(peer: str, url: str, tokens: int, concurrency: int, streams: int) -> dict[str, Any]:
    """CPU and wall time per token of ``streams`` streams, ``concurrency`` at a time."""
    go, close = await PEERS[peer](url, None)
    if await go() != tokens:
        raise AssertionError(f"{peer} lost tokens")
    gate = asyncio.Semaphore(concurrency)

    async def one() -> int:
        async with gate:
            return await go()

    gc.collect()
    before, begun = time.process_time(), time.perf_counter()
    seen = sum(await asyncio.gather(*(one() for _ in range(streams))))
    used, taken = time.process_time() - before, time.perf_counter() - begun
    await close()
    if seen != tokens * streams:
        raise AssertionError(f"{peer} lost tokens")
    return {"cpu_us": used / seen * 1e6, "wall_us": taken / seen * 1e6, "tokens_per_s": seen / taken}


async def accuracy(peer: str, url: str, tokens: int, concurrency: int) -> dict[str, Any]:
    """How long after its write a token is seen, and CPU per token, at live pace."""
    lags: list[float] = []
    to_wire: list[float] = []
    called = time.perf_counter_ns()
    first = set()

    def seen(text: str) -> None:
        now = time.perf_counter_ns()
        for stamp in text.split():
            if stamp in first:
                continue
            lags.append((now - int(stamp)) / 1e6)

    go, close = await PEERS[peer](url, seen)
    for _ in range(20):  # the first call imports and connects
        called = time.perf_counter_ns()
        lags.clear()
        await asyncio.wait_for(PEERS_go(go), 60)
        del called
    lags.clear()
    before, begun = time.process_time(), time.perf_counter()
    await asyncio.gather(*(go() for _ in range(concurrency)))
    used, taken = time.process_time() - before, time.perf_counter() - begun
    await close()
    lags.sort()
    total = concurrency * (tokens + 1)
    return {
        "cpu_us": used / total * 1e6,
        "tokens_per_s": total / taken,
        "lag_ms_p50": statistics.median(lags),
        "lag_ms_p99": lags[int(len(lags) * 0.99)],
        "to_wire": to_wire,
    }
