"""Makes the table of docs/smooth.md.

Usage: make_smooth.py [LOG ...]

Without a log it records streams of five paces from the simulator, in real time over loopback. Each recorded
timeline is then let through the pacing of `Smooth`, with a clock that is counted, and both are measured by
the project's own QoE and starvation, character by character. With logs of yours (of FileLogger, with text)
it prints the same table of their streams, and writes nothing.
"""

import asyncio
import sys
import tempfile
from array import array
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from statistics import mean

from making import DOCS, fill_in

from lm_deluge import LLMClient
from lm_deluge.simulator import Gap, Simulator
from lm_deluge.timeline import Timeline, read_timelines
from lm_deluge_plugins import FileLogger
from lm_deluge_plugins.smooth.pacing import STEP, Pacer

WORDS = (
    "A river is a stream of water that flows through a channel in the surface of the ground. "
    "It begins at a source, often a spring or a lake, and ends at a mouth, in the sea or in another river. "
) * 8
CHARACTERS = 4.8 * 4.5  # a second: the reader of docs/design/metrics.md, in letters

PACES: dict[str, tuple[int, object]] = {
    "small pieces, evenly": (5, 0.03),
    "small pieces, unevenly": (5, Gap.lognormal(median=0.03, sigma=1.2)),
    "pieces of a line": (80, 0.4),
    "pieces of a paragraph": (250, 1.2),
    "a slow model": (5, 0.35),
}

Arrival = tuple[float, int]


async def record(name: str, log: Path) -> None:
    size, gap = PACES[name]
    pieces = [WORDS[at : at + size] for at in range(0, len(WORDS), size)][: max(6, int(900 / size))]
    async with Simulator(text=pieces, gap=gap, ttft=0.3, seed=7) as simulator:
        client = LLMClient(
            "gpt-6-sol", base_url=simulator.base_url, api_key="any", printer=None,
            handlers=[FileLogger(log, tags={"pace": name})],
        )  # fmt: skip
        await asyncio.gather(*(client.stream("?") for _ in range(4)))


def arrivals_of(timeline: Timeline) -> list[Arrival]:
    return [
        (time, length) for time, length in zip(timeline.arrivals, timeline.lengths, strict=True)
    ]


def smoothed(timeline: Timeline) -> tuple[list[Arrival], list[float]]:
    """Return when the handler hears how many characters, and how long each of them waited."""
    pacer: Pacer[float] = Pacer(0.4)
    text, at, step = (timeline.texts or {})[0], 0, 0.0
    heard: list[Arrival] = []
    end = timeline.ending.t if timeline.ending else timeline.arrivals[-1]
    for arrived, length in [*arrivals_of(timeline), (end, 0)]:
        while not pacer.is_empty and step < arrived:
            heard += [(step, len(piece)) for piece, _ in pacer.due(step)]
            step += STEP
        if pacer.is_empty:
            step = arrived
        pacer.feed(text[at : at + length], arrived, arrived)
        at += length
    heard += [(end, len(piece)) for piece, _ in pacer.flush()]
    waited = [
        late - early
        for early, late in zip(spread(arrivals_of(timeline)), spread(heard), strict=True)
    ]
    return heard, waited


def spread(arrivals: Iterable[Arrival]) -> list[float]:
    return [time for time, length in arrivals for _ in range(length)]


def measured(arrivals: list[Arrival]) -> tuple[float, float, int]:
    """Return QoE, seconds starved, and the most characters that came at a time before the end."""
    times = spread(arrivals)
    count = len(times)
    timeline = Timeline(
        stream="letters",
        lengths=array("L", [1] * count),
        slots=array("L", range(count)),
        choices=array("L", [0] * count),
        times=array("d", times),
        reads=array("L", range(count)),
        first_output=times[0],
    )
    at_once = [sum(n for _, n in group) for _, group in groupby(arrivals, key=lambda one: one[0])]
    most = max(at_once[:-1], default=count)
    return timeline.qoe(rate=CHARACTERS) or 0.0, timeline.starvation(CHARACTERS) or 0.0, most


def table(timelines: list[Timeline]) -> str:
    rows = [
        "| pace | streams | QoE without | with | starved without | with | most at a time without | with "
        "| a letter waits, mean | longest |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    by_pace: dict[str, list[Timeline]] = {}
    for timeline in timelines:
        if timeline.texts and len(timeline):
            by_pace.setdefault(str(timeline.tags.get("pace", timeline.model)), []).append(timeline)
    for name, group in by_pace.items():
        before = [measured(arrivals_of(timeline)) for timeline in group]
        through = [smoothed(timeline) for timeline in group]
        after = [measured(heard) for heard, _ in through]
        waits = [wait for _, waited in through for wait in waited]
        rows.append(
            f"| {name} | {len(group)} "
            f"| {mean(q for q, _, _ in before):.3f} | {mean(q for q, _, _ in after):.3f} "
            f"| {mean(s for _, s, _ in before):.2f} s | {mean(s for _, s, _ in after):.2f} s "
            f"| {max(m for _, _, m in before)} | {max(m for _, _, m in after)} "
            f"| {1000 * mean(waits):.0f} ms | {1000 * max(waits):.0f} ms |"
        )
    return "\n".join(rows) + "\n"


async def main() -> None:
    if logs := sys.argv[1:]:
        print(table(list(read_timelines(logs))), end="")
        return
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "paces.jsonl"
        await asyncio.gather(*(record(name, log) for name in PACES))
        page = DOCS / "smooth.md"
        made = {"table": table(sorted(read_timelines([log]), key=order))}
        page.write_text(fill_in(page.read_text("utf-8"), made), "utf-8")


def order(timeline: Timeline) -> int:
    return list(PACES).index(str(timeline.tags["pace"]))


if __name__ == "__main__":
    asyncio.run(main())
