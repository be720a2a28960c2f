"""The page in a real browser: without a network, light and dark, read by pointer and by keyboard."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from lm_deluge.timeline import Timeline, measure
from support.browser import open_page
from support.pictured import DANGEROUS, HOSTILE, page_of, some
from support.timelines import timeline

pytestmark = pytest.mark.slow

TOLD = "document.querySelector('.told:not([hidden])')?.innerText"


@pytest.fixture
def page_file(tmp_path: Path) -> Path:
    return written(tmp_path, some(), by="variant", baseline=measure(some(seed=2), by="variant"))


def written(folder: Path, timelines: Sequence[Timeline], **options: object) -> Path:
    path = folder / "page.html"
    path.write_text(page_of(timelines, **options), encoding="utf-8")  # type: ignore[arg-type]
    return path


async def test_a_browser_opens_it_without_errors_and_without_a_network(page_file: Path) -> None:
    async with open_page(page_file) as page:
        assert await page.value_of("document.querySelectorAll('.plot').length") == 3
        assert await page.value_of("document.querySelectorAll('.strip').length") == 2
        await page.screenshot()
        assert page.complaints == []
        outside = [url for url in page.requests if not url.startswith(("file:", "data:"))]
        assert outside == []


async def test_light_and_dark_follow_the_user_even_while_it_is_open(page_file: Path) -> None:
    colours = [
        "getComputedStyle(document.body).backgroundColor",
        "getComputedStyle(document.querySelector('.plot .xs span')).color",
        "getComputedStyle(document.querySelector('.plot .grid')).stroke",
        "getComputedStyle(document.querySelector('.plot .reader')).stroke",
    ]
    async with open_page(page_file, "dark") as page:
        dark = [await page.value_of(colour) for colour in colours]
        picture = await page.screenshot()
        await page.prefer("light")
        light = [await page.value_of(colour) for colour in colours]
        assert all(one != other for one, other in zip(dark, light, strict=True))
        assert light[0] == "rgb(255, 255, 255)"
        assert await page.screenshot() != picture
        assert page.complaints == []


async def test_pointing_at_a_stall_shows_the_text_around_it_as_text(tmp_path: Path) -> None:
    pieces = ["Hello", HOSTILE, " and more", " at the end"]
    line = timeline([0.2, 0.3, 3.3, 3.4], pieces=pieces, stream=HOSTILE, model=HOSTILE)
    async with open_page(written(tmp_path, [line])) as page:
        await page.point_at(".strip .rows", 0.5, 0.5)
        text = " ".join((await page.until(TOLD)).split())
        assert f"{HOSTILE} 4 pieces from {HOSTILE}" in text
        assert "silence of 3.00 s after 300 ms" in text
        assert "onerror='window.hacked = 2'> ▮ and more at the end" in text
        inside = "[...document.querySelectorAll('.told *')].map((element) => element.localName)"
        assert not {"script", "img"} & set(await page.value_of(inside))
        assert await page.value_of("window.hacked") is None
        assert page.complaints == []


async def test_rows_and_stalls_are_reached_by_the_arrow_keys(tmp_path: Path) -> None:
    streams = [timeline([0.2 + k / 10, 3.0, 6.0], stream=f"stream {k}") for k in range(3)]
    async with open_page(written(tmp_path, streams)) as page:
        await page.value_of("document.querySelector('.strip .rows').focus()")
        told = []
        for key in ("ArrowDown", "ArrowDown", "ArrowRight", "ArrowRight"):
            await page.press(key)
            told.append(await page.value_of(TOLD))
        assert [text.split()[1] for text in told] == ["0", "1", "0", "0"]
        assert ["silence of" in text for text in told] == [False, False, True, True]
        await page.press("Escape")
        assert await page.value_of(TOLD) is None


async def test_curves_are_read_off_by_pointer_and_by_keyboard(tmp_path: Path) -> None:
    streams = [timeline([t], tags={"t": HOSTILE}) for t in (0.1, 0.2, 0.3, 0.4)]
    readout = "document.querySelector('.readout').innerText"
    async with open_page(written(tmp_path, streams, by="t")) as page:
        await page.point_at(".plot .area", 0.6, 0.5)  # of 0.416 s
        text = await page.until(readout)
        assert text.startswith("after 2")
        assert text.endswith(f"{HOSTILE} 50.0 %")
        await page.value_of("document.querySelector('.area').focus()")
        await page.press("End")
        assert (await page.value_of(readout)).endswith("100.0 %")
        said = await page.value_of("document.querySelector('.area').getAttribute('aria-valuetext')")
        assert said.endswith("100.0 %")


async def test_a_curve_is_switched_off_and_on_by_its_name(page_file: Path) -> None:
    shown = "getComputedStyle(document.querySelector('.plot .curve')).display"
    key = "document.querySelector('.plot button.key')"
    async with open_page(page_file) as page:
        await page.value_of(f"{key}.focus()")
        states = []
        for _ in range(2):
            await page.value_of(f"{key}.click()")
            states.append([await page.value_of(shown), await page.value_of(f"{key}.ariaPressed")])
        assert states == [["none", "false"], ["inline", "true"]]


async def test_a_curve_is_switched_off_with_its_crosses_and_no_other(tmp_path: Path) -> None:
    streams = [timeline([0.1 * k, 1.0], tags={"t": "whole"}, stream=f"a{k}") for k in range(1, 4)]
    streams.append(timeline([0.2], failed="E", ended=0.5, tags={"t": "with a break"}, stream="b"))
    crosses = "getComputedStyle(document.querySelector('.plot .marks')).display === 'none'"
    async with open_page(written(tmp_path, streams, by="t")) as page:
        for curve, gone in ((0, False), (1, True)):
            await page.value_of(
                f"for (const key of document.querySelectorAll('[data-curve=\"{curve}\"]')) key.click()"
            )
            assert await page.value_of(crosses) == gone


async def test_all_that_takes_the_keyboard_has_a_role_and_says_what_it_is(page_file: Path) -> None:
    async with open_page(page_file) as page:
        await page.size(390)
        await page.until("!!document.querySelector('.scroll.more')")
        nameless = """[...document.querySelectorAll("[tabindex='0'], button, select, input")].filter((e) => {
            const named = e.getAttribute("aria-label") || e.labels?.length || e.textContent.trim();
            const role = e.getAttribute("role") || ["button", "select", "input"].includes(e.localName);
            return !(named && role);
        }).map((e) => e.outerHTML.slice(0, 100))"""
        assert await page.value_of(nameless) == []
        said = await page.value_of(
            "document.querySelector('.plot .area').getAttribute('aria-label')"
        )
        assert "median" in said  # what the picture says, which is no longer told inside of a slider
        regions = "[...document.querySelectorAll('.scroll.more')].map((e) => e.ariaLabel)"
        assert "At a glance, wider than the screen" in await page.value_of(regions)


async def test_hostile_names_stay_names_in_the_browser(tmp_path: Path) -> None:
    timelines = [timeline([0.5, 0.6, 3.0], tags={"t": text}) for text in DANGEROUS]
    async with open_page(written(tmp_path, timelines, by="t")) as page:
        names = await page.value_of(
            "[...document.querySelectorAll('.plot figcaption bdi')].map((name) => name.textContent)"
        )
        assert HOSTILE in names
        await page.point_at(".plot .area", 0.5, 0.5)
        assert await page.until(TOLD)
        assert await page.value_of("window.hacked") is None
        assert page.complaints == []


async def test_time_is_stretched_by_a_button(page_file: Path) -> None:
    wide = "document.querySelector('.strip .rows').clientWidth"
    async with open_page(page_file) as page:
        before = await page.value_of(wide)
        await page.value_of("document.querySelector('[data-zoom=\"4\"]').click()")
        assert await page.value_of(wide) > 3.5 * before
        assert await page.value_of("document.documentElement.scrollWidth <= innerWidth")
