"""Makes the numbers and the pictures of docs/from-a-log-to-a-decision.md.

Usage: make_guide.py [--quick] [FOLDER]

It streams three variants of one service from the simulator, logs them, and asks `lm-deluge report`:

* A: today's service. It begins late and then flows evenly.
* B: a new service that begins sooner, behind a proxy that buffers and stalls now and then.
* B again, with the buffering turned off.

What the commands said goes between the `<!-- made: NAME -->` and `<!-- end -->` lines of the guide.
All is seeded; times differ by milliseconds from one machine to the next. FOLDER gets the guide and
its pictures in place of docs/. --quick streams fewer answers and takes no pictures; without
chromium the pictures of the page are left as they are.
"""

import asyncio
import base64
import contextlib
import io
import itertools
import os
import random
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from PIL import Image

from lm_deluge import LLMClient, RetryPolicy, Timeouts
from lm_deluge.simulator import Gap, Simulator
from lm_deluge_plugins import FileLogger

DOCS = Path(__file__).resolve().parent.parent
GUIDE = "from-a-log-to-a-decision.md"

MOST_BYTES = 150_000  # of a picture
MODEL = "gpt-6-luna"
PACE = Gap.lognormal(median=0.04, sigma=0.3)  # 24 tokens a second, the same for all
LATE, SOON = Gap.lognormal(median=0.9, sigma=0.15), Gap.lognormal(median=0.25, sigma=0.3)

REPORT = (
    "lm-deluge report a.jsonl b.jsonl --by variant --html report.html "
    "--title 'Should we switch to service B?'"
)
REPLAY = "lm-deluge replay '[ab].jsonl' --by variant worst"
AGAIN = "lm-deluge report a.jsonl b-fixed.jsonl --by variant"
GATE = "lm-deluge report b.jsonl --baseline a.jsonl --budget ux.toml"
GATE_FIXED = GATE.replace("b.jsonl", "b-fixed.jsonl")

IN_A_STALL = """(() => {
  const [first, last] = lmDelugeWatch.streams.filter((stream) => stream.stalls?.length)
    .map((stream) => stream.stalls[0]).sort((one, other) => other[1] - one[1])[0];
  return (first + last * 0.6) / 1e6;
})()"""
"""A moment, in seconds, when one of the streams that the page replays stands still."""


# -- the streams


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


async def ask(base_url: str, log: Path, variant: str, streams: int) -> None:
    """Stream some answers, twenty at a time, with the log that the guide is about."""
    with FileLogger(log, tags={"variant": variant}) as logger:
        client = LLMClient(
            MODEL,
            base_url=base_url,
            api_key="sk-simulated",
            handlers=[logger],
            printer=None,
            timeouts=Timeouts(between_tokens=3),
            retries=RetryPolicy.none(),
        )
        prompts = [f"Explain river number {number}." for number in range(streams)]
        async with client:
            async for _ in client.stream_many(prompts, concurrency=20):
                pass


def faults(*specs: str) -> list[str | None]:
    """Put faults on every fifth request, from the fourth one on."""
    listed: list[str | None] = [None] * (5 * len(specs))
    listed[3::5] = specs
    return listed


async def stream_all(folder: Path, streams: int) -> None:
    """A and B side by side, as in an experiment; then B without its proxy's buffer."""
    async with (
        Simulator(seed=1, ttft=LATE, gap=PACE, faults=faults("reset:40")) as a,
        Simulator(
            seed=2, ttft=SOON, gap=PACE, faults=faults("reset:30", "stall:25", "reset:45")
        ) as b,
        BufferingProxy(b.port).running() as b_url,
    ):
        await asyncio.gather(
            ask(a.base_url, folder / "a.jsonl", "A", streams),
            ask(b_url, folder / "b.jsonl", "B", streams),
        )
    async with Simulator(seed=3, ttft=SOON, gap=PACE, faults=faults("reset:30")) as b:
        await ask(b.base_url, folder / "b-fixed.jsonl", "B", streams)


# -- what the report says of them


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


def report_block(folder: Path) -> str:
    """Make the page; return the verdict and the first words of what follows."""
    code, out, err = run(REPORT, folder)
    assert code == 0, err
    assert "looks like a buffering proxy" in out
    verdict, _, tables = out.partition("\n\n")
    assert verdict.startswith("Verdict")
    assert "is a trade-off" in verdict, verdict
    assert "sooner" in verdict, verdict
    assert "stalled, against 0" in verdict, verdict
    return shown(REPORT, *verdict.splitlines(), "", tables.splitlines()[0].rstrip(), "[...]")


def again_block(folder: Path) -> str:
    """Compare A with the mended B; return the verdict's first line."""
    code, out, err = run(AGAIN, folder)
    assert code == 0, err
    sentence = out.splitlines()[1]
    assert "feels better than" in sentence, sentence
    return shown(AGAIN, "Verdict", sentence, "[...]")


def replay_block(folder: Path) -> str:
    """Make the picture that moves; return what the command says."""
    code, out, err = run(f"{REPLAY} --out replay.svg", folder)
    assert code == 0, err
    return shown(REPLAY, *(f"$ {REPLAY} --out replay.svg", *out.splitlines(), *err.splitlines()))


def gate_block(command: str, folder: Path, wanted: int, *broken: str) -> str:
    """Hold a log to its rules; return what a CI job's log shows."""
    code, _, err = run(command, folder)
    assert code == wanted, err
    assert all(f"broken rule: {rule}" in err for rule in broken), err
    return shown(f"{command} > report.txt", *err.splitlines(), "$ echo $?", str(code))


def shown(command: str, *lines: str) -> str:
    """Return a block of Markdown; long lines are wrapped as a terminal does it."""
    command = command.replace(" --title", " \\\n    --title", 1)
    wrapped = (
        textwrap.fill(line, 100, subsequent_indent="  ") if len(line) > 100 else line
        for line in lines
    )
    return "\n".join(["```", f"$ {command}", *wrapped, "```"])


def budget_of(guide: str) -> str:
    """Return the budget that the guide shows: the gate reads no other."""
    return guide.split("```toml\n")[1].split("```")[0]


def fill_in(guide: str, made: dict[str, str]) -> str:
    """Return the guide with its made parts replaced."""
    for name, text in made.items():
        part = re.compile(rf"(<!-- made: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        guide, count = part.subn(lambda match, text=text: f"{match[1]}{text}\n{match[2]}", guide)
        assert count == 1, f"the guide has {count} parts called {name}"
    return guide


# -- the pictures


async def take_pictures(logs: Path, into: Path) -> None:
    """Take the pictures of the page in a real browser."""
    sys.path.insert(0, str(DOCS.parent / "tests"))
    from support.browser import Page, open_page  # drives Chromium; needs pytest

    async def look(page: Page, width: int) -> Image.Image:
        """Take the whole page, in a window as wide as this."""
        for _ in range(2):  # another width makes another height
            height = await page.value_of("document.documentElement.scrollHeight")
            size = {"width": width, "height": height, "deviceScaleFactor": 1}
            await page.call("Emulation.setDeviceMetricsOverride", **size, mobile=False)
            await asyncio.sleep(1)
        answer = await page.call("Page.captureScreenshot")
        return Image.open(io.BytesIO(base64.b64decode(answer["data"]))).convert("RGB")

    async def part(page: Page, whole: Image.Image, first: str, last: str) -> Image.Image:
        """Cut out what lies from one element to another."""
        boxes = await page.value_of(
            f"[{first}, {last}].map((element) => element.getBoundingClientRect().toJSON())"
        )
        left, top = boxes[0]["left"] - 12, boxes[0]["top"] - 12
        right = max(box["right"] for box in boxes) + 12
        return whole.crop((round(left), round(top), round(right), round(boxes[1]["bottom"] + 12)))

    find = "document.querySelector"
    async with open_page(logs / "report.html") as page:
        await page.value_of(f"{find}('[data-preset=worst]').click()")
        await page.value_of(f"lmDelugeWatch.seek({await page.value_of(IN_A_STALL)})")
        whole = await look(page, 1040)
        for name, first, last in (
            ("verdict", "h1", "section.verdict"),
            ("watch", "#watch", ".watch-legend"),
            ("pairs", ".by-prompt .pair", ".by-prompt .pair"),
            ("curves", ".charts", ".charts"),
        ):
            picture = await part(page, whole, f"{find}('{first}')", f"{find}('{last}')")
            save(picture, into / f"{name}.png")
        assert page.complaints == []
    async with open_page(logs / "report.html") as page:
        await look(page, 560)
        await page.value_of(f"{find}All('.strip')[1].querySelector('.rows').focus()")
        for _ in range(3):
            await page.press("ArrowRight")
        whole = await look(page, 560)
        strips = [
            await part(page, whole, *[f"document.querySelectorAll('.strip')[{k}]"] * 2)
            for k in range(2)
        ]
        assert page.complaints == []
    both = Image.new("RGB", (sum(s.width for s in strips), max(s.height for s in strips)), "white")
    both.paste(strips[0], (0, 0))
    both.paste(strips[1], (strips[0].width, 0))
    save(both, into / "strips.png")


def save(image: Image.Image, path: Path) -> None:
    """Write a small PNG: with coarser colours, if need be. A palette would lose the rare ones."""
    for step in (1, 3, 5, 15, 17):  # divisors of 255: white stays white
        table = [(value + step // 2) // step * step for value in range(256)]
        image.point(table * 3).save(path, optimize=True)
        if path.stat().st_size <= MOST_BYTES:
            break
    print(f"{path}: {image.width} × {image.height}, {path.stat().st_size / 1000:.0f} kB")


# -- all of it


def main(arguments: Sequence[str]) -> None:
    options = [argument for argument in arguments if argument == "--quick"]
    folders = [argument for argument in arguments if argument != "--quick"]
    into = Path(folders[0]) if folders else DOCS
    assert into != DOCS or not options, "--quick is for tests: give it a folder of its own"
    with tempfile.TemporaryDirectory() as folder:
        logs = Path(folder)
        asyncio.run(stream_all(logs, 24 if options else 60))
        guide = (DOCS / GUIDE).read_text("utf-8")
        (logs / "ux.toml").write_text(budget_of(guide), "utf-8")
        made = {
            "report": report_block(logs),
            "replay": replay_block(logs),
            "again": again_block(logs),
            "gate": gate_block(GATE, logs, 1, "stalls (", "no jerkier than before ("),
            "fixed": gate_block(GATE_FIXED, logs, 0),
        }
        (into / GUIDE).write_text(fill_in(guide, made), "utf-8")
        if options:
            return
        if shutil.which("chromium") is None:
            print("no chromium on this machine: the pictures are left as they are")
            return
        (into / "guide").mkdir(exist_ok=True)
        shutil.copy(logs / "replay.svg", into / "guide")
        asyncio.run(take_pictures(logs, into / "guide"))


if __name__ == "__main__":
    main(sys.argv[1:])
