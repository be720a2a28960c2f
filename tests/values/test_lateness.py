"""Who held the event loop: what handlers took and what something else did are two things."""

from __future__ import annotations

import io
from typing import Any

import pytest

from lm_deluge.logs.record import (
    Line,
    complete_line,
    encode_lines,
    piece_line,
    start_line,
    token_line,
    tool_call_line,
)
from lm_deluge.timeline import Timeline, read_timelines
from support.timelines import timeline

NAN = float("nan")


def logged(*lines: Line, busy: float | None = None) -> Timeline:
    """The stream of these lines, after a start and before an ending that tells ``busy``."""
    start = start_line("s", model="m", at="", base_url="")
    end = complete_line("s", 9.0, model="m", finish_reason="stop", usage=None, cost=None,
                        response_id="r", attempts=1, busy=busy)  # fmt: skip
    (line,) = read_timelines(io.BytesIO(encode_lines([start, *lines, end])))
    return line


def token(i: int, read: int, d: float | None, busy: float | None) -> Line:
    return token_line("s", 1.0 + read, i, "x", read, d, busy)


def test_the_seen_case_handlers_took_56_microseconds_and_the_loop_was_late() -> None:
    line = logged(token(0, 1, 0.389, 0.0), token(1, 2, 0.0001, 0.000_056))
    assert (line.handlers, line.loop_lag) == (0.000_056, pytest.approx(0.389, abs=1e-4))


def test_a_reads_handlers_are_told_by_the_line_after_it() -> None:
    """Ten tokens of one read, each held up by the handlers of those before it, and nobody else."""
    tokens = [token(i, 1, 0.05 * i, 0.0 if i == 0 else None) for i in range(10)]
    line = logged(*tokens, token(10, 2, 0.0, 0.5))
    assert (line.handlers, line.loop_lag) == (0.5, 0.0)


def test_the_last_reads_handlers_are_told_by_the_ending() -> None:
    tokens = [token(i, 1, 0.05 * i, 0.0 if i == 0 else None) for i in range(10)]
    line = logged(*tokens, busy=0.5)
    assert (line.handlers, line.loop_lag) == (0.5, 0.0)


def test_where_they_are_not_told_only_the_reads_first_piece_counts() -> None:
    tokens = [token(i, 1, 0.01 + 0.05 * i, 0.0 if i == 0 else None) for i in range(10)]
    assert logged(*tokens).loop_lag == pytest.approx(0.01)


def test_a_read_that_waited_for_the_handlers_of_the_read_before_is_not_the_loops_lag() -> None:
    line = logged(token(0, 1, 0.0, 0.0), token(1, 2, 0.4, 0.4), token(2, 3, 0.0, 0.0))
    assert (line.handlers, line.loop_lag) == (0.4, 0.0)


def test_reasoning_and_refusals_are_pieces_like_others() -> None:
    for event in ("reasoning", "refusal"):
        pieces: list[Any] = [
            piece_line(event, "s", 1.0, 0, "hm", 1, 0.3, 0.0),  # type: ignore[arg-type]
            piece_line(event, "s", 2.0, 1, "hm", 2, 0.0, 0.1),  # type: ignore[arg-type]
        ]
        line = logged(*pieces, token(0, 3, 0.0, 0.6))
        assert (line.handlers, line.loop_lag) == (0.6, pytest.approx(0.2))


def test_busy_after_a_tool_call_is_about_the_call() -> None:
    call = tool_call_line("s", 2.5, index=0, name="f", length=3)
    line = logged(token(0, 1, 0.2, 0.0), call, token(1, 4, 0.0, 0.7))
    assert (line.handlers, line.loop_lag) == (0.7, pytest.approx(0.2))


def test_without_a_log_the_arrays_tell_the_same() -> None:
    line = timeline([1.0, 1.0, 2.0], reads=[1, 1, 2], lags=[0.1, 0.4, NAN], busy=[NAN, 0.35])
    assert (line.handlers, line.loop_lag) == (0.35, pytest.approx(0.05))
    assert timeline([1.0]).handlers is None
    assert timeline([1.0]).loop_lag is None
    assert timeline([1.0], busy=[0.2]).loop_lag is None
    assert timeline([1.0], lags=[0.2]).handlers is None


def test_an_ending_tells_only_what_was_long() -> None:
    def ending(busy: float) -> bytes:
        line = complete_line("s", 1.0, model="m", finish_reason=None, usage=None, cost=None,
                             response_id=None, attempts=1, busy=busy)  # fmt: skip
        return encode_lines([line])

    assert b"busy" not in ending(0.0009)
    assert b'"busy":0.0011' in ending(0.0011)
