"""What a token costs more through ``lm_deluge.sync`` than through ``lm_deluge``.

    python -m tests.bench.without_async [--rounds N]

One process, one server process, interleaved rounds: an answer by ``async for``, then the same answer by
``for``. CPU is the time of the process with its threads, not of the server; a difference is
the median of the rounds' differences.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import lm_deluge
import lm_deluge.sync

#: What a measure is called, tokens of an answer, and the pause between two of them, in microseconds: 0 is one
#: burst, many tokens a network read; from 1,000 on every token is a read.
CASES = (("one burst", 4000, 0), ("a token every millisecond", 1000, 1000), ("20 ms", 100, 20_000))


@contextmanager
def served() -> Iterator[int]:
    """Run the server of the benchmark; give its port."""
    command = [sys.executable, str(Path(__file__).with_name("server.py"))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield int(server.stdout.readline())
        finally:
            server.kill()


async def _by_async(client: lm_deluge.LLMClient) -> int:
    count = 0
    async for _ in client.open_stream("hi"):
        count += 1
    return count


def _without(client: lm_deluge.sync.LLMClient) -> int:
    count = 0
    for _ in client.open_stream("hi"):
        count += 1
    return count


def differences(port: int, tokens: int, pause: int, rounds: int) -> list[tuple[float, float]]:
    """Return the microseconds of CPU a token of every round, with and without ``async``."""
    settings = {"api_key": "sk-x", "base_url": f"http://127.0.0.1:{port}/b/{tokens}/{pause}/v1"}
    one, other = (
        lm_deluge.LLMClient("gpt-4o", **settings),
        lm_deluge.sync.LLMClient("gpt-4o", **settings),
    )  # type: ignore[arg-type]
    found = []
    with asyncio.Runner() as runner:
        for number in range(rounds + 1):
            gc.collect()
            begun = time.process_time()
            assert runner.run(_by_async(one)) == tokens
            between = time.process_time()
            assert _without(other) == tokens
            ended = time.process_time()
            if number:  # the first one connects, and fills the caches
                found.append(((between - begun) / tokens * 1e6, (ended - between) / tokens * 1e6))
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=21)
    rounds = parser.parse_args().rounds
    with served() as port:
        for name, tokens, pause in CASES:
            found = differences(port, tokens, pause, rounds)
            more = [sync - other for other, sync in found]
            quarters = statistics.quantiles(more, n=4)
            print(
                f"{name:26} async {statistics.median(a for a, _ in found):6.1f} µs a token, "
                f"more without {quarters[1]:5.1f} ({quarters[0]:.1f} - {quarters[2]:.1f})"
            )


if __name__ == "__main__":
    main()
