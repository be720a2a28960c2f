"""The page looked at: light and dark, narrow and wide, few streams and many, odd names, on paper.

``LM_DELUGE_PICTURES=FOLDER`` keeps the pictures, to be looked at by people.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from lm_deluge.timeline import Measured, Timeline, measure
from support.browser import Page, open_page
from support.layout import layout_complaints
from support.pictured import page_of, study
from support.timelines import timeline

pytestmark = pytest.mark.slow

NAMES: dict[str, Sequence[str]] = {
    "3": ["A", "B", "C"],
    "200": ["A", "B"],
    "5000": ["long cached prompt", "B"],
    "odd": [
        "נתיב מהיר עם מטמון", "🚀 turbo mode 🧪✨", "m" * 90, "مسار بطيء",
        "a prompt with a very long name that goes on and on for ever",
    ],
    "odd-together": ["נתיב מהיר עם מטמון", "🚀 turbo mode 🧪✨", "w" * 90],
    "40-groups": [f"customer {k:02d} of the pilot" for k in range(40)],
}  # fmt: skip
STREAMS = {"3": 3, "200": 200, "5000": 5_000, "40-groups": 800}


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = Path(os.environ.get("LM_DELUGE_PICTURES") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


LONG = "SomeErrorWithAVeryLongNameThatNobodyWouldEverWriteError"
OTHERS: dict[str, list[Timeline]] = {
    "one": [timeline([0.2, 0.5, 3.0], tags={"variant": "A"})],
    "all-failed": [
        timeline([], failed="APITimeoutError", phase="first_token", ended=10.0 + k,
                 stream=f"s{k}", tags={"variant": "AB"[k % 2]})
        for k in range(20)
    ],
    "without-text": [
        timeline([0.1 * k for k in range(1, 20)] + [5.0], texts=None, tags={"variant": v})
        for v in "ABAB"
    ],
    "at-once": [timeline([0.0, 0.0], tags={"variant": "A"}, stream=f"s{k}") for k in range(5)],
    "outliers": [
        timeline([0.2, 0.4], ended=600.0 if k > 56 else 0.5, failed="E" if k > 56 else None,
                 stream=f"s{k}", tags={"variant": "A"})
        for k in range(59)
    ],
    "long-errors": [
        timeline([0.2], failed=f"{LONG}{k % 5}", ended=1.0, stream="s" * 200 + str(k),
                 tags={"variant": "gpt-4o-mini-2024-07-18 and words"})
        for k in range(20)
    ],
}  # fmt: skip


@pytest.mark.parametrize("kind", OTHERS)
async def test_odd_logs_overlap_nowhere_either(kind: str, tmp_path: Path, pictures: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(page_of(OTHERS[kind], by="variant"), encoding="utf-8")
    complaints: dict[int, list[str]] = {}
    async with open_page(path) as page:
        for width in (390, 1280):
            await page.screenshot(pictures / f"{kind}-{width}.png", width)
            await unfolded(page)
            complaints[width] = await layout_complaints(page)
        assert page.complaints == []
    assert complaints == {390: [], 1280: []}


@pytest.mark.parametrize("kind", NAMES)
async def test_nothing_overlaps_is_cut_off_or_hard_to_read(
    kind: str, tmp_path: Path, pictures: Path
) -> None:
    names = NAMES[kind]
    path = tmp_path / "page.html"
    baseline = measured(60, names) if kind in ("200", "odd-together") else None
    path.write_text(
        page_of(study(STREAMS.get(kind, 120), names), by="variant", baseline=baseline),
        encoding="utf-8",
    )
    complaints: dict[str, list[str]] = {}
    async with open_page(path) as page:
        for scheme in ("light", "dark"):
            await page.prefer(scheme)
            for width in (390, 1280):
                picture = pictures / f"{kind}-{width}-{scheme}.png"
                assert len(await page.screenshot(picture, width)) > 10_000
                complaints[f"{width} {scheme}"] = await layout_complaints(page)
                await unfolded(page)
                complaints[f"{width} {scheme}, unfolded"] = await layout_complaints(page)
                await unfolded(page, fold=True)
        assert page.complaints == []
    assert {key: told for key, told in complaints.items() if told} == {}


def measured(n: int, names: Sequence[str]) -> Measured:
    return measure(study(n, names, seed=2), by="variant")


async def unfolded(page: Page, *, fold: bool = False) -> None:
    """Open what is folded, or fold it again."""
    every = "for (const part of document.querySelectorAll('details'))"
    if fold:
        await page.value_of(f"{every} part.open = part.wasOpen;")
    else:
        await page.value_of(f"{every} {{ part.wasOpen = part.open; part.open = true; }}")


UGLY = [
    ("<p>one text</p><p style='margin-top: -2em'>another text</p>", "text on text"),
    ("<div class=area style='height: 5em'></div><p style='margin-top: -3em'>x x</p>", "chart"),
    ("<div style='overflow: hidden; width: 4em; white-space: nowrap'>cut by its box</div>", "cut off"),
    ("<p style='width: 200vw; text-align: right'>far off</p>", "wide on"),
    ("<p style='color: #999'>hard to read</p>", "contrast 2.85"),
    ("<p style='opacity: .4'>hard to read</p>", "contrast 2.8"),
    ("<b class=called style='display: block; width: 8em; word-break: break-all'>two wordsinaname</b>",
     "broken inside a word"),
]  # fmt: skip


async def test_what_is_ugly_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("<!doctype html><html data-ready=yes><body style='background: #fff'>")
    async with open_page(path) as page:
        for element, complaint in UGLY:
            await page.value_of(f"document.body.innerHTML = {json.dumps(element)}")
            told = await layout_complaints(page)
            assert any(complaint in line for line in told), (element, told)


async def test_tables_that_are_wider_than_the_screen_say_so_and_are_reached_by_the_keyboard(
    tmp_path: Path,
) -> None:
    path = tmp_path / "page.html"
    path.write_text(page_of(study(60, ["A", "B"]), by="variant"), encoding="utf-8")
    table = "document.querySelector('.glance').parentElement"
    hint = f"getComputedStyle({table}, '::before').content"
    async with open_page(path) as page:
        await page.size(1280)
        assert "scroll" not in await page.until(f"!{table}.classList.contains('more') && {hint}")
        await page.size(390)
        assert "scroll to the right" in await page.until(
            f"{table}.classList.contains('more') && {hint}"
        )
        assert await page.value_of(f"{table}.tabIndex") == 0
        await page.value_of(f"{table}.scrollLeft = 200")
        first = f"{table}.querySelector('tbody th').getBoundingClientRect().left"
        assert 0 <= await page.value_of(first) < 40  # the names stay in sight


async def test_on_paper_it_is_light_unfolded_and_as_wide_as_a4(
    tmp_path: Path, pictures: Path
) -> None:
    path = tmp_path / "page.html"
    path.write_text(
        page_of(study(60, ["A", "B"]), by="variant", baseline=measured(40, ["A", "B"])),
        encoding="utf-8",
    )
    async with open_page(path, "dark") as page:
        await page.printed(pictures / "paper.pdf")
        assert (pictures / "paper.pdf").read_bytes().startswith(b"%PDF")
        opened = await page.value_of("document.querySelectorAll('details[open]').length")
        assert opened == await page.value_of(
            "document.querySelectorAll('details.change[open]').length"
        )
        # The same layout on a screen as wide as the paper inside its margins: 186 mm at 96 dpi.
        await page.call("Emulation.setEmulatedMedia", media="print")
        await page.size(703)
        await page.value_of("dispatchEvent(new Event('beforeprint'))")
        ground = "getComputedStyle(document.documentElement).getPropertyValue('--ground')"
        assert await page.value_of(ground) == "#ffffff"
        single = ".unprinted, .change, .examples, .watch-words"
        folded = f"document.querySelectorAll('details:not([open], {single})').length"
        assert await page.value_of(folded) == 0
        wide = (
            "[...document.querySelectorAll('table')].filter((table) =>"
            " table.getBoundingClientRect().right > 704).length"
        )
        assert await page.value_of(wide) == 0
        assert await layout_complaints(page) == []
