"""``stream.request``: what was asked, for observers, without anything secret."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle

import pytest

from lm_deluge import (
    Conversation,
    LLMClient,
    RetryPolicy,
    SamplingParams,
    Stream,
    StreamHandler,
    StreamRequest,
)
from support.clients import KEY, client_for
from support.scripted import ScriptedServer, answer

TOOLS = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
URL = "http://127.0.0.1:9/v1"


class Seen(StreamHandler):
    """Keeps what each method sees asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, StreamRequest]] = []

    def on_start(self, stream: Stream) -> None:
        self.asked.append(("start", stream.request))

    def on_token(self, stream: Stream, token: object) -> None:
        self.asked.append(("token", stream.request))

    def on_retry(self, stream: Stream, retry: object) -> None:
        self.asked.append(("retry", stream.request))

    def on_complete(self, stream: Stream, response: object) -> None:
        self.asked.append(("complete", stream.request))

    def on_error(self, stream: Stream, error: object) -> None:
        self.asked.append(("error", stream.request))


async def test_observers_see_model_parameters_tools_and_messages() -> None:
    seen = Seen()
    async with ScriptedServer(answer("a")) as server:
        client = client_for(server, temperature=0.5, extra_body={"user": "u"}, handlers=[seen])
        await client.stream(
            Conversation().system("Be brief.").user("hi"),
            max_new_tokens=9,
            sampling_params=SamplingParams(seed=7, stop=["x"]),
            tools=TOOLS,
            tool_choice="auto",
        )
    assert [when for when, _ in seen.asked] == ["start", "token", "complete"]
    for _, request in seen.asked:
        assert isinstance(request, StreamRequest)
        assert (request.model, request.model_id, request.dialect) == ("gpt-4o", "gpt-4o", "chat")
        assert request.parameters == {
            "seed": 7,
            "stop": ["x"],
            "max_new_tokens": 9,
            "tool_choice": "auto",
        }
        assert request.tools == TOOLS
        assert request.extra_body == {"user": "u"}
        assert request.messages == [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "hi"},
        ]
        json.dumps([request.parameters, request.tools, request.messages, request.extra_body])


async def test_without_anything_set_nothing_is_asked_but_the_prompt() -> None:
    async with LLMClient("openai:gpt-4o", api_key=KEY).open_stream("hi") as stream:
        request = stream.request
    assert (request.model, request.model_id) == ("openai:gpt-4o", "gpt-4o")
    assert (request.parameters, request.tools, request.extra_body) == ({}, [], {})
    assert stream.request.messages == [{"role": "user", "content": "hi"}]


async def test_it_cannot_be_changed_and_gives_copies() -> None:
    async with LLMClient("gpt-4o", api_key=KEY).open_stream("hi", tools=TOOLS) as stream:
        request = stream.request
        for name in ("model", "parameters", "anything"):
            with pytest.raises(AttributeError, match="cannot be changed"):
                setattr(request, name, "x")
        with pytest.raises(AttributeError, match="cannot be changed"):
            del request.model
        request.tools[0]["function"]["name"] = "x"
        request.tools.clear()
        request.messages[0]["content"] = "x"
        request.parameters["temperature"] = 1
        assert stream.request.tools == request.tools == TOOLS
        assert request.messages == [{"role": "user", "content": "hi"}]
        assert request.parameters == {}


async def test_no_key_is_in_it_wherever_it_was_written() -> None:
    client = LLMClient(
        "gpt-4o",
        api_key=KEY,
        base_url=URL,
        extra_headers={"X-Api-Key": "hidden-0123456789abcdef"},
        query={"key": "query-0123456789abcdef"},
        extra_body={"metadata": {"api_key": "body-0123456789abcdef"}, "note": KEY},
    )
    tools = [{"type": "mcp", "server_url": "http://x", "authorization": "tool-0123456789abcdef"}]
    stream = client.open_stream(
        f"My key is {KEY}, and hidden-0123456789abcdef.",
        tools=tools,
        response_format={"type": "text", "note": KEY},
    )
    async with stream:
        request = stream.request
    told = [request.parameters, request.tools, request.messages, request.extra_body, request.model]
    copies = [copy.deepcopy(request), copy.copy(request), pickle.loads(pickle.dumps(request))]
    for shown in (
        repr(told),
        repr(request),
        pickle.dumps(request).decode("latin-1"),
        *(repr([one.parameters, one.tools, one.messages, one.extra_body]) for one in copies),
    ):
        for secret in (KEY, "hidden-0123456789abcdef", "query-0123", "body-0123", "tool-0123"):
            assert secret not in shown
    assert copies[0].messages == request.messages
    assert "My key is" in request.messages[0]["content"]


async def test_a_fallback_is_what_is_asked_from_its_first_attempt_on() -> None:
    seen = Seen()
    refused = b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"
    async with ScriptedServer([refused], answer("a")) as server:
        client = client_for(
            server,
            fallback_models=["gpt-4o-mini"],
            retries=RetryPolicy(max_attempts=1),
            handlers=[seen],
        )
        await client.stream("hi", temperature=0.5)
    assert [(when, request.model) for when, request in seen.asked] == [
        ("start", "gpt-4o"),
        ("retry", "gpt-4o"),
        ("token", "gpt-4o-mini"),
        ("complete", "gpt-4o-mini"),
    ]
    assert {request.parameters["temperature"] for _, request in seen.asked} == {0.5}


async def test_a_fallback_of_another_provider_shows_what_it_is_asked_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Tools in the first one's own words, and what it alone was given, stay behind."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "other-0123456789abcdef")
    seen = Seen()
    refused = b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"
    async with ScriptedServer([refused], answer("a")) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.base_url.removesuffix("/v1"))
        client = client_for(
            server,
            model="openai-responses:gpt-5",
            fallback_models=["anthropic:claude-sonnet-4-5"],
            retries=RetryPolicy(max_attempts=1),
            extra_body={"user": "u"},
            handlers=[seen],
        )
        own = {"type": "web_search"}
        stream = client.open_stream("hi", tools=[own, *TOOLS], reasoning_summary="detailed")
        await stream.start()
    (_, first), *_, (_, last) = seen.asked
    assert first.parameters == {"reasoning_summary": "detailed"}
    assert (first.tools, first.extra_body) == ([own, *TOOLS], {"user": "u"})
    assert (last.model, last.dialect) == ("anthropic:claude-sonnet-4-5", "messages")
    assert (last.parameters, last.tools, last.extra_body) == ({}, TOOLS, {})


async def test_what_a_model_does_not_take_was_asked_all_the_same() -> None:
    async with LLMClient("gpt-5", api_key=KEY).open_stream("hi", temperature=0.5) as stream:
        assert stream.request.parameters["temperature"] == 0.5


async def test_it_is_there_before_the_start_and_after_the_end_from_any_thread() -> None:
    async with ScriptedServer(answer("a")) as server:
        stream = client_for(server).open_stream("hi", top_p=0.5)
        before = await asyncio.to_thread(lambda: stream.request.parameters)
        await stream
        after = await asyncio.to_thread(lambda: stream.request.parameters)
    assert before == after == {"top_p": 0.5}


def test_its_name_is_public() -> None:
    import lm_deluge

    assert lm_deluge.StreamRequest is StreamRequest
    assert "StreamRequest" in lm_deluge.__all__
