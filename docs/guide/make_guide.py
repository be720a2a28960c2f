"""Makes the numbers and the pictures of docs/from-a-log-to-a-decision.md.

Usage: make_guide.py [--quick] [FOLDER]

It streams three variants of one service from the simulator, logs them, and asks `lm-deluge report`:

* A: today's service. It begins late and then flows evenly.
* B: a new service that begins sooner, behind a proxy that buffers and stalls now and then.
* B again, with the buffering turned off.

What the commands said goes between the `<!-- made: NAME -->` and `<!-- end -->` lines of the guide.
All is seeded; times differ by milliseconds from one machine to the next. FOLDER gets the guide and
its pictures in place of docs/. --quick takes no pictures; without
chromium the pictures of the page are left as they are.
"""

import asyncio
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from making import DOCS, BufferingProxy, fill_in, look, part, run, save, shown
from PIL import Image

from lm_deluge import LLMClient, RetryPolicy, Timeouts
from lm_deluge.simulator import Gap, Simulator
from lm_deluge_plugins import FileLogger

GUIDE = "from-a-log-to-a-decision.md"

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


def budget_of(guide: str) -> str:
    """Return the budget that the guide shows: the gate reads no other."""
    return guide.split("```toml\n")[1].split("```")[0]


# -- the pictures


async def take_pictures(logs: Path, into: Path) -> None:
    """Take the pictures of the page in a real browser."""
    from support.browser import open_page  # drives Chromium; needs pytest

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


# -- all of it


def main(arguments: Sequence[str]) -> None:
    options = [argument for argument in arguments if argument == "--quick"]
    folders = [argument for argument in arguments if argument != "--quick"]
    into = Path(folders[0]) if folders else DOCS
    assert into != DOCS or not options, "--quick is for tests: give it a folder of its own"
    with tempfile.TemporaryDirectory() as folder:
        logs = Path(folder)
        asyncio.run(stream_all(logs, 60))
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
