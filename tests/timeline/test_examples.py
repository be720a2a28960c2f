"""Streams that show what a finding says: which ones, and how the page shows them in place."""

from __future__ import annotations

from pathlib import Path

import pytest

from lm_deluge.logs.record import encode_lines, retry_line
from lm_deluge.timeline import Sample, findings_of, html_page, measure, read_timelines
from lm_deluge.timeline.measures.findings.examples import examples_of
from lm_deluge.timeline.report.answers import retries_told
from support.browser import open_page
from support.paired import answered
from support.programs import Call
from support.timelines import stream_lines, timeline, write


def chosen(*timelines: object) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for example in examples_of(measure(timelines)):  # type: ignore[arg-type]
        found.setdefault(example.subject, []).append(example.id)
    return found


def test_a_typical_stream_and_the_worst_are_shown() -> None:
    streams = [timeline([0.5, 0.5 + gap], stream=f"{gap}") for gap in (0.1, 1.5, 2.0, 2.5, 9.0)]
    assert chosen(*streams)["stalled"] == ["2.0", "9.0"]


def test_of_what_broke_each_frequent_kind_is_shown() -> None:
    lost = [
        timeline(
            [0.5],
            ended=end,
            failed="ConnectionLostError",
            phase="between_tokens",
            stream=f"lost{end}",
        )
        for end in (2.0, 3.0, 8.0)
    ]
    busy = timeline([], ended=1.0, failed="RateLimitError", phase="first_token", stream="busy")
    left = timeline([0.5], failed="StreamCancelled", phase="between_tokens", stream="left")
    assert chosen(*lost, busy, left)["broke"] == ["lost3.0", "lost8.0", "busy"]


def test_streams_that_were_retried_are_shown_by_their_wait() -> None:
    calm = [timeline([0.1], stream=f"calm{k}") for k in range(5)]
    retried = [timeline([t], stream=f"{t}", retries=("RateLimitError",)) for t in (1.0, 2.0, 5.0)]
    assert chosen(*calm, *retried)["retried"] == ["2.0", "5.0"]


def test_nothing_is_shown_of_what_did_not_happen() -> None:
    assert set(chosen(timeline([0.5, 0.6]))) == {"began"}
    assert chosen() == {}


def test_a_finding_leads_to_the_streams_that_show_it() -> None:
    streams = [timeline([0.5, 0.6], model="failed", stream=f"w{k}") for k in range(9)]
    streams += [
        timeline([0.5], ended=1.0, failed="ConnectionLostError", model="failed", stream="broke"),
        timeline([0.5], ended=1.0, failed="StreamCancelled", model="failed", stream="left"),
        timeline([0.5, 3.0], model="failed", stream="stalled"),
        timeline([0.5, 0.6], model="failed", stream="again", attempts=2),
    ]
    told = {line: line.subject for line in findings_of(measure(streams))}
    for words, subject in [
        ("1 of 13 streams of failed failed", "broke"),
        ("1 of 13 streams of failed was retried", "retried"),
        ("7.7 % of the streams of failed stalled", "stalled"),
        # A name, or another word for it, is no reason.
        ("1 stream of failed was cancelled by the caller: neither completed nor failed", None),
        ("failed has 13 streams only", None),
    ]:
        (found,) = (told[line] for line in told if line.startswith(words))
        assert found == subject, words


def test_a_difference_leads_to_streams_by_its_metric() -> None:
    told = findings_of(
        measure(
            timeline(arrivals, model=model, prompt_hash=f"p{k}")
            for model, arrivals in (("a", [0.5, 0.6]), ("b", [1.5, 4.0]))
            for k in range(30)
        )
    )
    subjects = {line: line.subject for line in told}
    for words, subject in [
        ("Median TTFT of b", "began"),
        ("Share of streams with a stall of b", "stalled"),
        ("Median time per piece of b", None),
    ]:
        (found,) = (subjects[line] for line in told if line.startswith(words))
        assert found == subject, words
    by_prompt = [subjects[line] for line in told if line.startswith("Prompt by prompt: ")]
    assert by_prompt[:3] == ["began", None, "stalled"]


def test_the_history_of_attempts_is_read_from_the_log_with_its_moments(tmp_path: Path) -> None:
    lines = stream_lines("s", [3.0, 3.1])
    lines[1:1] = [
        retry_line("s", 0.4, error="RateLimitError", attempt=1, delay=1.0),
        retry_line("s", 1.9, error="FooError", attempt=2, delay=0.0),
    ]
    (tmp_path / "log").write_bytes(encode_lines(lines))
    (stream,) = list(read_timelines(tmp_path / "log"))
    assert stream.retry_moments == ((0.4, 1.0), (1.9, 0.0))
    assert retries_told(stream) == [
        "attempt 1 after 400 ms: the server was too busy (429) (RateLimitError), the next one 1.00 s later",
        "attempt 2 after 1.90 s: an error this version does not know: FooError (FooError)",
    ]


def test_the_page_of_a_log_shows_prompts_pairs_and_examples_with_their_texts(
    report: Call, tmp_path: Path
) -> None:
    streams = []
    for k in range(40):
        for variant in "AB":
            lines = stream_lines(
                f"{variant}{k}", [0.5, 0.6, 4.0 if variant == "B" else 0.7], tags={"variant": variant},
                pieces=[f"answer of {variant}", " to", f" prompt {k}"],
            )  # fmt: skip
            lines[0].prompt_hash, lines[0].prompt = f"{k:016x}", f"Where lies {k}?"  # type: ignore[attr-defined]
            streams.append(lines)
    write(tmp_path / "log", streams)
    page = tmp_path / "page.html"
    assert report(tmp_path / "log", "--by", "variant", "--html", page).code == 0
    text = page.read_text(encoding="utf-8")
    for part in (
        "Prompt by prompt</h2>",
        "Where lies 3",
        "answer of A",
        "Answers that stalled",
        "3.40 s silence",
    ):
        assert part in text, part
    assert 'href="#example-stalled"' in text
    assert report(tmp_path / "log", "--by", "variant", "--no-text", "--html", page).code == 0
    text = page.read_text(encoding="utf-8")
    assert "Where lies" not in text
    assert "answer of" not in text
    assert "No text in this log" in text


@pytest.mark.slow
async def test_a_link_opens_the_examples_in_place(tmp_path: Path) -> None:
    sample = Sample()
    measured = measure(answered(60), by="variant", keep=sample.keep)
    page_file = tmp_path / "page.html"
    page_file.write_text(html_page(measured, findings_of(measured), sample), encoding="utf-8")
    async with open_page(page_file) as page:
        for width in (390, 1280):
            await page.size(width)
            assert await page.value_of("document.documentElement.scrollWidth") <= width
        opened = "document.querySelector('#example-broke').closest('details').open"
        assert not await page.value_of(opened)
        await page.value_of("document.querySelector('a[href=\"#example-broke\"]').click()")
        await page.until(opened)
        await page.until(
            "document.querySelector('#example-broke').getBoundingClientRect().top < 900"
        )
        assert page.complaints == []


def test_an_answer_of_the_baseline_stands_beside_that_of_today(
    report: Call, tmp_path: Path
) -> None:
    for name, later in (("old", 0.0), ("new", 2.0)):
        streams = []
        for k in range(20):
            lines = stream_lines(
                f"{name}{k}", [0.5 + later, 0.6 + later], pieces=[f"said by {name}", f" {k}"]
            )
            lines[0].prompt_hash = f"{k:016x}"  # type: ignore[attr-defined]
            streams.append(lines)
        write(tmp_path / name, streams)
    page = tmp_path / "page.html"
    report(tmp_path / "new", "--baseline", tmp_path / "old", "--html", page)
    part = page.read_text(encoding="utf-8").partition('id="pairs"')[2].partition("<h2")[0]
    assert "said by old" in part
    assert "said by new" in part
