"""Findings: said when it is so, and not when it is not."""

from __future__ import annotations

import io

import numpy as np
import pytest

from lm_deluge.timeline import (
    Settings,
    Timeline,
    findings_of,
    measure,
    parse_target,
    read_timelines,
)
from support.timelines import timeline


def told(*timelines: Timeline, by: str | None = None) -> list[str]:
    return findings_of(measure(timelines, by=by))


def steady(n: int = 40, *, begin: float = 0.3, **fields: object) -> list[Timeline]:
    """Streams with nothing to say about them."""
    random = np.random.default_rng(3)
    made = []
    for _ in range(n):
        start = begin + random.uniform(0, 0.1)
        arrivals = start + 0.03 * np.arange(30) + random.uniform(0, 0.005, 30)
        made.append(timeline(arrivals.tolist(), **fields))  # type: ignore[arg-type]
    return made


def test_of_a_calm_log_nothing_is_told() -> None:
    assert told(*steady()) == []


def test_an_empty_log_says_so() -> None:
    assert told() == ["The log holds no stream."]


def test_failures_are_told_in_words_with_what_came_before() -> None:
    failed = [
        timeline([0.3, 0.4, 0.5], ended=0.9, failed="ConnectionLostError", phase="between_tokens")
    ] * 2
    silent = timeline([], ended=30.0, failed="APITimeoutError", phase="first_token")
    lines = told(*steady(37), *failed, silent)
    assert lines[0] == (
        "3 of 40 streams of m failed (7.5 %). The connection broke after some text: 2 × "
        "(ConnectionLostError; in the median after 3 pieces and 0.90 s). No answer at all: nothing came "
        "in time: 1 × (APITimeoutError; after 30 s)."
    )
    assert lines[1].startswith(
        "1 stream of m ended without any output; the TTFT percentiles are over"
    )
    assert "2 streams of m ended without any output." in told(silent, silent)  # there are no others


def test_retries_are_told_by_what_failed_first() -> None:
    retried = timeline([0.3], retries=("RateLimitError", "RateLimitError", "APITimeoutError"))
    lines = told(*steady(39), retried)
    assert lines == [
        "1 of 40 streams of m was retried (2.5 %); the server was too busy (429): 2 × (RateLimitError), "
        "nothing came in time: 1 × (APITimeoutError)."
    ]
    assert told(*steady(39), timeline([0.3], attempts=2)) == [
        "1 of 40 streams of m was retried (2.5 %)."
    ]


def test_what_the_caller_cancelled_is_no_failure() -> None:
    left = timeline([0.3, 0.4], failed="StreamCancelled", phase="between_tokens")
    assert told(*steady(39), left) == [
        "1 stream of m was cancelled by the caller: neither completed nor failed."
    ]


def test_stalls_are_told_with_count_share_and_length() -> None:
    stalled = timeline([0.3, 0.4, 2.9, 3.0])
    assert told(*steady(39), stalled) == [
        "2.5 % of the streams of m stalled (a gap above 1 s): 1 stall, 2.5 s in all, the longest 2.5 s."
    ]


def test_bursts_look_like_a_buffering_proxy() -> None:
    arrivals, reads = [], []
    for burst in range(6):
        arrivals += [0.4 + 0.9 * burst] * 14
        reads += [burst] * 14
    lines = told(*[timeline(arrivals, reads=reads)] * 30)
    assert lines == [
        "Tokens of m arrive in bursts of 14 every 0.9 s, and 93 % of them share their network read "
        "with the one before: looks like a buffering proxy."
    ]


def test_a_fast_model_is_no_buffering_proxy() -> None:
    arrivals = [0.3 + 0.002 * (k // 4) for k in range(400)]
    assert told(*[timeline(arrivals, reads=[k // 4 for k in range(400)])] * 30) == []


@pytest.mark.parametrize(
    ("busy", "said"),
    [
        (
            0.098,
            [
                "Handlers, not the model, cause 98 % of the delay between tokens of m: the next piece "
                "was there when they let go of the event loop."
            ],
        ),
        # 20 ms after they were done nothing was there: the model had not written it yet.
        (0.08, ["Handlers hold the event loop for 80 % of the time between tokens of m."]),
        (0.03, ["Handlers hold the event loop for 30 % of the time between tokens of m."]),
        (0.001, []),
    ],
)
def test_handlers_that_hold_the_event_loop_are_told(busy: float, said: list[str]) -> None:
    lines = [timeline([0.1 * k for k in range(1, 20)], busy=[busy] * 19)] * 30
    assert told(*lines) == said


def test_a_long_hold_by_handlers_is_told() -> None:
    lines = [timeline([1.0, 2.0, 3.0], lags=[0.0, 0.3, 0.0], busy=[0.0, 0.15, 0.16])] * 30
    assert told(*lines) == [
        "Handlers held up pieces of m: the longest that they held the event loop in a stream is 0.16 "
        "s at p95."
    ]


def test_a_late_loop_is_not_blamed_on_handlers() -> None:
    lines = [timeline([0.1, 0.2, 0.3], lags=[0.0, 0.389, 0.0], busy=[0.0, 0.000_056, 0.0])] * 30
    assert told(*lines) == [
        "The event loop was late for pieces of m, and not by its handlers: the longest loop lag in a "
        "stream is 0.39 s at p95 (the application, other streams, or a full core)."
    ]


def test_lag_that_handlers_explain_is_not_blamed_on_the_loop() -> None:
    lines = [timeline([0.1, 1.0, 1.9], lags=[0.29, 0.29, 0.0], busy=[0.0, 0.3, 0.3])] * 30
    (line,) = told(*lines)
    assert line.startswith("Handlers hold the event loop for 33 % of the time")


def test_a_clear_difference_is_told_with_its_interval() -> None:
    slow = steady(60, begin=0.8, tags={"variant": "A"})
    fast = steady(60, begin=0.3, tags={"variant": "B"})
    lines = told(*slow, *fast, by="variant")
    median = next(line for line in lines if line.startswith("Median TTFT"))
    assert median.startswith(
        "Median TTFT of variant B is 0.50 s lower than that of variant A, 95 % interval 0.4"
    )
    assert any(line.startswith("p95 TTFT of variant B is 0.50 s lower") for line in lines)


def test_no_difference_is_told_as_none_with_the_number_of_comparisons() -> None:
    lines = told(*steady(30, model="a"), *steady(30, model="b"))
    assert len(lines) == 1
    assert lines[0].startswith("No clear difference between b and a: median TTFT differs by +0")
    assert lines[0].endswith("(8 comparisons, corrected for being so many by Holm's method).")


def test_a_change_since_the_baseline_is_told() -> None:
    new, old = measure(steady(60, begin=0.8)), measure(steady(60, begin=0.3))
    lines = findings_of(new, old)
    assert any(line.startswith("Median TTFT of m is 0.50 s higher than before") for line in lines)
    assert findings_of(new, old)[-1].startswith("A difference is named only if it stands out")
    same = findings_of(old, old)
    assert same[0].startswith("No clear difference of m since the baseline: median TTFT")


def test_a_group_that_came_or_went_is_told() -> None:
    both = measure([*steady(30, model="a"), *steady(30, model="b")])
    lines = findings_of(both, measure(steady(30, model="a")))
    assert "b is only in this log: nothing to compare it with." in lines
    lines = findings_of(measure(steady(30, model="a")), both)
    assert "b is only in the baseline: nothing to compare it with." in lines


def test_few_streams_are_a_warning() -> None:
    assert told(*steady(3)) == ["m has 3 streams only: its p95 and p99 rest on one or two of them."]


def test_missing_endings_and_lines_are_told() -> None:
    lines = told(*steady(38), timeline([0.3], ending=None), timeline([0.3], lost=4))
    assert lines == [
        "1 stream of m has no ending in the log (still running, or the process was killed): neither "
        "completed nor failed.",
        "4 token lines of m are missing from the log; gaps across them are too long.",
    ]


def test_skipped_lines_are_told_with_their_first_place() -> None:
    log = io.BytesIO(b'hello\n{"v":2}\nworld\n')
    lines = findings_of(measure(read_timelines(log)))
    assert lines == [
        "The log holds no stream.",
        "3 of 3 lines were skipped: 2 half or damaged line, first at <file>:1; 1 written by a newer "
        "version (schema above 1), first at <file>:2.",
    ]


def test_targets_are_told() -> None:
    settings = Settings(targets=(parse_target("ttft<=0.35"),))
    lines = findings_of(
        measure([*steady(20, begin=0.0), *steady(20, begin=1.0)], settings=settings)
    )
    assert lines == ["20 of 40 streams of m (50 %) met ttft<=0.35."]


def test_findings_quote_no_content() -> None:
    secret = [timeline([0.3, 3.0], pieces=["secret", "words"], failed="E", phase="tail")] * 30
    assert "secret" not in " ".join(told(*secret))
