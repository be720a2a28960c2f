"""``stream.request`` of an app's stream: what the app asks for, in the library's words."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lm_deluge import Stream, StreamHandler, StreamRequest
from lm_deluge.proxy.watcher import Watcher
from support.exchanges import EVENTS, asks, opened
from support.promises import KEY
from support.wires import BEGUN, ENDED

TOOL = {"name": "look", "type": "function", "input_schema": {"type": "object"}}

#: What is added to a request, by wire, which parameters it comes to, and what is left.
ASKED: list[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    (
        "chat",
        {"temperature": 0.5, "max_completion_tokens": 9, "stop": ["x"], "seed": None, "user": "u"},
        {"temperature": 0.5, "max_new_tokens": 9, "stop": ["x"]},
        {"user": "u"},
    ),
    (
        "chat",
        {"max_tokens": 9, "tool_choice": "auto"},
        {"max_new_tokens": 9, "tool_choice": "auto"},
        {},
    ),
    (
        "responses",
        {"max_output_tokens": 9, "reasoning": {"effort": "low"}, "store": False},
        {"max_new_tokens": 9, "reasoning_effort": "low"},
        {"reasoning": {"effort": "low"}, "store": False},
    ),
    (
        "messages",
        {
            "max_tokens": 9,
            "top_p": 0.5,
            "stop_sequences": ["x"],
            "system": "Brief.",
            "thinking": {},
        },
        {"max_new_tokens": 9, "top_p": 0.5, "stop": ["x"]},
        {"thinking": {}},
    ),
    (
        "gemini",
        {"generationConfig": {"topP": 0.5, "maxOutputTokens": 9, "topK": 3}, "safetySettings": []},
        {"top_p": 0.5, "max_new_tokens": 9},
        {"generationConfig": {"topK": 3}, "safetySettings": []},
    ),
]


class Asked(StreamHandler):
    def __init__(self) -> None:
        self.requests: list[StreamRequest] = []

    def on_start(self, stream: Stream) -> None:
        self.requests.append(stream.request)

    def on_complete(self, stream: Stream, response: object) -> None:
        self.requests.append(stream.request)


async def asked(wire: str, body: Any) -> list[StreamRequest]:
    ear = Asked()
    watcher = Watcher([ear])
    exchange = opened(watcher, body, wire=wire)
    exchange.head(200, EVENTS)
    exchange.read(BEGUN[wire] + ENDED[wire], 0.0)
    exchange.ended("whole")
    await watcher.aclose()
    await asyncio.sleep(0)
    return ear.requests


@pytest.mark.parametrize(("wire", "added", "parameters", "rest"), ASKED)
async def test_what_an_app_asks_for_is_told_from_start_to_end(
    wire: str, added: dict[str, Any], parameters: dict[str, Any], rest: dict[str, Any]
) -> None:
    requests = await asked(wire, asks(wire, tools=[TOOL], **added))
    assert len(requests) == 2
    for request in requests:
        assert (request.model_id, request.dialect) == ("a-model", wire)
        assert request.parameters == parameters
        assert request.extra_body == rest
        assert request.tools == [TOOL]
        assert {"role": "user", "content": "hi"}.items() <= request.messages[-1].items()


async def test_secrets_of_the_app_are_not_in_it() -> None:
    tools = [{"type": "mcp", "authorization": "tool-0123456789abcdef"}, 3]
    messages = [{"role": "user", "content": f"Is {KEY} my key?"}]
    (request, _) = await asked("chat", asks(tools=tools, note=KEY, messages=messages))
    told = repr([request.tools, request.messages, request.extra_body, request])
    assert KEY not in told
    assert "tool-0123" not in told
    assert len(request.tools) == 1


@pytest.mark.parametrize("body", [b"{nonsense", b"[]", b'{"generationConfig": 3, "tools": 3}'])
async def test_a_body_that_nobody_understands_asks_for_nothing(body: bytes) -> None:
    for request in await asked("chat", body):
        assert (request.parameters, request.tools, request.messages) == ({}, [], [])
