"""Requests that the real service refuses, with its words, and some that it takes."""

from __future__ import annotations

from typing import Any

USER = {"role": "user", "content": "Hi"}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
UNSUPPORTED = "Unsupported parameter: '{}' is not supported with this model."


def said(content: Any, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": content, **more}]}


# body, part of the message, param, code
REFUSED: list[tuple[dict[str, Any], str, str | None, str | None]] = [
    (
        {"messages": ...},
        "Missing required parameter: 'messages'.",
        "messages",
        "missing_required_parameter",
    ),
    (
        {"messages": "Hi"},
        "expected an array of objects, but got a string",
        "messages",
        "invalid_type",
    ),
    ({"messages": []}, "Invalid 'messages': empty array.", "messages", "empty_array"),
    ({"messages": [3]}, "expected an object, but got an integer", "messages[0]", "invalid_type"),
    (
        {"messages": [{"content": "x"}]},
        "'messages[0].role'",
        "messages[0].role",
        "missing_required_parameter",
    ),
    (
        {"messages": [{"role": "robot", "content": "x"}]},
        "Invalid value: 'robot'. Supported values are: "
        "'system', 'assistant', 'user', 'function', 'tool', and 'developer'.",
        "messages[0].role",
        "invalid_value",
    ),
    (
        said(None),
        "Invalid value for 'content': expected a string, got null.",
        "messages.[0].content",
        None,
    ),
    (
        said(3),
        "expected one of a string or array of objects, but got an integer",
        "messages[0].content",
        "invalid_type",
    ),
    (
        said([{"role": "x"}]),
        "Missing required parameter: 'messages[0].content[0].type'.",
        "messages[0].content[0].type",
        "missing_required_parameter",
    ),
    (said(["x"]), "expected an object, but got a string", "messages[0].content[0]", "invalid_type"),
    (
        said([{"type": "song"}]),
        "Invalid value: 'song'.",
        "messages[0].content[0].type",
        "invalid_value",
    ),
    (
        said([{"type": "text"}]),
        "Missing required parameter",
        "messages[0].content[0].text",
        "missing_required_parameter",
    ),
    (
        said([{"type": "text", "text": 1}]),
        "expected a string",
        "messages[0].content[0].text",
        "invalid_type",
    ),
    (
        {"messages": [{"role": "tool", "content": "1"}]},
        "tool_call_id",
        "messages[0].tool_call_id",
        "missing_required_parameter",
    ),
    (
        {"messages": [{"role": "tool", "tool_call_id": "c", "content": "1"}]},
        "must be a response to a preceeding message",
        "messages.[0].role",
        None,
    ),
    (
        {"messages": [{"role": "assistant", "tool_calls": [CALL]}, USER]},
        "did not have response messages: c1",
        "messages.[1].role",
        None,
    ),
    (
        {"messages": [{"role": "assistant", "tool_calls": 3}]},
        "expected an array of objects",
        "messages[0].tool_calls",
        "invalid_type",
    ),
    (
        {"messages": [{"role": "assistant", "tool_calls": [3]}]},
        "expected an object",
        "messages[0].tool_calls[0]",
        "invalid_type",
    ),
    (
        {"messages": [{"role": "assistant", "tool_calls": [{}]}]},
        "Missing",
        "messages[0].tool_calls[0].id",
        "missing_required_parameter",
    ),
    (
        {"messages": [{"role": "assistant", "tool_calls": [{"id": "c"}]}]},
        "Missing",
        "messages[0].tool_calls[0].function.name",
        "missing_required_parameter",
    ),
    (
        {
            "messages": [
                {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f"}}]}
            ]
        },
        "Missing",
        "messages[0].tool_calls[0].function.arguments",
        "missing_required_parameter",
    ),
    ({"model": ...}, "you must provide a model parameter", None, None),
    ({"model": 3}, "expected a string, but got an integer", "model", "invalid_type"),
    ({"foo": 1}, "Unrecognized request argument supplied: foo", None, None),
    ({"foo": 1, "bar": 1}, "Unrecognized request arguments supplied: bar, foo", None, None),
    (
        {"temperature": -1},
        "Invalid 'temperature': decimal below minimum value. Expected a value >= 0, but got -1 instead.",
        "temperature",
        "decimal_below_min_value",
    ),
    (
        {"temperature": 2.5},
        "Expected a value <= 2, but got 2.5 instead.",
        "temperature",
        "decimal_above_max_value",
    ),
    ({"temperature": "hot"}, "expected a decimal, but got a string", "temperature", "invalid_type"),
    ({"top_p": 1.5}, "Expected a value <= 1", "top_p", "decimal_above_max_value"),
    (
        {"presence_penalty": 3},
        "Expected a value <= 2",
        "presence_penalty",
        "decimal_above_max_value",
    ),
    (
        {"frequency_penalty": -3},
        "Expected a value >= -2",
        "frequency_penalty",
        "decimal_below_min_value",
    ),
    (
        {"n": 0},
        "Invalid 'n': integer below minimum value. Expected a value >= 1, but got 0 instead.",
        "n",
        "integer_below_min_value",
    ),
    ({"n": 1.5}, "expected an integer, but got a decimal", "n", "invalid_type"),
    ({"n": True}, "expected an integer, but got a boolean", "n", "invalid_type"),
    ({"stream": "yes"}, "expected a boolean, but got a string", "stream", "invalid_type"),
    ({"max_tokens": 0}, "Expected a value >= 1", "max_tokens", "integer_below_min_value"),
    (
        {"max_tokens": 1, "max_completion_tokens": 1},
        "at the same time is not supported",
        None,
        "invalid_parameter_combination",
    ),
    (
        {"top_logprobs": 2},
        "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.",
        "top_logprobs",
        None,
    ),
    (
        {"top_logprobs": 21, "logprobs": True},
        "Expected a value <= 20",
        "top_logprobs",
        "integer_above_max_value",
    ),
    (
        {"stream": False, "stream_options": {"include_usage": True}},
        "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
        "stream_options",
        None,
    ),
    ({"stream_options": 1}, "expected an object", "stream_options", "invalid_type"),
    (
        {"stream_options": {"x": 1}},
        "Unknown parameter: 'stream_options.x'.",
        "stream_options.x",
        "unknown_parameter",
    ),
    (
        {"stop": ["a"] * 5},
        "maximum length 4, but got an array with length 5",
        "stop",
        "array_above_max_length",
    ),
    ({"stop": 3}, "expected one of a string or array of strings", "stop", "invalid_type"),
    ({"tools": []}, "Invalid 'tools': empty array.", "tools", "empty_array"),
    ({"tools": 1}, "expected an array of objects", "tools", "invalid_type"),
    ({"tools": [1]}, "expected an object", "tools[0]", "invalid_type"),
    ({"tools": [{}]}, "Missing", "tools[0].type", "missing_required_parameter"),
    ({"tools": [{"type": "x"}]}, "Invalid value: 'x'", "tools[0].type", "invalid_value"),
    (
        {"tools": [{"type": "function"}]},
        "Missing",
        "tools[0].function",
        "missing_required_parameter",
    ),
    (
        {"tools": [{"type": "function", "function": {}}]},
        "Missing",
        "tools[0].function.name",
        "missing_required_parameter",
    ),
    (
        {"tools": [{"type": "function", "function": {"name": "a b"}}]},
        "^[a-zA-Z0-9_-]+$",
        "tools[0].function.name",
        "invalid_value",
    ),
    ({"tool_choice": "auto"}, "only allowed when 'tools' are specified", "tool_choice", None),
    (
        {"tools": [{"type": "function", "function": {"name": "a"}}], "tool_choice": "always"},
        "Invalid value: 'always'",
        "tool_choice",
        "invalid_value",
    ),
    (
        {
            "tools": [{"type": "function", "function": {"name": "a"}}],
            "tool_choice": {"type": "function", "function": {"name": "b"}},
        },
        "'b' not found in 'tools'",
        "tool_choice",
        None,
    ),
    ({"response_format": "json"}, "expected an object", "response_format", "invalid_type"),
    ({"response_format": {}}, "Missing", "response_format.type", "missing_required_parameter"),
    (
        {"response_format": {"type": "xml"}},
        "Invalid value: 'xml'",
        "response_format.type",
        "invalid_value",
    ),
    (
        {"response_format": {"type": "json_schema"}},
        "Missing",
        "response_format.json_schema",
        "missing_required_parameter",
    ),
    (
        {"response_format": {"type": "json_object"}},
        "must contain the word 'json'",
        "messages",
        None,
    ),
    (
        {"reasoning_effort": "low"},
        "Unrecognized request argument supplied: reasoning_effort",
        None,
        None,
    ),
    (
        {"model": "o3", "max_tokens": 5},
        "Unsupported parameter: 'max_tokens' is not supported with this model. "
        "Use 'max_completion_tokens' instead.",
        "max_tokens",
        "unsupported_parameter",
    ),
    (
        {"model": "gpt-5.1", "max_tokens": 5},
        "Use 'max_completion_tokens' instead.",
        "max_tokens",
        "unsupported_parameter",
    ),
    (
        {"model": "gpt-5-mini", "temperature": 0.16},
        "Unsupported value: 'temperature' does not support 0.16 with this model. "
        "Only the default (1) value is supported.",
        "temperature",
        "unsupported_value",
    ),
    (
        {"model": "o3-mini", "temperature": 1},
        UNSUPPORTED.format("temperature"),
        "temperature",
        "unsupported_parameter",
    ),
    (
        {"model": "gpt-5", "top_p": 0.5},
        UNSUPPORTED.format("top_p"),
        "top_p",
        "unsupported_parameter",
    ),
    (
        {"model": "o4-mini", "presence_penalty": 1},
        UNSUPPORTED.format("presence_penalty"),
        "presence_penalty",
        "unsupported_parameter",
    ),
    (
        {"model": "o1", "frequency_penalty": 1},
        UNSUPPORTED.format("frequency_penalty"),
        "frequency_penalty",
        "unsupported_parameter",
    ),
    (
        {"model": "gpt-5-nano-2025-08-07", "logprobs": True},
        UNSUPPORTED.format("logprobs"),
        "logprobs",
        "unsupported_parameter",
    ),
    (
        {"model": "o1-mini", "stop": ["stop"]},
        UNSUPPORTED.format("stop"),
        "stop",
        "unsupported_parameter",
    ),
    (
        {"model": "o1-preview", "reasoning_effort": "low"},
        UNSUPPORTED.format("reasoning_effort"),
        "reasoning_effort",
        "unsupported_parameter",
    ),
    (
        {"model": "gpt-5.2", "reasoning_effort": "high", "top_p": 0.5},
        UNSUPPORTED.format("top_p"),
        "top_p",
        "unsupported_parameter",
    ),
    (
        {"model": "o3", "reasoning_effort": "minimal"},
        "Unsupported value: 'reasoning_effort' does not support 'minimal' with this model. "
        "Supported values are: 'low', 'medium', and 'high'.",
        "reasoning_effort",
        "unsupported_value",
    ),
    (
        {"model": "o1-mini", "messages": [{"role": "developer", "content": "x"}, USER]},
        "Unsupported value: 'messages[0].role' does not support 'developer' with this model.",
        "messages[0].role",
        "unsupported_value",
    ),
    (
        {"model": "o1-preview", "messages": [{"role": "system", "content": "x"}, USER]},
        "does not support 'system'",
        "messages[0].role",
        "unsupported_value",
    ),
]


ACCEPTED: list[dict[str, Any]] = [
    {"temperature": 0, "top_p": 0.5, "presence_penalty": 1, "logprobs": True, "stop": "x"},
    {"model": "gpt-5.1", "reasoning_effort": "none", "temperature": 0.3, "logprobs": True},
    {"model": "gpt-5.2", "temperature": 0.3, "max_completion_tokens": 5},
    {"model": "gpt-5-chat-latest", "temperature": 0.3, "max_tokens": 5, "top_p": 0.5},
    {"model": "gpt-5", "temperature": 1, "reasoning_effort": "minimal"},
    {"model": "o3-mini", "stop": "x"},
    {"model": "o1", "messages": [{"role": "developer", "content": "x"}, USER]},
    {"model": "ft:gpt-4o-mini:acme::x1"},
    {"model": "gpt-4-turbo-preview"},
    {
        "messages": [
            USER,
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "c1", "content": "1"},
            USER,
        ]
    },
    said([{"type": "text", "text": "x"}, {"type": "image_url", "image_url": {"url": "data:"}}]),
    {"temperature": None, "stop": None, "stream_options": None, "tools": None},
]
