"""A provider's own words: in messages and tools they go to it as they are; what none has is named."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from lm_deluge import LLMClient, SamplingParams
from support import gemini, messages, responses
from support.scripted import END, HEADERS, ScriptedServer, http

GEMINI = [HEADERS, http(gemini.text("Hi")), http(gemini.STOP) + END]
SERVED: dict[str, Any] = {
    "messages": ("claude-sonnet-5-5", messages.WHOLE),
    "responses": ("gpt-5.4", responses.WHOLE),
    "gemini": ("gemini-3.8-flash", GEMINI),
}
CACHE = {"type": "ephemeral"}
TOOL = {"type": "function", "function": {"name": "f"}}
SCHEMA = {"type": "object", "properties": {}}


async def body(dialect: str, prompt: Any = "Hi", **options: Any) -> dict[str, Any]:
    model, script = SERVED[dialect]
    async with ScriptedServer(script) as server:
        client = LLMClient(
            model, dialect=dialect, api_key="k", base_url=server.base_url, printer=None
        )
        await client.stream(prompt, **options)
        sent: dict[str, Any] = server.requests[0].json
        return sent


async def test_a_system_text_keeps_how_far_it_is_kept() -> None:
    system = [{"type": "text", "text": "A"}, {"type": "text", "text": "B", "cache_control": CACHE}]
    prompt = [{"role": "system", "content": system}, {"role": "user", "content": "Hi"}]
    assert (await body("messages", prompt))["system"] == system


async def test_a_message_says_it_of_its_last_block() -> None:
    call = {"id": "c1", **TOOL, "function": {"name": "f", "arguments": "{}"}}
    prompt = [
        {"role": "system", "content": "S", "cache_control": CACHE},
        {"role": "user", "content": "Hi", "cache_control": CACHE},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "x", "cache_control": CACHE},
    ]
    sent = await body("messages", prompt)
    assert sent["system"] == [{"type": "text", "text": "S", "cache_control": CACHE}]
    user, _, result = sent["messages"]
    assert user["content"] == [{"type": "text", "text": "Hi", "cache_control": CACHE}]
    assert result["content"][0]["cache_control"] == CACHE


OWN_TOOLS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "beside a function": (
        "messages",
        {**TOOL, "cache_control": CACHE},
        {"name": "f", "input_schema": SCHEMA, "cache_control": CACHE},
    ),
    "a function of Anthropic's": (
        "messages",
        {"name": "f", "input_schema": SCHEMA},
        {"name": "f", "input_schema": SCHEMA},
    ),
    "a tool of Anthropic's": (
        "messages",
        {"type": "web_search_20250305", "name": "web_search", "max_uses": 2},
        {"type": "web_search_20250305", "name": "web_search", "max_uses": 2},
    ),
    "a flat function": (
        "responses",
        {"type": "function", "name": "f", "parameters": SCHEMA, "strict": True},
        {"type": "function", "name": "f", "parameters": SCHEMA, "strict": True},
    ),
    "a tool of OpenAI's": (
        "responses",
        {"type": "web_search", "search_context_size": "low"},
        {"type": "web_search", "search_context_size": "low"},
    ),
    "a tool of Google's": ("gemini", {"googleSearch": {}}, {"googleSearch": {}}),
    "one that says its type": ("gemini", {"type": "googleSearch"}, {"googleSearch": {}}),
    "declarations": (
        "gemini",
        {"functionDeclarations": [{"name": "f"}]},
        {"functionDeclarations": [{"name": "f"}]},
    ),
}


@pytest.mark.parametrize("case", OWN_TOOLS)
async def test_a_tool_in_its_words_goes_as_it_is(case: str) -> None:
    dialect, given, expected = OWN_TOOLS[case]
    assert (await body(dialect, tools=[given]))["tools"] == [expected]


LEGACY: dict[str, Any] = {
    "'function'": {"role": "function", "name": "f", "content": "x"},
    "'function_call'": {
        "role": "assistant",
        "content": None,
        "function_call": {"name": "f", "arguments": "{}"},
    },
    "'audio'": {"role": "assistant", "content": None, "audio": {"id": "a"}},
}


@pytest.mark.parametrize("dialect", SERVED)
@pytest.mark.parametrize("named", LEGACY)
async def test_what_only_chat_has_in_a_message_is_named(dialect: str, named: str) -> None:
    prompt = [{"role": "user", "content": "Hi"}, LEGACY[named]]
    with pytest.raises(ValueError, match=rf"messages\[1\].*{named}"):
        await body(dialect, prompt)


@pytest.mark.parametrize("dialect", ["messages", "gemini"])
async def test_a_tool_whose_input_is_text_is_refused(dialect: str) -> None:
    with pytest.raises(ValueError, match=r"tools\[1\] is a custom tool"):
        await body(dialect, tools=[TOOL, {"type": "custom", "custom": {"name": "z"}}])


@pytest.mark.parametrize("dialect", SERVED)
async def test_names_of_participants_are_left_out_with_a_warning(
    dialect: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "lm_deluge"):
        sent = await body(dialect, [{"role": "user", "content": "Hi", "name": "bob"}])
    assert "bob" not in str(sent)
    assert [record for record in caplog.messages if record.startswith("name is not sent")]


@pytest.mark.parametrize(
    ("dialect", "end"),
    [
        ("messages", messages.START + messages.ended("a_new_word") + messages.STOP),
        ("gemini", gemini.text("", finishReason="a_new_word")),
    ],
)
async def test_an_end_in_an_unknown_word_is_an_end_even_without_text(
    dialect: str, end: bytes
) -> None:
    async with ScriptedServer([HEADERS, http(end) + END]) as server:
        client = LLMClient("m", dialect=dialect, base_url=server.base_url, printer=None)
        response = await client.stream("Hi")
    assert (response.completion, response.finish_reason) == ("", None)
    assert response.finish_reason_raw == "a_new_word"


async def test_more_effort_than_gemini_has_a_word_for_is_its_highest_level() -> None:
    params = SamplingParams(reasoning_effort="xhigh")
    sent = await body("gemini", sampling_params=params)
    assert sent["generationConfig"]["thinkingConfig"]["thinkingLevel"] == "high"
