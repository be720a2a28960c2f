"""How fast a log is read and measured, beside DuckDB and Polars asked for its gaps alone.

    python -m tests.bench.reading                    10⁶ token lines (pip install -e '.[report,bench]')
    python -m tests.bench.reading --lines 10000000 --rounds 3

Ours is the whole summary of two groups: TTFT, gaps, stalls, QoE, lateness and all else. DuckDB loads
the log into a table and is asked for quantiles of the gaps by a window function, Polars scans it for
the same. Each round runs each of them in a process of its own, one after the other; the time is that
from the call to the answer, without imports. A ratio is the median of the rounds' ratios to DuckDB in
the same round. ``peak``: the most memory that the process held, beyond what it had before. All must
find the same quantiles.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

from lm_deluge.logs.record import complete_line, encode_lines, start_line, token_line

TOKENS = 200
OPEN = 50
QUANTILES = (0.5, 0.9, 0.95, 0.99)

_WORDS = (" the", " of", " streaming", " tokens", ",", " and", ".", "\n\n", ' "so"', " é", " 17")
_RARE = 40  # pieces of which one is no plain word


def write_log(path: Path, lines: int) -> None:
    """Write streams of 200 tokens, 50 of them interleaved at any time, as ``FileLogger`` does."""
    numbers = random.Random(1)
    with path.open("wb") as file:
        for batch in range(max(1, lines // TOKENS // OPEN)):
            columns = [_stream(f"01J8ZK3V6WQ5N9T2B7X4{batch:06}{k:02}", "AB"[k % 2], numbers)
                       for k in range(OPEN)]  # fmt: skip
            rows = [line for row in zip(*columns, strict=True) for line in row]
            file.write(b"\n" + encode_lines(rows))


def _stream(stream: str, variant: str, numbers: random.Random) -> list[Any]:
    at = "2026-11-22T10:00:00.125+00:00"
    lines: list[Any] = [
        start_line(stream, model="m", at=at, base_url="http://h/v1", tags={"variant": variant})
    ]
    t = numbers.uniform(0.2, 0.9)
    for index in range(TOKENS):
        text = _WORDS[numbers.randrange(len(_WORDS)) if index % _RARE == 0 else index % 7]
        lines.append(
            token_line(stream, t, index, text, index + 1, numbers.uniform(0, 3e-4), 0.00002)
        )
        t += numbers.expovariate(20)
    usage = {"input_tokens": 9, "output_tokens": TOKENS}
    lines.append(
        complete_line(
            stream, t, model="m", finish_reason="stop", usage=usage, cost=0.001, response_id="r",
            attempts=1,
        )
    )  # fmt: skip
    return lines


def lm_deluge(log: str) -> list[float]:
    """Measure the log; return quantiles of all gaps."""
    import numpy as np

    from lm_deluge.timeline import measure, read_timelines

    groups = measure(read_timelines(log), by="variant").groups
    summaries = [group.summary() for group in groups.values()]
    assert all(summary["qoe"]["n"] == summary["streams"] for summary in summaries)
    gaps = np.concatenate([group.values("gap") for group in groups.values()])
    return np.quantile(gaps, QUANTILES).tolist()


def one_by_one(log: str) -> list[float]:
    """The same, each stream by itself, as ``read_timelines`` hands it out."""
    import numpy as np

    from lm_deluge.timeline import measure, read_timelines

    groups = measure(iter(list(read_timelines(log, text=False))), by="variant").groups
    gaps = np.concatenate([group.values("gap") for group in groups.values()])
    return np.quantile(gaps, QUANTILES).tolist()


def duckdb(log: str) -> list[float]:
    """Load the log; ask for quantiles of the gaps."""
    import duckdb

    connection = duckdb.connect()
    connection.execute(
        "create table log as select * from "
        "read_json($log, format='newline_delimited', ignore_errors=true)",
        {"log": log},
    )
    (row,) = connection.execute(
        "select quantile_cont(gap, $quantiles) from (select t - lag(t) over "
        "(partition by s order by i) gap from log where e = 'token') where gap is not null",
        {"quantiles": list(QUANTILES)},
    ).fetchall()
    return list(row[0])


def polars(log: str) -> list[float]:
    """Scan the log for quantiles of the gaps."""
    import polars as pl

    t = pl.col("t")
    gaps = (
        pl.scan_ndjson(log, ignore_errors=True)
        .filter(pl.col("e") == "token")
        .select((t - t.shift(1).over("s")).alias("gap"))
        .drop_nulls()
    )
    gap = pl.col("gap")
    found = gaps.select(gap.quantile(q, "linear").alias(str(q)) for q in QUANTILES).collect()
    return list(found.row(0))


READERS: dict[str, Callable[[str], list[float]]] = {
    "duckdb": duckdb,
    "polars": polars,
    "lm_deluge": lm_deluge,
    "one_by_one": one_by_one,
}


def installed(names: Sequence[str]) -> list[str]:
    """Return those of the readers whose package is here."""
    return [n for n in names if n not in ("duckdb", "polars") or find_spec(n) is not None]


def run(name: str, log: Path) -> dict[str, Any]:
    """Run one reader in a process of its own; return seconds, CPU seconds, peak bytes and quantiles."""
    root = Path(__file__).parents[2]
    paths = [str(root), *sys.path]
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.reading", "--reader", name, str(log)],
        capture_output=True, text=True, check=True, cwd=root,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
    )  # fmt: skip
    return dict(json.loads(done.stdout))


def _child(name: str, log: str) -> None:
    package = {"duckdb": "duckdb", "polars": "polars"}.get(
        name, "lm_deluge.timeline.measures.metrics"
    )
    __import__(package)
    before = _peak()
    begun, cpu = time.perf_counter(), time.process_time()
    quantiles = READERS[name](log)
    seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
    print(
        json.dumps(
            {"seconds": seconds, "cpu": cpu, "peak": _peak() - before, "quantiles": quantiles}
        )
    )


def _peak() -> int:
    # Not ru_maxrss: that one remembers the process which started this one.
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) * 1024 if found is not None else 0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="duckdb,polars,lm_deluge,one_by_one")
    parser.add_argument("--reader", nargs=2, metavar=("NAME", "LOG"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.reader:
        _child(*options.reader)
        return
    names = installed(options.only.split(","))
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log.jsonl"
        write_log(log, options.lines)
        print(f"{options.lines:,} token lines, {log.stat().st_size / 1e6:.0f} MB; "
              f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")  # fmt: skip
        rounds = [{name: run(name, log) for name in names} for _ in range(options.rounds)]
    for name in names:
        results = [done[name] for done in rounds]
        against = ""
        if "duckdb" in names:
            ratios = [
                median(done[name][what] / done["duckdb"][what] for done in rounds)
                for what in ("seconds", "cpu")
            ]
            against = f"  {ratios[0]:5.2f} x DuckDB's time, {ratios[1]:5.2f} x its CPU"
            for done in rounds:
                pairs = zip(done[name]["quantiles"], done["duckdb"]["quantiles"], strict=True)
                assert all(abs(one - other) <= 1e-9 * other for one, other in pairs), name
        seconds, cpu = (median(done[what] for done in results) for what in ("seconds", "cpu"))
        peak = max(done["peak"] for done in results)
        print(f"{name:11} {seconds:7.2f} s  CPU {cpu:6.2f} s  peak {peak / 1e6:6.0f} MB{against}")


if __name__ == "__main__":
    main()
