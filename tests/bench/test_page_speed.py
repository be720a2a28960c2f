"""A page of 5,000 streams is small, and usable at once.

``pytest -s -m slow tests/bench/test_page_speed.py`` prints the figures. On two cores at work for others,
Chromium without a GPU, 2026-11-27, from the beginning of the navigation:

2 groups: 0.30 MB, painted after 0.14 s, usable after 0.16 s; 40 groups: 1.79 MB, 0.16 s, 0.57 s.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lm_deluge.timeline import measure
from support.browser import open_page
from support.pictured import page_of, study

pytestmark = pytest.mark.slow

_FIGURES = """(() => {
  const at = (entry) => entry?.startTime ?? null;
  return {
    painted: at(performance.getEntriesByName("first-contentful-paint")[0]),
    ready: at(performance.getEntriesByName("ready")[0]),
    read: performance.getEntriesByType("navigation")[0].domInteractive,
  };
})()"""

#: The second is one of a machine that runs this loop in 80 ms; a slower one has so much more time.
_LOOP = """(() => {
  const begun = performance.now();
  let sum = 0;
  for (let i = 0; i < 3e7; i++) sum = (sum + i) % 65537;
  return performance.now() - begun + 0 * sum;
})()"""
_LOOP_MS = 80.0


@pytest.mark.parametrize("groups", [2, 40])
async def test_five_thousand_streams_are_usable_within_a_second(
    groups: int, tmp_path: Path
) -> None:
    names = [f"variant {k}" for k in range(groups)]
    page = page_of(
        study(5_000, names), by="variant", baseline=measure(study(100, names), by="variant")
    )
    path = tmp_path / "page.html"
    path.write_text(page, encoding="utf-8")
    size = len(page.encode())
    parts = {
        "scripts": sum(map(len, re.findall(r"<script.*?</script>", page, re.DOTALL))),
        "pictures": sum(map(len, re.findall(r"<svg.*?</svg>", page, re.DOTALL))),
        "style": sum(map(len, re.findall(r"<style.*?</style>", page, re.DOTALL))),
    }
    figures, loops = [], []
    for _ in range(9):  # the least of few is as noisy as the machine
        async with open_page(path) as opened:
            await opened.until(f"{_FIGURES}.painted")
            figures.append(await opened.value_of(_FIGURES))
            loops.append(await opened.value_of(_LOOP))
    best = {name: min(figure[name] for figure in figures) for name in figures[0]}
    said = ", ".join(f"{name} {value:.0f} ms" for name, value in best.items())
    kinds = ", ".join(f"{name} {length / 1e6:.2f} MB" for name, length in parts.items())
    print(f"5,000 streams, {groups} groups: {size / 1e6:.2f} MB ({kinds}); {said}")
    print(f"the loop: {min(loops):.0f} ms")
    assert size <= 3_000_000
    assert max(best.values()) < 1_000 * max(1.0, min(loops) / _LOOP_MS)
