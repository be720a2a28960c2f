"""Calls in messages that are none, or hold anything: the same error whoever is asked, and never another."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lm_deluge import LLMClient
from support.clients import KEY

MODELS = {
    "chat": "gpt-4.1",
    "responses": "openai-responses:gpt-4.1",
    "messages": "anthropic:claude-sonnet-4-5",
    "gemini": "gemini:gemini-3.8-flash",
}
CALL: dict[str, Any] = {
    "id": "c.1",
    "type": "function",
    "function": {"name": "a.b", "arguments": "{}"},
}
ODD: list[Any] = [
    [{**CALL, "id": [1]}],
    [{**CALL, "id": {"a": 1}}],
    [{**CALL, "id": 3}],
    [{**CALL, "function": {"name": ["f"], "arguments": "{}"}}],
    [{**CALL, "function": None}],
    [{**CALL, "type": ["function"]}],
    [None],
    [3],
    {"a": 1},
    3,
    "call",
    [[CALL]],
    [{**CALL, "extra_content": {"google": 3}}],
    [{**CALL, "thoughtSignature": [1]}],
]


@pytest.mark.parametrize("wire", MODELS)
@pytest.mark.parametrize("calls", ODD, ids=lambda each: json.dumps(each)[:50])
@pytest.mark.parametrize(
    "content", [None, [], [3, None], [{"functionCall": {"name": [1]}}, {"type": []}]]
)
def test_odd_calls_are_sent_or_named(wire: str, calls: Any, content: Any) -> None:
    came = {"dialect": wire, "content": content}
    message = {"role": "assistant", "content": "x", "tool_calls": calls, "provider_content": came}
    if content is None:
        del message["provider_content"]
    result = {"role": "tool", "tool_call_id": "c.1", "content": "y"}
    client = LLMClient(MODELS[wire], api_key=KEY, printer=None)
    told = ""
    try:
        client.open_stream([{"role": "user", "content": "Hi"}, message, result]).cancel()
    except (TypeError, ValueError) as error:
        told = str(error)
    assert not told or "messages[1]" in told or "messages[2]" in told
