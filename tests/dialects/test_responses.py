"""OpenAI's Responses: what is read of any cut."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lm_deluge import Token
from lm_deluge.config import Limits
from lm_deluge.dialects.responses import RESPONSES
from lm_deluge.dialects.responses.answer import ResponsesAnswer
from lm_deluge.errors import LimitExceededError, ProtocolError, ProviderError
from support import dialects
from support.dialects import CAPTURES
from support.responses import (
    AGAIN,
    BODY,
    BUSY,
    RECORDED,
    START,
    TEXT,
    WHOLE_ITEM,
    ended,
    event,
    expected_of,
    said,
)

REPLIES: dict[str, Any] = {
    name: (json.loads((Path(CAPTURES) / "provider_errors" / f"{name}.json").read_text()), told)
    for name, told in (
        json.loads((Path(CAPTURES) / "expected_provider_errors.json").read_text("utf-8"))["files"]
        if CAPTURES
        else {}
    ).items()
    if name.startswith("openai_responses")
}


read = partial(dialects.read, ResponsesAnswer)


@pytest.mark.parametrize("file", RECORDED, ids=lambda path: path.stem)
def test_a_recording_gives_what_is_expected_however_it_is_cut(file: Path) -> None:
    expected = expected_of(file)
    reading = dialects.read_recorded(ResponsesAnswer, file.read_bytes())
    answer, choice = reading.answer, reading.choice
    dialects.check_recorded(reading, expected, raw_end=_raw_end(choice))
    dialects.check_calls(reading, expected)
    assert ((choice.refusal if choice else None) or "") == expected["refusal"]
    assert (answer.whole or answer.error is not None) is expected["complete"]


def _raw_end(choice: Any) -> str | None:
    extra = choice.extra if choice else {}
    details = extra.get("incomplete_details")
    return f"{extra['status']}:{details['reason']}" if details else extra.get("status")


@pytest.mark.parametrize("name", REPLIES)
def test_a_recorded_refusal_has_its_class_and_its_words(name: str) -> None:
    recorded, expected = REPLIES[name]
    body = recorded["body_text"].encode()
    error = RESPONSES.refusal(
        recorded["status"], recorded["response_headers"], body, shown_url="https://x.example"
    )
    assert type(error).__name__ == expected["raised"]
    assert (error.type, error.code, error.param) == (
        expected["type"],
        expected["code"],
        expected["param"],
    )
    assert " ".join(expected["plain"]["message"].split())[:60] in str(error)


def test_each_text_is_taken_one_time_and_the_end_says_usage() -> None:
    reading = read(BODY)
    assert [piece.text for piece in reading.pieces] == ["Good", " day"]
    (choice,) = reading.answer.choices()
    assert (choice.completion, choice.finish_reason) == ("Good day", "stop")
    usage = reading.answer.facts.usage
    assert usage is not None
    assert (usage.input_tokens, usage.cache_read_tokens, usage.reasoning_tokens) == (9, 2, 1)
    assert reading.answer.facts.model_external == "gpt-x-2026"


@pytest.mark.parametrize("told", [AGAIN, event("response.output_item.done", item=WHOLE_ITEM)])
def test_a_text_without_deltas_is_taken_whole(told: bytes) -> None:
    assert read(START + told + ended()).answer.choices()[0].completion == "Good day"
    assert read(START + ended(output=[WHOLE_ITEM])).answer.choices()[0].completion == "Good day"


@pytest.mark.parametrize(
    ("reason", "finish"),
    [("max_output_tokens", "length"), ("content_filter", "content_filter"), ("new", "length")],
)
def test_an_incomplete_answer_is_an_end_with_its_reason(reason: str, finish: str) -> None:
    reading = read(
        START + TEXT + said("x") + ended("incomplete", incomplete_details={"reason": reason})
    )
    (choice,) = reading.answer.choices()
    assert choice.finish_reason == finish
    assert choice.extra["incomplete_details"] == {"reason": reason}
    assert reading.answer.whole


def test_reasoning_refusal_and_overlapping_items_keep_their_places() -> None:
    body = START
    for kind, text in (("reasoning_summary_text", "Hm"), ("reasoning_text", "raw")):
        body += event(f"response.{kind}.delta", output_index=0, summary_index=0, delta=text)
    body += event("response.refusal.delta", output_index=1, content_index=0, delta="No")
    blob = {"type": "reasoning", "encrypted_content": "c2ln", "summary": []}
    body += event("response.output_item.done", output_index=0, item=blob)
    (choice,) = read(body + ended()).answer.choices()
    assert (choice.reasoning, choice.refusal, choice.completion) == ("Hm", "No", "")
    assert choice.extra["provider_content"]["content"][0] == blob


def test_calls_come_in_deltas_whole_or_without_arguments() -> None:
    body = START
    for index, name in enumerate(("one", "two", "three")):
        item = {"type": "function_call", "call_id": f"c{index}", "name": name, "arguments": ""}
        body += event("response.output_item.added", output_index=index, item=item)
    args = "response.function_call_arguments"
    body += event(f"{args}.delta", output_index=1, delta='{"b"')
    body += event(f"{args}.done", output_index=0, arguments='{"a":1}')
    body += event(f"{args}.delta", output_index=1, delta=":2}")
    body += event(f"{args}.done", output_index=1, arguments='{"b":2}')
    body += event("response.output_item.done", output_index=2, item=item)
    (choice,) = read(body + ended()).answer.choices()
    calls = [(call.id, call.name, call.arguments) for call in choice.tool_calls]
    assert calls == [("c0", "one", '{"a":1}'), ("c1", "two", '{"b":2}'), ("c2", "three", "{}")]
    assert choice.finish_reason == "tool_calls"


def test_an_item_without_its_place_is_known_by_its_id() -> None:
    done = event("response.output_item.done", item=WHOLE_ITEM)
    (choice,) = read(START + said("Good") + said(" day") + done + ended()).answer.choices()
    assert choice.completion == "Good day"


def test_unknown_events_comments_and_done_pass() -> None:
    body = b": OPENROUTER\n\n" + BODY.replace(b"event: ", b": ") + b"data: [DONE]\n\n"
    body = event("response.to_come", x=1) + event("to_come", x=1) + body
    assert read(body).answer.choices()[0].completion == "Good day"


@pytest.mark.parametrize("before", [b"", START + TEXT + said("Half")])
@pytest.mark.parametrize(
    "failure",
    [
        BUSY,
        event("error", code="server_error", message="Busy", param=None),
        ended("failed", error={"code": "server_error", "message": "Busy"}),
        b'data: {"error":{"type":"server_error","message":"Busy"}}\n\n',
    ],
)
def test_an_error_in_the_stream_is_the_providers_error(before: bytes, failure: bytes) -> None:
    reading = read(before + failure)
    error = reading.answer.error
    assert isinstance(error, ProviderError)
    assert "server_error" in (error.type, error.code)
    assert "Busy" in str(error)
    assert [piece.text for piece in reading.pieces] == (["Half"] if before else [])


@pytest.mark.parametrize("tail", [b"", b"data: [DONE]\n\n"])
def test_without_a_terminal_event_it_is_a_cut(tail: bytes) -> None:
    reading = read(START + TEXT + said("Good day") + AGAIN + tail)
    assert not reading.answer.whole
    assert reading.answer.error is None
    assert reading.answer.facts.usage is None


def test_an_event_without_json_and_an_answer_too_large_are_errors() -> None:
    body = START + b"event: response.output_text.delta\ndata: <html>\n\n"
    assert isinstance(read(body).answer.error, ProtocolError)
    large = read(START + TEXT + said("12345") * 3, limits=Limits(max_answer_chars=10))
    assert isinstance(large.answer.error, LimitExceededError)


def test_a_server_that_does_not_stream_is_read_too() -> None:
    answer = ResponsesAnswer()
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"a":1}'}
    body = {"object": "response", "id": "r", "status": "completed", "output": [WHOLE_ITEM, call]}
    answer.feed_json(json.dumps(body).encode(), 0.0)
    (choice,) = answer.choices()
    assert answer.whole
    assert (choice.completion, choice.finish_reason) == ("Good day", "tool_calls")
    assert choice.tool_calls[0].arguments == '{"a":1}'


@pytest.mark.parametrize("in_the_end", [False, True])
@pytest.mark.parametrize("size", [1, 64, 100_000])
def test_text_says_the_phase_of_its_message(size: int, in_the_end: bool) -> None:
    def item(index: int, text: str, **more: Any) -> bytes:
        begun = {"type": "message", "id": "m", **more}
        whole = begun | {"content": [{"type": "output_text", "text": text}]}
        return (
            event("response.output_item.added", output_index=index, item=begun)
            + b"".join(said(letter, index) for letter in text)
            + event("response.output_item.done", output_index=index, item=whole)
        )

    phases = [("Let me", "commentary"), ("Well", None), ("Yes, é", "final_answer")]
    body = START
    if in_the_end:
        items = [
            {"type": "message", "content": [{"type": "output_text", "text": text}], "phase": phase}
            for text, phase in phases
        ]
        body += ended(output=items)
    else:
        for at, (text, phase) in enumerate(phases):
            body += item(at, text, **({"phase": phase} if phase else {}))
        body += ended()
    answer = ResponsesAnswer()
    tokens = []
    for at in range(0, len(body), size):
        tokens += answer.feed(body[at : at + size], 0.5)
    heard: dict[str | None, str] = {}
    for token in tokens:
        assert isinstance(token, Token)
        heard[token.phase] = heard.get(token.phase, "") + token.text
    assert heard == {phase: text for text, phase in phases}
    (choice,) = answer.choices()
    assert choice.completion == "Let meWellYes, é"
    content = choice.extra["provider_content"]["content"]
    assert [one.get("phase") for one in content] == ["commentary", None, "final_answer"]


@pytest.mark.parametrize("is_event", [False, True])
@pytest.mark.parametrize("status", ["queued", "in_progress", "cancelled"])
def test_a_whole_response_that_is_not_over_is_no_answer(status: str, is_event: bool) -> None:
    output = [{"type": "message", "content": [{"type": "output_text", "text": "Half"}]}]
    whole = {"object": "response", "id": "resp_1", "status": status, "output": output}
    answer = ResponsesAnswer()
    if is_event:
        answer.feed(b"data: %b\n\n" % json.dumps(whole).encode(), 0.5)
    else:
        answer.feed_json(json.dumps(whole).encode(), 0.5)
    assert not answer.done
    assert f"the response is {status!r}" in str(answer.error)


def test_a_whole_response_without_a_status_is_an_answer() -> None:
    output = [{"type": "message", "content": [{"type": "output_text", "text": "All"}]}]
    answer = ResponsesAnswer()
    answer.feed_json(json.dumps({"object": "response", "output": output}).encode(), 0.5)
    assert (answer.done, answer.error) == (True, None)
    assert answer.choices()[0].completion == "All"


HUGE = "A" * 30_000


@pytest.mark.parametrize(
    "item",
    [
        {"type": "message", "content": [{"type": "output_text", "text": HUGE}]},
        {"type": "message", "content": [{"type": "x", "data": HUGE}]},
        {
            "type": "message",
            "content": [{"type": "output_text", "text": "Hi", "annotations": [{"url": HUGE}]}],
        },
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": HUGE},
    ],
)
def test_a_whole_item_counts_for_what_was_not_told_of_it(item: dict[str, Any]) -> None:
    answer = ResponsesAnswer(limits=Limits(max_answer_chars=20_000))
    told = "response.output_text.delta"
    if item["type"] == "function_call":
        told = "response.function_call_arguments.delta"
    answer.feed(START + event(told, output_index=0, content_index=0, delta="Hi"), 0.5)
    answer.feed(event("response.output_item.done", output_index=0, item=item), 0.5)
    assert isinstance(answer.error, LimitExceededError)


@pytest.mark.parametrize("lone", [True, False])
def test_a_whole_item_counts_not_again_for_what_was_told_of_it(lone: bool) -> None:
    answer = ResponsesAnswer(limits=Limits(max_answer_chars=6_000))
    item = {"type": "message", "content": [{"type": "output_text", "text": "東京" * 2500}]}
    answer.feed(START, 0.5)
    deltas = [said("東京" * 25) for _ in range(100)]
    for body in deltas if lone else [b"".join(deltas)]:
        answer.feed(body, 0.5)
    answer.feed(event("response.output_item.done", output_index=0, item=item) + ended(), 0.5)
    assert (answer.error, answer.done) == (None, True)
