"""Anthropic's Messages: what is asked, and the promises of its streams."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lm_deluge import Conversation, LLMClient, Message, SamplingParams, ToolCall
from lm_deluge.dialects.dialect import Ask
from lm_deluge.dialects.messages import MESSAGES
from lm_deluge.errors import (
    AnswerCutError,
    APITimeoutError,
    ConnectionLostError,
    InternalServerError,
    ProtocolError,
    ProviderError,
    RateLimitError,
)
from lm_deluge.models.registry import register_model, unregister_model
from support.consumers import CONSUMERS
from support.dialects import AT_ONCE, Fault, check_promises, check_through_a_socket, registered
from support.messages import (
    BLOCK_STOP,
    OVERLOADED,
    PING,
    RECORDED,
    START,
    STOP,
    TEXT,
    WHOLE,
    ended,
    event,
    said,
)
from support.promises import KEY
from support.scripted import END, HANG, HEADERS, RESET, ScriptedServer, http, reply

CLAUDE_HERE = {"api_key_env": "ANTHROPIC_API_KEY", "dialect": "messages"}


@pytest.fixture
def name() -> Iterator[str]:
    yield "claude-here"
    unregister_model("claude-here")


def client_of(server: ScriptedServer, name: str, **options: Any) -> LLMClient:
    return registered(server, name, CLAUDE_HERE, **options)


async def test_a_request_is_written_as_the_api_has_it(name: str) -> None:
    async with ScriptedServer(WHOLE) as server:
        params = SamplingParams(max_new_tokens=50, temperature=0.0, stop="END", seed=1)
        client = client_of(server, name, sampling_params=params)
        prompt = [Message.system("Be brief."), Message.user("Hi"), Message.ai("Yes?")]
        response = await client.stream([*prompt, Message.user("Say")])
    (request,) = server.requests
    assert request.line == "POST /v1/messages HTTP/1.1"
    assert request.headers["x-api-key"] == KEY
    assert "authorization" not in request.headers
    assert request.headers["anthropic-version"] == "2023-06-01"
    assert request.json == {
        "model": name,
        "max_tokens": 50,
        "stream": True,
        "system": "Be brief.",
        "temperature": 0.0,
        "stop_sequences": ["END"],
        "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Yes?"},
            {"role": "user", "content": "Say"},
        ],
    }
    assert (response.completion, response.finish_reason) == ("Good day", "stop")
    assert response.response_id == "msg_1"


async def test_the_key_is_that_of_the_registrations_variable(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-of-the-environment")
    async with ScriptedServer(WHOLE) as server:
        client_of(server, name)
        await LLMClient(name, printer=None).stream("Hi")
    assert server.requests[0].headers["x-api-key"] == "sk-ant-of-the-environment"


@pytest.mark.parametrize("temperature", [None, 0.0])
@pytest.mark.parametrize("pinned", [None, "2023-06-01", "2026-10-21"])
def test_the_version_is_the_newest_that_takes_what_is_asked(
    name: str,
    temperature: float | None,
    pinned: str | None,
) -> None:
    headers = {} if pinned is None else {"Anthropic-Version": pinned}
    info = register_model(
        name, base_url="https://api.anthropic.com/v1", dialect="messages", headers=headers
    )
    ask = Ask(
        info=info,
        messages=[{"role": "user", "content": "Hi"}],
        params=SamplingParams(temperature=temperature),
    )
    written = MESSAGES.write(ask)
    newest = "2026-10-21" if temperature is None else "2023-06-01"
    assert written.headers == {"anthropic-version": pinned or newest}
    is_sent = temperature is not None and pinned != "2026-10-21"
    assert ("temperature" in written.body) is is_sent
    dropped = [one.parameter for one in written.dropped]
    assert dropped == (["temperature"] if temperature is not None and not is_sent else [])


TOOL = {"type": "function", "function": {"name": "f"}}
AUDIO = {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}}


@pytest.mark.parametrize(
    ("prompt", "options", "named"),
    [
        ("Hi", {"response_format": {"type": "json_object"}}, "response_format is given"),
        ("Hi", {"sampling_params": SamplingParams(n=2)}, r'n is 2.*dialect="chat"'),
        ([Message.user([AUDIO])], {}, r"messages\[0\]\['content'\]\[0\] is of type 'input_audio'"),
        (
            "Hi",
            {"tools": [TOOL], "tool_choice": "some"},
            "tool_choice must be auto, required, none",
        ),
        (
            [Message.user("Hi"), Message.ai(None, [ToolCall("c", "f", "[1]")])],
            {},
            r"messages\[1\]: the arguments of 'f' are no JSON object",
        ),
    ],
)
async def test_what_is_not_written_yet_is_refused_by_name(
    name: str, prompt: Any, options: dict[str, Any], named: str
) -> None:
    async with ScriptedServer(WHOLE) as server:
        with pytest.raises(ValueError, match=named):
            await client_of(server, name).stream(prompt, **options)
    assert server.requests == []


async def test_tools_calls_results_and_images_are_written_in_its_words(name: str) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    linked = {"type": "image_url", "image_url": {"url": "https://example.com/x.png"}}
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    calls = [ToolCall("c1", "f", '{"a": 1}'), ToolCall("c2", "g", "")]
    prompt = [
        Message.user([{"type": "text", "text": "Look"}, image, linked]),
        Message.ai("So", calls),
        Message.tool("c1", "one"),
        Message.tool("c2", ""),
        Message.user("Go on"),
    ]
    described = {"name": "f", "description": "F.", "parameters": schema}
    server_tool = {"type": "web_search_20250305", "name": "web_search"}
    async with ScriptedServer(WHOLE) as server:
        await client_of(server, name).stream(
            prompt,
            tools=[{"type": "function", "function": described}, TOOL, server_tool],
            tool_choice={"type": "function", "function": {"name": "f"}},
        )
    body = server.requests[0].json
    assert body["tools"] == [
        {"name": "f", "description": "F.", "input_schema": schema},
        {"name": "f", "input_schema": {"type": "object", "properties": {}}},
        server_tool,
    ]
    assert body["tool_choice"] == {"type": "tool", "name": "f"}
    png = {"type": "base64", "media_type": "image/png", "data": "AAAA"}
    url = {"type": "url", "url": "https://example.com/x.png"}
    assert body["messages"] == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Look"},
                {"type": "image", "source": png},
                {"type": "image", "source": url},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "So"},
                {"type": "tool_use", "id": "c1", "name": "f", "input": {"a": 1}},
                {"type": "tool_use", "id": "c2", "name": "g", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "c1", "content": "one"},
                {"type": "tool_result", "tool_use_id": "c2"},
            ],
        },
        {"role": "user", "content": "Go on"},
    ]


@pytest.mark.parametrize(
    ("choice", "word"), [("auto", "auto"), ("required", "any"), ("none", "none")]
)
async def test_a_choice_of_tools_has_its_own_words(name: str, choice: str, word: str) -> None:
    async with ScriptedServer(WHOLE) as server:
        await client_of(server, name).stream("Hi", tools=[TOOL], tool_choice=choice)
    assert server.requests[0].json["tool_choice"] == {"type": word}


def refused(status: str, kind: str, headers: str = "", **details: Any) -> Any:
    error = {"type": kind, "message": "No.", **details}
    body = json.dumps({"type": "error", "error": error, "request_id": "req_1"})
    return reply(status, body, headers=f"request-id: req_1\r\n{headers}")


async def test_an_overload_before_output_is_asked_again(name: str) -> None:
    failed = [HEADERS, http(OVERLOADED) + END]
    async with ScriptedServer(refused("529 Busy", "overloaded_error"), WHOLE) as server:
        response = await client_of(server, name, retries=AT_ONCE).stream("Hi")
    assert (response.completion, response.attempts) == ("Good day", 2)
    async with ScriptedServer(failed, WHOLE) as server:
        response = await client_of(server, name, retries=AT_ONCE).stream("Hi")
    assert (response.completion, response.attempts) == ("Good day", 2)


async def test_an_overload_after_output_keeps_what_came(name: str) -> None:
    failed = [HEADERS, http(START + TEXT + said("Good")), http(OVERLOADED) + END]
    async with ScriptedServer(failed) as server:
        with pytest.raises(ProviderError, match="Busy") as caught:
            await client_of(server, name, retries=AT_ONCE).stream("Hi")
    assert len(server.requests) == 1
    assert caught.value.type == "overloaded_error"
    assert caught.value.partial is not None
    assert caught.value.partial.text == "Good"


async def test_a_refusal_has_its_class_its_words_and_its_request_id(name: str) -> None:
    limited = refused("429 Too Many Requests", "rate_limit_error", "retry-after: 7\r\n")
    async with ScriptedServer(limited) as server:
        with pytest.raises(RateLimitError, match=r"No\.") as caught:
            await client_of(server, name).stream("Hi")
    assert (caught.value.type, caught.value.retry_after) == ("rate_limit_error", 7.0)
    assert caught.value.request_id == "req_1"


async def test_a_spending_limit_is_not_asked_again(name: str) -> None:
    details = {"error_code": "enforced_spend_limit_reached"}
    spent = refused("429 Too Many Requests", "rate_limit_error", details=details)
    async with ScriptedServer(spent, WHOLE) as server:
        with pytest.raises(RateLimitError):
            await client_of(server, name, retries=AT_ONCE).stream("Hi")
    assert len(server.requests) == 1


BEGUN = [HEADERS, http(START + TEXT), http(said("Good"))]

FAULTS: dict[str, Fault] = {
    "none": (WHOLE, None, "Good day"),
    "cut": ([*BEGUN, http(ended()) + END], AnswerCutError, "Good"),
    "reset": ([*BEGUN, 0.05, RESET], ConnectionLostError, "Good"),
    "silence": ([*BEGUN, http(PING), HANG], APITimeoutError, "Good"),
    "overloaded": ([*BEGUN, http(OVERLOADED) + END], InternalServerError, "Good"),
    "no JSON": ([*BEGUN, http(b"event: message_stop\ndata: {\n\n") + END], ProtocolError, "Good"),
    "500": (refused("500 Oops", "api_error"), InternalServerError, ""),
}


@pytest.mark.parametrize("how", CONSUMERS)
@pytest.mark.parametrize("fault", FAULTS)
async def test_every_consumer_sees_a_fault_and_the_promises_hold(
    name: str, fault: str, how: str
) -> None:
    ending = await check_promises(client_of, name, FAULTS[fault], how)
    if fault == "cut":
        assert "no message_stop" in ending


@pytest.mark.parametrize("file", RECORDED, ids=lambda path: path.stem)
async def test_a_recording_gives_the_same_through_a_client_and_a_socket(
    file: Path, name: str
) -> None:
    await check_through_a_socket(client_of, name, file.read_bytes(), RECORDED[file])


async def test_thinking_that_was_cut_before_it_was_signed_does_not_go_back(name: str) -> None:
    thought = {"type": "thinking", "thinking": "", "signature": ""}
    cut = event("content_block_start", index=0, content_block=thought)
    cut += event("content_block_delta", index=0, delta={"type": "thinking_delta", "thinking": "Hm"})
    body = START + cut + BLOCK_STOP + ended("max_tokens") + STOP
    async with ScriptedServer([HEADERS, http(body) + END], WHOLE) as server:
        client = client_of(server, name)
        response = await client.stream("Hi")
        conversation = Conversation().user("Hi").add(response.content).user("Go on")
        await client.stream(conversation)
        await client.close()
    assert [turn["role"] for turn in server.requests[1].json["messages"]] == ["user", "user"]


async def test_an_id_of_another_provider_is_written_in_the_characters_of_this_one(
    name: str,
) -> None:
    call = ToolCall("functions.now:0", "now", "{}")
    conversation = Conversation().user("Hi").add(Message.ai(None, [call]))
    async with ScriptedServer(WHOLE) as server:
        client = client_of(server, name)
        await client.stream(conversation.tool("functions.now:0", "noon"))
        await client.close()
    asked, told = server.requests[0].json["messages"][1:]
    assert asked["content"][0]["id"] == told["content"][0]["tool_use_id"] == "functions_now_0"
