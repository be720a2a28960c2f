"""The log record: its lines are those of docs/design/metrics.md, to the letter."""

from __future__ import annotations

import datetime as dt
import enum
import json
import math
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_deluge.logs import record


def as_object(line: record.Line) -> dict[str, Any]:
    encoded = record.encode(line)
    assert b"\n" not in encoded
    decoded = json.loads(encoded)
    assert isinstance(decoded, dict)
    return decoded


START = {"model": "m", "at": "2026-11-22T10:00:00.123+00:00", "base_url": "http://h/v1"}


def test_start_line_has_the_fields_of_the_table() -> None:
    line = record.start_line("01J", **START, queued=0.25, tags={"variant": "B"}, prompt_chars=41)
    assert as_object(line) == {
        "v": 1, "e": "start", "s": "01J", "t": 0.0, "model": "m", "queued": 0.25,
        "base_url": "http://h/v1", "at": START["at"], "tags": {"variant": "B"}, "prompt_chars": 41,
    }  # fmt: skip


def test_token_line_has_the_fields_of_the_table_and_leaves_out_what_is_default() -> None:
    line = record.token_line("01J", 0.412, 0, "Once", 2, 0.0001)
    assert as_object(line) == {
        "v": 1, "e": "token", "s": "01J", "t": 0.412, "i": 0, "text": "Once", "read": 2, "d": 0.0001,
    }  # fmt: skip
    line = record.token_line("01J", 0.5, 1, "Two", 3, None, 0.002, 1)
    assert as_object(line) == {
        "v": 1, "e": "token", "s": "01J", "t": 0.5, "i": 1, "text": "Two", "read": 3, "busy": 0.002,
        "choice": 1,
    }  # fmt: skip


@pytest.mark.parametrize("event", ["token", "reasoning", "refusal"])
def test_content_free_pieces_have_a_length_in_place_of_their_text(event: Any) -> None:
    line = record.piece_line(event, "s", 1.0, 7, None, 3, length=12)
    assert as_object(line) == {"v": 1, "e": event, "s": "s", "t": 1.0, "i": 7, "len": 12, "read": 3}


def test_text_wins_over_a_length() -> None:
    assert "len" not in as_object(record.token_line("s", 1.0, 0, "abc", 1, length=3))


def test_tool_call_retry_complete_and_error_lines_have_the_fields_of_the_table() -> None:
    assert as_object(record.tool_call_line("s", 1, index=0, name="f", length=0)) == {
        "v": 1, "e": "tool_call", "s": "s", "t": 1, "index": 0, "name": "f", "len": 0,
    }  # fmt: skip
    assert as_object(record.retry_line("s", 1, error="E", attempt=1, delay=0.5)) == {
        "v": 1, "e": "retry", "s": "s", "t": 1, "error": "E", "attempt": 1, "delay": 0.5,
    }  # fmt: skip
    complete = record.complete_line(
        "s", 2, model="m2", finish_reason="stop", usage={"output_tokens": 3}, cost=0.5,
        response_id="r", attempts=1,
    )  # fmt: skip
    assert as_object(complete) == {
        "v": 1, "e": "complete", "s": "s", "t": 2, "model": "m2", "finish_reason": "stop",
        "usage": {"output_tokens": 3}, "cost": 0.5, "response_id": "r", "attempts": 1,
    }  # fmt: skip
    failed = record.error_line(
        "s", 2, error="E", phase="connect", tokens=0, attempts=2, message="why"
    )
    assert as_object(failed) == {
        "v": 1, "e": "error", "s": "s", "t": 2, "error": "E", "phase": "connect", "tokens": 0,
        "attempts": 2, "message": "why",
    }  # fmt: skip


def test_unknown_usage_and_cost_are_null_and_a_content_free_error_has_no_message() -> None:
    complete = record.complete_line(
        "s", 2, model=None, finish_reason=None, usage=None, cost=None, response_id=None, attempts=1
    )
    assert as_object(complete)["usage"] is None
    assert as_object(complete)["cost"] is None
    failed = record.error_line("s", 2, error="E", phase=None, tokens=0, attempts=1)
    assert "message" not in as_object(failed)


@pytest.mark.parametrize(
    ("given_url", "written"),
    [
        ("https://user:pass@host:8443/v1", "https://host:8443/v1"),
        ("https://sk-secret@host/v1?api-key=sk-2#sk-3", "https://host/v1"),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1"),
        ("http://[broken/v1?key=sk-", "http://[broken/v1"),
    ],
)
def test_no_credentials_get_into_the_start_line(given_url: str, written: str) -> None:
    line = record.start_line("s", model="m", at="x", base_url=given_url)
    assert as_object(line)["base_url"] == written
    assert b"sk-" not in record.encode(line)


def test_tags_of_any_type_are_written() -> None:
    moment = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
    tags = {1: moment, "object": object, "nan": math.nan}
    line = record.start_line("s", **START, tags=tags)  # type: ignore[arg-type]
    written = as_object(line)["tags"]
    assert written == {"1": "2026-01-02T00:00:00Z", "object": str(object), "nan": None}


def test_tags_that_hold_themselves_are_a_value_error() -> None:
    tags: dict[str, Any] = {}
    tags["self"] = tags
    line = record.start_line("s", **START, tags=tags)
    with pytest.raises(ValueError, match="nest too deeply"):
        record.encode(line)
    with pytest.raises(ValueError, match="nest too deeply"):
        record.encode_lines([line])


def test_lone_surrogates_do_not_lose_the_line() -> None:
    line = record.token_line("s", 1.0, 0, "a\ud83db", 1)
    assert as_object(line)["text"] == "a?b"
    assert record.encode_lines([line, line]).count(b"a?b") == 2
    start = record.start_line("s", **START, tags={"\udc80": ["\udc80"]})
    assert as_object(start)["tags"] == {"?": ["?"]}


@given(st.text(), st.floats(0, 1e6), st.floats(0, 1e3))
def test_any_text_and_time_survive(text: str, t: float, d: float) -> None:
    line = as_object(record.token_line("s", t, 0, text, 0, d))
    assert line["text"] == text
    assert line["t"] == pytest.approx(t, abs=0.6e-6)
    assert line["d"] == pytest.approx(d, abs=0.6e-6)
    assert line["t"] == round(line["t"], 6)


def test_lines_end_with_a_newline_each() -> None:
    lines = [record.token_line("s", 1.0, i, "\n", i) for i in range(3)]
    written = record.encode_lines(lines)
    assert written == b"".join(record.encode(line) + b"\n" for line in lines)
    assert written.count(b"\n") == 3


def test_numbers_and_texts_of_other_classes_are_such_in_tags() -> None:
    class Share(float):
        pass

    class Word(enum.StrEnum):
        AUTO = "auto"

    tags = {"a": Share(0.5), "b": Word.AUTO, "c": MappingProxyType({"d": Fraction(1, 2)}), "e": {1}}
    line = as_object(record.start_line("s", model="m", at="", base_url="", tags=tags))
    assert line["tags"] == {"a": 0.5, "b": "auto", "c": {"d": 0.5}, "e": [1]}
