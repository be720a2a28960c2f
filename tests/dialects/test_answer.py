"""Bytes to an answer: what really comes over the wire, however the network cuts it.

``read`` feeds every body whole, in single bytes and in cuts of 2 and 7, and all must agree.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from lm_deluge import Delta, Token, Usage
from lm_deluge.dialects.chat.answer import ChatAnswer
from lm_deluge.errors import ProtocolError, ProviderError
from support.reading import read, text_of
from support.scripted import DONE, USAGE, delta, ending, events, sse

LONE = "\N{REPLACEMENT CHARACTER}"


# Chunks


def test_the_first_chunk_with_the_role_is_no_token() -> None:
    first = delta("", role="assistant", refusal=None)
    reading = read(sse(first) + events("Once", " upon") + ending())
    assert reading.tokens == ["Once", " upon"]
    assert reading.deltas("refusal") == []
    assert reading.choice.finish_reason == "stop"
    assert reading.answer.facts.usage == Usage.from_openai(USAGE)


def test_a_stream_of_a_role_and_nothing_else_has_no_output() -> None:
    reading = read(sse(delta("", role="assistant")) + DONE)
    assert not reading.answer.has_output
    assert reading.answer.has_chunks
    assert reading.choice.completion == ""


def test_azures_first_chunk_without_choices_is_skipped_and_the_names_come_after_it() -> None:
    first = {"choices": [], "object": "", "id": "", "model": "", "prompt_filter_results": [{}]}
    reading = read(sse(first) + events("Once"))
    assert reading.tokens == ["Once"]
    assert reading.answer.facts.response_id == "chatcmpl-1"
    assert reading.answer.facts.model_external == "gpt-4o-2024-08-06"


@pytest.mark.parametrize(
    "chunk",
    [
        delta(None),
        {"choices": [{"index": 0, "delta": {"content": None}, "finish_reason": None}]},
        {"choices": [{"index": 0, "finish_reason": None}]},
        {"choices": [{"index": 0, "delta": None}]},
        {"choices": [{"index": 0, "delta": False}]},
        {"choices": [None, 3]},
        {"choices": None},
        {"choices": []},
        {"choices": {}},
        {"usage": None},
        {},
        delta(audio={"data": "…"}, annotations=[{}]),
        {"choices": [{"delta": {"content": True, "refusal": True, "reasoning": True}}]},
        {"choices": [{"delta": {"tool_calls": [3], "function_call": 3}}]},
        {"choices": [{"delta": {"tool_calls": 3}}]},
        {"choices": [{"delta": {"content": [{"type": "text"}, {"type": "text", "text": True}]}}]},
        {"choices": [{"delta": {"content": [{"type": "thinking", "thinking": True}]}}]},
        {"choices": [{"delta": {"content": [{"type": "thinking", "thinking": [True]}]}}]},
    ],
)
def test_what_is_missing_null_or_of_another_type_adds_nothing(chunk: Any) -> None:
    reading = read(events("Once") + sse(chunk) + events(" upon") + DONE)
    assert reading.error is None
    assert reading.tokens == ["Once", " upon"]
    assert len(reading.pieces) == 2


def test_the_object_field_says_nothing() -> None:
    assert text_of({**delta("a"), "object": "chat.completion"}, {**delta("b"), "object": 7}) == "ab"


def test_fields_nobody_knows_are_ignored() -> None:
    extra = {"obfuscation": "x" * 9, "citations": ["u"], "service_tier": "default", "type": "x"}
    assert text_of({**delta("a"), **extra}, {**delta("b"), **extra}) == "ab"


def test_usage_after_the_finish_reason_is_waited_for() -> None:
    answer = ChatAnswer()
    answer.feed(events("Once") + sse(delta(finish="stop")), 0.0)
    assert (answer.finished, answer.done, answer.facts.usage) == (True, False, None)
    answer.feed(sse({"choices": [], "usage": USAGE}), 0.0)
    assert answer.facts.usage is not None
    assert not answer.done


@pytest.mark.parametrize(
    ("usages", "expected"),
    [
        ([None, None], None),
        ([USAGE, None], 11),
        ([{"total_tokens": 3}, {"total_tokens": 5}], 5),
        ([USAGE, {}], 11),
        ([USAGE, "x"], 11),
    ],
)
def test_the_last_usage_that_says_something_wins(usages: list[Any], expected: int | None) -> None:
    chunks = [{**delta(text), "usage": usage} for text, usage in zip("ab", usages, strict=True)]
    reading = read(b"".join(sse(chunk) for chunk in chunks) + DONE)
    usage = reading.answer.facts.usage
    assert (usage.total_tokens if usage else None) == expected
    assert reading.tokens == ["a", "b"]


def test_usage_may_come_in_groqs_own_field() -> None:
    reading = read(events("a") + sse({**delta(finish="stop"), "x_groq": {"usage": USAGE}}) + DONE)
    assert reading.answer.facts.usage is not None
    assert reading.answer.facts.usage.total_tokens == 11
    assert read(events("a") + sse({**delta(finish="stop"), "x_groq": 3}) + DONE).error is None


def test_no_usage_is_none_and_not_zero() -> None:
    assert read(events("a") + DONE).answer.facts.usage is None


def test_the_last_finish_reason_wins_and_an_empty_one_is_none() -> None:
    body = sse(delta("a", finish="")) + sse(delta(finish="stop")) + sse(delta("b"))
    reading = read(body + sse(delta(finish="tool_calls")) + sse(delta("c", finish="")) + DONE)
    assert reading.choice.finish_reason == "tool_calls"
    assert reading.choice.completion == "abc"
    assert not read(sse(delta("a", finish=""))).answer.finished


def test_a_vendors_own_finish_reason_is_kept() -> None:
    assert read(sse(delta("a", finish="end_turn")) + DONE).choice.finish_reason == "end_turn"


def test_ids_and_model_names_may_change() -> None:
    last = {**delta(finish="stop"), "id": "x2", "model": "m2", "system_fingerprint": "fp"}
    reading = read(events("a") + sse({**last, "service_tier": "default"}) + DONE)
    assert reading.answer.facts.response_id == "x2"
    assert reading.answer.facts.model_external == "m2"
    assert reading.answer.facts.system_fingerprint == "fp"
    assert reading.answer.facts.service_tier == "default"


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_reasoning_is_no_visible_text(field: str) -> None:
    body = sse(delta("", **{field: "hm"})) + sse(delta(None, **{field: " so"})) + events("Once")
    reading = read(body + DONE)
    assert reading.choice.reasoning == "hm so"
    assert reading.deltas("reasoning") == ["hm", " so"]
    assert [p.index for p in reading.pieces if isinstance(p, Delta)] == [0, 1]
    assert reading.choice.completion == "Once"


def test_reasoning_that_comes_in_both_fields_counts_once() -> None:
    chunk = delta("a", reasoning_content="hm", reasoning="hm")
    assert read(sse(chunk) + DONE).choice.reasoning == "hm"
    only_one_filled = delta("a", reasoning_content="", reasoning="hm")
    assert read(sse(only_one_filled) + DONE).choice.reasoning == "hm"


def test_a_refusal_is_text_of_its_own() -> None:
    body = sse(delta(refusal="I ")) + sse(delta(refusal="cannot")) + sse(delta(finish="stop"))
    reading = read(body + DONE)
    assert (reading.choice.refusal, reading.choice.completion) == ("I cannot", "")
    assert reading.tokens == []
    assert [p.index for p in reading.pieces] == [0, 1]


def test_content_may_be_a_list_of_parts_and_switch_to_text() -> None:
    thinking = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]
    both = [{"type": "thinking", "thinking": " so"}, {"type": "text", "text": "Once"}, " upon"]
    parts = [{"choices": [{"delta": {"content": content}}]} for content in (thinking, both)]
    reading = read(b"".join(sse(chunk) for chunk in parts) + events(" a") + DONE)
    assert reading.choice.reasoning == "hm so"
    assert reading.tokens == ["Once", " upon", " a"]


def test_a_message_beside_the_delta_is_ignored_and_alone_it_is_read() -> None:
    full = {"index": 0, "delta": {"content": "b"}, "message": {"content": "ab"}}
    assert text_of(delta("a"), {"choices": [full]}) == "ab"
    assert text_of(delta("a"), {"choices": [{**full, "delta": {}}]}) == "a"
    assert text_of({"choices": [{"message": {"content": "a"}}]}) == "a"


def test_log_probabilities_are_joined_over_all_chunks() -> None:
    def chunk(text: str, **logprobs: Any) -> Any:
        made = delta(text)
        made["choices"][0]["logprobs"] = logprobs
        return made

    first = chunk("a", content=[{"token": "a", "logprob": -1}], refusal=None)
    second = chunk("b", content=[{"token": "b", "logprob": -2}], refusal=None, extra=1)
    reading = read(sse(first) + sse(second) + sse(chunk("c", content=None)) + DONE)
    assert reading.choice.logprobs == {
        "content": [{"token": "a", "logprob": -1}, {"token": "b", "logprob": -2}],
        "refusal": None,
        "extra": 1,
    }
    assert reading.choice.completion == "abc"


# Several choices


def test_choices_are_told_apart_by_their_index_in_any_order() -> None:
    body = b"".join(
        sse(chunk)
        for chunk in (
            delta("b0", index=1),
            {"choices": [delta("b1", index=1)["choices"][0], delta("a0")["choices"][0]]},
            delta("a1"),
            delta(index=1, finish="length"),
            delta("a2", finish="stop"),
        )
    )
    reading = read(body, choices=2)
    first, second = reading.answer.choices()
    assert (first.index, first.completion, first.finish_reason) == (0, "a0a1a2", "stop")
    assert (second.index, second.completion, second.finish_reason) == (1, "b0b1", "length")
    tokens = [(p.text, p.index, p.choice) for p in reading.pieces if isinstance(p, Token)]
    assert tokens == [("b0", 0, 1), ("b1", 1, 1), ("a0", 2, 0), ("a1", 3, 0), ("a2", 4, 0)]
    assert reading.answer.finished


def test_an_answer_is_finished_when_as_many_choices_as_asked_for_have_a_reason() -> None:
    answer = ChatAnswer(choices=2)
    answer.feed(sse(delta("b", index=1)) + sse(delta(index=1, finish="stop")), 0.0)
    assert not answer.finished
    answer.feed(sse(delta("a")), 0.0)
    assert not answer.finished
    answer.feed(sse(delta(finish="stop")), 0.0)
    assert answer.finished


@pytest.mark.parametrize("index", [None, -1, True, "one", 1.5, 2**31, 10**30, "9" * 30, "", []])
def test_an_index_that_is_none_is_the_place_in_the_list(index: Any) -> None:
    second = {"index": index, "delta": {"content": "b"}}
    reading = read(sse({"choices": [delta("a")["choices"][0], second]}) + DONE, choices=2)
    assert reading.error is None
    assert [choice.completion for choice in reading.answer.choices()] == ["a", "b"]


# One network read


def test_pieces_carry_the_time_and_the_ordinal_of_their_read() -> None:
    answer = ChatAnswer()
    answer.feed(b": ping\n\n", 0.5)
    first = answer.feed(events("a", "b") + sse(delta(reasoning="hm")), 1.5)
    second = answer.feed(events("c"), 2.5)
    assert [(p.arrived, p.read) for p in first] == [(1.5, 1)] * 3
    assert [(p.arrived, p.read) for p in second] == [(2.5, 2)]
    assert (answer.arrivals.first_output, answer.arrivals.last_output) == (1.5, 2.5)
    assert list(answer.arrivals.times) == [1.5, 2.5]


# A server that does not stream


def test_a_whole_json_answer_is_read_with_all_it_holds() -> None:
    message = {
        "role": "assistant",
        "content": "Once",
        "reasoning_content": "hm",
        "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{}"}}],
    }
    body = {"id": "x", "model": "m", "choices": [{"message": message, "finish_reason": "stop"}]}
    answer = ChatAnswer()
    pieces = answer.feed_json(json.dumps({**body, "usage": USAGE}).encode(), 1.25)
    (choice,) = answer.choices()
    assert (choice.completion, choice.reasoning, choice.finish_reason) == ("Once", "hm", "stop")
    assert [call.id for call in choice.tool_calls] == ["c"]
    assert {(piece.arrived, piece.read) for piece in pieces} == {(1.25, 0)}
    assert answer.facts.usage is not None
    assert (answer.whole, answer.done, answer.error) == (True, True, None)


@pytest.mark.parametrize(
    "body", [b"", b" ", b"{}", b'{"choices": []}', b"[]", b"3", b"{nope", b"[DONE]"]
)
def test_json_that_is_no_answer_is_a_protocol_error(body: bytes) -> None:
    answer = ChatAnswer()
    answer.feed_json(body, 0.0)
    assert isinstance(answer.error, ProtocolError)
    assert (answer.error.offset, answer.error.evidence) == (0, body)
    assert not answer.whole


def test_a_json_error_object_is_a_provider_error() -> None:
    answer = ChatAnswer()
    answer.feed_json(b'{"error": {"message": "filtered", "code": "content_filter"}}', 0.0)
    assert isinstance(answer.error, ProviderError)
    assert answer.error.code == "content_filter"
    assert not answer.whole


def test_a_half_character_at_the_end_of_a_json_answer_is_replaced() -> None:
    answer = ChatAnswer()
    answer.feed_json(b'{"choices": [{"message": {"content": "a\\ud83d"}}]}', 0.0)
    assert answer.choices()[0].completion == f"a{LONE}"
