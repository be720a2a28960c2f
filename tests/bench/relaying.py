"""What a relay costs for each piece and reader, beside handlers that write prebuilt bytes.

    python -m tests.bench.relaying [--readers 100] [--pieces 400] [--rounds 3]

Each server is a process of its own, which readers in another one read over loopback: its CPU from the first
piece to the last reader's end, by pieces times readers. ``bare``: an ``aiohttp.web`` handler that writes the
same bytes; ``relay``: the relay with a store in memory, format ``events``. Servers take turns, and the median
of the ratios of each round is told.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
from types import SimpleNamespace
from typing import Any

from aiohttp import web

from lm_deluge import Token
from lm_deluge_plugins.relay import FORMATS, MemoryStore, Relay, aiohttp_web

#: Pieces a second.
_RATE = 50


async def _serve(kind: str, readers: int, pieces: int) -> None:
    app = web.Application()
    begun = asyncio.Event()
    waiting = 0
    done = asyncio.Event()

    def arrived() -> None:
        nonlocal waiting
        waiting += 1
        if waiting == readers:
            begun.set()

    def left() -> None:
        nonlocal waiting
        waiting -= 1
        if not waiting:
            done.set()

    relay = Relay(MemoryStore(), on_disconnect="continue")
    opened: Any = relay.publication("s" * 32)
    publication = await opened.__aenter__()
    ticks = _Ticks(pieces)

    async def bare(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers=FORMATS["events"]().headers)
        await response.prepare(request)
        arrived()
        for number in range(pieces):
            await ticks.reached(number)
            data = b'id: %d\ndata: {"t":0.1,"items":[{"kind":"text","text":" word"}]}\n\n' % number
            await response.write(data)
        left()
        return response

    async def relayed(request: web.Request) -> web.StreamResponse:
        arrived()
        response = await aiohttp_web.resume(
            relay, request, "s" * 32, format=kind.partition(" ")[2] or "events"
        )
        left()
        return response

    app.router.add_get("/", bare if kind == "bare" else relayed)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    stream: Any = SimpleNamespace(id="s" * 32, model="m", elapsed=0.0)
    if kind != "bare":
        publication.on_start(stream)
    await begun.wait()
    await asyncio.sleep(0.2)
    before = time.process_time()
    for number in range(pieces):
        if kind == "bare":
            ticks.reach(number)
        else:
            publication.on_token(stream, Token(" word", number, 0.1, number))
        await asyncio.sleep(1 / _RATE)
    await opened.__aexit__(None, None, None)
    await done.wait()
    print((time.process_time() - before) / pieces / readers * 1e6, flush=True)
    await runner.cleanup()


class _Ticks:
    """Moments that all handlers wait for."""

    def __init__(self, pieces: int) -> None:
        loop = asyncio.get_running_loop()
        self._moments = [loop.create_future() for _ in range(pieces)]

    async def reached(self, number: int) -> None:
        # Each waits on a future of its own: a shared one would be shielded at a cost.
        moment = self._moments[number]
        if not moment.done():
            waiter = asyncio.get_running_loop().create_future()
            moment.add_done_callback(lambda _: waiter.done() or waiter.set_result(None))
            await waiter

    def reach(self, number: int) -> None:
        self._moments[number].set_result(None)


async def _measure(kind: str, readers: int, pieces: int) -> float:
    """Return microseconds of the server's CPU a piece and reader."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.relaying", "--serve", kind,
        "--readers", str(readers), "--pieces", str(pieces), stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    port = int(await process.stdout.readline())
    await asyncio.gather(*(_read(port) for _ in range(readers)))
    microseconds = float(await process.stdout.readline())
    await process.wait()
    return microseconds


async def _read(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    while await reader.read(65536):
        pass
    writer.close()


async def measure(readers: int, pieces: int, rounds: int) -> dict[str, float]:
    """Return medians over rounds: microseconds of each, and ratios to ``bare``."""
    kinds = ("bare", *(f"relay {name}" for name in FORMATS))
    found: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(rounds):
        for kind in kinds:
            found[kind].append(await _measure(kind, readers, pieces))
    figures = {kind: statistics.median(values) for kind, values in found.items()}
    for kind in kinds[1:]:
        ratios = [ours / bare for ours, bare in zip(found[kind], found["bare"], strict=True)]
        figures[f"{kind} / bare"] = statistics.median(ratios)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readers", type=int, default=100)
    parser.add_argument("--pieces", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve:
        asyncio.run(_serve(asked.serve, asked.readers, asked.pieces))
        return
    figures = asyncio.run(measure(asked.readers, asked.pieces, asked.rounds))
    print(json.dumps({name: round(value, 2) for name, value in figures.items()}, indent=1))


if __name__ == "__main__":
    main()
