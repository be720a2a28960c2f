"""One stream's metrics, against numbers worked out by hand."""

from __future__ import annotations

from array import array

import pytest

from lm_deluge.timeline import Ending, Stall, Timeline
from lm_deluge.values.arrivals import Arrivals
from lm_deluge.values.pieces import Delta, Token
from lm_deluge.values.response import APIResponse, Choice, Partial
from lm_deluge.values.usage import Usage
from support.timelines import timeline

FIVE = [0.5, 0.6, 0.7, 2.7, 3.0]


def test_ttft_ttfa_tpot_e2e_and_rate_of_five_tokens() -> None:
    line = timeline(FIVE, ended=3.2)
    assert (line.ttft, line.ttfa, line.e2e) == (0.5, 0.5, 3.2)
    assert line.tpot == pytest.approx(2.5 / 4)
    assert line.rate == pytest.approx(4 / 2.5)
    assert line.gaps == pytest.approx([0.1, 0.1, 2.0, 0.3])
    assert len(line) == 5


def test_reasoning_counts_for_ttft_and_not_for_ttfa() -> None:
    line = timeline(FIVE, first_output=0.2)
    assert (line.ttft, line.ttfa) == (0.2, 0.5)


def test_a_stream_without_output_has_nothing_and_no_zeros() -> None:
    line = timeline([], ended=9.0, failed="APITimeoutError")
    assert line.e2e == 9.0
    for name in (
        "ttft", "ttfa", "tpot", "tpot_per_token", "rate", "coalescing", "handlers", "loop_lag",
        "tokens_per_piece", "held",
    ):  # fmt: skip
        assert getattr(line, name) is None, name
    assert line.starvation() is None
    assert line.gaps == []
    assert line.stalls() == []


def test_tpot_and_rate_are_undefined_for_one_token_and_rate_for_one_burst() -> None:
    one = timeline([0.5])
    assert (one.tpot, one.tpot_per_token, one.rate) == (None, None, None)
    burst = timeline([0.5, 0.5, 0.5], reads=[1, 1, 1])
    assert burst.tpot == 0.0
    assert burst.rate is None


def test_tokens_per_piece_leaves_out_reasoning_tokens() -> None:
    line = timeline(FIVE, output_tokens=25, reasoning_tokens=10)
    assert line.tokens_per_piece == 3.0
    assert line.tpot_per_token == pytest.approx(2.5 / 12)
    assert line.rate == pytest.approx(12 / 2.5)


def test_tokens_per_piece_is_unknown_without_usage_or_with_uncounted_reasoning() -> None:
    assert timeline(FIVE).tokens_per_piece is None
    assert timeline(FIVE, usage=Usage()).tokens_per_piece is None
    assert timeline(FIVE, output_tokens=25, reasoning=True).tokens_per_piece is None
    assert timeline(FIVE, output_tokens=25).tokens_per_piece == 5.0
    assert timeline(FIVE, output_tokens=5, reasoning_tokens=5).tokens_per_piece is None
    assert timeline(FIVE).tpot_per_token == timeline(FIVE).tpot


def test_a_failure_adds_the_gap_from_the_last_piece_to_the_ending() -> None:
    line = timeline([1.0, 1.5], ended=4.0, failed="ConnectionLostError")
    assert line.gaps == [0.5, 2.5]
    assert line.stalls() == [Stall(index=2, start=1.5, seconds=2.5)]
    assert timeline([1.0, 1.5], ended=4.0).gaps == [0.5]


def test_an_unfinished_stream_has_no_ending_gap_and_no_e2e() -> None:
    line = timeline([1.0, 1.5], ending=None)
    assert (line.gaps, line.e2e, line.completed, line.failed) == ([0.5], None, False, False)


def test_a_stall_is_longer_than_the_threshold() -> None:
    line = timeline([0.0, 1.0, 2.5])
    assert line.stalls() == [Stall(index=2, start=1.0, seconds=1.5)]
    assert len(line.stalls(0.5)) == 2
    assert line.stalls(2.0) == []


def test_starvation_of_a_reader_who_waits_twice() -> None:
    # 2 tokens/s: 0.5 s a token. Reads 1.0-1.5, waits until 2.0, reads -2.5, has the third at once
    # (-3.0), waits 1.0 until 4.0.
    assert timeline([1.0, 2.0, 2.1, 4.0]).starvation(2.0) == pytest.approx(0.5 + 1.0)
    assert timeline([1.0, 1.1, 1.2]).starvation(2.0) == 0.0
    assert timeline([1.0]).starvation() == 0.0


def test_starvation_counts_tokens_not_pieces() -> None:
    # Two tokens a piece: 1 s to read each at 2 tokens/s; the second piece, at 1.5, is early.
    line = timeline([0.0, 1.5], output_tokens=4)
    assert line.starvation(2.0) == pytest.approx(0.5)


def test_qoe_worked_out_by_hand() -> None:
    # T = 1, r = 2: ideal 1.0, 1.5, 2.0. Arrivals 1.4, 1.5, 3.0: digest 1.4, 1.9, 3.0.
    line = timeline([1.4, 1.5, 3.0])
    assert line.qoe(1.0, 2.0) == pytest.approx(1 - (0.4 + 0.4 + 1.0) / (1.4 + 1.9 + 3.0))


def test_qoe_is_exactly_one_when_every_piece_was_there_in_time() -> None:
    assert timeline([0.1, 0.2, 0.3]).qoe() == 1.0
    assert timeline([i / 10 for i in range(1, 500)]).qoe(0.1, 9.9) == 1.0
    assert timeline([0.0]).qoe(0.0) == 1.0


def test_senseless_settings_are_value_errors_that_name_the_field() -> None:
    line = timeline(FIVE)
    with pytest.raises(ValueError, match="rate"):
        line.qoe(1.0, 0.0)
    with pytest.raises(ValueError, match="rate"):
        line.starvation(-1.0)
    with pytest.raises(ValueError, match="expected_ttft"):
        line.qoe(-1.0)
    with pytest.raises(ValueError, match="threshold"):
        line.stalls(float("nan"))


def test_coalescing_is_the_share_of_tokens_in_the_read_of_the_token_before() -> None:
    assert timeline([1, 1, 1, 2, 3, 3], reads=[4, 4, 4, 6, 9, 9]).coalescing == 3 / 6
    assert timeline([1.0]).coalescing == 0.0
    assert timeline(FIVE, reads=None).coalescing == 0.0
    assert timeline([1.0, 2.0], reads=[0, 1]).coalescing == 0.0


def test_coalescing_is_unknown_where_the_log_has_no_reads() -> None:
    line = timeline([1.0, 2.0])
    line.reads = array("I")
    assert line.coalescing is None


def test_held_counts_of_each_silence_at_most_its_length() -> None:
    line = timeline([1.0, 2.0, 4.0, 4.1], busy=[9.0, 0.5, float("nan"), 0.7])
    assert line.held == pytest.approx(0.5 + 0.1)


def test_held_up_counts_silences_that_ended_as_soon_as_handlers_let_go() -> None:
    line = timeline([1.0, 2.0, 4.0, 4.1], busy=[0.0, 0.996, 1.9, 0.7])
    assert line.held == pytest.approx(0.996 + 1.9 + 0.1)
    assert line.held_up == pytest.approx(0.996 + 0.1)


def test_text_around_a_piece_and_after_the_last() -> None:
    line = timeline([1, 2, 3], pieces=["Once", " upon", " a time"])
    assert line.text_around(1) == ("Once", " upon a time")
    assert line.text_around(2, 4) == ("upon", " a t")
    assert line.text_around(3) == ("Once upon a time", "")
    assert timeline([1], texts=None).text_around(0) is None


def test_text_around_a_piece_is_of_its_own_choice() -> None:
    line = timeline(
        [1, 2, 3, 4],
        pieces=["ab", "XY", "cd", "ZW"],
        choices=array("I", [0, 1, 0, 1]),
        texts={0: "abcd", 1: "XYZW"},
    )
    assert line.text_around(2) == ("ab", "cd")
    assert line.text_around(3) == ("XY", "ZW")


class Source:
    """What the engine hands over."""

    def __init__(self, arrivals: Arrivals, outcome: str, error: str | None = None) -> None:
        self.arrivals = arrivals
        self.stream_id, self.model, self.queued, self.at = "id", "used", 0.5, "2026-01-01T00:00:00Z"
        self.tags = {"variant": "B"}
        self.outcome, self.error, self.phase = outcome, error, "between_tokens" if error else None
        self.elapsed, self.attempts = 2.5, 2


def filled() -> Arrivals:
    arrivals = Arrivals()
    arrivals.add([], [Delta(kind="reasoning", index=0, text="hm", arrived=0.1, read=0)])
    arrivals.add([Token("Hel", 0, 0.5, 1), Token("lo", 1, 0.5, 1)], [])
    arrivals.add([Token("!", 2, 0.9, 3)], [])
    return arrivals


def test_the_engines_arrays_become_a_timeline_without_a_copy() -> None:
    arrivals = filled()
    choices = [Choice(completion="Hello!", reasoning="hm", finish_reason="stop")]
    response = APIResponse(model="asked", cost=0.25, choices=choices)
    line = Timeline.from_stream(Source(arrivals, "complete"), response)  # type: ignore[arg-type]
    assert line.times is arrivals.times
    assert line.slots == arrivals.slots
    assert (line.ttft, line.ttfa, line.e2e) == (0.1, 0.5, 2.5)
    assert line.arrivals == [0.5, 0.5, 0.9]
    assert line.coalescing == pytest.approx(1 / 3)
    assert (line.model, line.model_used, line.cost, line.attempts) == ("asked", "used", 0.25, 2)
    assert (line.texts, line.reasoning, line.finish_reason) == ({0: "Hello!"}, True, "stop")
    assert line.completed
    assert line.tags == {"variant": "B"}


def test_a_failed_stream_has_its_error_and_phase() -> None:
    partial = Partial(choices=[Choice(completion="Hello!")])
    source = Source(filled(), "error", "ConnectionLostError")
    line = Timeline.from_stream(source, partial)  # type: ignore[arg-type]
    assert line.ending == Ending("error", 2.5, "ConnectionLostError", "between_tokens")
    assert line.gaps == pytest.approx([0.0, 0.4, 1.6])
    assert repr(line) == "<Timeline id used tokens=3 ConnectionLostError>"


def test_a_timeline_of_an_open_stream_does_not_change_with_it() -> None:
    arrivals = filled()
    line = Timeline.from_stream(Source(arrivals, "open"), Partial())  # type: ignore[arg-type]
    arrivals.add([Token("!", 3, 1.0, 4)], [])
    assert len(line) == 3
    assert line.ending is None
    assert "unfinished" in repr(line)
