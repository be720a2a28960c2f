"""Fields that nobody knows are kept and sent back, and what was asked for and did not come is said."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lm_deluge import APIResponse, Conversation, LLMClient, SamplingParams
from lm_deluge.api_requests.openai import stream_chat
from support.chunks import body_of, call
from support.reading import read
from support.scripted import DONE, END, HEADERS, ScriptedServer, delta, events, http, sse


def test_fields_that_nobody_knows_are_kept_where_they_stood() -> None:
    first = {**delta("a", annotations=[1]), "citations": ["u"], "provider": "P"}
    first["choices"][0]["content_filter_results"] = {"hate": {"filtered": False}}
    second = {**delta("b", annotations=[2]), "citations": ["u", "v"], "provider": None}
    second["choices"][0]["content_filter_results"] = {"violence": {"filtered": True}}
    third = delta("c", audio={"id": "x", "data": "AB"})
    fourth = delta("d", audio={"data": "CD", "transcript": "d"})
    reading = read(body_of(first, second, third, fourth, delta(finish="stop")) + DONE)
    assert reading.tokens == ["a", "b", "c", "d"]
    assert reading.choice.extra == {
        "annotations": [1, 2],
        "content_filter_results": {"hate": {"filtered": False}, "violence": {"filtered": True}},
        "audio": {"id": "x", "data": "ABCD", "transcript": "d"},
    }
    assert reading.answer.facts.extra == {"citations": ["u", "v"], "provider": "P"}


@pytest.mark.parametrize("field", ["annotations", "content_filter_results", "stop_reason"])
def test_a_field_in_the_middle_of_plain_tokens_is_kept(field: str) -> None:
    odd = delta("b", **({field: ["x"]} if field == "annotations" else {}))
    if field != "annotations":
        odd["choices"][0][field] = ["x"]
    reading = read(events("a", "a") + sse(odd) + events("c") + DONE)
    assert (reading.choice.completion, reading.choice.extra) == ("aabc", {field: ["x"]})


def test_citations_in_the_middle_of_plain_tokens_are_kept() -> None:
    reading = read(events("a", "a") + sse({**delta("b"), "citations": ["u"]}) + events("c") + DONE)
    assert reading.answer.facts.extra == {"citations": ["u"]}


def test_a_plain_answer_has_no_extra_fields() -> None:
    reading = read(events("a") + sse(delta("b", finish="stop")) + DONE)
    assert (reading.choice.extra, reading.answer.facts.extra) == ({}, None)


async def respond(body: bytes, **options: Any) -> APIResponse:
    async with ScriptedServer([HEADERS, http(body) + END]) as server:
        client = LLMClient(
            "gpt-4o", base_url=server.base_url, api_key="sk-test-key-123456", printer=None
        )
        return await client.stream("hi", **options)


async def test_what_gemini_wants_back_goes_back_with_the_next_request() -> None:
    signed = call("{}", id_="a", name="f", extra_content={"google": {"thought_signature": "sig"}})
    more = delta(extra_content={"google": {"thought_signature": "of the text"}})
    response = await respond(body_of(signed, more, delta(finish="tool_calls")) + DONE)
    again = APIResponse.from_dict(json.loads(json.dumps(response.to_dict())))
    for made in (response, again):
        (sent,) = Conversation().add(made.content).to_openai()
        assert sent["tool_calls"][0]["extra_content"] == {"google": {"thought_signature": "sig"}}
        assert sent["extra_content"] == {"google": {"thought_signature": "of the text"}}
        (once_more,) = Conversation.from_openai([sent]).to_openai()
        assert once_more == sent


async def test_a_refusal_goes_back_and_reasoning_only_where_its_user_says_so() -> None:
    said = [delta(refusal="I can"), delta(refusal="not."), delta(reasoning_content="hm")]
    response = await respond(body_of(*said, delta(finish="stop")) + DONE)
    message = response.content
    sent = {"role": "assistant", "content": None, "refusal": "I cannot."}
    assert message.to_openai() == sent
    message.extra["reasoning_content"] = response.reasoning
    assert message.to_openai() == {**sent, "reasoning_content": "hm"}


async def test_a_call_without_an_id_goes_back_as_the_tool_call_that_it_was() -> None:
    signature = {"google": {"thought_signature": "sig"}}
    signed = call("{}", id_="", name="f", extra_content=signature)
    response = await respond(body_of(signed, delta(finish="tool_calls")) + DONE)
    again = APIResponse.from_dict(json.loads(json.dumps(response.to_dict())))
    for made in (response, again):
        chat = Conversation().add(made.content).tool(made.tool_calls[0].id or "", "done")
        sent, result = chat.to_openai()
        assert "function_call" not in sent
        assert sent["tool_calls"] == [
            {
                "id": "",
                "type": "function",
                "function": {"name": "f", "arguments": "{}"},
                "extra_content": signature,
            }
        ]
        assert result["tool_call_id"] == ""
        assert Conversation.from_openai([sent]).to_openai() == [sent]


@pytest.mark.parametrize(
    ("asked", "missing"),
    [
        ({"n": 2}, ["2 choices were asked for and 1 choice came"]),
        ({"logprobs": True}, ["log probabilities were asked for and none came"]),
        ({"n": 1}, []),
    ],
)
async def test_what_was_asked_for_and_did_not_come_is_said(
    asked: dict[str, Any], missing: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    params = SamplingParams(**asked)
    response = await respond(events("a") + sse(delta(finish="stop")) + DONE, sampling_params=params)
    assert response.missing == missing
    assert [sentence for sentence in missing if sentence not in caplog.text] == []


@pytest.mark.parametrize(
    ("first", "second", "missing"),
    [
        ({"content": [{"token": "a"}]}, {"content": [{"token": "b"}]}, []),
        ({"content": [{"token": "a"}]}, None, ["none came for choice 1"]),
        ({"content": []}, {"content": [{"token": "b"}]}, ["none came for choice 0"]),
        ({"content": None}, {"content": []}, ["none came"]),
        ({"content": None}, None, ["none came"]),
        ({}, {"refusal": None, "content": None}, ["none came"]),
        ({"tokens": ["a"]}, {"token_logprobs": [-1.0]}, []),
    ],
)
async def test_which_choices_lack_log_probabilities_is_said(
    first: Any, second: Any, missing: list[str]
) -> None:
    both = [delta("a")["choices"][0], delta("b", index=1, finish="stop")["choices"][0]]
    for one, logprobs in zip(both, (first, second), strict=True):
        one["logprobs"] = logprobs
        one["finish_reason"] = "stop"
    params = SamplingParams(n=2, logprobs=True)
    response = await respond(sse({"choices": both}) + DONE, sampling_params=params)
    said = [f"log probabilities were asked for and {sentence}" for sentence in missing]
    assert response.missing == said


async def test_choices_counted_from_one_keep_their_numbers_and_it_is_said() -> None:
    # Their pieces are told as they come, and any choice may come first: nothing says then that the
    # numbers are shifted.
    chunks = [delta("a", index=1), delta("b", index=2)]
    ends = [delta(index=1, finish="stop"), delta(index=2, finish="stop")]
    response = await respond(body_of(*chunks, *ends) + DONE, sampling_params=SamplingParams(n=2))
    assert [(one.index, one.completion) for one in response.choices] == [(1, "a"), (2, "b")]
    assert response.missing == ["choice 0 did not come: the server numbered them 1, 2"]


async def test_stream_chat_asks_as_its_client_does() -> None:
    async with ScriptedServer([HEADERS, http(events("a") + DONE) + END]) as server:
        client = LLMClient(
            "gpt-4o",
            base_url=server.base_url,
            api_key="sk-test-key-123456",
            sampling_params=SamplingParams(n=2, temperature=0.5),
        )
        async for _ in stream_chat("gpt-4o", "hi", client=client):
            pass
        sent = server.requests[0].json
    assert (sent["n"], sent["temperature"]) == (2, 0.5)
