"""From a model to readers through each server: CPU for each piece and reader, and how late a piece arrives.

Every reader asks for a stream of its own at 20 pieces a second; each piece is the moment at which the model
wrote it, so that a reader knows how long it was on its way. Model, server and readers are processes of
their own. ``through redis`` is two servers: one is asked, its streams are read from the other one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import statistics
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from time import perf_counter_ns

from attrs import define, field

__all__ = ["Way", "measure_way", "ways"]

#: Pieces a second.
RATE = 20

_STAMP = re.compile(rb" (\d{13,})")
_HERE = Path(__file__).parent


@define
class Way:
    """What was measured of one server: CPU in microseconds a piece and reader, delays in milliseconds."""

    cpu: float = 0.0
    arrived: int = 0
    expected: int = 0
    delays: list[float] = field(factory=list)
    #: What Redis was asked, and held, where it was there: for each stream and piece.
    redis: dict[str, float] = field(factory=dict)

    def row(self) -> dict[str, float]:
        """Return the figures that are told."""
        cut = statistics.quantiles(self.delays, n=100) if len(self.delays) > 1 else [0.0] * 99
        return {
            "cpu_us": round(self.cpu, 1),
            "p50_ms": round(cut[49], 2),
            "p99_ms": round(cut[98], 2),
            "arrived_%": round(100 * self.arrived / max(1, self.expected), 1),
        }


def ways(node: Path | None) -> list[str]:
    """Return the servers that can be measured; the AI SDK's where its packages are there."""
    peers = ["bare", "relay", "bare asgi", "relay asgi", "openai"]
    return [*peers, *(["ai sdk"] if node else []), "through redis"]


async def measure_way(kind: str, readers: int, seconds: float, node: Path | None) -> Way:
    """Measure one server."""
    pieces = int(seconds * RATE)
    async with contextlib.AsyncExitStack() as stack:
        model_port, _ = await stack.enter_async_context(
            _process(sys.executable, str(_HERE / "server.py"))
        )
        model = f"http://127.0.0.1:{model_port}/b/{pieces}/w{1_000_000 // RATE}/v1"
        commands = _commands(kind, model, node, stack)
        servers = [await stack.enter_async_context(_process(*each)) for each in commands]
        ports = [port for port, _ in servers]
        # What is paid once, imports and first requests, is not counted.
        await _read(ports, Way())
        before = sum(_cpu(pid) for _, pid in servers)
        way = Way(expected=readers * pieces)
        await asyncio.gather(*(_late(number, readers, ports, way) for number in range(readers)))
        spent = sum(_cpu(pid) for _, pid in servers) - before
        way.cpu = spent / max(1, way.arrived) * 1e6
        if kind == "through redis":
            way.redis = await _redis_holds(int(commands[0][-1]), readers + 1)
        return way


def _commands(
    kind: str, model: str, node: Path | None, stack: contextlib.AsyncExitStack
) -> Sequence[tuple[str, ...]]:
    if kind == "ai sdk":
        assert node is not None
        program = node / "lm_deluge_relay_peer.mjs"  # packages are found beside it
        program.write_text((_HERE / "relay_peer.mjs").read_text())
        return [("node", str(program), model)]
    python = (sys.executable, "-m", "tests.bench.relay_peers")
    if kind == "through redis":
        sys.path.insert(0, str(_HERE.parent))
        from support.relaying import redis_server

        redis = str(stack.enter_context(redis_server()).port)
        return [(*python, "relay redis", model, redis)] * 2
    return [(*python, kind, model)]


async def _late(number: int, readers: int, ports: list[int], way: Way) -> None:
    # Whoever begins in the same instant waits for each other; people do not.
    await asyncio.sleep(number / readers * 2)
    await _read(ports, way)


async def _read(ports: list[int], way: Way) -> None:
    """Ask the first server; read from the last one."""
    reader, writer = await _asked(ports[0], b"POST /chat")
    head = await reader.readuntil(b"\r\n\r\n")
    if len(ports) > 1:
        found = re.search(rb"(?i)x-stream-id: (\w+)", head)
        assert found is not None, head
        writer.transport.abort()
        reader, writer = await _asked(ports[-1], b"GET /streams/" + found[1])
        await reader.readuntil(b"\r\n\r\n")
    while data := await reader.read(65536):
        now = perf_counter_ns()
        stamps = _STAMP.findall(data)
        way.arrived += len(stamps)
        way.delays += [(now - int(stamp)) / 1e6 for stamp in stamps]
    writer.close()


async def _asked(port: int, what: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(what + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
    return reader, writer


@contextlib.asynccontextmanager
async def _process(*command: str) -> AsyncIterator[tuple[int, int]]:
    """Run a server; yield the port that it says, and its process id."""
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield int(await process.stdout.readline()), process.pid
    finally:
        process.kill()
        await process.wait()


def _cpu(pid: int) -> float:
    """Return the seconds of CPU that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _redis_holds(port: int, streams: int) -> dict[str, float]:
    """Ask Redis what all these streams took."""
    from redis.asyncio import Redis

    async with Redis(port=port) as redis:
        spent = _cpu((await redis.info("server"))["process_id"])
        stats = await redis.info("commandstats")
        calls = {name.removeprefix("cmdstat_"): each["calls"] for name, each in stats.items()}
        logs = [key async for key in redis.scan_iter("*:log")]
        sizes = [await redis.memory_usage(key) for key in logs]
    frames = calls.get("xadd", 0)
    return {
        "frames a stream": round(frames / streams, 1),
        "scripts a frame": round(calls.get("evalsha", 0) / frames, 2),
        "other commands of readers a stream": round(
            sum(calls.get(name, 0) for name in ("get", "exists", "zadd", "zrem", "xrange"))
            / streams,
            1,
        ),
        "Redis CPU us a frame": round(spent / frames * 1e6, 1),
        "bytes a log": round(statistics.mean(sizes)),
        "bytes a frame": round(sum(sizes) / len(sizes) / (frames / streams)),
    }
