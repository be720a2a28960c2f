"""The part of the page that compares prompt by prompt: its pictures, its texts, in a real browser."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lm_deluge.timeline import Sample, Timeline, findings_of, html_page, measure
from lm_deluge.timeline.measures.comparing.comparisons import compare_all
from lm_deluge.timeline.measures.comparing.pairs import WAIT, Prompts
from lm_deluge.timeline.report.answers import answer_facts, answer_parts
from lm_deluge.timeline.report.by_prompt import streams_of_changes
from lm_deluge.timeline.report.slopes import LABELLED, slope
from lm_deluge.timeline.report.wanted import wanted_ids
from support.browser import Page, open_page
from support.paired import answered
from support.timelines import timeline

HOSTILE = "</script><img src=x onerror='window.hacked = 1'>"


def page_of(streams: list[Timeline], **options: Any) -> str:
    sample = Sample()
    measured = measure(streams, by="variant", keep=sample.keep)
    return html_page(measured, findings_of(measured), sample, **options)


def prompts_of(streams: list[Timeline]) -> Prompts:
    (pair,) = compare_all(measure(streams, by="variant")).pairs
    assert pair.prompts is not None
    return pair.prompts


@pytest.mark.parametrize("n", [5, 60, 1000, 1500])
def test_a_picture_has_a_line_a_prompt_by_better_and_worse_up_to_a_thousand(n: int) -> None:
    found = slope(prompts_of(answered(n)), "ttft.p50", text=True)
    assert found is not None
    counts = [int(kind["count"].replace(",", "")) for kind in found["kinds"]]
    assert sum(counts) == n
    lines = sum(len(kind["each"]) or kind["path"].count("M") for kind in found["kinds"])
    assert lines == min(n, 1000)
    assert bool(found["left_out"]) == (n > 1000)
    assert len(found["labels"]) == (n if n <= LABELLED else 0)
    ttft = prompts_of(answered(n)).comparisons["ttft.p50"]
    assert counts == [ttft.better, ttft.worse, ttft.same]


def test_what_never_came_has_a_height_of_its_own_and_all_else_lies_below() -> None:
    found = slope(prompts_of(answered(60)), WAIT, text=True)
    assert found is not None
    paths = [each["path"] for kind in found["kinds"] for each in kind["each"]]
    ends = np.array([[float(end.split(" ")[1]) for end in path[1:].split("L")] for path in paths])
    assert (ends == 40).any()
    assert ((ends == 40) | ((ends >= 100) & (ends <= 1000))).all()


def test_labels_of_few_prompts_do_not_meet() -> None:
    same = [
        timeline([0.5], tags={"variant": variant}, prompt_hash=f"{k}", prompt=f"prompt {k}")
        for k in range(8)
        for variant in "AB"
    ]
    found = slope(prompts_of(same), "ttft.p50", text=True)
    assert found is not None
    at = [label["at"] for label in found["labels"]]
    assert all(later - earlier >= 6.9 for earlier, later in pairwise(at))
    assert at[0] >= 0
    assert at[-1] <= 100


def kinds_of(stream: Timeline) -> list[tuple[str, str]]:
    return [(part["kind"], part["text"]) for part in answer_parts(stream, 1.0, most=20)]


def test_silences_stand_in_the_text_where_they_were() -> None:
    stream = timeline([0.5, 0.6, 3.0, 3.1], pieces=["One", " two", " three", " four"])
    assert kinds_of(stream) == [("text", "One two"), ("stall", "2.40 s"), ("text", " three four")]
    broken = timeline(
        [0.5, 0.6],
        pieces=["a", "b"],
        ended=4.6,
        failed="ConnectionLostError",
        phase="between_tokens",
    )
    assert kinds_of(broken) == [("text", "ab"), ("stall", "4.00 s")]


def test_of_a_long_text_the_beginning_and_what_is_around_a_silence_are_kept() -> None:
    times = [0.5 + 0.01 * k for k in range(400)]
    times = [t + (5.0 if k >= 300 else 0.0) for k, t in enumerate(times)]
    parts = kinds_of(timeline(times, pieces=[f"{k:05}" for k in range(400)]))
    assert [kind for kind, _ in parts] == ["text", "cut", "text", "stall", "text"]
    assert parts[0][1].startswith("00000")
    assert parts[2][1].endswith("00299")
    assert parts[4][1].startswith("00300")


def test_a_log_without_text_has_bars_as_long_as_its_pieces() -> None:
    stream = timeline([0.5, 3.0], pieces=["One", " three"], texts=None)
    assert kinds_of(stream) == [("bar", "3"), ("stall", "2.50 s"), ("bar", "6")]
    assert not answer_facts(stream, 1.0)["has_text"]


def test_an_answer_in_words_has_its_retries_and_how_it_broke() -> None:
    stream = timeline(
        [],
        ended=2.0,
        failed="RateLimitError",
        phase="first_token",
        retries=("InternalServerError",),
    )
    facts = answer_facts(stream, 1.0)
    assert facts["ended"] == "no answer at all: the server was too busy (429) (RateLimitError)"
    assert facts["retries"] == [
        "attempt 1: the server failed or was overloaded (500 or above) (InternalServerError)"
    ]


def test_the_streams_that_are_shown_are_asked_for_by_their_ids() -> None:
    measured = measure(answered(1000), by="variant")
    comparisons = compare_all(measured)
    ids = set(streams_of_changes(measured, None, comparisons))
    assert len(ids) == 10
    assert ids <= wanted_ids(measured, None, comparisons)
    assert {stream[0] for stream in ids} == {"A", "B"}


def test_without_texts_no_prompt_is_on_the_page() -> None:
    assert "Explain TCP" in page_of(answered(20))
    assert "Explain TCP" not in page_of(answered(20), text=False)
    assert "No text in this log" in page_of(answered(20, text=False))


def test_without_texts_no_hash_of_a_prompt_is_on_the_page() -> None:
    streams = [
        timeline(
            [0.3 + k / 100, 0.9], stream=f"{v}{k}", tags={"variant": v}, prompt_hash=f"hash{k}"
        )
        for v in "AB"
        for k in range(12)
    ]
    assert "hash3" in page_of(streams)
    page = page_of(streams, text=False)
    assert "hash" not in page.partition("<h2>Prompt by prompt")[2].replace("by a hash", "")
    assert "prompt 4" in page


def test_streams_of_other_prompts_make_no_part_of_the_page() -> None:
    alone = [
        timeline([0.5], tags={"variant": v}, prompt_hash=f"{v}{k}") for v in "AB" for k in range(9)
    ]
    assert "Prompt by prompt</h2>" not in page_of(alone)


@pytest.mark.slow
@pytest.mark.parametrize("n", [5, 60, 1000])
async def test_at_every_width_it_is_whole_and_answers_stand_beside_or_below(
    n: int, tmp_path: Path
) -> None:
    streams = answered(n)
    for stream in streams[:2]:
        stream.prompt, stream.texts = HOSTILE, {0: HOSTILE}
    (tmp_path / "page.html").write_text(page_of(streams), encoding="utf-8")
    async with open_page(tmp_path / "page.html") as page:
        for width, columns in ((390, 1), (1280, 2)):
            await page.size(width)
            assert await page.value_of("document.documentElement.scrollWidth") <= width
            boxes = "document.querySelector('.answers').children"
            lefts = await page.value_of(
                f"[...{boxes}].map((box) => Math.round(box.getBoundingClientRect().x))"
            )
            assert len(set(lefts)) == columns
            await _nothing_overlaps(page)
        assert await page.value_of("window.hacked") is None
        assert page.complaints == []


async def _nothing_overlaps(page: Page) -> None:
    meeting = await page.value_of("""(() => {
      const found = [];
      for (const part of ['.slope-ys', '.slope-labels', '.slope-ends', '.slope .keys']) {
        for (const row of document.querySelectorAll(part)) {
          const boxes = [...row.children].map((child) => [child.getBoundingClientRect(), child.textContent]);
          boxes.forEach(([a, one], i) => boxes.slice(i + 1).forEach(([b, other]) => {
            const beside = a.left >= b.right - 1 || b.left >= a.right - 1;
            const below = a.top >= b.bottom - 1 || b.top >= a.bottom - 1;
            if (!beside && !below) found.push(`${part}: ${one} | ${other}`);
          }));
        }
      }
      return found;
    })()""")
    assert meeting == []
