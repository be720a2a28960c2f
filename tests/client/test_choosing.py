"""By which API OpenAI's models that think are asked: decided for each call, by all that is asked."""

from __future__ import annotations

from typing import Any, Final

import pytest

from lm_deluge import LLMClient, SamplingParams, register_model
from lm_deluge.simulator import Simulator
from support.at_openai import client_at_openai

CHAT: Final = "/v1/chat/completions"
RESPONSES: Final = "/v1/responses"

TOOL: Final = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
SCHEMA: Final = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}


async def path_asked(
    model: str, prompt: Any = "Hi", *, host: str = "api.openai.com", call: Any = None, **client: Any
) -> str:
    """Return the path of the one request that a call makes."""
    async with Simulator(text="ok") as sim:
        asked = client_at_openai(sim.port, model, host=host, **client)
        await asked.stream(prompt, **(call or {}))
        assert [request.status for request in sim.requests] == [200]
        return sim.requests[0].path


# model, what the client and the call say
BY_RESPONSES: Final[dict[str, tuple[str, dict[str, Any], dict[str, Any]]]] = {
    "o3": ("o3", {}, {}),
    "o4-mini": ("o4-mini", {}, {}),
    "gpt-5": ("gpt-5", {}, {}),
    "a dated one": ("gpt-5-mini-2025-08-07", {}, {}),
    "the newest": ("gpt-5.5", {}, {}),
    "a prefix": ("openai:gpt-5", {}, {}),
    "a region": ("gpt-5", {"host": "eu.api.openai.com"}, {}),
    "effort": ("gpt-5", {"reasoning_effort": "low"}, {}),
    "tokens": ("gpt-5", {"max_new_tokens": 99}, {}),
    "as few tokens as it takes": ("gpt-5", {"max_new_tokens": 16}, {}),
    "temperature": ("gpt-5.1", {"temperature": 0.5}, {}),
    "json mode": ("gpt-5", {"json_mode": True}, {}),
    "a form": ("gpt-5", {}, {"response_format": SCHEMA}),
    "tools": ("gpt-5", {}, {"tools": [TOOL], "tool_choice": "auto"}),
    "one answer": ("gpt-5", {}, {"sampling_params": SamplingParams(n=1)}),
    "no penalty": ("gpt-5.1", {}, {"sampling_params": SamplingParams(presence_penalty=0)}),
    "no frequency": ("gpt-5.1", {}, {"sampling_params": SamplingParams(frequency_penalty=0.0)}),
    "no stop": ("o1", {}, {"sampling_params": SamplingParams(stop=[])}),
    "an empty body": ("gpt-5", {"extra_body": {}}, {"extra_body": {}}),
    "a call without what the client says": (
        "gpt-5",
        {"sampling_params": SamplingParams(seed=1)},
        {"sampling_params": SamplingParams()},
    ),
}


@pytest.mark.parametrize("asked", BY_RESPONSES.values(), ids=list(BY_RESPONSES))
async def test_a_model_that_thinks_goes_to_responses_where_all_can_be_said(asked: Any) -> None:
    model, client, call = asked
    assert await path_asked(model, "Say it in json", call=call, **client) == RESPONSES


@pytest.mark.parametrize(
    ("model", "parameter", "value"),
    [
        ("o3", "stop", "x"),
        ("gpt-5", "presence_penalty", 1),
        ("gpt-5", "frequency_penalty", -1),
        ("gpt-5", "logprobs", True),
        ("gpt-5", "top_logprobs", 2),
    ],
)
async def test_what_the_model_refuses_is_left_out_by_the_api_that_has_it(
    model: str, parameter: str, value: Any, caplog: pytest.LogCaptureFixture
) -> None:
    fields = {"logprobs": True} if parameter == "top_logprobs" else {}
    params = SamplingParams(**{**fields, parameter: value})
    assert await path_asked(model, call={"sampling_params": params}) == CHAT
    assert parameter in caplog.text


BY_CHAT: Final[dict[str, tuple[str, dict[str, Any], dict[str, Any]]]] = {
    "no thinking": ("gpt-4o", {}, {}),
    "no effort": ("gpt-5-chat-latest", {}, {}),
    "the dialect": ("gpt-5", {"dialect": "chat"}, {}),
    "another address": ("gpt-5", {"host": "openai.example"}, {}),
    "nearly its address": ("gpt-5", {"host": "api.openai.com.example"}, {}),
    "n": ("gpt-5", {}, {"sampling_params": SamplingParams(n=2)}),
    "stop": ("o1", {}, {"sampling_params": SamplingParams(stop="x")}),
    "seed": ("gpt-5", {"sampling_params": SamplingParams(seed=0)}, {}),
    "seed in the call": ("gpt-5", {}, {"sampling_params": SamplingParams(seed=7)}),
    "fewer tokens than it takes": ("gpt-5", {"max_new_tokens": 15}, {}),
    "logprobs": ("gpt-5.1", {}, {"sampling_params": SamplingParams(logprobs=True)}),
    "top_logprobs": ("gpt-5.1", {}, {"sampling_params": SamplingParams(top_logprobs=0)}),
    "presence": ("gpt-5.1", {}, {"sampling_params": SamplingParams(presence_penalty=1)}),
    "frequency": ("gpt-5.1", {}, {"sampling_params": SamplingParams(frequency_penalty=1)}),
    "logit_bias": ("gpt-5.1", {}, {"extra_body": {"logit_bias": {"7": -1}}}),
    "the client's body": ("gpt-5", {"extra_body": {"user": "me"}}, {}),
}


@pytest.mark.parametrize("asked", BY_CHAT.values(), ids=list(BY_CHAT))
async def test_whatever_responses_cannot_say_stays_with_chat_completions(asked: Any) -> None:
    model, client, call = asked
    assert await path_asked(model, call=call, **client) == CHAT


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "name": "Ada", "content": "Hi"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Hi"},
                {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
            ],
        },
    ],
)
async def test_a_message_that_responses_cannot_hold_stays_too(message: Any) -> None:
    assert await path_asked("gpt-5", [message]) == CHAT


async def test_calls_and_their_results_go_to_responses() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "name": "f", "content": "done"},
    ]
    assert await path_asked("gpt-5", messages, call={"tools": [TOOL]}) == RESPONSES


async def test_a_search_model_is_served_by_chat_completions_alone() -> None:
    async with Simulator(text="ok", models=["gpt-5-search-api"]) as sim:
        await client_at_openai(sim.port, "gpt-5-search-api").stream("Hi")
        assert sim.requests[0].path == CHAT


async def test_a_registration_keeps_what_it_says(registered: list[str]) -> None:
    register_model("gpt-5", api_key_env="OPENAI_API_KEY")
    registered.append("gpt-5")
    assert await path_asked("gpt-5") == CHAT


async def test_one_client_decides_for_each_call() -> None:
    async with Simulator(text="ok") as sim:
        client: LLMClient = client_at_openai(sim.port, "gpt-5")
        for params in (None, SamplingParams(seed=1), None):
            await client.stream("Hi", sampling_params=params)
        assert [request.path for request in sim.requests] == [RESPONSES, CHAT, RESPONSES]


async def test_a_fallback_is_chosen_for_as_the_first_model_is() -> None:
    async with Simulator(text="ok", faults=["status:404"]) as sim:
        client = client_at_openai(sim.port, "gpt-4o", fallback_models=["gpt-5"])
        await client.stream("Hi")
        assert [request.path for request in sim.requests] == [CHAT, RESPONSES]
