"""The page: complete without a network, harmless with any content, and alive in a real browser."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path

import pytest

from lm_deluge.timeline import (
    Measured,
    Sample,
    Timeline,
    broken_rules,
    findings_of,
    html_page,
    measure,
    parse_fail_if,
)
from support.browser import open_page
from support.timelines import timeline

HOSTILE = "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 2'>"
DANGEROUS = [
    HOSTILE, "</script><script>window.hacked = 3</script>", "{{ 7 * 7 }}@{name}$$\\frac{1}{2}$$",
    "\u202e\x00\x1b[31m'\"`", "]]>--><!--", "\ud83d",
]  # fmt: skip


def page_of(
    timelines: Sequence[Timeline], *, by: str | None = None, baseline: Measured | None = None
) -> str:
    sample = Sample()
    measured = measure(timelines, by=by, keep=sample.keep)
    broken = broken_rules(measured, [parse_fail_if("ttft.p95>0.3")])
    findings = findings_of(measured, baseline)
    return html_page(measured, findings, sample, baseline=baseline, broken=broken)


def some(n: int = 40, seed: int = 1) -> list[Timeline]:
    """Streams of two variants; some stall, some fail, one has no ending."""
    numbers = random.Random(seed)
    made = []
    for k in range(n):
        variant = "AB"[k % 2]
        t = numbers.uniform(0.2, 0.5 if variant == "B" else 0.9)
        arrivals = []
        for _ in range(numbers.randrange(5, 60)):
            arrivals.append(t)
            t += numbers.expovariate(30) + (2.0 if numbers.random() < 0.02 else 0.0)
        failed = "ConnectionLostError" if numbers.random() < 0.1 else None
        made.append(
            timeline(
                arrivals, tags={"variant": variant}, stream=f"s{k}", failed=failed, ended=t + 0.1,
                phase="between_tokens" if failed else None, cost=0.001, output_tokens=len(arrivals),
            )
        )  # fmt: skip
    made.append(timeline([0.4, 0.5], ending=None, tags={"variant": "A"}, stream="open"))
    made.append(timeline([], failed="RateLimitError", phase="first_token", tags={"variant": "A"}))
    return made


class _Outline(HTMLParser):
    """Which elements a page has, and what it refers to."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.references: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.references += [value or "" for name, value in attrs if name in ("src", "href")]


def test_the_page_refers_to_nothing_outside_itself() -> None:
    outline = _Outline(page_of(some(), by="variant"))
    assert outline.references == []
    assert not {"link", "iframe", "img", "object", "embed"} & set(outline.tags)


def test_the_page_shows_findings_tables_and_what_was_broken() -> None:
    page = page_of(some(), by="variant", baseline=measure(some(seed=2), by="variant"))
    for text in (
        "ttft.p95&gt;0.3: A: ", "What stands out", "At a glance", "Compared with the baseline",
        "ConnectionLostError", "RateLimitError", "first_token", "Every stream, piece by piece",
        "All numbers", "streams of variant A stalled",
    ):  # fmt: skip
        assert text in page, text


def test_the_page_of_an_empty_log_says_so() -> None:
    page = page_of([])
    assert "The log holds no stream." in page
    assert "bokeh" not in page


def test_every_page_has_a_nonce_of_its_own_that_guards_its_scripts() -> None:
    pages = [page_of(some(4)), page_of(some(4))]
    nonces = [set(re.findall(r'<script nonce="([^"]+)">', page)) for page in pages]
    assert [len(nonce) for nonce in nonces] == [1, 1]
    assert nonces[0] != nonces[1]
    assert all(
        page.count("<script") == page.count("<script nonce=") for page in map(_markup, pages)
    )


def _markup(page: str) -> str:
    """The page without what is inside its scripts."""
    return re.sub(r"(<script[^>]*>).*?</script>", r"\1", page, flags=re.DOTALL)


def test_content_tags_models_and_errors_are_escaped() -> None:
    timelines = [
        timeline(
            [0.5, 0.6, 3.0], pieces=[text, text, text], tags={HOSTILE: text}, model=text,
            stream=text, failed=text, phase=text, ended=3.5,
        )
        for text in DANGEROUS
    ]  # fmt: skip
    page = page_of(timelines, by=HOSTILE)
    assert "<script>window" not in page
    assert "<img" not in page
    assert page.count("<script") == page.count("<script nonce=")
    assert "img" not in _Outline(page).tags
    page.encode("utf-8")


def test_thousands_of_streams_are_sampled_and_the_page_says_so() -> None:
    timelines = some(4_000)
    page = page_of(timelines)
    assert "streams are drawn: a sample by chance, and those with the longest silences" in page
    assert "of 4,002 streams, taken by chance." in page
    assert len(page) < 3_000_000


def test_long_streams_are_thinned_out_and_the_page_says_so() -> None:
    long = timeline([0.2 + k / 1_000 for k in range(90_000)])
    assert "are drawn as one tick" in page_of([long])
    stalling = [timeline([k * 2.0 for k in range(60)], stream=str(k)) for k in range(30)]
    assert "270 more stalls, the shortest, are not marked." in page_of(stalling)


def test_a_group_without_a_token_and_one_without_a_counterpart_leave_gaps_not_errors() -> None:
    silent = timeline([], ended=1.0, failed="E", model="silent")
    page = page_of([*some(6), silent], baseline=measure(some(6, seed=2)))
    assert "silent is only in this log" in page


def test_a_content_free_log_says_that_it_has_no_text() -> None:
    assert "(no text in this log)" in page_of([timeline([0.2, 3.0], texts=None)])


def test_long_names_leave_room_for_the_curves() -> None:
    page = page_of([timeline([0.2, 0.3], model="m" * 400)])
    assert f"{'m' * 39}\\\\u2026" in page


@pytest.mark.slow
def test_many_groups_are_all_in_the_tables_and_the_largest_in_the_charts() -> None:
    timelines = [timeline([0.5, 0.6], tags={"user": f"user-{k % 12}"}) for k in range(30)]
    page = page_of(timelines, by="user")
    assert "The charts show the 8 largest of 12 groups." in page
    assert "user-11" in page


def test_the_sample_holds_the_longest_silences_and_is_the_same_each_time() -> None:
    timelines = [timeline([0.1, 0.2 + k / 1000]) for k in range(2_000)]
    samples = [Sample(), Sample()]
    for sample in samples:
        measure(timelines, keep=sample.keep)
    one, other = samples
    assert one.seen("m") == 2_000
    assert [id(t) for t in one.by_chance("m")] == [id(t) for t in other.by_chance("m")]
    assert {id(line) for line in timelines[-50:]} <= {id(line) for line in one.all("m")}
    assert len(one.all("m")) == len({id(line) for line in one.all("m")}) <= 300
    assert (one.seen("?"), one.by_chance("?"), one.all("?")) == (0, [], [])


@pytest.fixture
def page_file(tmp_path: Path) -> Path:
    path = tmp_path / "page.html"
    path.write_text(page_of(some(), by="variant", baseline=measure(some(seed=2), by="variant")))
    return path


@pytest.mark.slow
async def test_a_browser_opens_it_without_errors_and_without_a_network(page_file: Path) -> None:
    async with open_page(page_file) as page:
        await page.until("Bokeh.documents.every((page) => page.is_idle)")
        assert await page.value_of("Bokeh.documents.flatMap((page) => page.roots()).length") == 5
        await page.screenshot()
        assert page.complaints == []
        outside = [url for url in page.requests if not url.startswith(("file:", "data:"))]
        assert outside == []


@pytest.mark.slow
async def test_light_and_dark_follow_the_user_even_while_it_is_open(page_file: Path) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    axis = "Bokeh.documents[0].roots()[0].below[0].axis_label_text_color"
    plot = "Bokeh.documents[0].roots()[0].border_fill_color"
    async with open_page(page_file, "dark") as page:
        dark = {expression: await page.value_of(expression) for expression in (ground, axis, plot)}
        picture = await page.screenshot()
        await page.prefer("light")
        for (
            expression,
            colour,
        ) in dark.items():  # the style changes at once, the script's part later
            await page.until(f"{expression} !== {colour!r}")
        assert await page.value_of(ground) == "rgb(255, 255, 255)"
        assert await page.screenshot() != picture
        assert page.complaints == []


@pytest.mark.slow
async def test_pointing_at_a_stall_shows_the_text_around_it_as_text(tmp_path: Path) -> None:
    pieces = ["Hello", HOSTILE, " and more", " at the end"]
    line = timeline([0.2, 0.3, 3.3, 3.4], pieces=pieces, stream=HOSTILE, model=HOSTILE)
    path = tmp_path / "page.html"
    path.write_text(page_of([line]))
    async with open_page(path) as page:
        await page.until("Bokeh.documents.every((page) => page.is_idle)")
        shown = await page.point_at(3, 1.8, 0)
        text = " ".join(" ".join(tip["text"].split()) for tip in shown)
        assert f"silence of 3.00 s after 300 ms (stream {HOSTILE})" in text
        assert "onerror='window.hacked = 2'> ▮ and more at the end" in text
        assert f"4 pieces from {HOSTILE}" in text
        elements = {name for tip in shown for name in tip["elements"]}
        assert not elements & {"script", "img"}
        assert await page.value_of("window.hacked") is None
        assert page.complaints == []


@pytest.mark.slow
async def test_hostile_names_stay_names_in_the_browser(tmp_path: Path) -> None:
    timelines = [timeline([0.5, 0.6, 3.0], tags={"t": text}) for text in DANGEROUS]
    path = tmp_path / "page.html"
    path.write_text(page_of(timelines, by="t"), encoding="utf-8")
    async with open_page(path) as page:
        await page.until("Bokeh.documents.every((page) => page.is_idle)")
        curve = await page.point_at(0, 0.55, 1.0)
        assert any(HOSTILE in tip["text"] for tip in curve)
        assert await page.value_of("window.hacked") is None
        assert page.complaints == []
