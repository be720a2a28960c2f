"""What servers send that speak a provider's wire and are not the provider's."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lm_deluge.dialects.gemini.answer import GeminiAnswer
from lm_deluge.dialects.messages.answer import MessagesAnswer
from lm_deluge.dialects.responses.answer import ResponsesAnswer
from support import gemini, messages, responses

HALVES = ("\ud83c", "\udfa8")


def told(answer: Any, *events: bytes) -> Any:
    for event in events:
        answer.feed(event, 0.1)
    answer.close(0.1)
    return answer.choices()[0]


def item(kind: str, **fields: Any) -> bytes:
    return responses.event(
        "response.output_item.added",
        output_index=0,
        item={"id": "i", "type": kind, **fields},
    )


@pytest.mark.parametrize(
    ("kind", "begun", "seen"),
    [
        ("output_text", item("message"), "completion"),
        ("refusal", item("message"), "refusal"),
        ("reasoning_summary_text", item("reasoning"), "reasoning"),
        ("reasoning_text", item("reasoning"), "reasoning"),
    ],
)
def test_halves_of_a_character_in_two_deltas_of_responses_are_joined(
    kind: str, begun: bytes, seen: str
) -> None:
    place = {"item_id": "i", "output_index": 0, "content_index": 0, "summary_index": 0}
    deltas = [responses.event(f"response.{kind}.delta", **place, delta=half) for half in HALVES]
    assert getattr(told(ResponsesAnswer(), begun, *deltas), seen) == "\U0001f3a8"


def test_halves_of_a_character_in_the_arguments_of_a_call_of_responses_are_joined() -> None:
    begun = item("function_call", call_id="c", name="f", arguments="")
    deltas = [
        responses.event("response.function_call_arguments.delta", output_index=0, delta=piece)
        for piece in ('{"a":"' + HALVES[0], HALVES[1] + '"}')
    ]
    (call,) = told(ResponsesAnswer(), begun, *deltas).tool_calls
    assert call.parsed() == {"a": "\U0001f3a8"}


def test_halves_of_a_character_in_arguments_that_gemini_streams_are_joined() -> None:
    def piece(text: str, **fields: Any) -> bytes:
        part = {"jsonPath": "$.a", "stringValue": text, "willContinue": text == HALVES[0]}
        return gemini.chunk({"functionCall": {"partialArgs": [part], **fields}})

    pieces = piece(HALVES[0], name="f", willContinue=True), piece(HALVES[1], willContinue=True)
    last = gemini.chunk({"functionCall": {}}, finishReason="STOP")
    (call,) = told(GeminiAnswer(), *pieces, last).tool_calls
    assert call.parsed() == {"a": "\U0001f3a8"}


@pytest.mark.parametrize(
    ("details", "finish_reason", "raw"),
    [
        ({"reason": "max_output_tokens"}, "length", "incomplete:max_output_tokens"),
        ({"reason": "content_filter"}, "content_filter", "incomplete:content_filter"),
        (None, "length", "incomplete"),
    ],
)
def test_a_response_that_is_incomplete_is_none_that_stopped_whatever_event_says_so(
    details: Any, finish_reason: str, raw: str
) -> None:
    response = {"id": "r", "status": "incomplete", "incomplete_details": details}
    choice = told(
        ResponsesAnswer(),
        responses.said("cut"),
        responses.event("response.completed", response=response),
    )
    assert (choice.completion, choice.finish_reason) == ("cut", finish_reason)
    assert choice.finish_reason_raw == raw


@pytest.mark.parametrize("word", ["stop", "length", "tool_calls", "content_filter"])
def test_a_word_of_chat_completions_for_the_end_of_a_message_is_that_word(word: str) -> None:
    choice = told(MessagesAnswer(), messages.START, messages.said("Hi"), messages.ended(word))
    assert (choice.finish_reason, choice.finish_reason_raw) == (word, word)


def test_an_end_with_a_call_that_gemini_has_no_word_for_is_one() -> None:
    part = {"functionCall": {"name": "f", "args": {}}}
    body = gemini.chunk(part, finishReason="FUNCTION_CALL")
    assert json.loads(body[6:])["candidates"][0]["finishReason"] == "FUNCTION_CALL"
    assert told(GeminiAnswer(), body).finish_reason == "tool_calls"


@pytest.mark.parametrize(
    ("first", "last"), [({}, {"summary_index": 0}), ({"summary_index": 0}, {})]
)
def test_a_summary_whose_place_only_some_events_give_is_told_once(first: Any, last: Any) -> None:
    """LiteLLM's proxy leaves the index out of its deltas, and has it in what it says of the whole."""
    place = {"item_id": "i", "output_index": 0}
    kind = "response.reasoning_summary_text"
    part = {"type": "summary_text", "text": "Well,"}
    events = [
        item("reasoning"),
        *(responses.event(f"{kind}.delta", **place, **first, delta=text) for text in ("Well", ",")),
        responses.event(f"{kind}.done", **place, **last, text="Well,"),
        responses.event("response.reasoning_summary_part.done", **place, **last, part=part),
        responses.event(
            "response.output_item.done",
            output_index=0,
            item={"id": "i", "type": "reasoning", "summary": [part]},
        ),
    ]
    assert told(ResponsesAnswer(), *events).reasoning == "Well,"
