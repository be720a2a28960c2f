"""Where the time of a short answer goes: by room of lm_deluge, and what is aiohttp's and the event loop's.

    python tests/bench/breakdown.py [--client stream] [--tokens 20] [--streams 300]

A deterministic profiler makes calls dearer than work, so the shares are rough, and microseconds are larger
than without it: what counts is what is beside what. Time in C is its caller's.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import gc
import pstats
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
WARM = 30


def owner(path: str) -> str:
    """Whose a file is: a room of ours, a package, or the interpreter's library."""
    parts = Path(path).parts
    if "lm_deluge" in parts:
        at = len(parts) - 1 - parts[::-1].index("lm_deluge")
        return f"lm_deluge/{parts[at + 1]}" if at + 2 < len(parts) else "lm_deluge"
    if "site-packages" in parts:
        return parts[parts.index("site-packages") + 1]
    return "asyncio" if "asyncio" in parts else "other"


def shares(stats: dict[Any, Any]) -> dict[str, float]:
    """Seconds by owner; the time of functions in C goes to those who called them."""
    found: dict[str, float] = defaultdict(float)
    for (path, _, _), (_, _, own, _, callers) in stats.items():
        if path != "~":
            found[owner(path)] += own
            continue
        for (caller, _, _), (_, _, share, _) in callers.items():
            found[owner(caller) if caller != "~" else "other"] += share
    return found


async def profiled(client: str, port: int, tokens: int, streams: int) -> dict[str, float]:
    """Seconds by owner of so many streams of a warm client."""
    from bench.clients import CLIENTS

    go, close = await CLIENTS[client](f"http://127.0.0.1:{port}/b/{tokens}/0/v1", None)
    for _ in range(WARM):
        await go()
    gc.collect()
    gc.disable()
    profile = cProfile.Profile(time.process_time)  # not what other programs take
    profile.enable()
    for _ in range(streams):
        await go()
    profile.disable()
    gc.enable()
    await close()
    return shares(pstats.Stats(profile).stats)  # type: ignore[attr-defined]


def main() -> None:
    """Print a table: microseconds a stream by owner, beside the bare loop's."""
    from bench.clients import BARE
    from bench.measures import Bench

    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--client", default="stream")
    parser.add_argument("--tokens", type=int, default=20)
    parser.add_argument("--streams", type=int, default=300)
    given = parser.parse_args()
    with Bench() as bench:
        by_client = [
            asyncio.run(profiled(client, bench.port, given.tokens, given.streams))
            for client in (BARE, given.client)
        ]
    print(f"{given.tokens} tokens, µs a stream under the profiler: {BARE}, {given.client}")
    bare, ours = by_client
    for name in sorted({*bare, *ours}, key=lambda name: -ours.get(name, 0.0)):
        a, b = (side.get(name, 0.0) / given.streams * 1e6 for side in (bare, ours))
        print(f"{name:24} {a:8.0f} {b:8.0f}")
    print(f"{'all':24} {sum(bare.values()) / given.streams * 1e6:8.0f} "
          f"{sum(ours.values()) / given.streams * 1e6:8.0f}")  # fmt: skip


if __name__ == "__main__":
    sys.path[:0] = [str(ROOT), str(ROOT / "plugins"), str(ROOT / "tests")]
    main()
