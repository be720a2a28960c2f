"""What the scripts of the guides share: a proxy that holds text up, our own commands, pictures."""

import asyncio
import base64
import contextlib
import io
import itertools
import os
import random
import re
import shlex
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

DOCS = Path(__file__).resolve().parent.parent
MOST_BYTES = 150_000  # of a picture

sys.path.insert(0, str(DOCS.parent / "tests"))  # for support.browser

if TYPE_CHECKING:
    from support.browser import Page


# -- a server's fault


class BufferingProxy:
    """Passes bytes on about twice a second, whatever came by then; now and then it dozes off."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._releases = itertools.count(1)
        self._holds = random.Random(1)  # noqa: S311 - seeded on purpose

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, requests = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pass_on(reader, requests, hold=False))
                both.create_task(self._pass_on(answers, writer, hold=True))
        except* ConnectionError:
            pass
        finally:
            requests.transport.abort()
            writer.transport.abort()

    async def _pass_on(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, hold: bool
    ) -> None:
        while data := await source.read(1 << 16):
            sink.write(data)
            if hold:
                # In the middle of an answer only: what it does to a start would be luck.
                middle = len(data) > 1000 and b"[DONE]" not in data
                dozes = middle and next(self._releases) % 45 == 0
                await asyncio.sleep(2.0 if dozes else self._holds.uniform(0.35, 0.65))
        raise ConnectionResetError("one side has gone: let go of the other")

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """Listen; yield the base URL."""
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        finally:
            server.close()


# -- commands


#: What settings of clients begin with.
_THEIRS = ("OPENAI_", "ANTHROPIC_", "GEMINI_", "GOOGLE_", "LM_DELUGE_")


def environment(**variables: str) -> dict[str, str]:
    """Return the environment without anybody's key or other settings of clients, and with these."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_THEIRS)}
    return {**kept, "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8", **variables}


class Running:
    """A server of `lm-deluge`. ``first``: the line that says where; ``said``: the rest, once it has ended."""

    def __init__(self, process: asyncio.subprocess.Process, first: str) -> None:
        self._process = process
        self.url = first.split(" at ")[1].split()[0].rstrip("/")
        self.first = first.strip()
        self.said = ""

    @classmethod
    async def start(cls, words: Sequence[str], folder: Path) -> "Running":
        """Start it; ``words``: what stands behind `lm-deluge`."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "lm_deluge.cli", *words, cwd=folder, env=environment(),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        assert process.stdout is not None
        return cls(process, (await process.stdout.readline()).decode())

    async def stop(self) -> None:
        """Press Ctrl-C."""
        self._process.send_signal(signal.SIGINT)
        said, _ = await self._process.communicate()
        self.said = said.decode().strip()
        assert self._process.returncode == 0, self.said


def run(command: str, folder: Path) -> tuple[int, str, str]:
    """Run `lm-deluge …` as a shell would; return its exit code, its output, its complaints."""
    words = shlex.split(command)
    assert words[0] == "lm-deluge"
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "lm_deluge.cli", *words[1:]],
        cwd=folder,
        env={**os.environ, "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr


def shown(command: str, *lines: str) -> str:
    """Return a block of Markdown; long lines are wrapped as a terminal does it."""
    command = command.replace(" --title", " \\\n    --title", 1)
    wrapped = (
        textwrap.fill(line, 100, subsequent_indent="  ") if len(line) > 100 else line
        for line in lines
    )
    return "\n".join(["```", f"$ {command}", *wrapped, "```"])


def fill_in(guide: str, made: dict[str, str]) -> str:
    """Return the guide with its made parts replaced."""
    for name, text in made.items():
        part = re.compile(rf"(<!-- made: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        guide, count = part.subn(lambda match, text=text: f"{match[1]}{text}\n{match[2]}", guide)
        assert count == 1, f"the guide has {count} parts called {name}"
    return guide


# -- pictures


async def look(page: "Page", width: int) -> Image.Image:
    """Take the whole page, in a window as wide as this."""
    for _ in range(2):  # another width makes another height
        height = await page.value_of("document.documentElement.scrollHeight")
        size = {"width": width, "height": height, "deviceScaleFactor": 1}
        await page.call("Emulation.setDeviceMetricsOverride", **size, mobile=False)
        await asyncio.sleep(1)
    answer = await page.call("Page.captureScreenshot")
    return Image.open(io.BytesIO(base64.b64decode(answer["data"]))).convert("RGB")


async def part(page: "Page", whole: Image.Image, first: str, last: str) -> Image.Image:
    """Cut out what lies from one element to another."""
    boxes = await page.value_of(
        f"[{first}, {last}].map((element) => element.getBoundingClientRect().toJSON())"
    )
    left, top = boxes[0]["left"] - 12, boxes[0]["top"] - 12
    right = max(box["right"] for box in boxes) + 12
    return whole.crop((round(left), round(top), round(right), round(boxes[1]["bottom"] + 12)))


def save(image: Image.Image, path: Path) -> None:
    """Write a small PNG: with coarser colours, if need be. A palette would lose the rare ones."""
    for step in (1, 3, 5, 15, 17):  # divisors of 255: white stays white
        table = [(value + step // 2) // step * step for value in range(256)]
        image.point(table * 3).save(path, optimize=True)
        if path.stat().st_size <= MOST_BYTES:
            break
    print(f"{path}: {image.width} × {image.height}, {path.stat().st_size / 1000:.0f} kB")
