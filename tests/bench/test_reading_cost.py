"""Large logs: read and measured at a multiple of what decoding their lines takes, in bounded memory."""

from __future__ import annotations

import subprocess
import sys
import time
import timeit
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from bench.reading import run, write_log
from lm_deluge.logs.assembly import decode_piece
from lm_deluge.logs.record import encode, encode_lines, token_line
from lm_deluge.timeline import Measured, measure, read_timelines
from support.programs import clean_environment

LINES = 1_000_000


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("speed") / "log.jsonl"
    write_log(path, LINES)
    return path


def seconds_of(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


@pytest.mark.slow
def test_a_million_token_lines_are_measured_in_little_more_than_decoding_them_takes(
    log: Path,
) -> None:
    """CPU of all threads, beside msgspec's plain decoding of the same lines in the same run."""
    lines = [line for line in log.read_bytes().split(b"\n") if line]
    measured: list[Measured] = []
    ratios = []
    for _ in range(3):
        decoding = seconds_of(lambda: [decode_piece(line) for line in lines])
        measuring = seconds_of(lambda: measured.append(measure(read_timelines(log), by="variant")))
        ratios.append(measuring / decoding)
    assert sum(group.tokens for group in measured[-1].groups.values()) == LINES
    print(f"{min(ratios):.2f} x the CPU of decoding {LINES:,} lines one by one")
    assert min(ratios) < 2.5  # 1.3 to 2.2: what decoding takes depends on the processor


@pytest.mark.slow
@pytest.mark.skipif(find_spec("duckdb") is None, reason="needs duckdb")
def test_the_whole_summary_takes_hardly_more_cpu_than_duckdb_takes_for_the_gaps(log: Path) -> None:
    rounds = [(run("lm_deluge", log), run("duckdb", log)) for _ in range(3)]
    for ours, theirs in rounds:
        assert ours["quantiles"] == pytest.approx(theirs["quantiles"], rel=1e-9)
    ratio = min(ours["cpu"] / theirs["cpu"] for ours, theirs in rounds)
    print(f"{ratio:.2f} x the CPU of DuckDB")
    assert ratio < 1.5


@pytest.mark.slow
def test_memory_grows_with_the_gaps_alone(log: Path, tmp_path: Path) -> None:
    """20 bytes a token (its gap, that between reads, and `d`), 300 a stream, and copies for percentiles."""
    write_log(tmp_path / "long", 3 * LINES)
    # The least of a few: how many blocks wait for the collecting thread is chance, and only adds.
    before, after = (
        min(run("lm_deluge", path)["peak"] for _ in range(3)) for path in (log, tmp_path / "long")
    )
    print(f"{before / 1e6:.0f} MB, {after / 1e6:.0f} MB with three times as many lines")
    assert (after - before) / (2 * LINES) < 49


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
