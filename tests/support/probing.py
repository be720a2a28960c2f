"""A relay, its page and a real Chromium: what a reader sees, and what its browser tells of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from aiohttp import web
from attrs import define

from lm_deluge import LLMClient
from lm_deluge.simulator import Simulator
from lm_deluge_plugins.file_logger import FileLogger
from lm_deluge_plugins.relay import MemoryStore, Relay, Store, aiohttp_web
from support.browser import Browser, open_browser
from support.relaying import by_aiohttp

__all__ = ["SAID", "Road", "Stage", "road_to", "staged"]

SAID = " ".join(f"word{n}" for n in range(60))

#: Keeps every piece with the wall clock's time at which the loop had it, and how it all ended.
_PAGE = """<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><p id="p"></p>
<script type="module">
import { stream } from "/streams/lm_deluge.js";
Object.assign(window, { stream, pieces: [], moments: [], end: "" });
window.read = async (answer) => {
  window.answer = answer;
  try {
    for await (const piece of answer) {
      pieces.push(piece);
      if (piece.kind === "text") {
        moments.push((performance.timeOrigin + performance.now()) / 1000);
        p.append(piece.text);
      }
    }
    end = "done";
  } catch (error) {
    end = JSON.stringify([error.name, error.message, error.retryable]);
  }
};
if (location.hash) read(stream("/streams/" + location.hash.slice(1)));
document.documentElement.dataset.ready = "yes";
</script>"""


@define
class Stage:
    """``base_url``: of the page; ``streams``: those that were asked for; ``path``: of the timeline log."""

    base_url: str
    relay: Relay
    browser: Browser
    streams: list[Any]
    path: Path
    log: FileLogger
    client: LLMClient

    async def publish(self) -> str:
        """Begin a stream that nobody has asked for yet; return its id."""
        return await self.relay.publish(self.client.open_stream("hi"))

    def lines(self, event: str) -> list[dict[str, Any]]:
        """The lines of the log with an event."""
        self.log.flush()
        lines = [json.loads(line) for line in self.path.read_text("utf-8").splitlines() if line]
        return [line for line in lines if line["e"] == event]

    async def seen(self, pieces: int, reader: int = 0) -> list[dict[str, Any]]:
        """Wait until a reader's browser told of so many pieces; return the lines."""
        async with asyncio.timeout(20):
            while True:
                lines = [line for line in self.lines("seen") if line["r"] == reader]
                if sum(line["i"][1] - line["i"][0] + 1 for line in lines) >= pieces:
                    return lines
                await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def staged(
    path: Path,
    *,
    store: Store | None = None,
    gap: float = 0.02,
    faults: Sequence[str | None] = (),
    **options: Any,
) -> AsyncIterator[Stage]:
    """A server whose model says ``SAID`` at ``POST /chat``, its page at ``/``, and a browser."""
    log = FileLogger(path / "log.jsonl")
    async with contextlib.AsyncExitStack() as stack:
        sim = await stack.enter_async_context(Simulator(text=SAID, gap=gap, faults=faults))
        client = LLMClient("gpt-4.1-mini", base_url=sim.base_url, api_key="k", handlers=[log])
        stack.push_async_callback(client.close)
        relay = Relay(store or MemoryStore(), seen=log, **{"on_disconnect": "continue", **options})
        streams: list[Any] = []

        async def page(request: web.Request) -> web.Response:
            return web.Response(text=_PAGE, content_type="text/html")

        async def chat(request: web.Request) -> web.StreamResponse:
            streams.append(client.open_stream("hi"))
            return await aiohttp_web.respond(relay, request, streams[-1])

        app = web.Application()
        app.router.add_get("/", page)
        app.router.add_post("/chat", chat)
        aiohttp_web.add_routes(app, relay)
        base_url = await stack.enter_async_context(by_aiohttp(app))
        browser = await stack.enter_async_context(open_browser())
        yield Stage(base_url, relay, browser, streams, path / "log.jsonl", log, client)
        log.close()
        streams.clear()


class Road:
    """What lies between a reader and a server; bytes take so many seconds ``there``, and ``back``."""

    def __init__(self, base_url: str, there: float, back: float) -> None:
        self.base_url = ""
        self._host, port = base_url.removeprefix("http://").split(":")
        self._port = int(port)
        self._there, self._back = there, back
        self._is_cut = False
        self._ends: set[asyncio.StreamWriter] = set()

    def cut(self) -> None:
        """Take the network away: what is open breaks, nothing new gets through."""
        self._is_cut = True
        for writer in tuple(self._ends):
            writer.transport.abort()

    def mend(self) -> None:
        """Give it back."""
        self._is_cut = False

    async def join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.transport.abort()
            return
        far_reader, far_writer = await asyncio.open_connection(self._host, self._port)
        ends = {writer, far_writer}
        self._ends |= ends
        try:
            await asyncio.gather(
                _travel(reader, far_writer, self._there), _travel(far_reader, writer, self._back)
            )
        finally:
            self._ends -= ends


async def _travel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, s: float) -> None:
    loop = asyncio.get_running_loop()
    under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def arrive() -> None:
        while True:
            due, data = await under_way.get()
            await asyncio.sleep(due - loop.time())
            if not data:
                break
            writer.write(data)
        writer.close()

    arriving = asyncio.create_task(arrive())
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            under_way.put_nowait((loop.time() + s, data))
    under_way.put_nowait((loop.time() + s, b""))
    await arriving


@contextlib.asynccontextmanager
async def road_to(base_url: str, there: float = 0.0, back: float = 0.0) -> AsyncIterator[Road]:
    """A road to a server, which begins at the road's own ``base_url``."""
    road = Road(base_url, there, back)
    server = await asyncio.start_server(road.join, "127.0.0.1", 0)
    try:
        road.base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield road
    finally:
        road.cut()
        server.close()
