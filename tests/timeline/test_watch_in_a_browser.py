"""The replay in a real browser: what a reader sees at which second, by clicks, keys and no motion."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest

from lm_deluge.timeline import Sample, Timeline, findings_of, html_page, measure
from lm_deluge.timeline.replay.states import StreamReplay
from support.browser import Page, open_page
from support.timelines import timeline

pytestmark = pytest.mark.slow

HOSTILE = "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 2'>"

#: What pieces hold, halves of one character among them: a family, a flag, Arabic, a combining accent.
PIECES = [
    "Hello",
    " sea",
    "👩",
    "\u200d",
    "👧",
    "🇳",
    "🇴",
    "مرحبا",
    "\u0301",
    "\n",
    "\u202e",
    "&lt;",
    HOSTILE,
    "",
]

SAID = "[...document.querySelectorAll('.watch-said')].map((node) => node.textContent)"
STATES = "[...document.querySelectorAll('.watch-state')].map((node) => node.textContent)"
STATE = "lmDelugeWatch.state"
PLAY_WORD = "document.querySelector('[data-watch=play-word]').textContent"


def written(path: Path, lines: Sequence[Timeline]) -> Path:
    sample = Sample()
    measured = measure(lines, by="variant", keep=sample.keep)
    path.write_text(html_page(measured, findings_of(measured), sample), encoding="utf-8")
    return path


def line(stream: str, variant: str, arrivals: Sequence[float], **fields: Any) -> Timeline:
    return timeline(arrivals, stream=stream, tags={"variant": variant}, **fields)


def two() -> list[Timeline]:
    """A thinks and is whole; B stalls, and one of its streams breaks."""
    return [
        line("a", "A", [2.0, 2.5, 4.0], pieces=["One", " two", " three"], first_output=0.5, reasoning=True),
        line("b", "B", [0.5, 1.0, 3.5, 3.6], pieces=["Red", " green", " blue", "."], ended=4.0),
        line("c", "B", [0.6], pieces=["Oh"], ended=1.0, failed="ConnectionLostError", phase="between_tokens"),
    ]  # fmt: skip


async def click(page: Page, selector: str) -> None:
    """Click with the mouse, in the middle of what the user sees."""
    place = await page.value_of(
        f"(() => {{ const node = document.querySelector({json.dumps(selector)});"
        "node.scrollIntoView({block: 'center'}); const box = node.getBoundingClientRect();"
        "return [box.x + box.width / 2, box.y + box.height / 2]; })()"
    )
    for kind in ("mousePressed", "mouseReleased"):
        await page.call(
            "Input.dispatchMouseEvent",
            type=kind,
            x=place[0],
            y=place[1],
            button="left",
            clickCount=1,
        )


async def press(page: Page, key: str, text: str = "") -> None:
    code = {" ": 32, "ArrowLeft": 37, "ArrowRight": 39, "Home": 36, "End": 35}[key]
    common = {"key": key, "windowsVirtualKeyCode": code, "code": "Space" if key == " " else key}
    await page.call("Input.dispatchKeyEvent", type="keyDown", text=text, **common)
    await page.call("Input.dispatchKeyEvent", type="keyUp", **common)


async def at(page: Page, seconds: float) -> tuple[list[str], list[str]]:
    await page.value_of(f"lmDelugeWatch.seek({seconds!r})")
    return await page.value_of(SAID), await page.value_of(STATES)


async def test_at_every_second_a_panel_shows_exactly_the_text_that_had_arrived(
    tmp_path: Path,
) -> None:
    numbers = random.Random(7)
    drawn: dict[str, tuple[list[float], list[str]]] = {}
    for k in range(12):
        gaps = [numbers.choice([0, 1, 20_000, 400_000, 1_700_000]) for _ in range(40)]
        times = [micro / 1e6 for micro in accumulate(gaps, initial=numbers.randrange(1_000_000))]
        drawn[f"s{k}"] = times, [numbers.choice(PIECES) for _ in times]
    lines = [line(name, "A", times, pieces=pieces) for name, (times, pieces) in drawn.items()]
    replays = {each.stream: StreamReplay.of("", each, 1.0) for each in lines}

    def told(name: str, moment: float) -> str:
        return replays[name].state_at(moment).words

    async with open_page(written(tmp_path / "page.html", lines)) as page:
        held = await page.value_of("lmDelugeWatch.streams.map((stream) => stream.id)")
        assert len(held) > 4
        for place, name in enumerate(held):
            times, pieces = drawn[name]
            await page.value_of(f"lmDelugeWatch.show([{place}])")
            moments = [t + shift for t in numbers.sample(times, 6) for shift in (-1e-6, 0.0, 1e-6)]
            numbers.shuffle(moments)  # forwards and backwards
            for moment in [*moments, 0.0, times[-1]]:
                moment = max(0.0, round(moment, 6))
                arrived = "".join(
                    p for t, p in zip(times, pieces, strict=True) if round(t, 6) <= moment
                )
                said, states = await at(page, moment)
                assert said == [arrived], (name, moment)
                # As the terminal says it.
                assert states == [told(name, moment)], (name, moment)
        assert await page.value_of("window.hacked") is None
        assert page.complaints == []


async def test_waiting_thinking_stalls_and_endings_are_told_in_words(tmp_path: Path) -> None:
    async with open_page(written(tmp_path / "page.html", two())) as page:
        assert await page.value_of("document.querySelectorAll('.watch-panel').length") == 2
        seen = {
            seconds: (await at(page, seconds))[1] for seconds in (0.3, 0.9, 1.0, 2.9, 3.5, 3.61)
        }
        assert seen == {
            0.3: ["waiting … 0.3 s", "waiting … 0.3 s"],
            0.9: ["thinking … 0.4 s", "writing"],
            1.0: ["thinking … 0.5 s", "writing"],
            2.9: ["writing", "stalled, nothing comes … 1.9 s"],
            3.5: ["waiting … 1.0 s", "writing"],
            3.61: ["stalled, nothing comes … 1.1 s", "writing"],
        }
        assert (await at(page, 4.0))[1] == ["✓ ended whole after 4.0 s"] * 2
        await click(page, "[data-preset=broken]")
        assert (await at(page, 99))[1] == [
            "✕ broke after 1.0 s: the connection broke after some text"
        ]


async def test_it_is_played_paused_moved_and_hurried_by_mouse_and_keys(tmp_path: Path) -> None:
    async with open_page(written(tmp_path / "page.html", two())) as page:
        await page.value_of("window.fake = 1000; lmDelugeWatch.clock = () => fake")
        assert not (await page.value_of(STATE))["playing"]  # nothing moves by itself
        assert await page.value_of(PLAY_WORD) == "Watch"
        await click(page, "[data-watch=play]")
        await page.value_of("fake += 1200")
        await page.until(f"{STATE}.seconds === 1.2")
        assert await page.value_of(SAID) == ["", "Red green"]
        await press(page, " ", " ")  # the focus went to the button
        assert not (await page.value_of(STATE))["playing"]
        said = await page.value_of("document.querySelector('[data-watch=say]').textContent")
        assert said.startswith("After 1.2 s. A: thinking … 0.7 s. B: ")
        await page.value_of("fake += 5000")
        await page.value_of(
            "(() => { const speed = document.querySelector('[data-watch=speed]'); speed.value = '0.5';"
            "speed.dispatchEvent(new Event('change')); })()"
        )
        await click(page, "[data-watch=play]")
        await page.value_of("fake += 2000")
        await page.until(f"{STATE}.seconds > 2.1")
        assert (await page.value_of(STATE))["seconds"] == pytest.approx(2.2)
        assert await page.value_of("document.querySelector('[data-watch=say]').textContent") == ""
        await page.value_of("fake += 60000")
        await page.until(f"!{STATE}.playing")
        assert (await page.value_of(STATE))["seconds"] == 4.0
        await page.value_of("document.querySelector('[data-watch=slider]').focus()")
        for key, seconds in (
            ("Home", 0),
            ("ArrowRight", 0.5),
            ("ArrowRight", 1),
            ("ArrowLeft", 0.5),
        ):
            await press(page, key)
            assert (await page.value_of(STATE))["seconds"] == seconds, key
        await click(page, "[data-watch=slider]")
        assert (await page.value_of(STATE))["seconds"] == pytest.approx(2.0, abs=0.05)
        await click(page, "[data-step=text]")
        assert (await page.value_of(STATE))["seconds"] == 0.5  # after the last comes the first
        assert page.complaints == []


async def test_any_two_streams_can_be_chosen_by_what_they_are_in_words(tmp_path: Path) -> None:
    async with open_page(written(tmp_path / "page.html", two())) as page:
        options = (
            "[...document.querySelectorAll('[data-watch=one] option')].map((node) => node.text)"
        )
        assert (await page.value_of(options))[1:] == [
            "B, median, longest silence: first text 0.5 s, ended whole after 4.0 s",
            "B, broke: first text 0.6 s, broke after 1.0 s: the connection broke after some text",
        ]
        await click(page, "[data-preset=two]")
        await page.value_of(
            "(() => { const one = document.querySelector('[data-watch=one]'); one.value = '2';"
            "one.dispatchEvent(new Event('change')); lmDelugeWatch.seek(0.7); })()"
        )
        assert await page.value_of(SAID) == ["Oh", "Red"]


async def test_without_motion_the_steps_stand_before_the_button_that_plays(
    tmp_path: Path,
) -> None:
    features = [{"name": "prefers-reduced-motion", "value": "reduce"}]
    async with open_page(written(tmp_path / "page.html", two())) as page:
        await page.call("Emulation.setEmulatedMedia", features=features)
        await page.until(f"{PLAY_WORD} === 'Play anyway'")
        steps, plays = [
            await page.value_of(
                f"document.querySelector('{part}').getBoundingClientRect().toJSON()"
            )
            for part in (".watch-steps", "[data-watch=play]")
        ]
        # To its right, or on a line of its own below.
        assert plays["left"] >= steps["right"] or plays["top"] >= steps["bottom"]
        await press_steps(page)


async def press_steps(page: Page) -> None:
    await at(page, 0)
    for step, seconds, said in (
        ("text", 0.5, ["", "Red"]),
        ("text", 2.0, ["One", "Red green"]),
        ("stall", 3.499999, ["One two", "Red green"]),
        ("end", 4.0, ["One two three", "Red green blue."]),
    ):
        await click(page, f"[data-step={step}]")
        assert (await page.value_of(STATE))["seconds"] == pytest.approx(seconds), step
        assert await page.value_of(SAID) == said


async def test_a_log_without_text_shows_a_bar_for_each_piece(tmp_path: Path) -> None:
    free = line("s", "A", [0.5, 1.0, 1.5], pieces=["four", "eightttt", ""], texts=None)
    widths = "[...document.querySelectorAll('.watch-said .bar')].map((node) => node.offsetWidth)"
    async with open_page(written(tmp_path / "page.html", [free])) as page:
        await at(page, 1.0)
        short, long = await page.value_of(widths)
        assert long == pytest.approx(2 * short, abs=1)
        assert await page.value_of(SAID) == [""]


@pytest.mark.parametrize("width", [390, 1280])
async def test_nothing_is_wider_than_the_screen_and_nothing_covers_the_controls(
    tmp_path: Path, width: int
) -> None:
    lines = [line(v, v, [0.2, 3.0], pieces=["W" * 300, " end"]) for v in ["A" * 90, "B", "C", "D"]]
    async with open_page(written(tmp_path / "page.html", lines)) as page:
        await page.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=False,
        )
        wide = (
            "[...document.querySelectorAll('#watch *')].filter((node) => node.localName !== 'option' &&"
            "!node.closest('.watch-say, select, small') && node.getBoundingClientRect().right >"
            "document.documentElement.clientWidth + 1).map((node) => node.className)"
        )
        assert await page.value_of(wide) == []
        covered = (
            "[...document.querySelectorAll('.watch-bar button, .watch-presets button')].filter((node) => {"
            "node.scrollIntoView({block: 'center'}); const box = node.getBoundingClientRect();"
            "const top = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);"
            "return !node.contains(top); }).map((node) => node.textContent)"
        )
        assert await page.value_of(covered) == []
