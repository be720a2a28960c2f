"""Anthropic's Messages: what is read of any cut."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from lm_deluge.config import Limits
from lm_deluge.dialects.messages.answer import MessagesAnswer
from lm_deluge.errors import LimitExceededError, ProtocolError, ProviderError
from support import dialects
from support.messages import (
    BLOCK_STOP,
    BODY,
    OVERLOADED,
    RECORDED,
    START,
    STOP,
    TEXT,
    ended,
    event,
    said,
)

read = partial(dialects.read, MessagesAnswer)


@pytest.mark.parametrize("file", RECORDED, ids=lambda path: path.stem)
def test_a_recording_gives_what_is_expected_however_it_is_cut(file: Path) -> None:
    expected = RECORDED[file]
    reading = dialects.read_recorded(MessagesAnswer, file.read_bytes())
    choice = reading.choice
    raw_end = choice.extra.get("stop_reason") if choice else None
    dialects.check_recorded(reading, expected, raw_end=raw_end)
    dialects.check_calls(reading, expected)
    assert reading.answer.whole is expected["complete"]


def test_text_usage_and_names_are_read_of_any_cut() -> None:
    reading = read(BODY)
    assert [piece.text for piece in reading.pieces] == ["Good", " day"]
    (choice,) = reading.answer.choices()
    assert (choice.completion, choice.finish_reason) == ("Good day", "stop")
    usage = reading.answer.facts.usage
    assert usage is not None
    assert (usage.input_tokens, usage.cache_read_tokens, usage.output_tokens) == (9, 2, 5)
    assert reading.answer.facts.model_external == "claude-x-20260101"
    assert reading.answer.whole


@pytest.mark.parametrize(
    ("word", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("pause_turn", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("a_word_to_come", None),
    ],
)
def test_a_stop_reason_is_told_in_the_words_of_chat_and_kept_as_it_came(
    word: str, finish: str | None
) -> None:
    body = START + TEXT + said("x") + BLOCK_STOP + ended(word) + STOP
    reading = read(body)
    (choice,) = reading.answer.choices()
    assert choice.finish_reason == finish
    assert choice.extra["stop_reason"] == word
    assert reading.answer.whole


def test_a_refusal_without_a_word_is_a_whole_answer() -> None:
    why = {"type": "refusal", "category": "bio", "explanation": None}
    reading = read(START + ended("refusal", stop_details=why) + STOP)
    (choice,) = reading.answer.choices()
    assert (choice.completion, choice.finish_reason) == ("", "content_filter")
    assert choice.extra["stop_details"] == why
    assert reading.answer.error is None


def test_thinking_is_reasoning_and_its_signature_is_kept() -> None:
    body = START + event(
        "content_block_start", index=0, content_block={"type": "thinking", "thinking": ""}
    )
    for delta in (
        {"type": "thinking_delta", "thinking": "Hm"},
        {"type": "thinking_delta", "thinking": "."},
        {"type": "signature_delta", "signature": "c2ln"},
    ):
        body += event("content_block_delta", index=0, delta=delta)
    reading = read(body + BLOCK_STOP + TEXT + said("Yes") + ended() + STOP)
    (choice,) = reading.answer.choices()
    assert (choice.reasoning, choice.completion) == ("Hm.", "Yes")
    assert choice.extra["provider_content"] == {
        "dialect": "messages",
        "content": [
            {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
            {"type": "text", "text": "Yes"},
        ],
    }


def test_a_call_without_arguments_has_an_empty_object() -> None:
    block = {"type": "tool_use", "id": "toolu_1", "name": "now", "input": {}}
    body = START + event("content_block_start", index=0, content_block=block)
    empty = {"type": "input_json_delta", "partial_json": ""}
    body += event("content_block_delta", index=0, delta=empty)
    reading = read(body + BLOCK_STOP + ended("tool_use") + STOP)
    (call,) = reading.answer.choices()[0].tool_calls
    assert (call.id, call.name, call.arguments) == ("toolu_1", "now", "{}")


def test_events_blocks_and_deltas_that_nobody_knows_pass() -> None:
    body = START + event("to_come", x=1)
    body += event("content_block_start", index=0, content_block={"type": "to_come", "k": 1})
    body += event("content_block_delta", index=0, delta={"type": "to_come", "v": 2}) + BLOCK_STOP
    reading = read(body + TEXT + said("Hi") + BLOCK_STOP + ended() + STOP)
    (choice,) = reading.answer.choices()
    assert choice.completion == "Hi"
    assert choice.extra["provider_content"]["content"] == [
        {"type": "to_come", "k": 1, "v": 2},
        {"type": "text", "text": "Hi"},
    ]


@pytest.mark.parametrize("before", [b"", START + TEXT + said("Half")])
@pytest.mark.parametrize(
    "failure",
    [
        OVERLOADED,
        event("error", error={"type": "overloaded_error", "message": "Busy"}) + b"\n",
        b'data: {"error":{"type":"overloaded_error","message":"Busy"}}\n\n',
        b'{"type":"error","error":{"type":"overloaded_error","message":"Busy"}}\n\n',
    ],
)
def test_an_error_event_is_the_providers_error(before: bytes, failure: bytes) -> None:
    reading = read(before + failure)
    error = reading.answer.error
    assert isinstance(error, ProviderError)
    assert error.type == "overloaded_error"
    assert "Busy" in str(error)
    assert [piece.text for piece in reading.pieces] == (["Half"] if before else [])


def test_a_stop_reason_without_message_stop_is_no_end() -> None:
    reading = read(BODY.removesuffix(STOP))
    assert not reading.answer.whole
    assert reading.answer.error is None
    assert reading.answer.choices()[0].finish_reason == "stop"


def test_an_end_before_any_answer_is_an_empty_reply() -> None:
    reading = read(START + STOP)
    assert isinstance(reading.answer.error, ProtocolError)
    assert "said message_stop without an answer" in str(reading.answer.error)


def test_an_event_without_json_says_where_it_is() -> None:
    reading = read(START + b"event: content_block_delta\ndata: <html>\n\n")
    error = reading.answer.error
    assert isinstance(error, ProtocolError)
    assert error.offset == len(START + b"event: content_block_delta\ndata: ")


def test_a_character_cut_in_two_is_joined() -> None:
    halves = [said("a\ud83d"), said("\ude00b"), said("\ud83d")]
    reading = read(START + TEXT + b"".join(halves) + BLOCK_STOP + ended() + STOP)
    assert reading.answer.choices()[0].completion == "a😀b\N{REPLACEMENT CHARACTER}"


def test_an_answer_too_large_ends_at_its_limit() -> None:
    limits = Limits(max_answer_chars=10)
    reading = read(START + TEXT + said("12345") * 3 + STOP, limits=limits)
    assert isinstance(reading.answer.error, LimitExceededError)


def test_a_server_that_does_not_stream_is_read_too() -> None:
    answer = MessagesAnswer()
    content = [
        {"type": "text", "text": "Hi"},
        {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}},
    ]
    body = {"type": "message", "id": "msg_2", "content": content, "stop_reason": "tool_use"}
    pieces = answer.feed_json(json.dumps(body).encode(), 0.0)
    assert answer.whole
    assert pieces[0].text == "Hi"
    assert answer.choices()[0].tool_calls[0].arguments == '{"a":1}'
