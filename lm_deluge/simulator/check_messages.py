"""Checks of ``messages``: roles, contents, parts, and tool calls with their answers."""

from __future__ import annotations

from typing import Any

from lm_deluge.simulator.refusals import Refused, bad_request
from lm_deluge.simulator.rules import Rules

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


def kind(value: object) -> str:
    """What the service calls a value of the wrong type."""
    if value is None:
        return "null"
    names = {
        bool: "a boolean",
        int: "an integer",
        float: "a decimal",
        str: "a string",
        list: "an array",
        dict: "an object",
    }
    name = names.get(type(value), "an unknown value")
    return "an empty array" if value == [] else name


def check_messages(body: dict[str, Any], rules: Rules) -> None:
    """Raises `Refused` (400) for messages that the real service would not take."""
    messages = body.get("messages")
    if messages is None:
        raise _missing("messages")
    if not isinstance(messages, list):
        raise bad_request(
            f"Invalid type for 'messages': expected an array of objects, but got {kind(messages)} "
            "instead.",
            "messages",
            "invalid_type",
        )
    if not messages:
        raise bad_request(
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an "
            "empty array instead.",
            "messages",
            "empty_array",
        )
    for index, message in enumerate(messages):
        _check_message(message, f"messages[{index}]", rules)
    _check_tool_answers(messages)


def _missing(path: str) -> Refused:
    return bad_request(f"Missing required parameter: '{path}'.", path, "missing_required_parameter")


def _wrong_type(path: str, wanted: str, value: object) -> Refused:
    return bad_request(
        f"Invalid type for '{path}': expected {wanted}, but got {kind(value)} instead.",
        path,
        "invalid_type",
    )


def _listed(values: tuple[str, ...]) -> str:
    *rest, last = (f"'{value}'" for value in values)
    return f"{', '.join(rest)}, and {last}"


def _check_message(message: Any, path: str, rules: Rules) -> None:
    if not isinstance(message, dict):
        raise _wrong_type(path, "an object", message)
    role = message.get("role")
    if role is None:
        raise _missing(f"{path}.role")
    if role not in _ROLES:
        raise bad_request(
            f"Invalid value: '{role}'. Supported values are: {_listed(_ROLES)}.",
            f"{path}.role",
            "invalid_value",
        )
    if role in rules.roles_refused:
        raise bad_request(
            f"Unsupported value: '{path}.role' does not support '{role}' with this model.",
            f"{path}.role",
            "unsupported_value",
        )
    if role == "tool" and not isinstance(message.get("tool_call_id"), str):
        raise _missing(f"{path}.tool_call_id")
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
        raise _wrong_type(f"{path}.content", "one of a string or array of objects", content)
    for number, part in enumerate(content):
        _check_part(part, f"{path}.content[{number}]")


def _check_part(part: Any, path: str) -> None:
    if not isinstance(part, dict):
        raise _wrong_type(path, "an object", part)
    name = part.get("type")
    if name is None:
        raise _missing(f"{path}.type")
    if name not in _PARTS:
        raise bad_request(
            f"Invalid value: '{name}'. Supported values are: {_listed(tuple(_PARTS))}.",
            f"{path}.type",
            "invalid_value",
        )
    if part.get(_PARTS[name]) is None:
        raise _missing(f"{path}.{_PARTS[name]}")
    if name == "text" and not isinstance(part["text"], str):
        raise _wrong_type(f"{path}.text", "a string", part["text"])


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
        raise _wrong_type(path, "an array of objects", calls)
    ids = []
    for index, call in enumerate(calls):
        if not isinstance(call, dict):
            raise _wrong_type(f"{path}[{index}]", "an object", call)
        if not isinstance(call.get("id"), str):
            raise _missing(f"{path}[{index}].id")
        if call.get("type", "function") == "function":
            function = call.get("function")
            if not isinstance(function, dict) or not isinstance(function.get("name"), str):
                raise _missing(f"{path}[{index}].function.name")
            if not isinstance(function.get("arguments"), str):
                raise _missing(f"{path}[{index}].function.arguments")
        ids.append(call["id"])
    return ids
