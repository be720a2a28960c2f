"""The simulator speaks Google's Gemini."""

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


async def hear(
    sim: Simulator,
    ask: str = "streamGenerateContent?alt=sse",
    model: str = "gemini-3-flash-preview",
    key: str = "sk-test",
    **more: Any,
) -> tuple[int, bytes]:
    body = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]} | more
    return await post(f"{sim.url}/v1beta/models/{model}:{ask}", body, **{"x-goog-api-key": key})


@pytest.fixture
def gemini() -> Iterator[str]:
    yield "gemini-3-flash-preview"
    unregister_model("gemini-3-flash-preview")


async def test_every_event_is_a_response_with_what_is_new() -> None:
    async with Simulator(text=["Hel", "lo"], reasoning="Well,") as sim:
        status, body = await hear(sim)
    assert status == 200
    assert body.endswith(b"}\r\n\r\n")
    assert b"\n" not in body.replace(b"\r\n", b"")
    told = events(body)
    assert [name for name, _ in told] == [None] * 5
    parts = [part for _, data in told for part in data["candidates"][0]["content"]["parts"]]
    assert parts == [
        {"text": "Well", "thought": True},
        {"text": ",", "thought": True},
        {"text": "Hel"},
        {"text": "lo"},
        {"text": ""},
    ]
    assert [data["candidates"][0].get("finishReason") for _, data in told][-2:] == [None, "STOP"]
    assert len({data["responseId"] for _, data in told}) == 1


async def test_usage_grows_and_thoughts_are_beside_the_candidates() -> None:
    async with Simulator(text=["a", "b", "c"], reasoning=2) as sim:
        _, body = await hear(sim)
    told = [data["usageMetadata"] for _, data in events(body)]
    assert "candidatesTokenCount" not in told[0]
    last = told[-1]
    assert (last["thoughtsTokenCount"], last["candidatesTokenCount"]) == (2, 3)
    assert last["totalTokenCount"] == last["promptTokenCount"] + 5


async def test_calls_are_whole_and_the_first_one_is_signed() -> None:
    async with Simulator(tool_calls=CALLS) as sim:
        _, body = await hear(sim)
    told = events(body)
    parts = [part for _, data in told for part in data["candidates"][0]["content"]["parts"]]
    assert [part.get("functionCall") for part in parts] == [
        {"name": "weather", "args": {"city": "東京"}},
        {"name": "now", "args": {}},
        None,
    ]
    assert ["thoughtSignature" in part for part in parts] == [True, False, False]
    last = told[-1][1]["candidates"][0]
    assert (last["finishReason"], last["finishMessage"]) == (
        "STOP", "Model generated function call(s)."
    )  # fmt: skip


async def test_without_alt_sse_the_answer_is_one_array() -> None:
    async with Simulator(text=["Hel", "lo"]) as sim:
        _, streamed = await hear(sim, "streamGenerateContent")
        _, whole = await hear(sim, "generateContent")
    array = json.loads(streamed)
    assert [each["candidates"][0]["content"]["parts"] for each in array] == [
        [{"text": "Hel"}], [{"text": "lo"}], [{"text": ""}]
    ]  # fmt: skip
    assert json.loads(whole)["candidates"][0]["content"]["parts"] == [{"text": "Hello"}]


async def test_an_answer_ends_with_the_service_s_own_word() -> None:
    async with Simulator(text="one two three") as sim:
        _, cut = await hear(sim, generationConfig={"maxOutputTokens": 2}, model="gemini-2.5-flash")
    async with Simulator(refusal="No.") as sim:
        _, refused = await hear(sim)
    async with Simulator(tool_calls=[("now", '{"broken')]) as sim:
        _, broken = await hear(sim)
    ends = [events(body)[-1][1]["candidates"][0] for body in (cut, refused, broken)]
    assert [end["finishReason"] for end in ends] == [
        "MAX_TOKENS", "SAFETY", "MALFORMED_FUNCTION_CALL"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"contents": []}, "contents is not specified"),
        ({"contents": [{"role": "assistant", "parts": [{"text": "x"}]}]}, "Please use a valid role"),
        ({"messages": []}, 'Unknown name "messages": Cannot find field.'),
        ({"generationConfig": {"max_tokens": 2}}, 'Unknown name "max_tokens" at'),
        ({"generationConfig": {"temperature": 3}}, "temperature must be in the range"),
        ({"contents": [{"parts": [{"functionResponse": {"name": "a", "response": {}}}]}]},
         "number of function response parts"),
    ],
)  # fmt: skip
async def test_a_bad_request_gets_the_service_s_400(more: dict[str, Any], message: str) -> None:
    async with Simulator() as sim:
        status, body = await hear(sim, **more)
    error = json.loads(body)["error"]
    assert (status, error["code"], error["status"]) == (400, 400, "INVALID_ARGUMENT")
    assert message in error["message"]


async def test_a_wrong_key_is_a_400_and_an_unknown_model_a_404() -> None:
    async with Simulator(api_key="right") as sim:
        wrong, said = await hear(sim, key="wrong")
        unknown, told = await hear(sim, model="gpt-4o", key="right")
        _, array = await hear(sim, "streamGenerateContent", key="wrong")
    assert (wrong, unknown) == (400, 404)
    assert "API key not valid" in json.loads(said)["error"]["message"]
    assert json.loads(told)["error"]["status"] == "NOT_FOUND"
    assert json.loads(array)[0]["error"]["code"] == 400


async def test_our_client_hears_text_reasoning_calls_and_usage(gemini: str) -> None:
    async with Simulator(text=["Hel", "lo"], reasoning="Well,", tool_calls=CALLS) as sim:
        register_model(gemini, base_url=f"{sim.url}/v1beta", dialect="gemini")
        client = LLMClient(gemini, api_key="sk-test")
        response = await client.stream("Hi", handlers=[])
    check_heard(response)
