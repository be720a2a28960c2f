"""Checks of ``messages``: roles, contents, parts, and tool calls with their answers."""

from __future__ import annotations

from typing import Any

from lm_deluge.simulator.checks.calls import CHAT_ID, check_openai_id, check_openai_name
from lm_deluge.simulator.checks.refusals import (
    bad_request,
    empty_array,
    missing,
    not_one_of,
    wrong_type,
)
from lm_deluge.simulator.saying.rules import Rules

_ROLES = ("system", "assistant", "user", "function", "tool", "developer")
# part type: the field that must come with it
_PARTS = {
    "text": "text",
    "image_url": "image_url",
    "input_audio": "input_audio",
    "refusal": "refusal",
    "audio": "audio",
    "file": "file",
}

#: What calls of a kind say of what they ask for.
_ASKED = {"function": "arguments", "custom": "input"}

_AUDIO = ("wav", "mp3")
_FILE = ("file_data", "file_id", "filename")


def check_messages(body: dict[str, Any], rules: Rules) -> None:
    """Raises `Refused` (400) for messages that the real service would not take."""
    messages = body.get("messages")
    if messages is None:
        raise missing("messages")
    if not isinstance(messages, list):
        raise wrong_type("messages", "an array of objects", messages)
    if not messages:
        raise empty_array("messages")
    for index, message in enumerate(messages):
        _check_message(message, f"messages[{index}]", rules)
    _check_tool_answers(messages)


def _check_message(message: Any, path: str, rules: Rules) -> None:
    if not isinstance(message, dict):
        raise wrong_type(path, "an object", message)
    role = message.get("role")
    if role is None:
        raise missing(f"{path}.role")
    if role not in _ROLES:
        raise not_one_of(_ROLES, f"{path}.role", role)
    if role in rules.roles_refused:
        raise bad_request(
            f"Unsupported value: '{path}.role' does not support '{role}' with this model.",
            f"{path}.role",
            "unsupported_value",
        )
    if role == "tool":
        check_openai_id(message.get("tool_call_id"), f"{path}.tool_call_id", CHAT_ID)
    speaks_by_calling = role == "assistant" and (
        message.get("tool_calls") or message.get("function_call") or message.get("refusal")
    )
    if message.get("content") is None and speaks_by_calling:
        return
    _check_content(message, path)


def _check_content(message: dict[str, Any], path: str) -> None:
    content = message.get("content")
    if content is None:
        raise bad_request(
            "Invalid value for 'content': expected a string, got null.",
            path.replace("[", ".[") + ".content",
        )
    if isinstance(content, str):
        return
    if not isinstance(content, list):
        raise wrong_type(f"{path}.content", "one of a string or array of objects", content)
    for number, part in enumerate(content):
        _check_part(part, f"{path}.content[{number}]")
        if part["type"] == "image_url" and message["role"] != "user":
            raise bad_request(
                f"Invalid '{path}'. Image URLs are only allowed for messages with role 'user', but "
                f"this message with role '{message['role']}' contains an image URL.",
                path,
                "invalid_value",
            )


def _check_part(part: Any, path: str) -> None:
    if not isinstance(part, dict):
        raise wrong_type(path, "an object", part)
    name = part.get("type")
    if name is None:
        raise missing(f"{path}.type")
    if name not in _PARTS:
        raise not_one_of(tuple(_PARTS), f"{path}.type", name)
    if part.get(_PARTS[name]) is None:
        raise missing(f"{path}.{_PARTS[name]}")
    if name == "text" and not isinstance(part["text"], str):
        raise wrong_type(f"{path}.text", "a string", part["text"])
    if name in ("image_url", "input_audio", "file"):
        _check_media(name, part[name], f"{path}.{name}")


def _check_media(name: str, given: Any, path: str) -> None:
    if not isinstance(given, dict):
        raise wrong_type(path, "an object", given)
    if name == "image_url" and not isinstance(given.get("url"), str):
        raise missing(f"{path}.url")
    if name == "input_audio":
        if not isinstance(given.get("data"), str):
            raise missing(f"{path}.data")
        if given.get("format") not in _AUDIO:
            raise not_one_of(_AUDIO, f"{path}.format", given.get("format"))
    if name == "file":
        for field in given:
            if field not in _FILE:
                where = f"{path}.{field}"
                raise bad_request(f"Unknown parameter: '{where}'.", where, "unknown_parameter")
        if given.get("file_data") is None and given.get("file_id") is None:
            raise missing(f"{path}.file_id")


def _check_tool_answers(messages: list[dict[str, Any]]) -> None:
    waiting: list[str] = []
    asked_at = 0
    for index, message in enumerate(messages):
        if message["role"] == "tool":
            if message["tool_call_id"] not in waiting:
                raise bad_request(
                    "Invalid parameter: messages with role 'tool' must be a response to a "
                    "preceeding message with 'tool_calls'.",
                    f"messages.[{index}].role",
                )
            waiting.remove(message["tool_call_id"])
            continue
        if waiting:
            break
        calls = message.get("tool_calls")
        if message["role"] == "assistant" and calls:
            waiting = _call_ids(calls, f"messages[{index}].tool_calls")
            asked_at = index
    if waiting:
        raise bad_request(
            "An assistant message with 'tool_calls' must be followed by tool messages responding "
            "to each 'tool_call_id'. The following tool_call_ids did not have response messages: "
            f"{', '.join(waiting)}",
            f"messages.[{asked_at + 1}].role",
        )


def _call_ids(calls: Any, path: str) -> list[str]:
    if not isinstance(calls, list):
        raise wrong_type(path, "an array of objects", calls)
    ids = []
    for index, call in enumerate(calls):
        if not isinstance(call, dict):
            raise wrong_type(f"{path}[{index}]", "an object", call)
        check_openai_id(call.get("id"), f"{path}[{index}].id", CHAT_ID)
        kind = call.get("type", "function")
        called = call.get(kind)
        if kind in _ASKED:
            where, asked = f"{path}[{index}].{kind}", _ASKED[kind]
            if not isinstance(called, dict):
                raise missing(f"{where}.name")
            check_openai_name(called.get("name"), f"{where}.name")
            if not isinstance(called.get(asked), str):
                raise missing(f"{where}.{asked}")
        ids.append(call["id"])
    return ids
