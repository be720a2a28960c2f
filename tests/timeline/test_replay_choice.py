"""Which streams are worth watching, what had come of them when, and what is said of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_deluge.timeline import Ending, Timeline
from lm_deluge.timeline.replay.chosen import (
    StreamFacts,
    broken_of,
    facts_of,
    median_of,
    worst_of,
)
from lm_deluge.timeline.replay.pieces import answer_of
from lm_deluge.timeline.replay.told import ending_told, short, stream_told
from support.timelines import timeline


def whole(first: float, end: float, **fields: object) -> Timeline:
    return timeline([first, end], ended=end, **fields)


def chosen(
    choose: Callable[[Sequence[StreamFacts]], StreamFacts | None], lines: Sequence[Timeline]
) -> Timeline | None:
    found = choose(facts_of(lines))
    return lines[found.place] if found is not None else None


def test_the_median_stream_is_in_the_middle_by_first_text_and_by_length() -> None:
    middle = whole(0.5, 5.0)
    others = [whole(0.1, 5.1), whole(0.2, 9.0), whole(0.8, 4.9), whole(0.9, 1.0)]
    assert chosen(median_of, [*others, middle]) is middle


@given(st.integers(2, 30), st.integers(0, 100), st.randoms(use_true_random=False))
def test_the_median_stream_flows_as_most_do(smooth: int, percent: int, random: Random) -> None:
    """Streams that stall for two seconds, fewer than half as many as others, are never the median."""

    def flowing(stall: float) -> Timeline:
        first = random.uniform(0.1, 1.0)
        arrivals = [first + 0.05 * step + (stall if step > 5 else 0) for step in range(12)]
        return timeline(arrivals, ended=arrivals[-1] + random.uniform(0, 5))

    stalled = [flowing(2.0) for _ in range(smooth * percent // 200)]
    lines = [flowing(0.0) for _ in range(smooth)] + stalled
    random.shuffle(lines)
    assert chosen(median_of, lines) not in stalled


def test_the_median_stream_is_a_whole_one_where_there_is_one() -> None:
    broken = [whole(0.5, 1.0, failed="ConnectionLostError") for _ in range(5)]
    one = whole(9.0, 99.0)
    assert chosen(median_of, [*broken, one]) is one
    assert chosen(median_of, broken) in broken
    silent = timeline([], ended=1.0, failed="APITimeoutError")
    assert chosen(median_of, [silent]) is silent
    assert chosen(median_of, []) is None


def test_the_worst_stall_is_the_longest_silence_that_to_a_failure_included() -> None:
    stalled = timeline([0.5, 4.5])
    dying = timeline([0.5], ended=6.0, failed="ConnectionLostError")
    left = timeline([0.5], ended=60.0, failed="StreamCancelled")
    assert chosen(worst_of, [stalled, timeline([0.1, 0.2]), left]) is stalled
    assert chosen(worst_of, [stalled, dying]) is dying
    assert chosen(worst_of, [timeline([0.5])]) is None


def test_the_broken_one_has_text_and_the_commonest_error() -> None:
    silent = [timeline([], ended=1.0, failed="RateLimitError") for _ in range(9)]
    rare = timeline([0.5], ended=2.0, failed="APIError")
    common = [timeline([0.5], ended=end, failed="ConnectionLostError") for end in (9.0, 3.0, 5.0)]
    assert chosen(broken_of, [*silent, rare, *common]) is common[2]
    assert chosen(broken_of, silent) in silent
    assert chosen(broken_of, [whole(0.1, 1.0), timeline([0.1], failed="StreamCancelled")]) is None


@given(
    st.lists(st.tuples(st.integers(0, 40), st.text(max_size=5)), max_size=30),
    st.integers(-1, 41),
)
def test_at_every_second_there_is_the_text_that_had_arrived(
    drawn: Sequence[tuple[int, str]], at: int
) -> None:
    pieces = sorted(drawn, key=lambda piece: piece[0])
    line = timeline([t / 8 for t, _ in pieces], pieces=[text for _, text in pieces], reads=None)
    answer = answer_of(line)
    assert answer.text_at(at / 8) == "".join(text for t, text in pieces if t <= at)
    assert answer.exact
    assert answer.text == "".join(text for _, text in pieces)


def test_of_several_choices_one_is_shown() -> None:
    line = timeline(
        [0.1, 0.2, 0.3], pieces=["ab", "XY", "c"], texts={0: "abc", 1: "XY"}, choices=[0, 1, 0]
    )
    answer = answer_of(line)
    assert [(piece.t, piece.text) for piece in answer.pieces] == [(0.1, "ab"), (0.3, "c")]
    assert (answer.choice, answer.choices) == (0, 2)


def test_a_log_without_text_has_lengths() -> None:
    answer = answer_of(timeline([0.1, 0.2], pieces=["four", "by"], texts=None))
    assert [(piece.length, piece.text) for piece in answer.pieces] == [(4, None), (2, None)]
    assert not answer.has_text


def test_where_a_secret_was_replaced_the_text_is_cut_in_proportion_and_that_is_known() -> None:
    line = timeline([0.1, 0.2], pieces=["aaaaaaaa", "bb"], texts={0: "****bb"})
    answer = answer_of(line)
    assert not answer.exact
    assert answer.text == "****bb"


QUIET = "no silence above 1 s"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            timeline([0.9, 1.0], ended=6.2),
            f"first text after 0.9 s, {QUIET}, ended whole after 6.2 s",
        ),
        (
            timeline([0.5, 2.0, 4.5, 4.6], first_output=0.2, reasoning=True),
            "thinking from 0.2 s, first text after 0.5 s, two silences above 1 s (1.5 s, 2.5 s), "
            "ended whole after 4.6 s",
        ),
        (
            timeline([0.5], ended=3.1, failed="ConnectionLostError", phase="between_tokens"),
            "first text after 0.5 s, one silence above 1 s (2.6 s), "
            "broke after 3.1 s: the connection broke after some text",
        ),
        (
            timeline([], ended=2.0, failed="StreamCancelled"),
            "no text, was cancelled by its caller after 2.0 s",
        ),
        (
            timeline([], ended=2.0, first_output=1.0),
            "at work without text from 1.0 s, no text, ended whole after 2.0 s",
        ),
        (
            timeline([0.5], ending=None),
            f"first text after 0.5 s, {QUIET}, has no ending in the log; "
            "its last output came after 0.5 s",
        ),
        (
            timeline([0.5], retries=("APITimeoutError",)),
            f"one attempt failed before, first text after 0.5 s, {QUIET}, ended whole after 0.5 s",
        ),
    ],
)
def test_a_stream_is_told_in_words(line: Timeline, words: str) -> None:
    assert stream_told(line, 1.0) == words


def test_many_silences_are_not_all_listed() -> None:
    told = stream_told(timeline([2.0 * k for k in range(13)]), 1.0)
    assert "12 silences above 1 s (2.0 s, 2.0 s, 2.0 s, 2.0 s, 2.0 s and 7 more)" in told


def test_an_answer_that_was_cut_off_is_not_called_whole() -> None:
    cut = timeline([0.5], finish_reason="length", ending=Ending("complete", 2.0))
    assert ending_told(cut) == "stopped at the limit of its length after 2.0 s"


def test_seconds_are_said_as_on_a_clock() -> None:
    assert [short(s) for s in (0, 0.004, 0.3, 6.21, 1234)] == [
        "0.0 s", "0.00 s", "0.3 s", "6.2 s", "1,234 s",
    ]  # fmt: skip
