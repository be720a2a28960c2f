"""A real nginx before a real relay, read by a real Chromium: the report tells in words what buffers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import socket
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest
from aiohttp import web

from lm_deluge import LLMClient
from lm_deluge.simulator import Simulator
from lm_deluge.timeline import Measured, findings_of, measure, read_timelines
from lm_deluge_plugins.file_logger import FileLogger
from lm_deluge_plugins.relay import Relay, aiohttp_web
from support.browser import open_browser

pytestmark = pytest.mark.slow

BUFFERS = "something between them buffers (a proxy, compression)"

_BUFFERING = "proxy_buffering on; proxy_ignore_headers X-Accel-Buffering;"
_SQUEEZING = "gzip on; gzip_proxied any; gzip_types *;"

#: Of each server: what stands between the relay and the browser, and whether that holds pieces back. nginx
#: flushes what it compresses where it is not to buffer; where it may, it compresses until its buffers are
#: full. What it does not compress it may hand on at once in either case: that is for the log to tell.
WAYS: dict[str, tuple[str, bool | None]] = {
    "straight": ("proxy_buffering off;", False),
    "buffered": (_BUFFERING, None),
    "squeezed": (f"proxy_buffering off; {_SQUEEZING}", False),
    "both": (f"{_BUFFERING} {_SQUEEZING}", True),
}

STREAMS = 2
"""That the page reads at once."""

PAGE = """<!doctype html><title>t</title><p id="said"></p><script type="module">
import { stream } from "/streams/lm_deluge.js";
const read = async () => {
  const answer = stream("/chat", { method: "POST", body: "hello" });
  for await (const piece of answer)
    if (piece.kind === "text") document.querySelector("#said").append(piece.text);
};
await Promise.all([read(), read()]);
document.documentElement.dataset.ready = "yes";
</script>"""


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


@contextlib.asynccontextmanager
async def nginx(folder: Path, behind: int) -> AsyncIterator[dict[str, str]]:
    """Start nginx with a server for each of ``WAYS``; yield their addresses."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        pytest.skip("no nginx on this machine (Debian: apt-get install nginx)")
    ports = dict(zip(WAYS, free_ports(len(WAYS)), strict=True))
    servers = "".join(
        f"server {{ listen 127.0.0.1:{ports[name]}; {options} location / {{"
        f" proxy_pass http://127.0.0.1:{behind}; proxy_http_version 1.1;"
        f' proxy_set_header Connection ""; proxy_set_header X-Way "{name}";'
        " proxy_set_header Host $http_host; } }\n"
        for name, (options, _) in WAYS.items()
    )
    bodies = "".join(
        f"{kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/errors;\n"
        f"events {{}}\nhttp {{ access_log off;\n{bodies}{servers}}}\n"
    )
    process = await asyncio.create_subprocess_exec(
        program, "-p", str(folder), "-e", str(folder / "errors"), "-c", str(folder / "nginx.conf")
    )
    try:
        async with asyncio.timeout(30):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", ports["straight"])
                    writer.close()
                    break
                assert process.returncode is None, (folder / "errors").read_text()
                await asyncio.sleep(0.05)
        yield {name: f"http://127.0.0.1:{port}/" for name, port in ports.items()}
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


@contextlib.asynccontextmanager
async def relay(log: FileLogger) -> AsyncIterator[int]:
    """Serve a page, and streams of 60 words in 3 seconds; yield the port."""
    async with Simulator(text=" ".join(f"word{k:02}" for k in range(60)), gap=0.05) as simulator:
        client = LLMClient("gpt-4.1-mini", base_url=simulator.base_url, api_key="k", handlers=[log])
        relayed = Relay(seen=log)

        async def chat(request: web.Request) -> web.StreamResponse:
            tags = {"way": request.headers["X-Way"]}
            stream = client.open_stream(await request.text(), tags=tags)
            return await aiohttp_web.respond(relayed, request, stream)

        async def page(_: web.Request) -> web.Response:
            return web.Response(text=PAGE, content_type="text/html")

        app = web.Application()
        app.router.add_get("/", page)
        app.router.add_post("/chat", chat)
        aiohttp_web.add_routes(app, relayed)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            yield runner.addresses[0][1]
        finally:
            await runner.cleanup()
            await client.close()


async def seen_behind_nginx(folder: Path) -> Measured:
    log = FileLogger(folder / "log.jsonl")
    wanted = STREAMS * len(WAYS)
    async with relay(log) as port, nginx(folder, port) as addresses, open_browser() as browser:
        for address in addresses.values():
            page = await browser.open(address)
            await page.until("document.documentElement?.dataset.ready", seconds=60)
        async with asyncio.timeout(60):  # until the last beacons are in the log
            while True:
                await asyncio.to_thread(log.flush)
                measured = measure(read_timelines(folder / "log.jsonl"), by="way")
                if sum(group.way.joined.seen for group in measured.groups.values()) == wanted:
                    break
                await asyncio.sleep(0.2)
    log.close()
    return measure(read_timelines(folder / "log.jsonl"), by="way")


async def test_the_report_tells_in_words_which_way_buffers(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)  # nginx works as another user
    measured = await seen_behind_nginx(tmp_path)
    assert measured.skipped_lines == 0
    words = findings_of(measured)
    for name, (_, buffers) in WAYS.items():
        told = measured.groups[name].summary()["seen"]
        assert told["streams"] == STREAMS
        about = [line for line in words if f"way {name}" in line]
        held_back = came_together(tmp_path / "log.jsonl", name) > 0.5
        assert buffers in (None, held_back), name
        assert any(BUFFERS in line for line in about) == held_back, about
        assert told["wait"]["painting"]["n"] == STREAMS
        assert ((told["wait"]["network"]["max"] or 0.0) > 2) == held_back
        assert told["gap"]["process"]["p95"] < 0.5


def came_together(log: Path, name: str) -> float:
    """The share of pieces that came to the browser within 5 ms of the one before, as the lines have it."""
    lines = [json.loads(line) for line in log.read_text("utf-8").splitlines() if line]
    streams = {
        line["s"] for line in lines if line["e"] == "start" and line["tags"] == {"way": name}
    }
    gaps = [
        after - before
        for line in lines
        if line["e"] == "seen" and line["s"] in streams
        for before, after in pairwise(line["arrived"])
    ]
    return sum(gap < 0.005 for gap in gaps) / len(gaps)
