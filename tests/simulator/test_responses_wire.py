"""The simulator speaks OpenAI's Responses."""

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

ENCRYPTED = {"include": ["reasoning.encrypted_content"], "store": False}


async def hear(sim: Simulator, **more: Any) -> tuple[int, bytes]:
    body = {"model": "o4-mini", "input": "Hi", "stream": True} | more
    return await post(f"{sim.base_url}/responses", body, Authorization="Bearer sk-test")


@pytest.fixture
def responding() -> Iterator[str]:
    yield "sim-responses"
    unregister_model("sim-responses")


async def test_the_events_are_those_of_the_service_in_its_order() -> None:
    async with Simulator(text=["Hel", "lo"], reasoning="Well", tool_calls=CALLS[1:]) as sim:
        status, body = await hear(sim)
    assert status == 200
    told = events(body)
    assert all(name == data["type"] for name, data in told)
    assert [data["sequence_number"] for _, data in told] == list(range(len(told)))
    assert [data["type"].removeprefix("response.") for _, data in told] == [
        "created",
        "in_progress",
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]
    ended = told[-1][1]["response"]
    assert [item["type"] for item in ended["output"]] == ["reasoning", "message", "function_call"]
    assert ended["output"][1]["content"][0]["text"] == "Hello"
    assert told[0][1]["response"]["usage"] is None
    usage = ended["usage"]
    assert usage["output_tokens_details"]["reasoning_tokens"] == 1
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]


async def test_a_reasoning_model_that_shows_nothing_has_an_item_without_events_of_its_own() -> None:
    async with Simulator(text="Hi") as sim:
        _, body = await hear(sim, **ENCRYPTED)
    told = [data for _, data in events(body)]
    assert [data["type"] for data in told[2:4]] == [
        "response.output_item.added", "response.output_item.done"
    ]  # fmt: skip
    added, done = (data["item"] for data in told[2:4])
    assert added["type"] == "reasoning"
    assert added["encrypted_content"] != done["encrypted_content"]
    assert done == told[-1]["response"]["output"][0]


async def test_an_answer_that_is_cut_is_incomplete_and_a_refusal_complete() -> None:
    async with Simulator(text="a b c d e f g h i j k l m n o p q r s t") as sim:
        _, cut = await hear(sim, model="gpt-4o", max_output_tokens=16)
    async with Simulator(refusal="No.") as sim:
        _, refused = await hear(sim, model="gpt-4o")
    (_, ended), (_, completed) = events(cut)[-1], events(refused)[-1]
    assert ended["type"] == "response.incomplete"
    assert ended["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
    assert completed["type"] == "response.completed"
    assert completed["response"]["output"][0]["content"] == [{"type": "refusal", "refusal": "No."}]
    assert b"event: response.refusal.delta" in refused


@pytest.mark.parametrize(
    ("more", "message", "code"),
    [
        ({"input": None}, "Missing required parameter: 'input'.", "missing_required_parameter"),
        ({"n": 2}, "Unknown parameter: 'n'.", "unknown_parameter"),
        ({"response_format": {}}, "has moved to 'text.format'", "unsupported_parameter"),
        ({"max_output_tokens": 5}, "Expected a value >= 16, but got 5", "integer_below_min_value"),
        ({"temperature": 0.5}, "'temperature' is not supported with this model.", None),
        ({"reasoning": {"effort": "minimal"}}, "Supported values are: 'low', 'medium', and 'high'",
         "unsupported_value"),
        ({"model": "gpt-9"}, "The requested model 'gpt-9' does not exist.", "model_not_found"),
        ({"input": [{"type": "function_call_output", "call_id": "call_1", "output": "x"}]},
         "No tool call found for function call output with call_id call_1.", None),
        ({"input": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]},
         "Invalid value: 'text'.", "invalid_value"),
    ],
)  # fmt: skip
async def test_a_bad_request_gets_the_service_s_400(
    more: dict[str, Any], message: str, code: str | None
) -> None:
    async with Simulator() as sim:
        status, body = await hear(sim, **more)
    error = json.loads(body)["error"]
    assert (status, error["code"]) == (400, code)
    assert message in error["message"]


async def test_reasoning_comes_back_whole_and_before_its_call() -> None:
    async with Simulator(tool_calls=CALLS[:1]) as sim:
        _, body = await hear(sim, **ENCRYPTED)
        reasoning, call = events(body)[-1][1]["response"]["output"]
        result = {"type": "function_call_output", "call_id": call["call_id"], "output": "sun"}
        asked = {"role": "user", "content": "Hi"}
        forged = reasoning | {"encrypted_content": "gAAAAABforged"}
        answers = [
            await hear(sim, input=[asked, *items, call, result], **ENCRYPTED)
            for items in ([reasoning], [], [forged])
        ]
    assert [status for status, _ in answers] == [200, 400, 400]
    missing, wrong = (json.loads(body)["error"] for _, body in answers[1:])
    assert "was provided without its required 'reasoning' item" in missing["message"]
    assert wrong["code"] == "invalid_encrypted_content"


async def test_our_client_hears_text_reasoning_calls_and_usage(responding: str) -> None:
    models = [responding]
    async with Simulator(
        text=["Hel", "lo"], reasoning="Well,", tool_calls=CALLS, models=models
    ) as sim:
        register_model(responding, base_url=sim.base_url, dialect="responses")
        client = LLMClient(responding, api_key="sk-test")
        response = await client.stream("Hi", handlers=[])
    check_heard(response)
