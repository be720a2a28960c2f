"""The simulator speaks Anthropic's Messages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from lm_deluge import LLMClient, register_model
from lm_deluge.models.registry import unregister_model
from lm_deluge.simulator import Simulator
from support.simulated import CALLS, check_heard
from support.sse import events, post

TOOLS = [{"name": "weather", "input_schema": {"type": "object"}}]


def asked(**more: Any) -> dict[str, Any]:
    body = {"model": "claude-sonnet-5", "max_tokens": 500, "stream": True}
    return body | {"messages": [{"role": "user", "content": "Hi"}]} | more


async def hear(sim: Simulator, version: str = "2023-06-01", **more: Any) -> tuple[int, bytes]:
    headers = {"x-api-key": "sk-test", "anthropic-version": version}
    return await post(f"{sim.url}/v1/messages", asked(**more), **headers)


@pytest.fixture
def claude() -> Iterator[str]:
    yield "claude-sonnet-5"
    unregister_model("claude-sonnet-5")


async def test_the_events_are_those_of_the_service_in_its_order() -> None:
    async with Simulator(text=["Hel", "lo"], reasoning="Well,", tool_calls=CALLS[:1]) as sim:
        status, body = await hear(sim)
    assert status == 200
    told = [
        (name, data.get("index"), (data.get("delta") or {}).get("type"))
        for name, data in events(body)
        if (data.get("delta") or {}).get("partial_json") is None
    ]
    assert all(name == data["type"] for name, data in events(body))
    assert told == [
        ("message_start", None, None),
        ("content_block_start", 0, None),
        ("ping", None, None),
        ("content_block_delta", 0, "thinking_delta"),
        ("content_block_delta", 0, "thinking_delta"),
        ("content_block_delta", 0, "signature_delta"),
        ("content_block_stop", 0, None),
        ("content_block_start", 1, None),
        ("content_block_delta", 1, "text_delta"),
        ("content_block_delta", 1, "text_delta"),
        ("content_block_stop", 1, None),
        ("content_block_start", 2, None),
        ("content_block_stop", 2, None),
        ("message_delta", None, None),
        ("message_stop", None, None),
    ]
    assert b'data: {"type": "ping"}\n' in body


async def test_a_call_begins_with_an_empty_piece_and_a_placeholder() -> None:
    async with Simulator(tool_calls=CALLS) as sim:
        _, body = await hear(sim)
    told = [data for _, data in events(body)]
    starts = [data["content_block"] for data in told if data["type"] == "content_block_start"]
    assert [(start["name"], start["input"]) for start in starts] == [("weather", {}), ("now", {})]
    assert all(len(start["id"]) == 30 and start["id"].startswith("toolu_01") for start in starts)
    pieces: dict[int, list[str]] = {0: [], 1: []}
    for data in told:
        if data["type"] == "content_block_delta":
            pieces[data["index"]].append(data["delta"]["partial_json"])
    assert pieces[0][0] == pieces[1][0] == ""
    assert json.loads("".join(pieces[0])) == {"city": "東京"}


async def test_usage_is_a_placeholder_first_and_the_total_last() -> None:
    async with Simulator(text=["a", "b", "c"], reasoning=2) as sim:
        _, body = await hear(sim)
    told = [data for _, data in events(body)]
    first, last = told[0]["message"]["usage"], told[-2]["usage"]
    assert first["output_tokens"] == 1
    assert first["input_tokens"] == last["input_tokens"] > 0
    assert last["output_tokens"] == 5
    assert last["output_tokens_details"] == {"thinking_tokens": 2}


async def test_an_answer_ends_with_the_service_s_own_word() -> None:
    async with Simulator(text="one two three") as sim:
        _, whole = await hear(sim, stream=False)
        _, cut = await hear(sim, max_tokens=2, stream=False)
        _, stopped = await hear(sim, stop_sequences=["three"], stream=False)
    async with Simulator(refusal="No.") as sim:
        _, refused = await hear(sim, stream=False)
    ends = [json.loads(body) for body in (whole, cut, stopped, refused)]
    words = [(end["stop_reason"], end["stop_sequence"]) for end in ends]
    assert words == [
        ("end_turn", None), ("max_tokens", None), ("stop_sequence", "three"), ("refusal", None)
    ]  # fmt: skip
    assert ends[2]["content"] == [{"type": "text", "text": "one two "}]
    assert ends[3]["stop_details"]["explanation"] == "No."


async def test_thinking_that_is_omitted_is_a_signature_only() -> None:
    thinking = {"type": "adaptive", "display": "omitted"}
    async with Simulator(text="Hi", reasoning="Well") as sim:
        _, hidden = await hear(sim, thinking=thinking)
        _, none = await hear(sim, thinking={"type": "disabled"})
    deltas = [data["delta"] for _, data in events(hidden) if "index" in data and "delta" in data]
    assert [delta["type"] for delta in deltas] == ["signature_delta", "text_delta"]
    assert b"thinking" not in none


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"max_tokens": None}, "max_tokens: Field required"),
        ({"messages": []}, "messages: at least one message is required"),
        ({"messages": [{"role": "system", "content": "x"}]}, 'Unexpected role "system"'),
        ({"n": 2}, "n: Extra inputs are not permitted"),
        ({"temperature": 1.5}, "temperature: range: 0..1"),
        ({"max_tokens": 10**6}, "max_tokens: 1000000 > 128000, which is the maximum"),
        ({"tool_choice": {"type": "any"}}, "may only be specified while providing tools"),
        ({"tools": [{"type": "function", "function": {}}], "tool_choice": {"type": "required"}},
         "Input tag 'required' found using 'type'"),
        ({"thinking": {"type": "enabled", "budget_tokens": 10}}, "greater than or equal to 1024"),
        ({"messages": [{"role": "assistant", "content": [
            {"type": "tool_use", "id": "toolu_1", "name": "a", "input": {}}]}]},
         "`tool_use` ids were found without `tool_result` blocks"),
        ({"messages": [{"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "toolu_9"}]}]}, "unexpected `tool_use_id`"),
    ],
)  # fmt: skip
async def test_a_bad_request_gets_the_service_s_400(more: dict[str, Any], message: str) -> None:
    async with Simulator() as sim:
        status, body = await hear(sim, **more)
    error = json.loads(body)
    assert (status, error["type"], error["error"]["type"]) == (
        400,
        "error",
        "invalid_request_error",
    )
    assert message in error["error"]["message"]


async def test_the_newest_version_takes_no_sampling_parameters() -> None:
    async with Simulator() as sim:
        older, _ = await hear(sim, model="claude-sonnet-4-5", temperature=0)
        newest, body = await hear(sim, version="2026-10-21", temperature=1)
    assert (older, newest) == (200, 400)
    assert b"temperature: Extra inputs are not permitted" in body


async def test_a_wrong_key_or_model_is_refused_in_the_service_s_shape() -> None:
    async with Simulator(api_key="right") as sim:
        url, version = f"{sim.url}/v1/messages", {"anthropic-version": "2023-06-01"}
        wrong = await post(url, asked(), **version, **{"x-api-key": "wrong"})
        none = await post(url, asked(), **version)
        model = await post(url, asked(model="gpt-4o"), **version, **{"x-api-key": "right"})
    assert [status for status, _ in (wrong, none, model)] == [401, 401, 404]
    kinds = [json.loads(body)["error"]["type"] for _, body in (wrong, none, model)]
    assert kinds == ["authentication_error", "authentication_error", "not_found_error"]


async def test_our_client_hears_text_reasoning_calls_and_usage(claude: str) -> None:
    async with Simulator(text=["Hel", "lo"], reasoning="Well,", tool_calls=CALLS) as sim:
        register_model(claude, base_url=sim.base_url, dialect="messages")
        client = LLMClient(claude, api_key="sk-test")
        response = await client.stream("Hi", handlers=[])
    check_heard(response)
