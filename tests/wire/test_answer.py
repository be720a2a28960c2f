"""Bytes to an answer: what really comes over the wire, however the network cuts it.

``read`` feeds every body whole, in single bytes and in cuts of 2 and 7, and all must agree.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from time import process_time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm_deluge import Delta, Limits, Token, Usage
from lm_deluge.errors import LimitExceededError, ProtocolError, ProviderError
from lm_deluge.wire.answer import Answer
from scripted import DONE, USAGE, delta, ending, events, sse
from wire.reading import Reading, read

LONE = "\N{REPLACEMENT CHARACTER}"


def text_of(*chunks: Any) -> str:
    reading = read(b"".join(sse(chunk) for chunk in chunks) + DONE)
    assert reading.error is None
    return str(reading.choice.completion)


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
        {"choices": [{"index": 0, "delta": "x"}]},
        {"choices": [None, 3]},
        {"choices": None},
        {"choices": []},
        {"choices": {}},
        {"usage": None},
        {},
        delta(audio={"data": "…"}, annotations=[{}]),
        {"choices": [{"delta": {"content": 3, "refusal": 3, "reasoning": 3, "tool_calls": 3}}]},
        {"choices": [{"delta": {"tool_calls": [3], "function_call": 3}}]},
        {"choices": [{"delta": {"content": [3, {"type": "text"}, {"type": "text", "text": 3}]}}]},
        {"choices": [{"delta": {"content": [{"type": "thinking", "thinking": 3}]}}]},
        {"choices": [{"delta": {"content": [{"type": "thinking", "thinking": [3]}]}}]},
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
    answer = Answer()
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
    answer = Answer(choices=2)
    answer.feed(sse(delta("b", index=1)) + sse(delta(index=1, finish="stop")), 0.0)
    assert not answer.finished
    answer.feed(sse(delta("a")), 0.0)
    assert not answer.finished
    answer.feed(sse(delta(finish="stop")), 0.0)
    assert answer.finished


@pytest.mark.parametrize("index", [None, -1, True, "0", 1.5, 2**31, 10**30])
def test_an_index_that_is_none_is_the_place_in_the_list(index: Any) -> None:
    second = {"index": index, "delta": {"content": "b"}}
    reading = read(sse({"choices": [delta("a")["choices"][0], second]}) + DONE, choices=2)
    assert reading.error is None
    assert [choice.completion for choice in reading.answer.choices()] == ["a", "b"]


# Ends


def test_done_ends_the_answer_whatever_follows() -> None:
    reading = read(events("a") + b"data: [DONE]   \n\ndata: {nope\n\n" + events("b"))
    assert (reading.answer.done, reading.error, reading.tokens) == (True, None, ["a"])
    assert reading.whole_before_its_end


def test_done_may_come_without_its_blank_line_at_the_very_end() -> None:
    for end in (b"data: [DONE]", b"data:[DONE]\n", b"data:  [DONE] \r"):
        reading = read(events("a") + end)
        assert reading.answer.done
        assert reading.answer.whole
        assert not reading.whole_before_its_end


def test_a_finish_reason_without_done_is_a_whole_answer() -> None:
    answer = read(events("a") + sse(delta(finish="stop"))).answer
    assert (answer.done, answer.whole) == (False, True)


def test_neither_done_nor_a_finish_reason_is_no_whole_answer_unless_that_is_accepted() -> None:
    assert not read(events("a")).answer.whole
    reading = read(events("a"), accept_eof=True)
    assert reading.answer.whole
    assert not reading.whole_before_its_end
    assert not read(b"", accept_eof=True).answer.whole


def test_a_last_object_without_its_blank_line_is_read() -> None:
    body = events("a") + sse(delta(" b", finish="stop")).rstrip()
    reading = read(body)
    assert (reading.choice.completion, reading.answer.whole) == ("a b", True)


@pytest.mark.parametrize("tail", [b'data: {"choices"', b"data: [DON", b"data: 1", b'data: "a"'])
def test_a_last_event_that_was_cut_is_a_cut_answer_and_no_protocol_error(tail: bytes) -> None:
    reading = read(events("a") + tail)
    assert (reading.error, reading.answer.whole, reading.tokens) == (None, False, ["a"])


def test_a_last_object_that_reports_an_error_is_an_error() -> None:
    reading = read(events("a") + b'data: {"error": "boom"}')
    assert isinstance(reading.error, ProviderError)


def test_after_its_end_an_answer_takes_nothing_more() -> None:
    reading = Reading(events("a") + DONE, 1000)
    assert reading.answer.feed(events("b"), 0.0) == []
    assert reading.answer.close(0.0) == []


# A finish reason that is no end

STOP = "stop"


@pytest.mark.parametrize(
    ("chunks", "trusted"),
    [
        ([delta("a"), delta(finish=STOP)], True),
        ([delta("a"), delta("b", finish=STOP)], True),
        ([delta(reasoning="hm"), delta("a", finish=STOP)], True),
        ([delta("a"), delta(finish=STOP), delta("", finish=STOP)], True),
        ([delta("a", finish=STOP)], False),
        ([delta(reasoning="hm", finish=STOP)], False),
        ([delta(finish=STOP)], False),
        ([delta("", role="assistant", finish=STOP), delta("a", finish=STOP)], False),
        ([delta("a", finish=STOP), delta("b", finish=STOP)], False),
        ([delta("a"), delta("b", finish=STOP), delta("c", finish=STOP)], False),
        ([delta("a"), delta("b", finish=STOP), delta("c")], False),
        ([delta("a"), delta("b", finish=STOP), delta("c"), delta(finish=STOP)], False),
        ([delta("a"), delta(finish=STOP), delta(reasoning="hm")], False),
        ([delta("a"), delta(finish=STOP), delta(refusal="no")], False),
    ],
)
def test_a_reason_with_the_first_output_or_before_more_of_it_is_no_end(
    chunks: list[Any], trusted: bool
) -> None:
    body = b"".join(map(sse, chunks))
    for size in (1, len(body)):
        answer = Answer()
        for at in range(0, len(body), size):
            answer.feed(body[at : at + size], 0.0)
        assert (answer.finished, answer.may_be_over) == (trusted, not trusted)
        assert answer.whole is trusted
        answer.close(0.0)
        assert answer.whole
    assert read(body + DONE).answer.whole


def test_a_further_tool_call_after_the_reason_leaves_it_an_end_and_more_of_a_call_does_not() -> (
    None
):
    def call(index: int, arguments: str, **rest: Any) -> Any:
        function = {"name": f"f{index}", "arguments": arguments}
        return delta(tool_calls=[{"index": index, "id": f"c{index}", "function": function}], **rest)

    body = sse(call(0, "{}")) + sse(delta(finish="tool_calls"))
    assert read(body + sse(call(1, "{}"))).answer.finished
    lying = sse(call(0, "{", finish="tool_calls")) + sse(call(0, "}", finish="tool_calls"))
    assert read(lying).answer.may_be_over


def test_one_choice_whose_reason_is_no_end_keeps_the_answer_open() -> None:
    answer = Answer(choices=2)
    answer.feed(sse(delta("a")) + sse(delta(finish=STOP)) + sse(delta("b", index=1)), 0.0)
    assert (answer.finished, answer.may_be_over) == (False, False)
    answer.feed(sse(delta("c", index=1, finish=STOP)) + sse(delta("d", index=1, finish=STOP)), 0.0)
    assert (answer.finished, answer.may_be_over, answer.whole) == (False, True, False)


# Errors inside a 200


@pytest.mark.parametrize(
    ("frame", "kind", "code"),
    [
        ({"error": {"message": "boom", "type": "server_error", "code": "x"}}, "server_error", "x"),
        ({"error": {"message": "boom", "code": 502}}, None, 502),
        ({"error": "boom"}, None, None),
        ({"object": "error", "message": "boom", "code": 40001}, None, 40001),
        ({"type": "error", "message": "boom"}, "error", None),
        ({"choices": [], "error": {"message": "boom"}}, None, None),
        ({**delta(finish="error"), "error": {"message": "boom", "code": [1]}}, None, None),
        ({"error": {"detail": "boom"}}, None, None),
        ({"error": {"error": "boom"}}, None, None),
        ({"error": {"reason": "boom"}}, None, None),
        ({"error": ["boom"]}, None, None),
    ],
)
def test_an_error_frame_ends_the_answer_and_keeps_what_came(
    frame: Any, kind: str | None, code: Any
) -> None:
    reading = read(events("Once") + sse(frame) + events("never"))
    error = reading.error
    assert isinstance(error, ProviderError)
    assert "boom" in str(error)
    assert (error.type, error.code) == (kind, code)
    assert reading.tokens == ["Once"]
    assert not reading.answer.whole


@pytest.mark.parametrize(
    "data", ['{"message": "boom"}', '{"error": {"message": "boom"}}', '"boom"']
)
def test_an_error_event_is_an_error_whatever_its_data(data: str) -> None:
    reading = read(events("Once") + b"event: error\ndata: " + data.encode() + b"\n\n")
    assert isinstance(reading.error, ProviderError)
    assert "boom" in str(reading.error)


def test_an_error_event_without_json_shows_what_it_holds() -> None:
    error = read(events("Once") + b"event: error\ndata: out of \xff memory\n\n").error
    assert isinstance(error, ProviderError)
    assert str(error).endswith(f": out of {LONE} memory")
    assert error.body == f"out of {LONE} memory"


@pytest.mark.parametrize("oddity", ["\\ud83d", "x"])
@pytest.mark.parametrize("number", ["NaN", "1" + "0" * 30, "1e400"])
def test_an_error_of_odd_values_is_still_an_error(oddity: str, number: str) -> None:
    body = f'data: {{"error": {{"why": "{oddity}", "n": {number}}}}}\n\n'.encode()
    error = read(body).error
    assert isinstance(error, ProviderError)
    str(error).encode()


@pytest.mark.parametrize("error", [None, {}, "", 0, False])
def test_an_empty_error_is_none(error: Any) -> None:
    assert text_of({**delta("a"), "error": error}, {**delta("b"), "error": error}) == "ab"


def test_the_usage_of_an_error_frame_is_kept() -> None:
    reading = read(events("a") + sse({"error": "boom", "usage": USAGE}))
    assert reading.answer.facts.usage is not None
    assert reading.answer.facts.usage.total_tokens == 11


@pytest.mark.parametrize(
    "data", [b"{nope", b"[]", b"3", b"null", b'"text"', b"<html>", b"[" * 5000]
)
def test_data_that_is_no_chunk_is_a_protocol_error_with_its_place(data: bytes) -> None:
    # The same bytes come before it, inside of a chunk.
    before = events("{nope [] 3 null <html>") + b": comment\n\n"
    reading = read(before + b"data: " + data + b"\n\n" + events("never"))
    error = reading.error
    assert isinstance(error, ProtocolError)
    assert error.offset == len(before) + len("data: ")
    assert error.evidence == data[:200]
    assert len(reading.tokens) == 1


def test_events_of_other_types_may_hold_anything() -> None:
    body = b"event: ping\ndata: {nope\n\nevent: ping\ndata: 3\n\nevent: x\ndata\n\n"
    reading = read(body + events("a") + b"event: message\ndata: " + events("b")[6:] + DONE)
    assert (reading.error, reading.tokens) == (None, ["a", "b"])


def test_an_empty_event_is_ignored() -> None:
    assert read(b"data:\n\ndata:  \n\n" + events("a") + DONE).tokens == ["a"]


# Text


def halves(*texts: str, key: str = "content") -> bytes:
    return b"".join(
        sse({"choices": [{"index": 0, "delta": {key: text}, "finish_reason": None}]})
        for text in texts
    )


@pytest.mark.parametrize(
    ("key", "kind"), [("content", "text"), ("reasoning", "reasoning"), ("refusal", "refusal")]
)
def test_halves_of_a_character_in_two_deltas_are_joined(key: str, kind: str) -> None:
    reading = read(halves("a\ud83d", "\ude00b", "c", key=key) + DONE)
    texts = reading.tokens if kind == "text" else reading.deltas(kind)
    assert texts == ["a", "😀b", "c"]


def test_halves_in_the_arguments_of_a_tool_call_are_joined() -> None:
    def call(arguments: str, **rest: Any) -> bytes:
        return sse(delta(tool_calls=[{"index": 0, "function": {"arguments": arguments}, **rest}]))

    body = call('{"a": "\ud83d', id="c") + call('\ude00"}') + DONE
    assert read(body).choice.tool_calls[0].arguments == '{"a": "😀"}'


def test_a_half_that_finds_no_other_becomes_a_replacement_character() -> None:
    assert read(halves("a\ud83d", "b\ude00c") + DONE).tokens == ["a", f"{LONE}b{LONE}c"]
    assert read(halves("a", "\ud83d", "b") + DONE).tokens == ["a", f"{LONE}b"]


@pytest.mark.parametrize("end", [DONE, b"", b'data: {"error": "boom"}\n\n', b"data: {nope\n\n"])
def test_a_half_at_the_very_end_is_not_lost(end: bytes) -> None:
    assert read(halves("a\ud83d") + end).tokens == ["a", LONE]


def test_a_half_waits_for_its_other_past_chunks_of_another_kind() -> None:
    body = halves("\ud83d") + halves("hm", key="reasoning") + halves("\ude00") + DONE
    assert read(body).choice.completion == "😀"


def test_halves_of_several_choices_do_not_mix() -> None:
    chunks = [delta("\ud83d"), delta("\ud83d", index=1), delta("\ude01", index=1), delta("\ude00")]
    reading = read(b"".join(sse(chunk) for chunk in chunks) + DONE, choices=2)
    assert [choice.completion for choice in reading.answer.choices()] == ["😀", "😁"]


def test_halves_in_names_and_ids_become_replacement_characters() -> None:
    call = {"index": 0, "id": "i\ud83d", "function": {"name": "n\ud83d", "arguments": "{}"}}
    chunk = {**delta(tool_calls=[call], finish="f\ud83d"), "id": "r\ud83d", "model": "m\ud83d"}
    chunk["choices"][0]["logprobs"] = {"content": [{"token": "\ud83d"}]}  # type: ignore[index]
    reading = read(sse(chunk) + DONE)
    made = reading.choice
    assert (made.tool_calls[0].id, made.tool_calls[0].name) == (f"i{LONE}", f"n{LONE}")
    assert made.finish_reason == f"f{LONE}"
    assert made.logprobs == {"content": [{"token": LONE}]}
    assert reading.answer.facts.response_id == f"r{LONE}"
    assert reading.answer.facts.model_external == f"m{LONE}"


def test_bytes_that_are_no_utf8_become_replacement_characters_and_the_rest_is_read() -> None:
    bad = events("a") + b'data: {"choices": [{"delta": {"content": "x\xffy"}}]}\n\n'
    assert read(bad + events("b") + DONE).tokens == ["a", f"x{LONE}y", "b"]


def test_nan_and_huge_numbers_do_not_stop_an_answer() -> None:
    odd = b'data: {"choices": [{"delta": {"content": "b"}, "index": 0, "p": NaN}], "n": 1e999, '
    odd += b'"usage": {"total_tokens": NaN, "prompt_tokens": 1' + b"0" * 30 + b"}}\n\n"
    reading = read(events("a") + odd + events("c") + DONE)
    assert reading.tokens == ["a", "b", "c"]
    usage = reading.answer.facts.usage
    assert usage is not None
    assert (usage.total_tokens, usage.input_tokens) == (None, 10**30)


def test_deep_nesting_is_a_protocol_error() -> None:
    body = events("a") + b'data: {"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n\n"
    answer = Answer()
    assert len(answer.feed(body, 0.0)) == 1
    assert isinstance(answer.error, ProtocolError)
    assert "nested too deeply" in str(answer.error)


# One network read


def test_pieces_carry_the_time_and_the_ordinal_of_their_read() -> None:
    answer = Answer()
    answer.feed(b": ping\n\n", 0.5)
    first = answer.feed(events("a", "b") + sse(delta(reasoning="hm")), 1.5)
    second = answer.feed(events("c"), 2.5)
    assert [(p.arrived, p.read) for p in first] == [(1.5, 1)] * 3
    assert [(p.arrived, p.read) for p in second] == [(2.5, 2)]
    assert (answer.arrivals.first_output, answer.arrivals.last_output) == (1.5, 2.5)
    assert list(answer.arrivals.times) == [1.5, 2.5]


# Bounds


def limited(body: bytes, **limits: int) -> tuple[Any, list[str]]:
    reading = Reading(body, 20, limits=Limits(**limits), choices=9)
    assert isinstance(reading.error, LimitExceededError)
    assert not reading.answer.whole
    return reading.error, reading.tokens


def test_a_large_event_is_an_error_that_names_the_bound_and_keeps_what_came_before() -> None:
    big = sse(delta("x" * 300))
    body = events("a") + big
    error, tokens = limited(body, max_event_bytes=300)
    assert (error.name, error.limit, error.value) == ("max_event_bytes", 300, len(big) - 2)
    assert tokens == ["a"]
    assert "Limits.max_event_bytes" in str(error)
    in_one_read = Reading(body, len(body), limits=Limits(max_event_bytes=300))
    assert in_one_read.tokens == ["a"]
    assert isinstance(in_one_read.error, LimitExceededError)
    without_its_end = Reading(body[:-2], 20, limits=Limits(max_event_bytes=300))
    assert isinstance(without_its_end.error, LimitExceededError)


def test_what_comes_after_done_is_never_too_large() -> None:
    body = events("a") + DONE + b"data: " + b"x" * 900 + b"\n\n"
    for size in (10, len(body)):
        reading = Reading(body, size, limits=Limits(max_event_bytes=300))
        assert (reading.error, reading.answer.done) == (None, True)


def test_a_long_answer_is_an_error_that_names_the_bound() -> None:
    chunks = [delta("xx"), delta(reasoning="yy"), delta(refusal="zz"), delta("x"), delta("x")]
    body = b"".join(sse(chunk) for chunk in chunks)
    error, tokens = limited(body, max_answer_chars=7)
    assert (error.name, error.limit, error.value) == ("max_answer_chars", 7, 8)
    assert tokens == ["xx", "x", "x"]
    assert Reading(body, 20, limits=Limits(max_answer_chars=8)).error is None


def test_many_choices_are_an_error_that_names_the_bound() -> None:
    body = b"".join(sse(delta("x", index=index)) for index in (1, 0, 2))
    error, tokens = limited(body, max_choices=2)
    assert (error.name, error.limit, error.value) == ("max_choices", 2, 3)
    assert tokens == ["x", "x"]
    assert limited(events("a")[:0] + body, max_choices=1)[0].value == 2


def test_many_tool_calls_are_an_error_that_names_the_bound() -> None:
    calls = [{"index": at, "id": f"c{at}", "function": {"name": "f"}} for at in range(3)]
    body = b"".join(sse(delta(tool_calls=[call])) for call in calls)
    error, _ = limited(body, max_tool_calls=2)
    assert (error.name, error.limit, error.value) == ("max_tool_calls", 2, 3)
    assert Reading(body, 20, limits=Limits(max_tool_calls=3)).error is None


def test_an_event_of_many_megabytes_in_small_reads_takes_linear_time() -> None:
    def cost(size: int) -> float:
        body = sse(delta("x" * size)) + DONE
        pieces = [body[at : at + 8] for at in range(0, len(body), 8)]
        best = float("inf")
        for _ in range(3):
            answer = Answer()
            begun = process_time()
            for piece in pieces:
                answer.feed(piece, 0.0)
            best = min(best, process_time() - begun)
            assert answer.done
        return best

    assert cost(1_600_000) < 24 * cost(200_000)


def test_memory_of_a_long_answer_is_its_characters() -> None:
    answer = Answer()
    body = events(*["word "] * 100)
    for _ in range(50):
        answer.feed(body, 0.0)
    assert answer.choices()[0].completion == "word " * 5000
    assert len(answer.arrivals.times) == 50


# A server that does not stream


def test_a_whole_json_answer_is_read_with_all_it_holds() -> None:
    message = {
        "role": "assistant",
        "content": "Once",
        "reasoning_content": "hm",
        "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{}"}}],
    }
    body = {"id": "x", "model": "m", "choices": [{"message": message, "finish_reason": "stop"}]}
    answer = Answer()
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
    answer = Answer()
    answer.feed_json(body, 0.0)
    assert isinstance(answer.error, ProtocolError)
    assert (answer.error.offset, answer.error.evidence) == (0, body)
    assert not answer.whole


def test_a_json_error_object_is_a_provider_error() -> None:
    answer = Answer()
    answer.feed_json(b'{"error": {"message": "filtered", "code": "content_filter"}}', 0.0)
    assert isinstance(answer.error, ProviderError)
    assert answer.error.code == "content_filter"
    assert not answer.whole


def test_a_half_character_at_the_end_of_a_json_answer_is_replaced() -> None:
    answer = Answer()
    answer.feed_json(b'{"choices": [{"message": {"content": "a\\ud83d"}}]}', 0.0)
    assert answer.choices()[0].completion == f"a{LONE}"


# Any text, any cut


@st.composite
def bodies(draw: st.DrawFn) -> tuple[list[str], bytes, list[int]]:
    """Texts, the bytes of an answer that streams them, and sizes of reads."""
    texts = draw(st.lists(st.text(max_size=12), max_size=8))
    end = draw(st.sampled_from([b"\n", b"\r\n", b"\r"]))
    escaped = draw(st.booleans())
    body = b""
    for text in texts:
        units = text.encode("utf-16-le")
        # A cut between any two UTF-16 units, as a server written in JavaScript makes them.
        at = 2 * draw(st.integers(0, len(units) // 2))
        for part in (units[:at], units[at:]):
            piece = part.decode("utf-16-le", "surrogatepass")
            is_whole = not any("\ud800" <= char <= "\udfff" for char in piece)
            data = json.dumps(delta(piece), ensure_ascii=escaped or not is_whole)
            body += b"data: " + data.encode() + end + end
            if draw(st.booleans()):
                body += b": ping" + end + end
    body += b"data: [DONE]" + end + end
    return texts, body, draw(st.lists(st.integers(1, 60), min_size=1, max_size=8))


def cut(body: bytes, sizes: list[int]) -> Iterator[bytes]:
    at, turn = 0, 0
    while at < len(body):
        size = sizes[turn % len(sizes)]
        yield body[at : at + size]
        at, turn = at + size, turn + 1


@settings(max_examples=300)
@given(bodies())
def test_any_texts_however_cut_are_what_the_tokens_say(
    made: tuple[list[str], bytes, list[int]],
) -> None:
    texts, body, sizes = made
    answer = Answer()
    tokens = [piece.text for data in cut(body, sizes) for piece in answer.feed(data, 0.0)]
    assert answer.done
    assert all(tokens)
    completion = answer.choices()[0].completion if texts else ""
    assert "".join(tokens) == completion == "".join(texts)
    assert sum(answer.arrivals.lengths) == len(completion)
