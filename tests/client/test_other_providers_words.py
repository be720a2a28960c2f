"""What a call says in the first model's provider's words goes to no fallback of another provider."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lm_deluge import LLMClient, RetryPolicy
from support.messages import WHOLE as MESSAGES
from support.providers import WHOLE
from support.scripted import Received, ScriptedServer, reply

DOWN = reply("503 Service Unavailable", "{}")
SECRET = "s-data-source-0123456789"
OTHERS = {
    "openai:gpt-4o": ("chat", "OPENAI_BASE_URL", "OPENAI_API_KEY"),
    "anthropic:claude-x": ("messages", "ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY"),
    "gemini:gemini-x": ("gemini", "GOOGLE_GEMINI_BASE_URL", "GEMINI_API_KEY"),
}
FUNCTION = {"type": "function", "function": {"name": "look_up"}}
OWN_TOOLS: dict[str, list[dict[str, Any]]] = {
    "chat": [
        {"type": "mcp", "server_label": "x", "authorization": SECRET},
        {"type": "web_search"},
    ],
    "messages": [{"type": "web_search_20250305", "name": "web_search"}],
    "gemini": [{"googleSearch": {}}, {"type": "urlContext", "apiKey": SECRET}],
}
CASES = [(first, second) for first in OTHERS for second in OTHERS if first != second]


async def both_asked(
    monkeypatch: pytest.MonkeyPatch, first: str, second: str, *, call: dict[str, Any], **client: Any
) -> tuple[Received, Received]:
    """Return what the first model and its fallback were asked."""
    (_, variable, key), (dialect, other_variable, other_key) = OTHERS[first], OTHERS[second]
    monkeypatch.setenv(key, "k-first-0123456789")
    monkeypatch.setenv(other_key, "k-second-0123456789")
    async with ScriptedServer(DOWN) as server, ScriptedServer(WHOLE[dialect]) as other:
        monkeypatch.setenv(variable, server.base_url)
        monkeypatch.setenv(other_variable, other.base_url)
        llm = LLMClient(
            first, fallback_models=[second], printer=None, retries=RetryPolicy.none(), **client
        )
        assert (await llm.stream("Hi", **call)).completion == "Good day"
    return server.requests[0], other.requests[0]


@pytest.mark.parametrize(("first", "second"), CASES)
@pytest.mark.parametrize("of", ["client", "call"])
async def test_an_extra_body_stays_with_the_first_models_provider(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    first: str,
    second: str,
    of: str,
) -> None:
    extra: Any = {"extra_body": {"data_sources": [{"key": SECRET}]}}
    given = {"call": extra} if of == "call" else {"call": {}, **extra}
    asked, other = await both_asked(monkeypatch, first, second, **given)
    assert SECRET.encode() in asked.body
    assert b"data_sources" not in other.body
    told = [message for message in caplog.messages if "extra_body is not sent to" in message]
    assert len(told) == 1
    assert SECRET not in caplog.text


@pytest.mark.parametrize(("first", "second"), CASES)
async def test_a_tool_in_a_providers_own_words_stays_with_it_and_functions_go_along(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, first: str, second: str
) -> None:
    own = OWN_TOOLS[OTHERS[first][0]]
    call = {"tools": [*own, FUNCTION], "tool_choice": "auto"}
    asked, other = await both_asked(monkeypatch, first, second, call=call)
    assert b"look_up" in asked.body
    assert b"look_up" in other.body
    for word in (SECRET, "web_search", "mcp", "googleSearch", "urlContext"):
        assert word.encode() not in other.body
    assert sum("is not sent to" in message for message in caplog.messages) == len(own)
    assert SECRET not in caplog.text


async def test_a_choice_among_tools_that_stay_behind_stays_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tools = OWN_TOOLS["messages"]
    call = {"tools": tools, "tool_choice": {"type": "tool", "name": "web_search"}}
    for given in (call, {**call, "tools": [*tools, FUNCTION]}):
        _, other = await both_asked(monkeypatch, "anthropic:claude-x", "openai:gpt-4o", call=given)
        assert b"tool_choice" not in other.body


async def test_a_fallback_of_the_same_provider_has_all_of_it() -> None:
    tool = {"type": "web_search_20250305", "name": "web_search"}
    async with ScriptedServer(DOWN, MESSAGES) as server:
        llm = LLMClient(
            "anthropic:claude-x",
            fallback_models=["anthropic:claude-y"],
            base_url=server.base_url,
            api_key="k",
            printer=None,
            retries=RetryPolicy.none(),
            extra_body={"top_k": 7},
        )
        await llm.stream("Hi", tools=[tool])
    assert b'"top_k":7' in server.requests[1].body
    assert b"web_search" in server.requests[1].body


@pytest.mark.parametrize("second", ["openai:gpt-4o", "gemini:gemini-x"])
@pytest.mark.parametrize(
    "tool",
    [
        {"name": "look_up", "description": "d", "input_schema": {"type": "object"}},
        {"type": "custom", "name": "look_up", "input_schema": {"type": "object"}},
    ],
)
async def test_a_function_in_a_providers_own_words_goes_along_in_the_fallbacks(
    monkeypatch: pytest.MonkeyPatch, second: str, tool: dict[str, Any]
) -> None:
    for choice in ({"type": "any"}, {"type": "tool", "name": "look_up"}):
        call = {"tools": [tool], "tool_choice": choice}
        _, other = await both_asked(monkeypatch, "anthropic:claude-x", second, call=call)
        sent = json.loads(other.body)
        if OTHERS[second][0] == "chat":
            assert sent["tools"][0]["function"]["name"] == "look_up"
            assert sent["tools"][0]["function"]["parameters"] == {"type": "object"}
            named = {"type": "function", "function": {"name": "look_up"}}
            assert sent["tool_choice"] == ("required" if "name" not in choice else named)
        else:
            (told,) = sent["tools"][0]["functionDeclarations"]
            assert told["name"] == "look_up"
            calling = sent["toolConfig"]["functionCallingConfig"]
            assert (calling["mode"], "allowedFunctionNames" in calling) == ("ANY", "name" in choice)


async def test_a_choice_among_the_tools_of_an_extra_body_stays_with_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    call = {"extra_body": {"tools": [{"type": "web_search"}]}, "tool_choice": "required"}
    _, other = await both_asked(monkeypatch, "openai:gpt-4o", "anthropic:claude-x", call=call)
    assert not {"tools", "tool_choice"} & json.loads(other.body).keys()
