"""What was sent to come back unchanged is verified on the second turn."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lm_deluge.simulator import Simulator
from support.sse import events, post

CALLS = [("weather", {"city": "東京"}), ("now", {})]
THINKING = {"type": "enabled", "budget_tokens": 1024}
HELLO = {"role": "user", "content": "Hi"}


async def claude(sim: Simulator, messages: list[Any], **more: Any) -> tuple[int, dict[str, Any]]:
    body = {"model": "claude-sonnet-5", "max_tokens": 5000, "messages": messages} | more
    headers = {"x-api-key": "sk-test", "anthropic-version": "2023-06-01"}
    status, said = await post(f"{sim.url}/v1/messages", body, **headers)
    return status, json.loads(said)


@pytest.mark.parametrize("reasoning", ["Let me see.", None])
async def test_thinking_goes_back_as_it_came_and_before_its_calls(reasoning: str | None) -> None:
    async with Simulator(tool_calls=CALLS[:1], reasoning=reasoning) as sim:
        _, first = await claude(sim, [HELLO], thinking=THINKING)
        thought, call = first["content"]
        assert (thought["type"], thought["thinking"]) == ("thinking", reasoning or "")
        result = {"type": "tool_result", "tool_use_id": call["id"], "content": "sun"}
        ends = [
            await claude(
                sim,
                [
                    HELLO,
                    {"role": "assistant", "content": [*before, call]},
                    {"role": "user", "content": [result]},
                ],
                thinking=THINKING,
            )
            for before in (
                [thought],
                [],
                [{"type": "thinking", "thinking": thought["thinking"]}],
                [thought | {"thinking": "Something else."}],
            )
        ]
    assert [status for status, _ in ends] == [200, 400, 400, 400]
    told = [said["error"]["message"] for _, said in ends[1:]]
    assert "Expected `thinking` or `redacted_thinking`, but found `tool_use`" in told[0]
    assert told[1] == "messages.1.content.0.thinking.signature: Field required"
    assert told[2] == "messages.1.content.0: Invalid `signature` in `thinking` block"


@pytest.mark.parametrize(("model", "expected"), [("gemini-3-pro", 400), ("gemini-2.5-pro", 200)])
async def test_gemini_3_wants_the_signature_of_a_turn_s_first_call(
    model: str, expected: int
) -> None:
    question = {"role": "user", "parts": [{"text": "Hi"}]}
    async with Simulator(tool_calls=CALLS, reasoning="Well.") as sim:

        async def ask(*contents: Any) -> tuple[int, bytes]:
            url = f"{sim.url}/v1beta/models/{model}:streamGenerateContent?alt=sse"
            return await post(url, {"contents": contents}, **{"x-goog-api-key": "k"})

        _, body = await ask(question)
        told = [data["candidates"][0]["content"]["parts"] for _, data in events(body)]
        parts = [part for each in told for part in each if "functionCall" in part]
        results = {
            "role": "user",
            "parts": [
                {"functionResponse": {"name": name, "response": {"it": "is"}}} for name, _ in CALLS
            ],
        }
        bare = [{"functionCall": part["functionCall"]} for part in parts]
        forged = [bare[0] | {"thoughtSignature": "Zm9yZ2Vk"}, bare[1]]
        ends = [
            await ask(question, {"role": "model", "parts": said}, results)
            for said in (parts, bare, forged)
        ]
        later, _ = await ask(question, {"role": "model", "parts": bare}, results, question)
    assert [status for status, _ in ends] == [200, expected, 400]
    assert later == 200
    assert "Corrupted thought signature." in json.loads(ends[2][1])["error"]["message"]
