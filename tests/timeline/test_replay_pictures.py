"""Animated pictures of streams: each piece is there from its second on, in SVG and in GIF."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from math import ceil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops

from lm_deluge.timeline import Timeline
from lm_deluge.timeline.replay.gif import animated_gif
from lm_deluge.timeline.replay.scene import HOLD
from lm_deluge.timeline.replay.states import StreamReplay
from lm_deluge.timeline.replay.svg import animated_svg
from support.browser import open_page
from support.timelines import timeline

HOSTILE = '</text><script>alert(1)</script>]]>&amp;<image href="http://x/">\x1b[2J\ud83d\ufffe'
SVG = "{http://www.w3.org/2000/svg}"

#: Elements that a picture is made of; none of them loads or runs anything.
HARMLESS = {
    "svg", "title", "desc", "style", "rect", "defs", "pattern", "clipPath", "g", "text", "tspan",
    "animate", "animateTransform",
}  # fmt: skip


def shown(line: Timeline, name: str = "s") -> StreamReplay:
    return StreamReplay.of(name, line, 1.0)


def test_the_svg_says_its_name_and_what_happens_as_they_are() -> None:
    name = 'R&D "<fast>"'
    picture = ET.fromstring(animated_svg([shown(timeline([0.5, 1.0]), name)], width=480)[0])  # noqa: S314 - our own
    assert picture.findtext(f"{SVG}title") == name
    assert picture.get("aria-label") == picture.findtext(f"{SVG}desc")
    assert str(picture.get("aria-label")).startswith(f"{name}: first text after 0.5 s")


def visible_from(element: ET.Element, rounds: float) -> float:
    """The second of the picture from which on an element is visible."""
    animation = element.find(f"{SVG}animate")
    if animation is None:
        return 0.0
    assert animation.get("values") == "hidden;visible"
    assert animation.get("repeatCount") == "indefinite"
    assert float((animation.get("dur") or "").removesuffix("s")) == pytest.approx(rounds, abs=1e-3)
    return float((animation.get("keyTimes") or "").split(";")[1]) * rounds


def pieces_of(picture: str, rounds: float) -> list[tuple[float, str]]:
    tspans = ET.fromstring(picture).iter(f"{SVG}tspan")  # noqa: S314 - our own
    return [(visible_from(tspan, rounds), tspan.text or "") for tspan in tspans]


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(st.integers(0, 60), st.text(st.sampled_from("ab \n水🇳👩é\u0301مر&<"), max_size=9)),
        min_size=1, max_size=25,
    ),
    st.sampled_from([0.5, 1.0, 3.0]),
)  # fmt: skip
def test_in_an_svg_each_piece_is_there_from_its_second_on(
    drawn: Sequence[tuple[int, str]], speed: float
) -> None:
    drawn = sorted(drawn, key=lambda piece: piece[0])
    line = timeline([t / 8 for t, _ in drawn], pieces=[text for _, text in drawn])
    picture, scene = animated_svg([shown(line)], width=300, speed=speed)
    assert scene.seconds == pytest.approx(max(line.times[-1], 0.1) / speed + HOLD)
    runs = pieces_of(picture, scene.seconds)
    for t, _ in drawn:
        there = "".join(text for begin, text in runs if begin <= t / 8 / speed + 1e-3)
        arrived = "".join(text for other, text in drawn if other <= t)
        # Where a line is broken at a space or newline, that is not drawn.
        assert "".join(there.split()) == "".join(arrived.split())


def test_an_svg_loads_nothing_runs_nothing_and_is_xml_whatever_is_in_it() -> None:
    line = timeline([0.1, 0.2], pieces=[HOSTILE, HOSTILE], failed=HOSTILE, phase=HOSTILE, ended=3.0)
    picture, _ = animated_svg([shown(line, HOSTILE)], width=400)
    elements = list(ET.fromstring(picture).iter())  # noqa: S314 - our own
    assert {element.tag.removeprefix(SVG) for element in elements} <= HARMLESS
    attributes = {name for element in elements for name in element.attrib}
    assert not {name for name in attributes if "href" in name or name.startswith("on")}
    picture.encode("utf-8")


def test_a_long_text_moves_up_line_by_line_and_a_viewer_without_motion_sees_the_end() -> None:
    line = timeline([k / 10 for k in range(300)], pieces=[f"word{k} " for k in range(300)])
    picture, scene = animated_svg([shown(line)], width=300)
    root = ET.fromstring(picture)  # noqa: S314
    (moved,) = [group for group in root.iter(f"{SVG}g") if group.get("class") == "m"]
    (animation,) = moved.iter(f"{SVG}animateTransform")
    values = (animation.get("values") or "").split(";")
    assert len(values) == len(scene.lanes[0].lines) - scene.visible + 1
    assert moved.get("transform") == f"translate({values[-1]})"


@pytest.mark.parametrize("kind", ["svg", "gif"])
def test_thirty_seconds_of_two_streams_are_below_two_megabytes(kind: str) -> None:
    line = timeline([0.5 + 0.1 * k for k in range(300)], pieces=[f"word{k} " for k in range(300)])
    both = [shown(line), shown(line)]
    if kind == "svg":
        assert len(animated_svg(both, width=960)[0]) < 500_000
    else:
        picture = animated_gif(both, width=960)
        assert len(picture.data) < 1_500_000
        assert picture.apart == 0.05


def test_what_would_be_too_large_is_made_coarser_and_at_last_refused() -> None:
    line = timeline([k / 200 for k in range(2_000)], pieces=["word "] * 2_000)
    picture, scene = animated_svg([shown(line)], width=400, most_bytes=120_000)
    assert scene.merged > 0
    assert len(picture) <= 120_000
    assert animated_gif([shown(line)], width=400, most_bytes=150_000).apart > 0.05
    with pytest.raises(ValueError, match=r"larger than 0\.001 MB"):
        animated_svg([shown(line)], width=400, most_bytes=1_000)
    with pytest.raises(ValueError, match="show fewer or shorter streams"):
        animated_gif([shown(timeline([0.1]))], width=400, most_bytes=100)


def frames_of(data: bytes) -> tuple[list[Image.Image], list[float]]:
    """The frames of a GIF, and the second from which on each is seen."""
    image = Image.open(io.BytesIO(data))
    frames, lasting = [], []
    for place in range(getattr(image, "n_frames", 1)):
        image.seek(place)
        frames.append(image.convert("RGB"))
        lasting.append(image.info["duration"] / 1000)
    return frames, [0.0, *accumulate(lasting)]


@pytest.mark.parametrize("speed", [1.0, 2.0])
def test_in_a_gif_text_appears_in_the_frame_of_its_second(speed: float) -> None:
    arrivals = [0.42, 0.48, 1.0, 1.61, 3.97]
    line = timeline(arrivals, pieces=["One", " two", " three", " four", " five"], ended=4.5)
    picture = animated_gif([shown(line)], width=400, speed=speed)
    frames, seconds = frames_of(picture.data)
    assert seconds[-1] == pytest.approx(4.5 / speed + HOLD, abs=0.06)
    text = (20, 70, 380, 95)
    changes = [
        seconds[place]
        for place in range(1, len(frames))
        if ImageChops.difference(frames[place].crop(text), frames[place - 1].crop(text)).getbbox()
    ]
    # One frame late at most, never early; 0.42 and 0.48 s are one frame where it is twice as fast.
    frame = 0.05
    assert changes == pytest.approx(
        sorted({ceil(t / speed / frame - 1e-9) * frame for t in arrivals})
    )


def test_letters_that_no_font_here_has_are_told() -> None:
    nobodys = "\U00016f93\U00016f94"  # Miao; in none of the fonts that are looked for
    picture = animated_gif([shown(timeline([0.1], pieces=[f"Hi {nobodys}\x07"]))], width=300)
    assert picture.lacking == nobodys
    assert animated_gif([shown(timeline([0.1], pieces=["Hi Ж"]))], width=300).lacking in ("", "Ж")


@pytest.mark.slow
async def test_a_browser_shows_in_an_svg_what_had_arrived_round_after_round(tmp_path: Path) -> None:
    arrivals = [0.5, 0.9, 1.0, 3.5, 3.6]
    line = timeline(arrivals, pieces=["Red ", "green ", "مرحبا ", "👩\u200d", "👧"], ended=4.0)
    picture, scene = animated_svg([shown(line, "a")], width=500, speed=2.0)
    page_of_it = tmp_path / "page.html"
    page_of_it.write_text(
        f"<!doctype html><html data-ready=yes><meta charset=utf-8>{picture}", "utf-8"
    )
    seen = (
        "[...document.querySelectorAll('SELECTOR')].filter((node) =>"
        "getComputedStyle(node).visibility === 'visible').map((node) => node.firstChild.data).join('')"
    )
    async with open_page(page_of_it) as page:
        await page.value_of("document.querySelector('svg').pauseAnimations()")
        for seconds in (0.0, 0.26, 0.47, 0.97, 1.1, 1.74, 1.76, 1.81, 2.1, 4.0):
            expected = shown(line).answer.text_at(seconds * 2)
            state = shown(line).state_at(seconds * 2).words
            for again in (0, 2):
                moment = seconds + again * scene.seconds
                await page.value_of(f"document.querySelector('svg').setCurrentTime({moment})")
                assert await page.value_of(seen.replace("SELECTOR", "tspan.p")) == expected
                assert await page.value_of(seen.replace("SELECTOR", "text.w")) == state
        await page.value_of("document.querySelector('svg').setCurrentTime(0.1)")
        still = [{"name": "prefers-reduced-motion", "value": "reduce"}]
        await page.call("Emulation.setEmulatedMedia", features=still)
        assert await page.value_of(seen.replace("SELECTOR", "tspan.p")) == shown(line).answer.text
        assert (
            await page.value_of(seen.replace("SELECTOR", "text.w")) == "✓ ended whole after 4.0 s"
        )
        assert page.complaints == []


def test_seconds_and_moments_of_a_gif_belong_together() -> None:
    line = timeline([0.5, 2.0], pieces=["a", "b"])
    picture = animated_gif([shown(line)], width=300)
    _, seconds = frames_of(picture.data)
    assert seconds[bisect_right(seconds, 0.49)] == pytest.approx(0.5)
    assert picture.moments == pytest.approx(seconds[:-1])
