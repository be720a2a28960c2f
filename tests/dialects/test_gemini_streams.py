"""Google's Gemini API: what is asked, and the promises of its streams."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lm_deluge import Conversation, LLMClient, Message, SamplingParams
from lm_deluge.dialects.dialect import Ask
from lm_deluge.dialects.gemini import GEMINI
from lm_deluge.errors import (
    AnswerCutError,
    APITimeoutError,
    ConnectionLostError,
    InternalServerError,
    ProtocolError,
    RateLimitError,
)
from lm_deluge.models.registry import register_model, unregister_model
from support.consumers import CONSUMERS
from support.dialects import AT_ONCE, Fault, check_promises, check_through_a_socket, registered
from support.gemini import BARE_ERROR, RECORDED, STOP, chunk, text
from support.promises import KEY
from support.scripted import END, HANG, HEADERS, RESET, ScriptedServer, http, reply

WHOLE = [HEADERS, http(text("Good")), http(text(" day")), http(STOP) + END]


GEMINI_HERE = {"api_key_env": "GEMINI_API_KEY", "dialect": "gemini"}


@pytest.fixture
def name() -> Iterator[str]:
    yield "gemini-here"
    unregister_model("gemini-here")


def client_of(server: ScriptedServer, name: str, **options: Any) -> LLMClient:
    return registered(server, name, GEMINI_HERE, **options)


def here(server: ScriptedServer, model: str) -> LLMClient:
    """Return a client of a model that nobody registered."""
    url = server.base_url
    return LLMClient(model, dialect="gemini", base_url=url, api_key=KEY, printer=None)


TOOL = {
    "type": "function",
    "function": {"name": "now", "description": "The time.", "parameters": {"type": "object"}},
}


async def test_a_request_is_written_as_the_api_has_it(name: str) -> None:
    async with ScriptedServer(WHOLE) as server:
        params = SamplingParams(max_new_tokens=50, temperature=0.0, stop="END", seed=1)
        client = client_of(server, name, sampling_params=params)
        prompt = [Message.system("Be brief."), Message.user("Hi"), Message.ai("Yes?")]
        response = await client.stream(
            [*prompt, Message.user("Say")], tools=[TOOL], tool_choice="required"
        )
    (request,) = server.requests
    path = f"/v1/models/{name}:streamGenerateContent?alt=sse"
    assert request.line == f"POST {path} HTTP/1.1"
    assert request.headers["x-goog-api-key"] == KEY
    assert "authorization" not in request.headers
    assert request.json == {
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "Hi"}]},
            {"role": "model", "parts": [{"text": "Yes?"}]},
            {"role": "user", "parts": [{"text": "Say"}]},
        ],
        "generationConfig": {
            "temperature": 0.0,
            "maxOutputTokens": 50,
            "stopSequences": ["END"],
            "seed": 1,
        },
        "tools": [
            {
                "functionDeclarations": [
                    {
                        "name": "now",
                        "description": "The time.",
                        "parametersJsonSchema": {"type": "object"},
                    }
                ]
            }
        ],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
    }
    assert (response.completion, response.finish_reason) == ("Good day", "stop")


async def test_a_call_goes_back_with_its_signature_and_its_result(name: str) -> None:
    called = chunk({"functionCall": {"name": "now"}, "thoughtSignature": "c2ln"})
    first = [HEADERS, http(called), http(STOP) + END]
    async with ScriptedServer(first, WHOLE) as server:
        client = client_of(server, name)
        conversation = Conversation().user("What time is it?")
        response = await client.stream(conversation, tools=[TOOL])
        assert response.finish_reason == "tool_calls"
        conversation = conversation.add(response.content)
        conversation = conversation.add(Message.tool(response.tool_calls[0].id, "noon"))
        await client.stream(conversation, tools=[TOOL])
    assert server.requests[1].json["contents"][1:] == [
        {
            "role": "model",
            "parts": [
                {"functionCall": {"name": "now", "args": {}}, "thoughtSignature": "c2ln"},
            ],
        },
        {
            "role": "user",
            "parts": [{"functionResponse": {"name": "now", "response": {"result": "noon"}}}],
        },
    ]


def written(name: str, messages: list[dict[str, Any]], **ask: Any) -> Any:
    info = register_model(name, base_url="https://example.com/v1beta", dialect="gemini")
    ask.setdefault("params", SamplingParams())
    return GEMINI.write(Ask(info=info, messages=messages, **ask))


@pytest.mark.parametrize("model", ["models/gemini-3.8-flash", "tunedModels/mine"])
async def test_a_model_is_named_as_googles_lists_do(model: str) -> None:
    async with ScriptedServer(WHOLE) as server:
        await here(server, model).stream("Hi")
    assert server.requests[0].line.startswith(f"POST /v1/{model}:streamGenerateContent")


HI = [{"role": "user", "content": "Hi"}]
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
FORMAT = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}


def test_form_effort_and_own_fields_are_written(name: str) -> None:
    config = written(
        name,
        HI,
        params=SamplingParams(reasoning_effort="low"),
        response_format=FORMAT,
        extra_body={"generationConfig": {"topK": 3}, "safetySettings": []},
    ).body
    assert config["generationConfig"] == {
        "thinkingConfig": {"includeThoughts": True, "thinkingBudget": 1024},
        "responseMimeType": "application/json",
        "responseJsonSchema": SCHEMA,
        "topK": 3,
    }
    assert config["safetySettings"] == []


def test_an_image_is_written_by_its_bytes_or_its_address(name: str) -> None:
    urls = ["data:image/png;base64,iVBO", "https://example.com/x.png"]
    content = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    (turn,) = written(name, [{"role": "user", "content": content}]).body["contents"]
    assert turn["parts"] == [
        {"inlineData": {"mimeType": "image/png", "data": "iVBO"}},
        {"fileData": {"fileUri": "https://example.com/x.png"}},
    ]


@pytest.mark.parametrize(
    ("prompt", "options", "named"),
    [
        ("Hi", {"sampling_params": SamplingParams(n=2)}, r"n is 2"),
        ([Message.user("Hi"), Message.tool("c", "x")], {}, r"messages\[1\] is the result of 'c'"),
        ("Hi", {"response_format": {"type": "xml"}}, r"response_format\['type'\]"),
        ("Hi", {"tools": [TOOL], "tool_choice": "perhaps"}, "tool_choice must be"),
    ],
)
async def test_what_cannot_be_said_is_refused_by_name(
    name: str, prompt: Any, options: dict[str, Any], named: str
) -> None:
    async with ScriptedServer(WHOLE) as server:
        with pytest.raises(ValueError, match=named):
            await client_of(server, name).stream(prompt, **options)
    assert server.requests == []


def refused(line: str, code: int, **fields: Any) -> Any:
    return reply(line, json.dumps({"error": {"code": code, "message": "No.", **fields}}))


async def test_a_limit_says_how_long_to_wait_and_one_of_a_day_does_not_pass(name: str) -> None:
    wait = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "48.5s"}
    limited = refused("429 Too Many Requests", 429, status="RESOURCE_EXHAUSTED", details=[wait])
    async with ScriptedServer(limited) as server:
        with pytest.raises(RateLimitError, match=r"No\.") as caught:
            await client_of(server, name).stream("Hi")
    assert caught.value.retry_after == 48.5
    quota = {"violations": [{"quotaId": "GenerateRequestsPerDayPerProject"}]}
    spent = refused("429 Too Many Requests", 429, details=[quota])
    async with ScriptedServer(spent, WHOLE) as server:
        with pytest.raises(RateLimitError):
            await client_of(server, name, retries=AT_ONCE).stream("Hi")
    assert len(server.requests) == 1


async def test_an_overload_before_output_is_asked_again(name: str) -> None:
    async with ScriptedServer([HEADERS, http(BARE_ERROR) + END], WHOLE) as server:
        response = await client_of(server, name, retries=AT_ONCE).stream("Hi")
    assert (response.completion, response.attempts) == ("Good day", 2)


BEGUN = [HEADERS, http(text("Good"))]

FAULTS: dict[str, Fault] = {
    "none": (WHOLE, None, "Good day"),
    "cut": ([*BEGUN, END], AnswerCutError, "Good"),
    "reset": ([*BEGUN, 0.05, RESET], ConnectionLostError, "Good"),
    "reset after STOP": ([*BEGUN, http(STOP), 0.05, RESET], ConnectionLostError, "Good"),
    "silence": ([*BEGUN, HANG], APITimeoutError, "Good"),
    "silence after STOP": ([*BEGUN, http(STOP), HANG], None, "Good"),
    "overloaded": ([*BEGUN, http(BARE_ERROR) + END], InternalServerError, "Good"),
    "no JSON": ([*BEGUN, http(b"data: {\n\n") + END], ProtocolError, "Good"),
    "500": (refused("500 Oops", 500), InternalServerError, ""),
}


@pytest.mark.parametrize("how", CONSUMERS)
@pytest.mark.parametrize("fault", FAULTS)
async def test_every_consumer_sees_a_fault_and_the_promises_hold(
    name: str, fault: str, how: str
) -> None:
    await check_promises(client_of, name, FAULTS[fault], how)


async def test_a_cut_names_the_missing_end_once(name: str) -> None:
    async with ScriptedServer([*BEGUN, END]) as server:
        with pytest.raises(AnswerCutError, match="with no finishReason \\("):
            await client_of(server, name).stream("Hi")


@pytest.mark.parametrize("file", RECORDED, ids=lambda path: path.stem)
async def test_a_recording_gives_the_same_through_a_client_and_a_socket(
    file: Path, name: str
) -> None:
    await check_through_a_socket(client_of, name, file.read_bytes(), RECORDED[file])


@pytest.mark.parametrize("message", [None, "Blocked."])
async def test_a_blocked_answer_tells_by_what_it_was_judged(message: str | None) -> None:
    ratings = [{"category": "HARM_CATEGORY_HARASSMENT", "probability": "HIGH", "blocked": True}]
    end = chunk(finishReason="SAFETY", safetyRatings=ratings, finishMessage=message)
    async with ScriptedServer([HEADERS, http(end) + END]) as server:
        response = await here(server, "m").stream("Hi")
    told = {} if message is None else {"finishMessage": message}
    assert response.finish_reason == "content_filter"
    assert response.stop_details == {**told, "safetyRatings": ratings}
