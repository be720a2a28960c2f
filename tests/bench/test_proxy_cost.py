"""What the proxy costs stays within its bounds: ratios of one run, and bytes a stream."""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path

import pytest

from support.programs import ROOT, Run, clean_environment


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="reads CPU and memory in /proc")
async def test_watching_costs_little_beside_a_pass_through_that_looks_at_nothing(
    run: Run, tmp_path: Path
) -> None:
    out = tmp_path / "out.json"
    done = await run(
        sys.executable, ROOT / "tests/bench/proxies.py", "--streams", "250",
        "--seconds", "4", "--rounds", "3", "--litellm-streams", "0", "--json", out,
        env=clean_environment(), seconds=240,
    )  # fmt: skip
    assert done.code == 0, done.err
    rows = json.loads(out.read_text())["250"]
    ours, bare = rows["lm-deluge proxy --log"], rows["bare aiohttp"]
    assert all(row["whole"] == 1 for row in (*ours, *bare))
    ratios = [one["cpu"] / other["cpu"] for one, other in zip(ours, bare, strict=True)]
    assert statistics.median(ratios) <= 1.5
    # kB; what a process has for itself is shared by 250 streams here, by 1,000 where 40 is the aim.
    assert statistics.median(row["memory"] for row in ours) <= 44
