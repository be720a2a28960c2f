"""What a healthy simulator says."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import aiohttp
import pytest

from lm_deluge.simulator import Gap, ReceivedRequest, Simulator
from support.plain_client import Ask

TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "unit": {"enum": ["C", "F"]},
                "days": {"type": "integer", "minimum": 1, "maximum": 3},
                "exact": {"type": ["null", "boolean"]},
                "spots": {"type": "array", "items": {"type": "number"}},
                "note": {"anyOf": [{"type": "null"}, {"type": "string"}]},
                "v": {"const": 2},
            },
            "required": ["city", "unit", "days", "exact", "spots", "note", "v"],
        },
    },
}


async def test_a_stream_has_role_pieces_finish_usage_and_done_in_this_order(ask: Ask) -> None:
    async with Simulator(text="Hello, world!") as sim:
        heard = await ask(sim, stream_options={"include_usage": True})
    assert heard.status == 200
    assert heard.headers["content-type"].startswith("text/event-stream")
    assert heard.headers["x-request-id"].startswith("req_")
    first, *pieces, finish, usage, done = heard.events
    role = {"role": "assistant", "content": "", "refusal": None}
    assert first["choices"] == [
        {"index": 0, "delta": role, "logprobs": None, "finish_reason": None}
    ]
    assert [p["choices"][0]["delta"] for p in pieces] == [
        {"content": "Hello"},
        {"content": ","},
        {"content": " world"},
        {"content": "!"},
    ]
    assert finish["choices"][0]["delta"] == {}
    assert finish["choices"][0]["finish_reason"] == "stop"
    assert usage["choices"] == []
    assert usage["usage"]["completion_tokens"] == 4
    assert done == b"[DONE]"
    assert all(chunk["usage"] is None for chunk in (first, *pieces, finish))
    assert {chunk["id"] for chunk in (first, *pieces, finish, usage)} == {first["id"]}
    assert first["id"].startswith("chatcmpl-")
    assert first["model"] == "gpt-4o-2024-08-06"
    assert first["object"] == "chat.completion.chunk"
    assert first["service_tier"] == "default"
    assert first["system_fingerprint"].startswith("fp_")
    assert "obfuscation" in pieces[0]


async def test_usage_comes_only_when_it_is_asked_for_and_may_be_replaced(ask: Ask) -> None:
    async with Simulator(tokens=3) as sim:
        heard = await ask(sim)
        assert not any("usage" in event for event in heard.events if isinstance(event, dict))
    own = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 9}
    options = {"include_usage": True, "include_obfuscation": False}
    async with Simulator(tokens=3, usage=own) as sim:
        heard = await ask(sim, stream_options=options)
        assert heard.events[-2]["usage"] == own
        assert b"obfuscation" not in heard.body
    async with Simulator(tokens=3, usage=False) as sim:
        heard = await ask(sim, stream_options=options)
        assert heard.events[-2]["choices"][0]["finish_reason"] == "stop"
        assert "usage" not in (await ask(sim, stream=False)).json


async def test_without_stream_the_same_text_comes_as_one_json_object(ask: Ask) -> None:
    async with Simulator(seed=4) as sim:
        streamed = await ask(sim)
        whole = await ask(sim, stream=False)
    assert whole.headers["content-type"] == "application/json"
    assert whole.json["choices"][0]["message"]["content"] == streamed.text()
    assert whole.json["object"] == "chat.completion"
    assert 60 <= whole.json["usage"]["completion_tokens"] <= 120


async def test_seeds_and_prompts_decide_the_text(ask: Ask) -> None:
    async def said(seed: int, prompt: str) -> str:
        async with Simulator(seed=seed) as sim:
            return (await ask(sim, messages=[{"role": "user", "content": prompt}])).text()

    assert await said(1, "a") == await said(1, "a")
    assert await said(1, "a") != await said(2, "a")
    assert await said(1, "a") != await said(1, "b")


async def test_text_may_be_pieces_or_a_function_of_the_request(ask: Ask) -> None:
    pieces = ["a", " b\n", "é", "🙂 c"]
    async with Simulator(text=pieces) as sim:
        heard = await ask(sim)
        assert [e["choices"][0]["delta"].get("content") for e in heard.events[1:-2]] == pieces
    async with Simulator(text=lambda body: body["messages"][0]["content"] * 2) as sim:
        assert (await ask(sim)).text() == "HiHi"


async def test_max_tokens_and_stop_cut_the_answer(ask: Ask) -> None:
    async with Simulator(text="one two three four") as sim:
        heard = await ask(sim, max_tokens=2)
        assert (heard.text(), heard.finishes) == ("one two", ["length"])
        heard = await ask(sim, stop=["hre", "four"])
        assert (heard.text(), heard.finishes) == ("one two t", ["stop"])
        assert (await ask(sim, stop="absent")).text() == "one two three four"


async def test_choices_are_interleaved_and_differ(ask: Ask) -> None:
    async with Simulator(tokens=5) as sim:
        heard = await ask(sim, n=3)
    order = [e["choices"][0]["index"] for e in heard.events[3:-4]]
    assert order == [0, 1, 2] * 5
    assert len({heard.text(choice) for choice in range(3)}) == 3
    assert heard.finishes == ["stop"] * 3


async def test_logprobs_come_when_asked_for(ask: Ask) -> None:
    async with Simulator(text="Hé") as sim:
        heard = await ask(sim, logprobs=True, top_logprobs=2)
        (token,) = heard.events[1]["choices"][0]["logprobs"]["content"]
        assert token["token"] == "Hé"
        assert token["bytes"] == list("Hé".encode())
        assert [rival["token"] for rival in token["top_logprobs"]] == ["Hé", " the"]
        whole = await ask(sim, stream=False, logprobs=True)
        assert whole.json["choices"][0]["logprobs"]["content"][0]["top_logprobs"] == []


@pytest.mark.parametrize(
    "choice", ["required", {"type": "function", "function": {"name": "weather"}}]
)
async def test_a_forced_tool_is_called_with_arguments_that_fit(ask: Ask, choice: Any) -> None:
    other = {"type": "function", "function": {"name": "other"}}
    tools = [TOOL, other]
    async with Simulator() as sim:
        heard = await ask(sim, tools=tools, tool_choice=choice)
        assert (await ask(sim, tools=tools)).finishes == ["stop"]
        assert (await ask(sim, tools=tools, tool_choice="none")).finishes == ["stop"]
    calls = [
        call
        for event in heard.events[:-1]
        for entry in event["choices"]
        for call in entry["delta"].get("tool_calls", ())
    ]
    assert calls[0]["function"] == {"name": "weather", "arguments": ""}
    assert calls[0]["id"].startswith("call_")
    assert all("id" not in call for call in calls[1:])
    given = json.loads("".join(call["function"]["arguments"] for call in calls))
    assert set(given) == set(TOOL["function"]["parameters"]["properties"])  # type: ignore[index]
    assert given["unit"] in "CF"
    assert given["days"] in (1, 2, 3)
    assert isinstance(given["exact"], bool)
    assert given["note"] is None
    assert given["v"] == 2
    assert heard.finishes == ["tool_calls"]
    assert heard.text() == ""


async def test_given_tool_calls_are_made_once_and_then_the_model_talks(ask: Ask) -> None:
    calls: list[tuple[str, dict[str, Any] | str]] = [("a", {"x": 1}), ("b", "not json")]
    async with Simulator(text="Let me see", tool_calls=calls) as sim:
        message = (await ask(sim, stream=False)).json["choices"][0]["message"]
        assert message["content"] == "Let me see"
        assert [call["function"] for call in message["tool_calls"]] == [
            {"name": "a", "arguments": '{"x": 1}'},
            {"name": "b", "arguments": "not json"},
        ]
        cut = (await ask(sim, stream=False, max_tokens=5)).json["choices"][0]
        assert cut["finish_reason"] == "length"
        assert len(cut["message"]["tool_calls"]) == 1
        results = [
            {"role": "tool", "tool_call_id": call["id"], "content": "1"}
            for call in message["tool_calls"]
        ]
        after = await ask(sim, messages=[message, *results])
        assert after.finishes == ["stop"]


async def test_reasoning_is_hidden_for_reasoning_models_and_shown_when_given(ask: Ask) -> None:
    async with Simulator(text="ok") as sim:
        heard = await ask(sim, model="o3", stream_options={"include_usage": True})
        details = heard.events[-2]["usage"]["completion_tokens_details"]
        assert details["reasoning_tokens"] > 0
        assert "logprobs" not in heard.events[0]["choices"][0]
        none = await ask(sim, model="gpt-5.1", reasoning_effort="none", stream=False)
        assert none.json["usage"]["completion_tokens"] == 1
        spent = await ask(sim, model="o3", max_completion_tokens=1)
        assert (spent.text(), spent.finishes) == ("", ["length"])
    async with Simulator(text="ok", reasoning="Let me think", reasoning_field="reasoning") as sim:
        heard = await ask(sim)
        deltas = [event["choices"][0]["delta"] for event in heard.events[1:-2]]
        assert "".join(d.get("reasoning", "") for d in deltas) == "Let me think"
        message = (await ask(sim, stream=False)).json["choices"][0]["message"]
        assert message["reasoning"] == "Let me think"
    async with Simulator(text="ok", reasoning=4) as sim:
        usage = (await ask(sim, stream=False)).json["usage"]
        assert usage["completion_tokens"] == 5


async def test_a_refusal_comes_in_its_own_field(ask: Ask) -> None:
    async with Simulator(refusal="I cannot do that.") as sim:
        heard = await ask(sim)
        message = (await ask(sim, stream=False)).json["choices"][0]["message"]
    said = [event["choices"][0]["delta"].get("refusal") or "" for event in heard.events[:-1]]
    assert "".join(said) == message["refusal"] == "I cannot do that."
    assert message["content"] is None


async def test_json_formats_give_json(ask: Ask) -> None:
    prompt = [{"role": "user", "content": [{"type": "text", "text": "as JSON"}]}]
    schema = {"type": "object", "properties": {"n": {"type": "integer"}, "f": {"type": "number"}}}
    async with Simulator() as sim:
        heard = await ask(sim, messages=prompt, response_format={"type": "json_object"})
        assert isinstance(json.loads(heard.text()), dict)
        wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
        heard = await ask(sim, messages=prompt, response_format=wanted)
        assert set(json.loads(heard.text())) == {"n", "f"}


async def test_models_are_listed_and_described(session: aiohttp.ClientSession) -> None:
    headers = {"Authorization": "Bearer x"}
    async with Simulator() as sim, Simulator(models=["mine"]) as own:

        async def get(simulator: Simulator, path: str) -> tuple[int, Any]:
            async with session.get(simulator.url + path, headers=headers) as response:
                return response.status, await response.json()

        status, listed = await get(sim, "/v1/models")
        assert status == 200
        assert "gpt-4o" in [model["id"] for model in listed["data"]]
        assert (await get(sim, "/v1/models/gpt-4o"))[1]["id"] == "gpt-4o"
        status, body = await get(sim, "/v1/models/nope")
        assert (status, body["error"]["code"]) == (404, "model_not_found")
        assert [m["id"] for m in (await get(own, "/v1/models"))[1]["data"]] == ["mine"]
        status, body = await get(sim, "/v1/elsewhere")
        assert (status, body["error"]["message"]) == (404, "Invalid URL (GET /v1/elsewhere)")
        assert (await get(sim, "/v1/chat/completions"))[0] == 405
        async with session.post(sim.base_url + "/models", headers=headers) as response:
            assert response.status == 405
        async with session.get(sim.base_url + "/models") as response:
            assert response.status == 401


async def test_azure_deployments_are_served_with_their_own_key_and_errors(ask: Ask) -> None:
    path = "/openai/deployments/my-gpt/chat/completions?api-version=2024-10-21"
    async with Simulator(text="Hi", api_key="k") as sim:
        heard = await ask(sim, path=path, key=None, headers={"api-key": "k"}, model=...)
        assert heard.events[0]["choices"] == []
        assert "prompt_filter_results" in heard.events[0]
        assert heard.text() == "Hi"
        wrong = await ask(sim, path=path, key=None, headers={"api-key": "x"})
        assert (wrong.status, wrong.json["error"]["code"]) == (401, "401")
        bare = await ask(sim, path=path.partition("?")[0], key=None, headers={"api-key": "k"})
        assert bare.json == {"error": {"code": "404", "message": "Resource not found"}}


async def test_pieces_leave_at_the_moments_that_were_asked_for(ask: Ask) -> None:
    async with Simulator(tokens=5, ttft=0.1, gap=0.03) as sim:
        start = time.perf_counter()
        await ask(sim)
        # Each counts from the request: a piece that leaves late does not delay the next.
        for number, moment in enumerate(sim.requests[0].sent_at[:5]):
            assert moment - start >= 0.1 + 0.03 * number
        start = time.perf_counter()
        await ask(sim, stream=False)
        assert time.perf_counter() - start >= 0.21


async def test_a_reply_can_be_a_text_or_nothing_special(ask: Ask) -> None:
    def reply(request: ReceivedRequest) -> str | None:
        return "scripted" if request.index == 0 else None

    async with Simulator(reply=reply, text="usual") as sim:
        assert (await ask(sim)).text() == "scripted"
        assert (await ask(sim)).text() == "usual"


@pytest.mark.parametrize(
    ("text", "gap"),
    [
        ("0.5", Gap.constant(0.5)),
        ("exponential:0.1", Gap.exponential(0.1)),
        ("lognormal:0.03:0.5", Gap.lognormal(0.03, 0.5)),
        ("bursty:4:0.2", Gap.bursty(4, 0.2)),
    ],
)
def test_gaps_can_be_written_as_text(text: str, gap: Gap) -> None:
    assert Gap.parse(text) == gap
    assert Gap.of(text) == gap


@pytest.mark.parametrize(
    "text", ["", "x", "-1", "nan", "inf", "constant", "lognormal:1", "bursty:0:1", "weird:1"]
)
def test_what_is_no_gap_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="gap"):
        Gap.parse(text)


@pytest.mark.parametrize(
    "arguments",
    [
        {"jitter": 1},
        {"tokens": -1},
        {"keep_requests": -1},
        {"raw": [], "reply": lambda _: None},
        {"raw": iter([b""])},
        {"gap": -1},
    ],
)
def test_arguments_that_make_no_sense_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Simulator(**arguments)


async def test_bursts_and_jitter_come_from_the_seed(ask: Ask) -> None:
    async with Simulator(tokens=6, gap=Gap.bursty(3, 0.05), jitter=0.1) as sim:
        await ask(sim)
        sent = sim.requests[0].sent_at
    assert sent[3] - sent[0] >= 0.044
    for distribution in (Gap.exponential(0.001), Gap.lognormal(0.001, 0.2)):
        async with Simulator(tokens=4, gap=distribution) as sim:
            assert (await ask(sim)).done


async def test_several_choices_share_one_gap(ask: Ask) -> None:
    async with Simulator(tokens=4, gap=0.04) as sim:
        await ask(sim, n=2)
        sent = sim.requests[0].sent_at
    assert len(sent) == 8
    assert 0.119 <= sent[-1] - sent[0] < 0.25
    await asyncio.sleep(0)
