"""What a relay costs, beside the least that can be and what others use: one command, two tables in Markdown.

    python -m tests.bench.relaying [--readers 100] [--pieces 400] [--streams 200] [--seconds 10] [--rounds 3]
    python -m tests.bench.relaying --only writing       # or --only ways; --kinds relay,"through redis"

``writing``: one stream, many readers. Each server is a process of its own, which readers in another one read
over loopback: its CPU from the first piece to the last reader's end, by pieces times readers. ``bare``: an
``aiohttp.web`` handler, or Starlette's on uvicorn, that writes the same bytes, made beforehand. ``ways``: a
stream for each reader, from a model through each server (``relay_ways.py``). Servers take turns, and the
medians of rounds and of the ratios of each round are told. The AI SDK comes from npm, if that is there.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from aiohttp import web

from lm_deluge import Token
from lm_deluge_plugins.relay import FORMATS, MemoryStore, Relay, aiohttp_web, asgi
from tests.bench.relay_ways import measure_way, ways

#: Pieces a second.
_RATE = 50


async def _serve(kind: str, readers: int, pieces: int) -> None:
    those = _Readers(readers)
    relay = Relay(MemoryStore(), on_disconnect="continue")
    opened: Any = relay.publication("s" * 32)
    publication = await opened.__aenter__()
    ticks = _Ticks(pieces)

    async def prebuilt() -> AsyncIterator[bytes]:
        those.arrive()
        for number in range(pieces):
            await ticks.reached(number)
            yield b'id: %d\ndata: {"t":0.1,"items":[{"kind":"text","text":" word"}]}\n\n' % number
        those.leave()

    async def bare(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers=FORMATS["events"]().headers)
        await response.prepare(request)
        async for data in prebuilt():
            await response.write(data)
        return response

    async def relayed(request: web.Request) -> web.StreamResponse:
        those.arrive()
        response = await aiohttp_web.resume(
            relay, request, "s" * 32, format=kind.partition(" ")[2] or "events"
        )
        those.leave()
        return response

    is_bare = kind.startswith("bare")
    if kind.endswith(" asgi"):
        stop = await _serve_asgi(_asgi_app(is_bare, relay, prebuilt, those))
    else:
        stop = await _serve_web(bare if is_bare else relayed)
    stream: Any = SimpleNamespace(id="s" * 32, model="m", elapsed=0.0, started_at=time.time())
    if not is_bare:
        publication.on_start(stream)
    await those.begun.wait()
    await asyncio.sleep(0.2)
    before = time.process_time()
    for number in range(pieces):
        if is_bare:
            ticks.reach(number)
        else:
            publication.on_token(stream, Token(" word", number, 0.1, number))
        await asyncio.sleep(1 / _RATE)
    await opened.__aexit__(None, None, None)
    await those.done.wait()
    print((time.process_time() - before) / pieces / readers * 1e6, flush=True)
    await stop()


async def _serve_web(handler: Any) -> Any:
    """Serve with aiohttp, say the port, and return what ends it."""
    app = web.Application()
    app.router.add_get("/", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    return runner.cleanup


def _asgi_app(is_bare: bool, relay: Relay, prebuilt: Any, those: _Readers) -> Any:
    from starlette.applications import Starlette
    from starlette.responses import StreamingResponse
    from starlette.routing import Route

    async def bare(request: Any) -> Any:
        return StreamingResponse(prebuilt(), headers=dict(FORMATS["events"]().headers))

    async def relayed(scope: Any, receive: Any, send: Any) -> None:
        those.arrive()
        await asgi.resume(relay, "s" * 32)(scope, receive, send)
        those.leave()

    class Relayed:
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await relayed(scope, receive, send)

    return Starlette(routes=[Route("/", bare if is_bare else Relayed())])


async def _serve_asgi(app: Any) -> Any:
    """Serve with uvicorn, say the port, and return what ends it."""
    import uvicorn

    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    print(server.servers[0].sockets[0].getsockname()[1], flush=True)

    async def stop() -> None:
        server.should_exit = True
        await task

    return stop


class _Readers:
    """Knows when all readers are there, and when all have gone."""

    def __init__(self, count: int) -> None:
        self.begun, self.done = asyncio.Event(), asyncio.Event()
        self._to_come = self._to_go = count

    def arrive(self) -> None:
        self._to_come -= 1
        if not self._to_come:
            self.begun.set()

    def leave(self) -> None:
        self._to_go -= 1
        if not self._to_go:
            self.done.set()


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
    kinds = ("bare", *(f"relay {name}" for name in FORMATS), "bare asgi", "relay asgi")
    found: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(rounds):
        for kind in kinds:
            found[kind].append(await _measure(kind, readers, pieces))
    figures = {kind: statistics.median(values) for kind, values in found.items()}
    for kind in kinds:
        if not kind.startswith("bare"):
            least = _least(kind)
            ratios = [ours / bare for ours, bare in zip(found[kind], found[least], strict=True)]
            figures[f"{kind} / {least}"] = statistics.median(ratios)
    return figures


def _least(kind: str) -> str:
    """Return the bare server that one is held against."""
    return "bare asgi" if kind.endswith("asgi") or kind == "openai" else "bare"


async def _tell_ways(streams: int, seconds: float, rounds: int, only: list[str] | None) -> None:
    node = _ai_sdk()
    kinds = only or ways(node)
    found: dict[str, list[dict[str, float]]] = {kind: [] for kind in kinds}
    held: dict[str, float] = {}
    for _ in range(rounds):
        for kind in kinds:
            way = await measure_way(kind, streams, seconds, node)
            found[kind].append(way.row())
            held = way.redis or held
    print(f"\n{streams} streams, a reader each, 20 pieces a second, {seconds:g} s:\n")
    print(
        "| server | CPU µs a piece | × bare | p50 ms | p99 ms | arrived |\n|---|---|---|---|---|---|"
    )
    for kind, rows in found.items():
        median = {name: statistics.median(row[name] for row in rows) for name in rows[0]}
        least = found.get(_least(kind), rows)
        ratio = statistics.median(
            row["cpu_us"] / bare["cpu_us"] for row, bare in zip(rows, least, strict=True)
        )
        print(
            f"| {kind} | {median['cpu_us']:.0f} | {ratio:.2f} | {median['p50_ms']:.1f} "
            f"| {median['p99_ms']:.0f} | {median['arrived_%']:.0f} % |"
        )
    if held:
        print("\nRedis: " + ", ".join(f"{value:g} {name}" for name, value in held.items()))


def _ai_sdk() -> Path | None:
    """Return a folder with the AI SDK's packages, ``None`` where they cannot be had."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    import pytest

    from support.outside import npm_packages

    try:
        return npm_packages("ai@7.0.173", "@ai-sdk/openai@4.0.118")
    except pytest.skip.Exception:
        return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readers", type=int, default=100)
    parser.add_argument("--pieces", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--only", choices=("writing", "ways"))
    parser.add_argument("--kinds", help="servers of --only ways, separated by commas")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve:
        asyncio.run(_serve(asked.serve, asked.readers, asked.pieces))
        return
    if asked.only != "ways":
        figures = asyncio.run(measure(asked.readers, asked.pieces, asked.rounds))
        print(f"One stream, {asked.readers} readers, {_RATE} pieces a second:\n")
        print("| server | CPU µs a piece and reader | × bare |\n|---|---|---|")
        for kind, value in figures.items():
            if "/" not in kind:
                ratio = figures.get(f"{kind} / {_least(kind)}", 1.0)
                print(f"| {kind} | {value:.1f} | {ratio:.2f} |")
    if asked.only != "writing":
        kinds = asked.kinds.split(",") if asked.kinds else None
        asyncio.run(_tell_ways(asked.streams, asked.seconds, asked.rounds, kinds))


if __name__ == "__main__":
    main()
