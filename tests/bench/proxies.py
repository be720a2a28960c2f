"""What a pass-through costs: ours, the least that aiohttp can be, nginx and LiteLLM's proxy, in one run.

    python tests/bench/proxies.py                250 and 1,000 streams, LiteLLM's proxy at 50; some minutes

One server process plays streams of pieces that say when they were written (``proxy_ends.py``); each proxy
is a process of its own; another one reads. What is told of a proxy is the time of its own process (user and
system), its resident memory, and how long pieces are under way, all while every stream runs: what connecting
costs is left out. ``direct`` is the way without a proxy; what a proxy adds to its median is ``+p50``. ``on
time``: of the pieces that are due. Ratios are to the bare aiohttp pass-through of the same round.

What cannot be had is left out, with a word: nginx has to be on the path; LiteLLM is installed by pip into an
environment of its own (750 MB), once. It translates, and carries no more than some ten streams of that rate.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import Any, Final, TypeAlias

sys.path.insert(0, str(Path(__file__).resolve().parent))

import pass_throughs as through

ENDS: Final = str(through.HERE.with_name("proxy_ends.py"))

Running: TypeAlias = tuple[int, str]
Ways: TypeAlias = dict[str, Callable[[], AbstractContextManager[Running]]]
Rows: TypeAlias = dict[str, list[dict[str, float]]]


def cpu_of(pid: int) -> float:
    """Return the seconds of a core that a process has taken, its threads included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_of(pid: int) -> int:
    """Return the bytes that a process has in memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def measure(running: Running, streams: int, rate: float, seconds: float) -> dict[str, float]:
    """Read so many streams through one that runs."""
    pid, url = running
    idle = memory_of(pid)
    command = (sys.executable, ENDS, "read", url, str(streams), str(seconds), str(rate))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout is not None
        reader.stdout.readline()
        begun = cpu_of(pid)
        reader.stdout.readline()
        took, memory = cpu_of(pid) - begun, memory_of(pid)
        found = json.loads(reader.stdout.readline())
    return {
        "cpu": took / max(1, found["pieces"]) * 1e6,
        "p50": found["p50"] * 1e3,
        "p99": found["p99"] * 1e3,
        "memory": (memory - idle) / streams / 1e3,
        "delivered": found["pieces"] / (rate * streams * found["seconds"]),
        "whole": found["whole"] / streams,
    }


def ways_to(server: Running, folder: Path, options: argparse.Namespace) -> Ways:
    """Return how each is started."""
    me = sys.executable
    ours = (me, "-m", "lm_deluge", "proxy", "--listen", "0", "--quiet", "--upstream", server[1])
    log = str(folder / "log.jsonl")
    ways: Ways = {
        "direct": lambda: nullcontext(server),
        "bare aiohttp": lambda: through.program(me, str(through.HERE), server[1]),
        "lm-deluge proxy": lambda: through.program(*ours),
        "lm-deluge proxy --log": lambda: through.program(*ours, "--log", log),
    }
    if (found := shutil.which("nginx")) is None:
        print("nginx is left out: it is not on the path", file=sys.stderr)
    else:
        ways["nginx"] = lambda: through.nginx(found, server[1], folder)
    if options.litellm_streams:
        try:
            program = through.installed_litellm(options.litellm)
        except OSError as error:
            print(f"LiteLLM is left out: it cannot be installed ({error})", file=sys.stderr)
        else:
            ways["LiteLLM's proxy"] = lambda: through.litellm(program, server[1], folder)
    return ways


def main() -> None:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--streams", type=int, nargs="+", default=[250, 1000])
    parser.add_argument("--rate", type=float, default=20.0, help="pieces a second of each stream")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--litellm-streams", type=int, default=50, help="LiteLLM's proxy at so many; 0: not at all"
    )
    parser.add_argument("--litellm", type=Path, metavar="FOLDER", default=through.LITELLM)
    parser.add_argument("--json", type=Path, metavar="OUT")
    options = parser.parse_args()
    results: dict[int, Rows] = {}
    counts = sorted({*options.streams, options.litellm_streams} - {0})
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        serve = (sys.executable, ENDS, "serve", str(options.rate))
        ways = ways_to(stack.enter_context(through.program(*serve)), folder, options)
        for streams in counts:
            rows = results[streams] = {}
            for number in range(options.rounds):
                for name, way in ways.items():
                    if streams > options.litellm_streams and name.startswith("LiteLLM"):
                        continue
                    with way() as running:
                        row = measure(running, streams, options.rate, options.seconds)
                    rows.setdefault(name, []).append(row)
                    print(f"{streams}, round {number + 1}: {name}: {row}", file=sys.stderr)
            print(f"\n{streams:,} streams of {options.rate:g} pieces a second")
            _tell(rows)
    if options.json is not None:
        options.json.write_text(json.dumps(results, indent=1))


def _tell(rows: Rows) -> None:
    columns = ("CPU µs/piece", "× bare", "p50 ms", "p99 ms", "+p50 ms", "kB/stream", "on time")
    print(" " * 22 + "".join(f"{column:>13}" for column in columns))
    direct, bare = rows["direct"], rows["bare aiohttp"]
    for name, found in rows.items():
        middle = {key: statistics.median(row[key] for row in found) for key in found[0]}
        ratio = statistics.median(a["cpu"] / b["cpu"] for a, b in zip(found, bare, strict=True))
        added = statistics.median(a["p50"] - b["p50"] for a, b in zip(found, direct, strict=True))
        is_proxy = found is not direct
        cells: tuple[Any, ...] = (
            f"{middle['cpu']:.1f}",
            f"{ratio:.2f}" if is_proxy else "",
            f"{middle['p50']:.2f}",
            f"{middle['p99']:.2f}",
            f"{added:.2f}" if is_proxy else "",
            f"{middle['memory']:.1f}" if is_proxy else "",
            f"{middle['delivered']:.0%}",
        )
        print(f"{name:22}" + "".join(f"{cell:>13}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
