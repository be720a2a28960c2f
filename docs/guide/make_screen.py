"""Makes the numbers and the pictures of docs/from-a-model-to-a-screen.md.

Usage: make_screen.py [--quick] [FOLDER]

The reader is a real Chromium on the page of `lm-deluge web`, which a simulator answers. It reads
straight from the page's server, then through a real nginx that buffers. What browsers saw is in the logs,
and what the report says of them goes between the `<!-- made: NAME -->` and `<!-- end -->` lines of the page.

FOLDER gets the page and its pictures in place of docs/. --quick asks less and takes no pictures.
Needs chromium and nginx (Debian: apt-get install chromium nginx-light).
"""

import asyncio
import base64
import contextlib
import io
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from making import DOCS, Running, fill_in, run, save, shown
from PIL import Image

if TYPE_CHECKING:
    from support.browser import Page

GUIDE = "from-a-model-to-a-screen.md"
PICTURES = "guide/screen"

WEB = "lm-deluge web --log {}"
DIRECT = "lm-deluge report direct.jsonl"
BUFFERED = "lm-deluge report buffered.jsonl"

QUESTIONS = (
    "Tell me a short story about a lighthouse.",
    "What makes a stream feel slow? With a table.",
    "Show me a program that streams an answer.",
)

NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass {upstream};
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_buffering on;
      proxy_ignore_headers X-Accel-Buffering;
      gzip on; gzip_types *; gzip_proxied any;
    }}
  }}
}}
"""


async def page_of(log: str, folder: Path) -> Running:
    """Start the page as the guide does, without its browser."""
    return await Running.start([*WEB.format(log).split()[1:], "--no-open"], folder)


@contextlib.asynccontextmanager
async def nginx(upstream: str, folder: Path) -> AsyncIterator[str]:
    """Let nginx pass on what it likes, when it likes; yield its address."""
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    settings = folder / "nginx.conf"
    settings.write_text(NGINX.format(folder=folder, port=port, upstream=upstream))
    process = await asyncio.create_subprocess_exec(
        program, "-p", str(folder), "-c", str(settings), stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(20):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    break
                except OSError:
                    await asyncio.sleep(0.05)
        writer.close()
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()


# -- the reader


async def ask(page: "Page", question: str, model: str = "simulator-steady") -> None:
    """Choose who answers, and ask."""
    await page.value_of(
        f"((m) => {{ m.value = '{model}'; m.dispatchEvent(new Event('change')); }})"
        "(document.getElementById('model'))"
    )
    await page.value_of("document.getElementById('question').focus()")
    await page.type(question)
    await page.press("Enter")


async def answered(page: "Page") -> None:
    """Wait until the answer is there, and its timeline says all that it will."""
    await page.until("document.getElementById('send').textContent === 'Send'")
    await page.until(
        "[...document.querySelectorAll('figcaption')].at(-1).textContent.includes('screen ')"
    )
    await asyncio.sleep(0.8)  # what was seen is told a moment later


async def read_all(url: str, answers: int) -> Image.Image | None:
    """Ask one question after the other; return a picture of the last answer's timeline."""
    from support.browser import open_page  # drives Chromium; needs pytest

    async with open_page(url) as page:
        await page.size(820, 800)
        for number in range(answers):
            await ask(page, QUESTIONS[number % len(QUESTIONS)])
            await answered(page)
        strip = await picture(page, "[...document.querySelectorAll('.strip')].at(-1)")
        assert page.complaints == [], page.complaints
        return strip


async def picture(page: "Page", element: str | None = None) -> Image.Image:
    """Take what is on the screen, or an element of it with a margin."""
    if element is not None:
        await page.value_of(f"({element}).scrollIntoView({{block: 'center', behavior: 'instant'}})")
    answer = await page.call("Page.captureScreenshot")
    image = Image.open(io.BytesIO(base64.b64decode(answer["data"]))).convert("RGB")
    if element is None:
        return image
    box = await page.value_of(f"({element}).getBoundingClientRect().toJSON()")
    edges = (box["left"] - 12, box["top"] - 10, box["right"] + 12, box["bottom"] + 10)
    return image.crop(tuple(map(round, edges)))  # type: ignore[arg-type]  # four of them


async def take_pictures(url: str, into: Path) -> None:
    """Take the page, as it is on a desk and on a phone."""
    from support.browser import open_page  # drives Chromium; needs pytest

    async with open_page(url) as page:
        await page.size(1000, 960)
        await ask(page, QUESTIONS[1])
        await answered(page)
        save(await picture(page), into / "page.png")
        await page.value_of("document.getElementById('new').click()")
        await page.size(390, 760)
        await ask(page, "Where does the time go?", "simulator-stall")
        await answered(page)
        light = await picture(page)
        await page.prefer("dark")
        await page.value_of("document.getElementById('new').click()")
        await ask(page, QUESTIONS[0], "simulator-thinking")
        await asyncio.sleep(4)
        both = Image.new("RGB", (light.width * 2 + 16, light.height), "white")
        both.paste(light, (0, 0))
        both.paste(await picture(page), (light.width + 16, 0))
        save(both, into / "phone.png")
        await answered(page)
        assert page.complaints == [], page.complaints


async def stream_all(folder: Path, into: Path | None, answers: int) -> str:
    """Read straight and through nginx, each with a log; return what the first server said."""
    direct = await page_of("direct.jsonl", folder)
    straight = await read_all(direct.url, answers)
    await direct.stop()
    behind = await page_of("buffered.jsonl", folder)
    async with nginx(behind.url, folder) as url:
        held = await read_all(url, answers)
    await behind.stop()
    if into is not None:
        assert straight is not None
        assert held is not None
        size = max(straight.width, held.width), straight.height + held.height + 8
        both = Image.new("RGB", size, "white")
        both.paste(straight, (0, 0))
        both.paste(held, (0, straight.height + 8))
        save(both, into / "strips.png")
        shows = await page_of("shown.jsonl", folder)
        await take_pictures(shows.url, into)
        await shows.stop()
    return f"{direct.first}\n{direct.said}"


# -- what is told


def web_block(said: str) -> str:
    """Return what the terminal shows: the first lines, an ellipsis, the last."""
    first, second, *_, last = said.splitlines()
    assert "simulator" in second, said
    assert last.endswith("lm-deluge report direct.jsonl"), said
    shown_at = f"{first.split('http://')[0]}http://127.0.0.1:49152/ (Ctrl-C stops it)"
    return shown(WEB.format("direct.jsonl"), shown_at, second, "[...]", "^C", last)


def report_block(command: str, folder: Path, says: str) -> str:
    """Return the way to the screen, the stations and the findings of a report."""
    code, out, err = run(command, folder)
    assert code == 0, err
    way = (
        "The way to the screen" + out.split("\nThe way to the screen", 1)[1].split("\nFindings")[0]
    )
    findings = "Findings" + out.split("\nFindings", 1)[1].partition("\n\n")[0]
    assert says in " ".join(findings.split()), findings
    lines = [line.rstrip() for line in (*way.splitlines(), *findings.splitlines())]
    return shown(command, "[...]", *lines)


def main(arguments: Sequence[str]) -> None:
    quick = "--quick" in arguments
    folders = [argument for argument in arguments if argument != "--quick"]
    into = Path(folders[0]) if folders else DOCS
    assert into != DOCS or not quick, "--quick is for tests: give it a folder of its own"
    guide = (DOCS / GUIDE).read_text("utf-8")
    with tempfile.TemporaryDirectory() as folder:
        logs = Path(folder)
        pictures = None if quick else into / PICTURES
        if pictures is not None:
            pictures.mkdir(parents=True, exist_ok=True)
        said = asyncio.run(stream_all(logs, pictures, 3 if quick else 8))
        made = {
            "web": web_block(said),
            "direct": report_block(DIRECT, logs, "on the screen after"),
            "buffered": report_block(BUFFERED, logs, "something between them buffers"),
        }
        (into / GUIDE).write_text(fill_in(guide, made), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
