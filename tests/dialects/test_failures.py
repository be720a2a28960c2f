"""An answer is whole only by a positive fact, and a failure that is told anywhere is a failure."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lm_deluge import LLMClient, RetryPolicy
from lm_deluge.dialects.chat.answer import ChatAnswer
from lm_deluge.errors import AnswerCutError, APIError, ProtocolError, ProviderError
from support.clients import client_for
from support.reading import read
from support.scripted import DONE, END, HEADERS, ScriptedServer, answer, delta, events, http, sse

BOOM = {"message": "boom", "code": "x"}


def in_choice(**fields: Any) -> bytes:
    return sse({"choices": [{"index": 0, "delta": {}, "finish_reason": None, **fields}]})


def told(field: str, reason: str, where: str) -> bytes:
    """Return a chunk that is plain text, but for a reason for the end that stands somewhere."""
    chunk: Any = delta("x")
    choice = chunk["choices"][0]
    message = choice.setdefault("message", {}) if "message" in where else None
    place = {"beside the choices": chunk, "in the choice": choice, "in the delta": choice["delta"]}
    place.get(where, message)[field] = reason
    chunk["message"] = "boom"
    if place.get(where) is not chunk:
        place.get(where, message)["detail"] = "boom"
    return sse(chunk)


#: What tells of a failure, as the bytes of events; ``boom`` is the server's word for it.
TOLD: dict[str, bytes] = {
    "error object": sse({"error": BOOM}),
    "error text": sse({"error": "boom"}),
    "error in a list": sse([{"error": BOOM}]),
    "errors": sse({"success": False, "errors": [{"message": "boom"}]}),
    "error beside choices": sse({**delta("x"), "error": BOOM}),
    "error in the choice": in_choice(error=BOOM),
    "error in the delta": in_choice(delta={"error": BOOM}),
    "error in the message": in_choice(message={"error": "boom"}),
    "object error": sse({"object": "error", **BOOM}),
    "type error": sse({"type": "error", **BOOM}),
    "event error": b"event: error\ndata: boom\n\n",
    "event of an error's type": b"event: api_error\ndata: " + json.dumps(BOOM).encode() + b"\n\n",
    "event error and [DONE]": b'event: error\ndata: {"message": "boom"}\ndata:\n\n' + DONE,
    "field error": b'error: {"message": "boom"}\n\n',
    "field error without a space": b'error:{"error": {"message": "boom"}}\n\n',
    "field error of words": b"error: boom\n\n",
    "field error beside data": b'error: {"message": "boom"}\n' + events("x"),
    "field error after data": events("x")[:-1] + b'error: {"message": "boom"}\n\n',
    "field error beside [DONE]": b'error: {"message": "boom"}\n' + DONE,
    "bare object": b'{"error": {"message": "boom"}}\n\n',
    "bare object over lines": b'{\n  "error": {\n    "message": "boom"\n  }\n}\n\n',
    "bare object right before [DONE]": b'{"error": "boom"}\n' + DONE,
    "bare objects in lines": b'{"error": "boom"}\n{"error": "bang"}\n\n',
    "an event of a failed response": b"event: response.failed\n"
    + sse({"type": "response.failed", "response": {"error": {"message": "boom"}}}),
    "bare list": b'[{"error": {"message": "boom"}}]\n\n',
    "finish reason error": in_choice(finish_reason="error", error="boom"),
    "finish reason with words": in_choice(finish_reason="error", message={"content": "boom"}),
    "another reason of error": in_choice(finish_reason="Internal_Error:boom"),
    **{
        f"{field} {reason} {where}": told(field, reason, where)
        for field in ("finish_reason", "stop_reason", "native_finish_reason")
        for reason in ("error", "failed", "cancelled", "canceled", "abort", "aborted", "timeout")
        for where in ("beside the choices", "in the choice", "in the delta", "in the message")
    },
    "insufficient": in_choice(finish_reason="insufficient_system_resource", message="boom"),
    "detail": sse({"detail": "boom"}),
    "detail of an error": sse({"detail": {"error": {"message": "boom"}}}),
    "errors beside a title": sse({"title": "Bad", "errors": [{"message": "boom"}]}),
    "details of a validation": sse({"detail": [{"msg": "boom"}]}),
    "code and message": sse({"code": "Throttling", "message": "boom", "request_id": "r"}),
    "message with empty choices": sse({"choices": [], "message": "boom", "code": 503}),
    "status failed": sse({"status": "failed", "why": "boom"}),
    "status of a number": sse({"status": 503, "title": "boom"}),
    "error code and words": sse({"error_code": 17, "error_msg": "boom"}),
    "exception": sse({"exception": "boom"}),
    "base_resp": sse({"choices": None, "base_resp": {"status_code": 1004, "status_msg": "boom"}}),
}

ENDS = {"nothing": b"", "[DONE]": DONE, "a reason and [DONE]": sse(delta(finish="stop")) + DONE}


#: The words stand where the text of an answer does, which nothing else has said.
IN_A_MESSAGE = ("finish reason with words", "insufficient")


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("before", [b"", sse(delta("", role="assistant")), events("Once")])
@pytest.mark.parametrize("told", TOLD)
def test_a_failure_told_anywhere_is_one_in_the_servers_words(
    told: str, before: bytes, end: str
) -> None:
    reading = read(before + TOLD[told] + ENDS[end])
    assert isinstance(reading.error, ProviderError)
    assert "boom" in str(reading.error)
    assert not reading.answer.whole
    beside = ["x"] if b'"content": "x"' in TOLD[told] else []
    if b"Once" in before:
        assert reading.tokens == ["Once", *beside]
    else:
        assert reading.tokens == (["boom"] if told in IN_A_MESSAGE else beside)


@pytest.mark.parametrize("told", TOLD)
def test_a_failure_is_told_though_its_last_line_has_no_end(told: str) -> None:
    body = TOLD[told].removesuffix(DONE).rstrip()
    reading = read(events("Once") + body)
    assert isinstance(reading.error, ProviderError)
    assert "boom" in str(reading.error)
    assert reading.tokens[0] == "Once"


@pytest.mark.parametrize("where", ["in the choice", "in the delta", "beside the choices"])
def test_a_stop_text_that_sounds_like_a_failure_is_none_beside_its_finish_reason(
    where: str,
) -> None:
    end = json.loads(told("stop_reason", "error", where)[6:])
    for place in (end, end["choices"][0], end["choices"][0]["delta"]):
        if "stop_reason" in place:
            place["finish_reason"] = "stop"
    assert read(sse(end) + DONE).error is None


@pytest.mark.parametrize(
    "reason", ["stop", "length", "end_turn", "eos_token", "content_filter", "sensitive", "MAX"]
)
def test_any_other_reason_is_carried(reason: str) -> None:
    reading = read(events("a") + sse(delta(finish=reason)) + DONE)
    assert (reading.error, reading.choice.finish_reason) == (None, reason)


@pytest.mark.parametrize(
    "chunk",
    [
        {"type": "ping"},
        {"status": "queued", "message": "third in the line"},
        {"id": "x", "object": "chat.completion.chunk", "model": "m"},
        {"choices": [], "usage": {"total_tokens": 1}, "message": ""},
        {"base_resp": {"status_code": 0, "status_msg": ""}},
        {"choices": [], "prompt_filter_results": [{}]},
        {"error": None, "message": None, "code": 0},
        {"choices": [], "citations": ["u"]},
    ],
)
def test_what_tells_of_no_failure_does_not_end_an_answer(chunk: Any) -> None:
    reading = read(events("a") + sse(chunk) + events("b") + DONE)
    assert (reading.error, reading.tokens) == (None, ["a", "b"])


#: Bodies that say nothing of an answer.
EMPTY: dict[str, bytes] = {
    "nothing": b"",
    "a role": sse(delta("", role="assistant")),
    "an empty delta": sse(delta()),
    "no choices": sse({"choices": [], "prompt_filter_results": [{}]}),
    "an object nobody knows": sse({"done": True, "thing": {"message": "hi"}}),
    "usage": sse({"choices": [], "usage": {"total_tokens": 3}}),
    "a choice without a word": sse({"choices": [{"index": 0}]}),
}


@pytest.mark.parametrize("body", EMPTY)
def test_done_before_any_answer_is_an_empty_reply_with_evidence(body: str) -> None:
    reading = read(EMPTY[body] + DONE)
    assert isinstance(reading.error, ProtocolError)
    assert reading.error.evidence
    assert "[DONE]" in str(reading.error)
    assert not reading.answer.whole


@pytest.mark.parametrize("body", EMPTY)
def test_an_accepted_end_needs_an_answer_before_it_too(body: str) -> None:
    assert not read(EMPTY[body], accept_eof=True).answer.whole


@pytest.mark.parametrize(
    "chunk",
    [
        delta("a"),
        delta(reasoning="a"),
        delta(refusal="a"),
        delta(finish="stop"),
        delta(tool_calls=[{"index": 0, "id": "c", "function": {"name": "f"}}]),
        delta(function_call={"name": "f", "arguments": ""}),
    ],
)
def test_one_chunk_that_says_something_and_done_are_a_whole_answer(chunk: Any) -> None:
    reading = read(sse(chunk) + DONE)
    assert (reading.error, reading.answer.whole) == (None, True)


def test_a_body_that_is_no_json_is_called_a_body() -> None:
    receiving = ChatAnswer()
    receiving.feed_json(b'{"choices": [', 0.0)
    assert str(receiving.error).startswith("the body holds no JSON")


@pytest.mark.parametrize("body", [b"Internal Server Failure", b"upstream: gone\n\n", b"<html>\n"])
def test_lines_that_are_no_events_are_evidence(body: bytes) -> None:
    receiving = ChatAnswer()
    receiving.feed(body, 0.0)
    receiving.close(0.0)
    assert receiving.evidence == body.rstrip()


# Through a client


def again(server: ScriptedServer, **options: Any) -> LLMClient:
    """Return a client that tries again at once."""
    return client_for(server, **{"retries": RetryPolicy(initial_delay=0)} | options)


def scripted(body: bytes) -> list[Any]:
    return [HEADERS, http(body) + END]


@pytest.mark.parametrize(
    "body",
    [
        *(TOLD[told] for told in ("error text", "field error beside [DONE]", "detail")),
        *(EMPTY[body] + DONE for body in ("a role", "no choices", "an object nobody knows")),
        in_choice(finish_reason="error"),
        b"Service Unavailable\n\n",
        EMPTY["a role"],
    ],
)
async def test_before_any_output_it_is_asked_again_and_then_another_model(body: bytes) -> None:
    async with ScriptedServer(scripted(body), answer("Once")) as server:
        response = await again(server).stream("hi")
    assert (response.completion, response.attempts) == ("Once", 2)
    async with ScriptedServer(
        scripted(body), scripted(body), scripted(body), answer("b")
    ) as server:
        response = await again(server, fallback_models=["gpt-4o-mini"]).stream("hi")
    assert (response.completion, response.model_used) == ("b", "gpt-4o-mini")
    async with ScriptedServer(scripted(body)) as server:
        with pytest.raises(APIError) as caught:
            await again(server, retries=RetryPolicy.none()).stream("hi")
    assert isinstance(caught.value, (ProviderError, ProtocolError, AnswerCutError))


async def test_after_output_the_text_is_kept_and_nothing_is_asked_again() -> None:
    body = events("Once") + in_choice(finish_reason="error", message="boom")
    async with ScriptedServer(scripted(body + DONE), answer("no")) as server:
        with pytest.raises(ProviderError, match="boom") as caught:
            await again(server).stream("hi")
    assert caught.value.partial is not None
    assert caught.value.partial.text == "Once"
    assert caught.value.attempts == 1


def test_bare_objects_with_choices_are_an_answer_as_well() -> None:
    lines = [json.dumps(one).encode() for one in (delta("a"), delta("b"), delta(finish="stop"))]
    for between in (b"\n", b"\n\n"):
        reading = read(between.join(lines) + b"\n")
        assert (reading.error, reading.tokens, reading.answer.whole) == (None, ["a", "b"], True)


def test_the_offset_of_a_bare_object_is_where_it_begins() -> None:
    before = events("a") + b"data: " + json.dumps(delta("b")).encode() + b"\n"
    reading = read(before + b"{nope}\n\n")
    assert isinstance(reading.error, ProtocolError)
    assert reading.error.offset == len(before)
    assert reading.tokens == ["a", "b"]
