"""The page: complete without a network, harmless with any content, and alive in a real browser."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest

from lm_deluge.timeline import (
    Sample,
    html_page,
    measure,
)
from support.pictured import DANGEROUS, HOSTILE, page_of, some
from support.timelines import timeline


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
    outside = [reference for reference in outline.references if not reference.startswith("#")]
    assert outside == []
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
    assert "<svg" not in page
    assert page.count("<script") == 0


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
    page = page_of(some(4_000))
    assert "60 of 4,002 streams are drawn: 50 by chance, and the 10 others with the longest" in page
    assert "of 4,002 streams, taken by chance." in page
    assert len(page) < 1_000_000


def test_a_group_without_a_token_and_one_without_a_counterpart_leave_gaps_not_errors() -> None:
    silent = timeline([], ended=1.0, failed="E", model="silent")
    page = page_of([*some(6), silent], baseline=measure(some(6, seed=2)))
    assert "silent is only in this log" in page


def test_a_content_free_log_says_that_it_has_no_text() -> None:
    assert "(no text in this log)" in page_of([timeline([0.2, 3.0], texts=None)])


def test_every_one_of_many_groups_is_in_the_tables_and_has_a_chart_of_its_own() -> None:
    timelines = [timeline([0.5, 0.6], tags={"user": f"user-{k % 40}"}) for k in range(100)]
    page = page_of(timelines, by="user")
    assert "The 12 largest of 40 groups; the other 28 are folded below." in page
    assert page.count("28 more groups") == 3
    assert page.count('<figure class="plot small') == 3 * 40
    assert page.count('<figure class="strip"') == 40


def test_of_hundreds_of_groups_the_page_says_which_have_no_chart() -> None:
    timelines = [timeline([0.5, 0.6], tags={"user": f"user-{k:03d}"}) for k in range(300)]
    page = page_of(timelines, by="user")
    assert "Of 300 groups the 120 largest have charts, the 12 largest of them open" in page
    assert page.count(">user-299</bdi>") >= 2
    assert len(page) < 3_000_000


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


def test_a_name_from_right_to_left_leaves_the_words_around_it_alone() -> None:
    arabic = "مسار سريع"
    broken = timeline([0.5], failed="E", ended=0.6, tags={"t": arabic})
    page = page_of([broken, *(timeline([0.5, 0.6], tags={"t": "B"}) for _ in range(3))], by="t")
    assert f"variant {arabic}" not in page
    assert f"t \u2068{arabic}\u2069" in page
    assert "\u2068B" not in page


@pytest.mark.slow
def test_a_table_of_hundreds_of_groups_shows_the_largest_and_says_so() -> None:
    timelines = [
        timeline([0.5, 0.6], tags={"user": f"user-{k}"}, failed="E" if k < 200 else None, ended=1.0)
        for k in [*range(1_100), *range(1_050)]
    ]
    page = page_of(timelines, by="user")
    assert "Of 1,100 groups these are the 1,000 largest; --csv and --json have all" in page
    assert "Of 1,100 groups these are the 120 largest; --csv and --json have all" in page
    assert "and in 80 more groups" in page
    assert len(page.encode()) < 3_000_000


@pytest.mark.parametrize(
    ("argument", "value", "told"),
    [
        ("logs", "run.jsonl", "logs must be a list of str, not 'run.jsonl'"),
        ("baseline_logs", 3, "baseline_logs must be a list of str, not 3"),
        ("broken", [1], "broken must be a list of str, not with 1 in it"),
        ("title", None, "title must be a str, not None"),
        ("note", b"n", "note must be a str, not b'n'"),
        ("text", 1, "text must be True or False, not 1"),
    ],
)
def test_a_wrong_argument_of_the_page_is_named(argument: str, value: object, told: str) -> None:
    sample = Sample()
    measured = measure([timeline([0.2])], keep=sample.keep)
    given: dict[str, Any] = {argument: value}
    with pytest.raises(TypeError, match=f"^{re.escape(told)}$"):
        html_page(measured, [], sample, **given)


def test_findings_are_no_single_text_and_streams_of_a_baseline_need_one() -> None:
    measured = measure([timeline([0.2])])
    with pytest.raises(TypeError, match="findings must be a list of str"):
        html_page(measured, "one finding", Sample())
    with pytest.raises(ValueError, match="give baseline, too"):
        html_page(measured, [], Sample(), baseline_sample=Sample())
