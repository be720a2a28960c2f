"""The verdict on the page: its sentence, its picture, and a head that says what all is of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lm_deluge.timeline import (
    Sample,
    Settings,
    Timeline,
    compare_all,
    findings_of,
    html_page,
    measure,
    parse_target,
    verdicts_of,
)
from lm_deluge.timeline.report.head import head_part
from lm_deluge.timeline.report.verdict_cards import verdict_part
from support.browser import open_page
from support.groups import group
from support.timelines import timeline

HOSTILE = "<img src=x onerror='window.hacked = 1'>"


def page_of(*groups: Sequence[Timeline], before: Sequence[Timeline] = (), **shown: Any) -> str:
    sample = Sample()
    streams = [stream for streams in groups for stream in streams]
    measured = measure(streams, by="variant", keep=sample.keep)
    baseline = measure(before, by="variant") if before else None
    return html_page(measured, findings_of(measured, baseline), sample, baseline=baseline, **shown)


def two(**changed: Any) -> list[list[Timeline]]:
    return [group("A", 40, wait=0.9), group("B", 40, wait=0.5, broke=9, **changed)]


def text_of(page: str) -> str:
    """The page's text without its elements."""
    return " ".join(re.sub(r"<(style|script).*?</\1>|<[^>]+>", "", page, flags=re.DOTALL).split())


def test_the_verdict_comes_before_what_stands_out() -> None:
    page = page_of(*two())
    (verdict,) = verdicts_of(measure([s for streams in two() for s in streams], by="variant"))
    assert verdict.sentence in text_of(page)
    assert page.index("The verdict") < page.index("What stands out") < page.index("At a glance")
    assert "8 comparisons, corrected for being so many by Holm&#39;s method" in page


def test_a_picture_is_told_to_who_cannot_see_it() -> None:
    page = page_of(*two())
    (label,) = re.findall(r'<svg class="intervals" role="img" aria-label="([^"]+)"', page)
    assert label.startswith("variant B feels better than variant A: first text ")
    for words in ("variant A better", "variant B better", "First text", " s sooner", "against 0 %"):
        assert words in text_of(page), words


def cards(*groups: Sequence[Timeline], before: Sequence[Timeline] = ()) -> dict[str, Any]:
    measured = measure([stream for streams in groups for stream in streams], by="variant")
    baseline = measure(before, by="variant") if before else None
    compared = compare_all(measured, baseline)
    return verdict_part(verdicts_of(measured, baseline, compared), compared)


@pytest.mark.parametrize(
    ("groups", "side"), [(two(), 1), ([group("A", 40, wait=0.5), group("B", 40, wait=0.9)], 1)]
)
def test_the_better_side_is_the_right_one_whichever_group_it_is(
    groups: list[list[Timeline]], side: int
) -> None:
    (card,) = cards(*groups)["cards"]
    row = next(row for row in card["picture"]["rows"] if row["label"] == "First text")
    assert (row["at"] - 50) * side > 0
    assert 0 <= row["low"] < row["at"] < row["high"] <= 100
    assert row["band"][0] < 50 < row["band"][0] + row["band"][1]
    assert row["tone"] == "better"


def test_what_is_worse_than_before_is_on_the_left_and_says_so() -> None:
    (card,) = cards(group("m", 40, wait=0.9), before=group("m", 40, wait=0.5))["cards"]
    assert (card["label"], card["tone"], card["picture"]["ends"]) == ("Worse", "worse", None)
    assert card["picture"]["rows"][0]["high"] < 50
    page = page_of(group("m", 40, wait=0.9), before=group("m", 40, wait=0.5))
    assert "← worse than before" in page


def test_at_most_five_verdicts_and_five_reasons_are_shown_and_the_others_folded() -> None:
    part = cards(*[group(name, 40, wait=0.3 + k / 3) for k, name in enumerate("abcd")])
    assert (len(part["cards"]), len(part["folded"])) == (5, 2)
    assert part["cards"][0]["picture"] is None
    (card,) = cards(*two(stalled=20, retried=20))["cards"]
    assert len(card["lines"]) == len(card["picture"]["rows"]) == 5
    assert len(card["folded"]) == 3


def test_findings_beyond_five_are_folded() -> None:
    page = page_of(*two(stalled=9, retried=9), broken=["a rule: broken"])
    shown, _, folded = page.partition("more findings</summary>")
    stands_out = shown[shown.index("What stands out") :]
    assert stands_out.count("<li>") == 5
    assert "Broken rule" not in stands_out
    before, _, after = page.partition("<b>Broken rule.</b> a rule: broken")
    assert "The verdict" in before
    assert after.index("Watch what a reader saw") < after.index("What stands out")
    assert folded.index("<li>") < folded.index("At a glance")


def test_the_head_says_what_the_page_is_of() -> None:
    streams = group(
        "A", 3, at="2026-11-22T10:00:00+00:00", prompt_chars=12, prompt_hash="one", model="gpt-x"
    )
    streams += group("B", 3, at="2026-11-23T12:30:00+02:00", prompt_chars=900, model=HOSTILE)
    settings = Settings(stall=2.5, targets=(parse_target("ttft<=0.8"),))
    measured = measure(streams, by="variant", settings=settings)
    head = head_part(
        measured, baseline=measured, title="T", note="one\ntwo", logs=["a.jsonl", "b.jsonl"],
        baseline_logs=["old.jsonl"],
    )  # fmt: skip
    rows = {row["name"]: [*row["names"], row["text"]] for row in head["rows"]}
    assert (head["title"], head["note"]) == ("T", ["one", "two"])
    assert head["streams"] == "6 streams in 2 groups, by variant."
    assert rows["When"] == ["22 November 2026, 10:00 to 23 November 2026, 10:30 UTC"]
    assert rows["Models"] == [HOSTILE, "gpt-x", ""]
    assert rows["Prompts"] == [
        "1 different one (unknown for 3 streams), 12 to 900 characters long, 456 in the median"
    ]
    assert rows["Logs"] == ["a.jsonl", "b.jsonl", ""]
    assert rows["Before"][0] == "old.jsonl"
    assert rows["Settings"] == [
        "a stall is a gap above 2.5 s; the reader takes 4.8 tokens/s and expects the first after 1 s; "
        "targets: ttft<=0.8"
    ]


@pytest.mark.parametrize(
    ("at", "said"),
    [
        ("2026-11-22T10:00:00+00:00", "22 November 2026, 10:00:00 to 10:00:05 UTC"),
        ("9999-12-31T23:59:59+00:00", "at no time that a calendar has"),
        (None, "not in the log"),
        ("yesterday", "not in the log"),
    ],
)
def test_when_it_was_is_told_as_far_as_it_is_known(at: str | None, said: str) -> None:
    (when, *_) = head_part(measure([timeline([0.2, 5.0], at=at)]))["rows"]
    assert when["text"] == said


def test_the_head_of_a_log_that_tells_little_says_so() -> None:
    rows = {
        row["name"]: row["text"]
        for row in head_part(measure([timeline([0.2], model=None)]))["rows"]
    }
    assert rows["Models"] == rows["Prompts"] == rows["When"] == "not in the log"
    assert head_part(measure([]))["rows"] == []


def test_title_note_and_names_of_logs_are_text() -> None:
    page = page_of(*two(), title=HOSTILE, note=HOSTILE, logs=[HOSTILE], baseline_logs=[HOSTILE])
    assert "<img" not in page
    assert page.count("&lt;img src=x") >= 4


#: Whether each text of the picture lies within it and upon no other.
_TEXTS = """(() => {
  const picture = document.querySelector("svg.intervals").getBoundingClientRect();
  const boxes = [...document.querySelectorAll("svg.intervals text")].map((e) => e.getBoundingClientRect());
  const outside = boxes.filter((b) => b.left < picture.left - 1 || b.right > picture.right + 1);
  const upon = boxes.filter((a, i) => boxes.some((b, j) => i < j && a.left < b.right && b.left < a.right
    && a.top + 2 < b.bottom && b.top + 2 < a.bottom));
  return [picture.width > 200, boxes.length >= 4, outside.length, upon.length];
})()"""
_FITS = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"


@pytest.mark.slow
async def test_the_picture_fits_a_phone_and_a_desk_in_light_and_dark(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    names = (f"{HOSTILE} {'w' * 80}", "עברית ארוכה מאוד לשם של קבוצה אחת")
    path.write_text(
        page_of(
            *[group(name, 40, wait=wait) for name, wait in zip(names, (0.5, 0.9), strict=True)]
        ),
        encoding="utf-8",
    )
    async with open_page(path) as page:
        for width in (390, 1280):
            for scheme in ("light", "dark"):
                await page.prefer(scheme)  # type: ignore[arg-type]
                await page.call(
                    "Emulation.setDeviceMetricsOverride", height=900, width=width,
                    deviceScaleFactor=1, mobile=width < 500,
                )  # fmt: skip
                assert await page.value_of(_TEXTS) == [True, True, 0, 0], (width, scheme)
                assert await page.value_of(_FITS)
        assert await page.value_of("window.hacked") is None
        assert page.complaints == []
