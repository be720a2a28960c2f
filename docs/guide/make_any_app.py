"""Makes the numbers and the pictures of docs/measure-any-app.md.

Usage: make_any_app.py [--quick] [FOLDER]

The app is the page's own program, with the openai package, which knows nothing of lm_deluge. It is
led to `lm-deluge proxy`, by variables alone. Behind the proxy are two ways to one service that the
simulator plays: through a gateway that holds text up, and past it.

What the commands said goes between the `<!-- made: NAME -->` and `<!-- end -->` lines of the page.
FOLDER gets the page and its pictures in place of docs/. --quick asks less and takes no pictures;
without chromium the pictures are left as they are.
"""

import asyncio
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from making import DOCS, BufferingProxy, Running, environment, fill_in, look, part, run, save, shown
from PIL import Image

from lm_deluge.simulator import Gap, Simulator

GUIDE = "measure-any-app.md"
PICTURES = "guide/any-app"

WATCH = "lm-deluge proxy --log timelines.jsonl"
BOTH = (
    "lm-deluge proxy --log variants.jsonl --upstream https://gateway.example/v1 "
    "--upstream direct=https://api.openai.com/v1"
)
REPORT = "lm-deluge report timelines.jsonl --html report.html"
COMPARE = "lm-deluge report variants.jsonl --by variant --html variants.html"
TAGS = "OPENAI_CUSTOM_HEADERS='X-LM-Deluge-Tags: variant={}'"
STOP = "^C"

SERVICE = {
    "ttft": Gap.lognormal(median=0.3, sigma=0.25),
    "gap": Gap.lognormal(median=0.04, sigma=0.3),
}


def watching(command: str, upstreams: Sequence[str]) -> list[str]:
    """Return the words of a command of the page, on a free port and with upstreams of our own."""
    words = command.split()[1:]
    while "--upstream" in words:
        del words[(at := words.index("--upstream")) : at + 2]
    given = [word for upstream in upstreams for word in ("--upstream", upstream)]
    return [*words, "--listen", "127.0.0.1:0", *given]


async def run_app(folder: Path, base_url: str, variant: str | None = None) -> None:
    """Run the page's program: nothing but its variables says that it is watched."""
    tagged = {} if variant is None else {"OPENAI_CUSTOM_HEADERS": tags_header(variant)}
    app = await asyncio.create_subprocess_exec(
        sys.executable, "app.py", cwd=folder,
        env=environment(OPENAI_BASE_URL=base_url, OPENAI_API_KEY="sk-simulated", **tagged),
        stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert await app.wait() == 0


def tags_header(variant: str) -> str:
    """Return what the shell makes of the variable that the page shows."""
    return TAGS.format(variant).split("=", 1)[1].strip("'")


async def stream_all(folder: Path) -> str:
    """Watch the app, then its two variants; return what the first proxy said at the end."""
    async with (
        Simulator(seed=1, **SERVICE) as service,
        BufferingProxy(service.port).running() as gateway,
    ):
        proxy = await Running.start(watching(WATCH, [gateway]), folder)
        await run_app(folder, f"{proxy.url}/v1")
        await proxy.stop()
        direct = f"direct={service.base_url}"
        both = await Running.start(watching(BOTH, [gateway, direct]), folder)
        await run_app(folder, f"{both.url}/v1", "gateway")
        await run_app(folder, f"{both.url}/direct/v1", "direct")
        await both.stop()
    return proxy.said.splitlines()[-1]


def watch_block(last: str) -> str:
    """Return what the proxy's terminal shows: its first line, an ellipsis, its last."""
    first = "lm-deluge passes requests on at http://127.0.0.1:4141 (Ctrl-C stops it)"
    assert re.fullmatch(r"\d+ streams ended · lm-deluge report timelines\.jsonl", last), last
    return shown(WATCH, first, "[...]", STOP, last)


def report_block(folder: Path) -> str:
    """Make the page; return the verdict and the findings."""
    code, out, err = run(REPORT, folder)
    assert code == 0, err
    assert "looks like a buffering proxy" in out, out
    verdict = out.partition("\n\n")[0]
    findings = "Findings" + out.split("\nFindings", 1)[1].partition("\n\n")[0]
    assert "answers stalled" in " ".join(verdict.split()), verdict
    return shown(REPORT, *verdict.splitlines(), "[...]", *findings.splitlines(), *err.splitlines())


def compare_block(folder: Path) -> str:
    """Compare the variants; return the verdict."""
    code, out, err = run(COMPARE, folder)
    assert code == 0, err
    verdict = out.partition("\n\n")[0]
    assert "variant direct feels better than variant gateway" in " ".join(verdict.split()), verdict
    return shown(COMPARE, *verdict.splitlines(), "[...]")


async def take_pictures(logs: Path, into: Path) -> None:
    """Take the pictures of the report in a real browser."""
    from support.browser import open_page  # drives Chromium; needs pytest

    find = "document.querySelector"
    async with open_page(logs / "report.html") as page:
        whole = await look(page, 1040)
        top = await part(page, whole, f"{find}('h1')", f"{find}('#watch').previousElementSibling")
        heading = (
            f"[...{find}All('h2')].find((each) => each.textContent.startsWith('Every stream'))"
        )
        strips = await part(page, whole, heading, f"{find}('.strip')")
        both = Image.new("RGB", (top.width, top.height + strips.height), "white")
        both.paste(top, (0, 0))
        both.paste(strips, (0, top.height))
        save(both, into / "report.png")
        assert page.complaints == []
    async with open_page(logs / "variants.html") as page:
        whole = await look(page, 1040)
        verdict = f"{find}('section.verdict')"
        save(await part(page, whole, verdict, verdict), into / "variants.png")
        assert page.complaints == []


def program_of(guide: str) -> str:
    """Return the app that the page shows: no other is run."""
    return guide.split("```python\n")[1].split("```")[0]


def main(arguments: Sequence[str]) -> None:
    quick = "--quick" in arguments
    folders = [argument for argument in arguments if argument != "--quick"]
    into = Path(folders[0]) if folders else DOCS
    assert into != DOCS or not quick, "--quick is for tests: give it a folder of its own"
    guide = (DOCS / GUIDE).read_text("utf-8")
    with tempfile.TemporaryDirectory() as folder:
        logs = Path(folder)
        program = program_of(guide)
        assert "range(40)" in program
        (logs / "app.py").write_text(
            program.replace("range(40)", "range(16)") if quick else program, "utf-8"
        )
        last = asyncio.run(stream_all(logs))
        made = {
            "watch": watch_block(last),
            "report": report_block(logs),
            "compare": compare_block(logs),
        }
        (into / GUIDE).write_text(fill_in(guide, made), "utf-8")
        if quick:
            return
        if shutil.which("chromium") is None:
            print("no chromium on this machine: the pictures are left as they are")
            return
        (into / PICTURES).mkdir(parents=True, exist_ok=True)
        asyncio.run(take_pictures(logs, into / PICTURES))


if __name__ == "__main__":
    main(sys.argv[1:])
