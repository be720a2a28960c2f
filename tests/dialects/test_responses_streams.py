"""OpenAI's Responses: what is asked, and the promises of its streams."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lm_deluge import LLMClient, Message, SamplingParams, ToolCall
from lm_deluge.dialects.responses.items import items_of
from lm_deluge.errors import (
    AnswerCutError,
    APITimeoutError,
    BadRequestError,
    ConnectionLostError,
    InternalServerError,
    ProtocolError,
    ProviderError,
)
from lm_deluge.models.registry import unregister_model
from support.consumers import CONSUMERS
from support.dialects import AT_ONCE, Fault, check_promises, check_through_a_socket, registered
from support.promises import KEY
from support.responses import ALIVE, BUSY, RECORDED, START, TEXT, WHOLE, ended, expected_of, said
from support.scripted import END, HANG, HEADERS, RESET, ScriptedServer, http, reply


@pytest.fixture
def name() -> Iterator[str]:
    yield "gpt-here"
    unregister_model("gpt-here")


TAKEN = {
    "dialect": "responses",
    "accepts": ["max_new_tokens", "top_p", "reasoning_effort", "json_mode", "n"],
}


def client_of(server: ScriptedServer, name: str, **options: Any) -> LLMClient:
    return registered(server, name, TAKEN, **options)


async def test_a_request_is_written_as_the_api_has_it(name: str) -> None:
    params = SamplingParams(max_new_tokens=50, top_p=0.5, reasoning_effort="low", stop="x")
    schema = {"name": "s", "schema": {"type": "object"}, "strict": True}
    described = {"name": "f", "description": "F.", "parameters": {"type": "object"}}
    image = {"type": "image_url", "image_url": {"url": "https://example.com/x.png"}}
    prompt = [
        Message.system("Be brief."),
        Message.user([{"type": "text", "text": "Look"}, image]),
        Message.ai("So", [ToolCall("c1", "f", '{"a": 1}')]),
        Message.tool("c1", "one"),
    ]
    async with ScriptedServer(WHOLE) as server:
        response = await client_of(server, name, sampling_params=params).stream(
            prompt,
            tools=[{"type": "function", "function": described}, {"type": "web_search"}],
            tool_choice={"type": "function", "function": {"name": "f"}},
            response_format={"type": "json_schema", "json_schema": schema},
        )
    (request,) = server.requests
    assert request.line == "POST /v1/responses HTTP/1.1"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.json == {
        "model": name,
        "stream": True,
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "instructions": "Be brief.",
        "max_output_tokens": 50,
        "top_p": 0.5,
        "reasoning": {"effort": "low"},
        "text": {"format": {"type": "json_schema", **schema}},
        "tools": [{"type": "function", **described, "strict": False}, {"type": "web_search"}],
        "tool_choice": {"type": "function", "name": "f"},
        "input": [
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "Look"},
                    {
                        "type": "input_image",
                        "image_url": "https://example.com/x.png",
                        "detail": "auto",
                    },
                ],
            },
            {"role": "assistant", "content": "So"},
            {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a": 1}'},
            {"type": "function_call_output", "call_id": "c1", "output": "one"},
        ],
    }
    assert (response.completion, response.finish_reason) == ("Good day", "stop")
    assert response.response_id == "resp_1"


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"sampling_params": SamplingParams(n=2)}, 'n is 2.*dialect="chat"'),
        ({"response_format": {"schema": {}}}, "response_format has no 'type'"),
    ],
)
async def test_what_cannot_be_said_is_refused_by_name(
    name: str, options: dict[str, Any], named: str
) -> None:
    async with ScriptedServer(WHOLE) as server:
        with pytest.raises(ValueError, match=named):
            await client_of(server, name).stream("Hi", **options)
    assert server.requests == []


async def test_an_error_before_output_is_asked_again_and_after_it_keeps_what_came(
    name: str,
) -> None:
    async with ScriptedServer([HEADERS, http(START + BUSY) + END], WHOLE) as server:
        response = await client_of(server, name, retries=AT_ONCE).stream("Hi")
    assert (response.completion, response.attempts) == ("Good day", 2)
    failed = [HEADERS, http(START + TEXT + said("Good")), http(BUSY) + END]
    async with ScriptedServer(failed) as server:
        with pytest.raises(ProviderError, match="Busy") as caught:
            await client_of(server, name, retries=AT_ONCE).stream("Hi")
    assert caught.value.partial is not None
    assert caught.value.partial.text == "Good"


@pytest.mark.parametrize("file", RECORDED, ids=lambda path: path.stem)
async def test_a_recording_gives_the_same_through_a_client_and_a_socket(
    file: Path, name: str
) -> None:
    await check_through_a_socket(client_of, name, file.read_bytes(), expected_of(file))


def test_a_conversation_of_system_messages_alone_is_said_once() -> None:
    system = [{"role": "system", "content": "Be brief."}, {"role": "developer", "content": "Go."}]
    assert items_of(system) == (None, system)
    user = {"role": "user", "content": "Hi"}
    assert items_of([*system, user, system[0]]) == ("Be brief.\n\nGo.", [user, system[0]])


BEGUN = [HEADERS, http(START + TEXT), http(said("Good"))]

FAULTS: dict[str, Fault] = {
    "none": (WHOLE, None, "Good day"),
    "cut": ([*BEGUN, END], AnswerCutError, "Good"),
    "reset": ([*BEGUN, 0.05, RESET], ConnectionLostError, "Good"),
    "silence": ([*BEGUN, http(ALIVE), HANG], APITimeoutError, "Good"),
    "busy": ([*BEGUN, http(BUSY) + END], InternalServerError, "Good"),
    "incomplete": ([*BEGUN, http(ended("incomplete")) + END], None, "Good"),
    "no JSON": (
        [*BEGUN, http(b"event: response.completed\ndata: {\n\n") + END],
        ProtocolError,
        "Good",
    ),
    "500": (reply("500 Oops", json.dumps({"error": {"message": "No."}})), InternalServerError, ""),
}


@pytest.mark.parametrize("how", CONSUMERS)
@pytest.mark.parametrize("fault", FAULTS)
async def test_every_consumer_sees_a_fault_and_the_promises_hold(
    name: str, fault: str, how: str
) -> None:
    await check_promises(client_of, name, FAULTS[fault], how)


async def test_a_model_without_encrypted_reasoning_is_told_how_to_ask_for_none(name: str) -> None:
    said = b'{"error": {"message": "Encrypted content is not supported with this model."}}'
    head = b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n\r\n" % len(said)
    async with ScriptedServer([head + said], WHOLE) as server:
        with pytest.raises(BadRequestError, match="Hint: this model has no reasoning") as caught:
            await client_of(server, name).stream("Hi")
        assert 'extra_body={"include": []}' in str(caught.value)
        await client_of(server, name).stream("Hi", extra_body={"include": []})
    assert [request.json["include"] for request in server.requests] == [
        ["reasoning.encrypted_content"],
        [],
    ]
