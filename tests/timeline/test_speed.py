"""Large logs: 10⁶ token lines in 10 s on one core, and memory that does not grow with their length."""

from __future__ import annotations

import random
import subprocess
import sys
import time
import timeit
from pathlib import Path

import pytest

from lm_deluge.logs.record import encode, encode_lines, token_line
from lm_deluge.timeline import measure, read_timelines
from support.programs import clean_environment
from support.timelines import stream_lines

LINES = 1_000_000
TOKENS = 200
OPEN = 50


def write_log(path: Path, lines: int) -> None:
    """Write streams of 200 tokens, 50 of them interleaved at any time."""
    numbers = random.Random(1)
    with path.open("wb") as file:
        for batch in range(lines // TOKENS // OPEN):
            columns = []
            for k in range(OPEN):
                arrivals, t = [], 0.3
                for _ in range(TOKENS):
                    arrivals.append(t)
                    t += numbers.expovariate(20)
                stream = f"01J8ZK3V6WQ5N9T2B7X4{batch:06}{k:02}"
                columns.append(
                    stream_lines(stream, arrivals, tags={"variant": "AB"[k % 2]}, busy=0.001)
                )
            rows = [line for row in zip(*columns, strict=True) for line in row]
            file.write(b"\n" + encode_lines(rows))


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("speed") / "log.jsonl"
    write_log(path, LINES)
    return path


@pytest.mark.slow
def test_a_million_token_lines_are_read_and_measured_in_ten_seconds(log: Path) -> None:
    seconds = []
    for _ in range(2):
        begun = time.process_time()
        measured = measure(read_timelines(log), by="variant")
        seconds.append(time.process_time() - begun)
    assert sum(group.tokens for group in measured.groups.values()) == LINES
    print(f"{min(seconds):.2f} s of CPU for {LINES:,} token lines")
    assert min(seconds) < 10


@pytest.mark.slow
def test_reading_takes_no_memory_for_streams_that_have_ended(log: Path) -> None:
    program = r"""
import re, sys
from pathlib import Path
from lm_deluge.timeline import read_timelines
def peak():  # not ru_maxrss: that one remembers the process which started this one
    return int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1])
before, n = peak(), 0
for timeline in read_timelines(sys.argv[1]):
    n += len(timeline)
print(n, peak() - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(log)],
        capture_output=True, text=True, check=True, env=clean_environment(),
    )  # fmt: skip
    tokens, kilobytes = map(int, done.stdout.split())
    print(f"{kilobytes} kB for {tokens:,} token lines")
    assert tokens == LINES
    assert kilobytes < 20_000


@pytest.mark.slow
def test_a_token_line_takes_a_microsecond_or_so() -> None:
    lines = [token_line("01J8ZK3V6WQ5N9T2B7X4C1D0EF", 1.23, 17, " hello", 12, 1e-5)] * 1_000

    def microseconds(statement: object, times: int, each: int) -> float:
        return min(timeit.repeat(statement, number=times, repeat=7)) / times / each * 1e6  # type: ignore

    make = microseconds(
        lambda: token_line("01J8ZK3V6WQ5N9T2B7X4C1D0EF", 1.2345678, 17, " hello", 12, 1e-5),
        20_000,
        1,
    )
    batch = microseconds(lambda: encode_lines(lines), 20, 1_000)
    single = microseconds(lambda: encode(lines[0]), 20_000, 1)
    print(f"make {make:.2f} µs, encode in a batch {batch:.2f} µs, alone {single:.2f} µs")
    assert make + batch < 3.0  # 0.9 µs on a quiet machine
