"""Relays on real sockets: an app that publishes streams of a simulator, behind each adapter and store."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from attrs import define

from lm_deluge import LLMClient
from lm_deluge.simulator import Simulator
from lm_deluge_plugins.relay import MemoryStore, RedisStore, Relay, Store, aiohttp_web, asgi

__all__ = [
    "ADAPTERS",
    "ENDINGS",
    "WORDS",
    "App",
    "Event",
    "Front",
    "RedisServer",
    "by_aiohttp",
    "by_uvicorn",
    "check_log",
    "cut_after",
    "events_in",
    "redis_server",
    "served_by",
    "serving",
    "store_of",
    "text_of",
]

ADAPTERS = ("aiohttp", "asgi")

WORDS = "One stream, many readers: " + " ".join(f"word{n}" for n in range(60))


@define
class Event:
    """One server-sent event: its ``id`` (0 without one), its name and its data."""

    id: int
    name: str
    data: str

    @property
    def items(self) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = json.loads(self.data)["items"]
        return items


def events_in(body: bytes) -> list[Event]:
    """Return the whole events of a body."""
    found = []
    for block in body.decode().split("\n\n")[:-1]:
        fields = dict(
            line.partition(": ")[::2] for line in block.split("\n") if not line.startswith(":")
        )
        if fields:
            found.append(
                Event(int(fields.get("id", 0)), fields.get("event", ""), fields.get("data", ""))
            )
    return found


ENDINGS = {"complete", "error", "cancelled"}


def check_log(events: list[Event], *, after: int = 0, ending: str = "complete") -> None:
    """Frames follow on one another, and the last item of the last is the one ending."""
    assert [event.id for event in events] == list(range(after + 1, after + 1 + len(events)))
    kinds = [item["kind"] for event in events for item in event.items]
    assert [kind for kind in kinds if kind in ENDINGS] == [ending]
    assert kinds[-1] == ending


def text_of(events: list[Event]) -> str:
    return "".join(
        item["text"] for event in events for item in event.items if item["kind"] == "text"
    )


async def cut_after(response: aiohttp.ClientResponse, frames: int) -> list[Event]:
    """Read some frames of a response and close it."""
    body = b""
    async for data in response.content.iter_any():
        body += data
        if len(events_in(body)) >= frames:
            break
    response.close()
    return events_in(body)


class RedisServer:
    """A ``redis-server`` of its own, on a free port, that can be killed and started again."""

    def __init__(self, directory: Path, *, durable: bool = False) -> None:
        self.port = _free_port()
        self._directory = directory
        self._durable = durable
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program = shutil.which("redis-server")
        if program is None:
            pytest.skip("no redis-server on this machine (Debian: apt-get install redis-server)")
        durable = ["--appendonly", "yes", "--appendfsync", "always"] if self._durable else []
        self._process = subprocess.Popen(
            [program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", *durable],
            cwd=self._directory,
            stdout=subprocess.DEVNULL,
        )
        _until_open(self.port)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def _until_open(port: int) -> None:
    for _ in range(500):
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                probe.sendall(b"PING\r\n")
                with contextlib.suppress(OSError):
                    if probe.recv(7) == b"+PONG\r\n":
                        return
        # Nothing tells when a server listens.
        time.sleep(0.01)
    raise TimeoutError("redis-server did not start")


@contextlib.contextmanager
def redis_server(*, durable: bool = False) -> Iterator[RedisServer]:
    with tempfile.TemporaryDirectory() as directory:
        server = RedisServer(Path(directory), durable=durable)
        server.start()
        try:
            yield server
        finally:
            server.kill()


@contextlib.asynccontextmanager
async def store_of(kind: str, redis: RedisServer | None, **more: Any) -> AsyncIterator[Store]:
    """A store of a kind, ``"memory"`` or ``"redis"``."""
    if kind == "memory":
        yield MemoryStore(**more)
        return
    from redis.asyncio import Redis

    assert redis is not None
    connection = Redis(port=redis.port)
    store = RedisStore(connection, **more)
    try:
        yield store
    finally:
        await store.close()
        await connection.aclose()


@define
class Front:
    """An app as its readers know it: ``POST /chat?format=`` answers with a stream; ``GET /streams/{id}``,
    ``POST …/stop``.
    """

    base_url: str
    session: aiohttp.ClientSession

    async def ask(self, wire: str = "events", **query: Any) -> aiohttp.ClientResponse:
        return await self.session.post("/chat", params={"format": wire, **query})

    async def read(
        self, stream_id: str, after: int = 0, wire: str = "events", **headers: str
    ) -> aiohttp.ClientResponse:
        params = {"format": wire, **({"after": str(after)} if after else {})}
        return await self.session.get(f"/streams/{stream_id}", params=params, headers=headers)

    async def tell(self, stream_id: str, body: bytes, **headers: str) -> tuple[int, Any]:
        """Send a beacon as browsers do; return the status and what is answered."""
        kind = {"Content-Type": "text/plain;charset=UTF-8"}
        where = f"/streams/{stream_id}/seen"
        async with self.session.post(
            where, data=io.BytesIO(body), headers={**kind, **headers}
        ) as response:
            return response.status, await response.json()

    async def stop(self, stream_id: str) -> bool:
        async with self.session.post(f"/streams/{stream_id}/stop") as response:
            return bool((await response.json())["stopped"])


@define
class App(Front):
    """A running app in this process."""

    relay: Relay
    client: LLMClient
    simulator: Simulator
    streams: list[Any]


@contextlib.asynccontextmanager
async def serving(
    adapter: str, store: Store, *, simulator: Simulator | None = None, **options: Any
) -> AsyncIterator[App]:
    """An app on loopback whose model is a simulator that sends a piece a millisecond."""
    sim = simulator or Simulator(text=WORDS, gap=0.001)
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(sim)
        client = LLMClient("gpt-4.1-mini", base_url=sim.base_url, api_key="k")
        stack.push_async_callback(client.close)
        relay = Relay(store, **{"grace": 0.5, **options})
        streams: list[Any] = []

        def open_stream() -> Any:
            stream = client.open_stream("hi")
            streams.append(stream)
            return stream

        served = served_by(adapter, relay, open_stream)
        base_url = await stack.enter_async_context(served)
        session = await stack.enter_async_context(aiohttp.ClientSession(base_url))
        stack.push_async_callback(relay.close)
        yield App(base_url, session, relay, client, sim, streams)
        # FastAPI remembers the functions of every app that there ever was.
        streams.clear()


@contextlib.asynccontextmanager
async def served_by(adapter: str, relay: Relay, open_stream: Any) -> AsyncIterator[str]:
    """The app behind an adapter; yields its base URL."""
    by = _by_aiohttp if adapter == "aiohttp" else _by_asgi
    async with by(relay, open_stream) as base_url:
        yield base_url


@contextlib.asynccontextmanager
async def by_aiohttp(app: web.Application) -> AsyncIterator[str]:
    """An application of aiohttp.web on loopback; yields its base URL."""
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def _by_aiohttp(relay: Relay, open_stream: Any) -> AsyncIterator[str]:
    async def chat(request: web.Request) -> web.StreamResponse:
        query = request.query
        return await aiohttp_web.respond(
            relay, request, open_stream(), format=query["format"], key=query.get("key")
        )

    app = web.Application()
    app.router.add_post("/chat", chat)
    aiohttp_web.add_routes(app, relay)
    async with by_aiohttp(app) as base_url:
        yield base_url


@contextlib.asynccontextmanager
async def _by_asgi(relay: Relay, open_stream: Any) -> AsyncIterator[str]:
    from fastapi import FastAPI, Response

    app = FastAPI()

    @app.post("/chat")
    async def chat(format: str, key: str | None = None) -> Response:  # noqa: A002
        return asgi.respond(relay, open_stream(), format=format, key=key)

    app.mount("/streams", asgi.app(relay))
    async with by_uvicorn(app) as base_url:
        yield base_url


@contextlib.asynccontextmanager
async def by_uvicorn(app: Any) -> AsyncIterator[str]:
    """An ASGI application on loopback; yields its base URL."""
    import uvicorn

    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", lifespan="off")
    )
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen(512)
    task = asyncio.create_task(server._serve([sock]))
    try:
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
        sock.close()
