"""One event's data to a chunk: the fast way, and the way for everything else."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec
import pytest

from lm_deluge.dialects.chat.chunks import decode_plain
from lm_deluge.wire.json import decode_any


def plain(**changes: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": {"content": "Once", "role": "assistant"}, "finish_reason": None}
    return {"id": "x", "choices": [choice], "usage": None, **changes}


def test_a_chunk_of_text_alone_takes_the_fast_way() -> None:
    chunk = decode_plain(json.dumps(plain()).encode())
    assert (chunk.choices[0].delta.content, chunk.choices[0].index) == ("Once", 0)


@pytest.mark.parametrize(
    "delta",
    [
        {"content": None},
        {"content": ["Once"]},
        {},
        {"content": "Once", "reasoning_content": "hm"},
        {"content": "Once", "reasoning": "hm"},
        {"content": "Once", "refusal": "no"},
        {"content": "Once", "tool_calls": []},
        {"content": "Once", "function_call": {}},
    ],
)
def test_a_delta_of_anything_more_does_not(delta: dict[str, Any]) -> None:
    with pytest.raises(msgspec.MsgspecError):
        decode_plain(json.dumps(plain(choices=[{"delta": delta}])).encode())


@pytest.mark.parametrize(
    "changes",
    [
        {"choices": []},
        {"choices": None},
        {"choices": [plain()["choices"][0], plain()["choices"][0]]},
        {"choices": [{"delta": {"content": "Once"}, "finish_reason": "stop"}]},
        {"choices": [{"delta": {"content": "Once"}, "logprobs": {"content": []}}]},
        {"choices": [{"delta": {"content": "Once"}, "index": None}]},
        {"usage": {"total_tokens": 1}},
        {"error": {"message": "boom"}},
        {"x_groq": {"usage": {}}},
    ],
)
def test_a_chunk_of_anything_more_does_not(changes: dict[str, Any]) -> None:
    with pytest.raises(msgspec.MsgspecError):
        decode_plain(json.dumps(plain(**changes)).encode())


def test_json_is_read_whatever_it_is() -> None:
    assert decode_any(b' {"a": [1, null, "x"]}\n') == {"a": [1, None, "x"]}
    assert decode_any(b"3") == 3
    assert decode_any(b'"text"') == "text"


def test_nan_and_infinity_are_read() -> None:
    value = decode_any(b'{"a": NaN, "b": -Infinity, "c": 1e400}')
    assert math.isnan(value["a"])
    assert (value["b"], value["c"]) == (-math.inf, math.inf)


def test_huge_integers_are_read() -> None:
    assert decode_any(b"1" + b"0" * 40) == 10**40


def test_halves_of_characters_are_read_and_mended_where_they_cannot_be_joined() -> None:
    data = b'{"content": "\\ud83d", "name": "\\ud83d", "other": "\\ud83d\\ude00"}'
    assert decode_any(data) == {"content": "\ud83d", "name": "\ufffd", "other": "😀"}


def test_bytes_that_are_no_utf8_become_replacement_characters() -> None:
    assert decode_any(b'{"a": "x\xff\xf0\x9f"}') == {"a": "x\ufffd\ufffd"}


def test_a_byte_order_mark_before_json_is_no_fault() -> None:
    assert decode_any(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "Expecting value"),
        (b"{nope", "property name"),
        (b'{"a": 1} x', "Extra data"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000 + b"NaN" + b"}" * 100_000, "nested too deeply"),
        (b'{"a": NaN, "b": 1' + b"0" * 5000 + b"}", "digits"),
        (b'{"a": "\x01"}', "control character"),
        (b'{"a": \xff}', "Expecting value"),
    ],
)
def test_what_is_no_json_is_a_value_error_that_says_why(data: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        decode_any(data)
    assert type(caught.value) is ValueError
    assert caught.value.__cause__ is None
