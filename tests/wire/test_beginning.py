"""What a body is, by its first bytes."""

from __future__ import annotations

import pytest

from lm_deluge.wire.beginning import kind_of

EVENTS = [
    b"data: {}",
    b"data:[DONE]",
    b"event: message",
    b"id: 1",
    b"retry: 10",
    b": OPENROUTER PROCESSING",
    b":\n\ndata: {}",
    b"\n\ndata: {}",
    b"\r\n: ping",
    b"\xef\xbb\xbfdata: {}",
]
JSON = [b'{"id": 1}', b" \n[1]", b"\xef\xbb\xbf{}"]
OTHER = [
    b"<!doctype html>",
    b"dataset",
    b"data",
    b"identity: x",
    b"Welcome",
    b"\x1f\x8b\x08",
    b"\xef\xbb<",
    b"\x00\x00",
    b"[DONE]"[1:],
]


@pytest.mark.parametrize("data", EVENTS, ids=repr)
def test_an_event_stream_is_known_by_its_first_line(data: bytes) -> None:
    assert kind_of(data) == "events"


@pytest.mark.parametrize("data", JSON, ids=repr)
def test_json_is_known_by_its_first_bracket(data: bytes) -> None:
    assert kind_of(data) == "json"


@pytest.mark.parametrize("data", [data for data in OTHER if data != b"data"], ids=repr)
def test_anything_else_is_neither(data: bytes) -> None:
    assert kind_of(data) == "other"


@pytest.mark.parametrize("data", [*EVENTS, *JSON, *OTHER], ids=repr)
def test_no_beginning_of_a_body_is_taken_for_another_kind(data: bytes) -> None:
    whole = kind_of(data)
    for cut in range(len(data)):
        assert kind_of(data[:cut]) in (None, whole), data[:cut]


@pytest.mark.parametrize("data", [b"", b"\xef", b"\xef\xbb\xbf", b"\n", b"d", b"data", b"ev", b"i"])
def test_what_may_become_anything_is_waited_for(data: bytes) -> None:
    assert kind_of(data) is None
