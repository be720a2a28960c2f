"""What a pass-through costs: ours, the least that aiohttp can be, and nginx, in one run.

    python tests/bench/proxies.py --streams 1000 --rate 20 --seconds 10 --rounds 3 [--nginx PATH]

One server process plays streams of pieces that say when they were written; each proxy is a process of its
own; this process reads. All that is told of a proxy is the time of its own process (user and system), its
resident memory, and the moments at which its pieces are here. ``direct`` is the way without a proxy: what
the two ends cost is in every row. Ratios are to the bare aiohttp pass-through of the same round.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve()
ROOT = HERE.parents[2]

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_STAMP = re.compile(rb'"content":"(\d+\.\d+) ')
_BODY = json.dumps(
    {
        "model": "gpt-4o",
        "stream": True,
        "messages": [{"role": "user", "content": "How long is it?"}],
    }
).encode()


def _piece(text: str, finish: str = "null") -> bytes:
    event = (
        '{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-4o","choices":'
        f'[{{"index":0,"delta":{{"content":"{text}"}},"finish_reason":{finish}}}]}}'
    ).encode()
    data = b"data: %b\n\n" % event
    return b"%x\r\n%b\r\n" % (len(data), data)


class Playing(asyncio.Protocol):
    """A server's connection: each request starts a stream of ``X-Pieces`` pieces, ``X-Rate`` a second."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.held = b""

    def data_received(self, data: bytes) -> None:
        self.held += data
        head, mark, body = self.held.partition(b"\r\n\r\n")
        fields = dict(re.findall(rb"\r\n([\w-]+): ([^\r]*)", head.lower()))
        if not mark or len(body) < int(fields.get(b"content-length", 0)):
            return
        self.held = b""
        self.left = int(fields[b"x-pieces"])
        self.wait = 1 / float(fields[b"x-rate"])
        self.transport.write(HEAD)
        self.loop = asyncio.get_running_loop()
        self.due = self.loop.time() + self.wait * (time.perf_counter() % 1)
        self.loop.call_at(self.due, self.step)

    def step(self) -> None:
        if self.transport.is_closing():
            return
        if self.left == 0:
            self.transport.write(_piece("", '"stop"') + b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")
            return
        self.left -= 1
        self.transport.write(_piece(f"{time.perf_counter():.6f} token"))
        self.due += self.wait
        self.loop.call_at(self.due, self.step)


async def serve() -> None:
    """Be the server."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Playing, "127.0.0.1", 0, backlog=8192)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await asyncio.Event().wait()


async def bare(upstream: str) -> None:
    """Be the least pass-through that aiohttp can be: it looks at nothing."""
    import aiohttp
    from aiohttp import web

    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), auto_decompress=False,
        timeout=aiohttp.ClientTimeout(total=None),
    )  # fmt: skip

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        headers = {
            k: v for k, v in request.headers.items() if k.lower() not in ("host", "content-length")
        }
        async with session.request(
            request.method, upstream + request.raw_path,
            data=body, headers=headers,
        ) as answer:  # fmt: skip
            reply = web.StreamResponse(
                status=answer.status, headers={"Content-Type": answer.headers["Content-Type"]}
            )
            reply.enable_chunked_encoding()
            await reply.prepare(request)
            async for data in answer.content.iter_any():
                await reply.write(data)
            await reply.write_eof()
            return reply

    server = web.Server(handle)
    listening = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0, backlog=8192)
    print(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}", flush=True)
    await asyncio.Event().wait()


class Reading(asyncio.Protocol):
    """A reader's connection: asks once, and keeps how long each piece was under way."""

    def __init__(self, request: bytes, delays: list[float]) -> None:
        self.request = request
        self.delays = delays
        self.tail = b""
        self.done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        self.delays += [now - float(stamp) for stamp in _STAMP.findall(data)]
        self.tail = (self.tail + data)[-5:]
        if self.tail == b"0\r\n\r\n" and not self.done.done():
            self.done.set_result(True)
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(False)


async def read(url: str, streams: int, rate: float, seconds: float, live: Any) -> dict[str, Any]:
    """Read so many streams at once; ``live()`` is called in the middle. Return what was found."""
    host, _, port = url.removeprefix("http://").partition(":")
    loop = asyncio.get_running_loop()
    delays: list[float] = []
    request = (
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nX-Pieces: %d\r\nX-Rate: %g\r\n"
        b"Authorization: Bearer sk-bench\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
        % (int(rate * seconds), rate, len(_BODY), _BODY)
    )
    readers = []
    for place in range(streams):
        _, reader = await loop.create_connection(lambda: Reading(request, delays), host, int(port))
        readers.append(reader)
        if place % 20 == 19:
            await asyncio.sleep(0.01)
    await asyncio.sleep(seconds / 2)
    in_the_middle = live()
    whole = await asyncio.gather(*(reader.done for reader in readers))
    delays.sort()
    return {
        "pieces": len(delays),
        "whole": sum(whole),
        "p50": delays[len(delays) // 2],
        "p99": delays[int(len(delays) * 0.99)],
        "live": in_the_middle,
    }


def cpu_of(pid: int) -> float:
    """Return the seconds of a core that a process has taken, its threads included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_of(pid: int) -> int:
    """Return the bytes that a process has in memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def program(*command: str) -> Iterator[tuple[int, str]]:
    """Run a program that prints its address first; give its process and that."""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"http://[\w.:]+", process.stdout.readline())
            assert found is not None, command
            yield process.pid, found[0]
        finally:
            process.kill()


@contextmanager
def nginx(path: str, upstream: str, folder: Path) -> Iterator[tuple[int, str]]:
    """Run nginx with ``proxy_buffering off``, one worker."""
    port = 14_180 + os.getpid() % 1000
    (folder / "logs").mkdir(exist_ok=True)
    config = folder / "nginx.conf"
    config.write_text(
        f"daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log {folder}/error;\n"
        "events { worker_connections 10000; }\n"
        f"http {{ access_log off; client_body_temp_path {folder}; proxy_temp_path {folder};\n"
        f"fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};\n"
        f"server {{ listen 127.0.0.1:{port} backlog=8192; location / {{ proxy_pass {upstream};\n"
        'proxy_buffering off; proxy_http_version 1.1; proxy_set_header Connection ""; } } }\n'
    )
    with subprocess.Popen((path, "-p", str(folder), "-c", str(config))) as process:
        try:
            time.sleep(0.5)
            yield process.pid, f"http://127.0.0.1:{port}"
        finally:
            process.kill()


def main() -> None:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=20.0, help="pieces a second of each stream")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--nginx", default=shutil.which("nginx"), help="the program, if it is not on the path"
    )
    parser.add_argument("--json", type=Path, metavar="OUT")
    options = parser.parse_args()
    me = (sys.executable, str(HERE))
    rows: dict[str, list[dict[str, float]]] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(program(*me, "serve"))
        log = folder / "log.jsonl"
        ours = (
            sys.executable,
            "-m",
            "lm_deluge",
            "proxy",
            "--listen",
            "0",
            "--quiet",
            "--upstream",
            server[1],
        )
        for number in range(options.rounds):
            ways: dict[str, Any] = {
                "direct": lambda: program_at(server),
                "bare aiohttp": lambda: program(*me, "bare", server[1]),
                "lm-deluge proxy": lambda: program(*ours),
                "lm-deluge proxy --log": lambda: program(*ours, "--log", str(log)),
            }
            if options.nginx:
                ways["nginx"] = lambda: nginx(options.nginx, server[1], folder)
            for name, way in ways.items():
                with way() as (pid, url):
                    idle = memory_of(pid)
                    begun = cpu_of(pid)
                    found = asyncio.run(
                        read(
                            url,
                            options.streams,
                            options.rate,
                            options.seconds,
                            lambda: memory_of(pid),
                        )
                    )
                    rows.setdefault(name, []).append(
                        {
                            "cpu": (cpu_of(pid) - begun) / max(1, found["pieces"]) * 1e6,
                            "p50": found["p50"] * 1e3,
                            "p99": found["p99"] * 1e3,
                            "memory": (found["live"] - idle) / options.streams / 1e3,
                            "whole": found["whole"],
                        }
                    )
                    print(
                        f"round {number + 1}: {name}: {rows[name][-1]}", file=sys.stderr, flush=True
                    )
    _tell(rows, options.streams)
    if options.json is not None:
        options.json.write_text(json.dumps(rows, indent=1))


@contextmanager
def program_at(running: tuple[int, str]) -> Iterator[tuple[int, str]]:
    """Give what runs already."""
    yield running


def _tell(rows: dict[str, list[dict[str, float]]], streams: int) -> None:
    columns = ("CPU µs/piece", "× bare", "p50 ms", "p99 ms", "kB/stream", "whole")
    print(" " * 24 + "".join(f"{column:>14}" for column in columns))
    for name, found in rows.items():
        middle = {key: statistics.median(row[key] for row in found) for key in found[0]}
        pairs = zip(found, rows["bare aiohttp"], strict=True)
        cells = (
            f"{middle['cpu']:.1f}",
            ""
            if name == "direct"
            else f"{statistics.median(a['cpu'] / b['cpu'] for a, b in pairs):.2f}",
            f"{middle['p50']:.2f}",
            f"{middle['p99']:.2f}",
            f"{middle['memory']:.1f}",
            f"{middle['whole'] / streams:.0%}",
        )
        print(f"{name:24}" + "".join(f"{cell:>14}" for cell in cells))


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        asyncio.run(serve())
    elif sys.argv[1:2] == ["bare"]:
        asyncio.run(bare(sys.argv[2]))
    else:
        main()
