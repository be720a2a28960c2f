"""Checks of a Responses request, with the statuses and words of the real service."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from lm_deluge.simulator.checks.calls import RESPONSES_ID, check_openai_id, check_openai_name
from lm_deluge.simulator.checks.parameters import RESPONSES
from lm_deluge.simulator.checks.refusals import (
    bad_request,
    empty_array,
    listed,
    missing,
    not_one_of,
    wrong_type,
)
from lm_deluge.simulator.checks.schemas import check_openai_form, check_openai_function
from lm_deluge.simulator.saying.rules import Rules
from lm_deluge.simulator.values import is_number

__all__ = ["check_responses_body"]

#: What chat completions call otherwise, and where it went.
_MOVED: Final = {
    "response_format": "text.format",
    "max_tokens": "max_output_tokens",
    "max_completion_tokens": "max_output_tokens",
    "reasoning_effort": "reasoning.effort",
    "messages": "input",
}
_CHOICES: Final = ("none", "auto", "required")
_ROLES: Final = ("assistant", "system", "developer", "user")
#: Kinds of parts by role.
_PARTS: Final = {
    True: ("output_text", "refusal"),
    False: ("input_text", "input_image", "input_file", "input_audio"),
}
#: Fields of which one must come with a part of a kind.
_SOURCES: Final = {
    "input_image": ("image_url", "file_id"),
    "input_file": ("file_id", "file_data", "file_url"),
}
#: Fields that must come with an item of a kind.
_NEEDED: Final = {
    "reasoning": ("id", "summary"),
    "function_call": ("call_id", "name", "arguments"),
    "function_call_output": ("call_id", "output"),
    "custom_tool_call": ("call_id", "name", "input"),
    "custom_tool_call_output": ("call_id", "output"),
}
_CALLS: Final = ("function_call", "custom_tool_call")
_RANGES: Final = {"temperature": (0, 2), "top_p": (0, 1)}


def check_responses_body(
    body: dict[str, Any], rules: Rules, seal: Callable[[str], str], *, is_known: bool
) -> None:
    """Raises `Refused` (400) for a request that the real service would not answer.

    ``seal`` returns the ``encrypted_content`` of the reasoning item with an id; ``is_known``: whether
    the model is one of the real service, which can be asked for no reasoning if it has none.
    """
    for name in body:
        if name in _MOVED and rules.strict:
            raise bad_request(
                f"Unsupported parameter: '{name}'. In the Responses API, this parameter has moved "
                f"to '{_MOVED[name]}'. Try again with the new parameter. See the API documentation "
                "for more information: https://platform.openai.com/docs/api-reference/responses/create.",
                code="unsupported_parameter",
            )
        if name not in RESPONSES and rules.strict:
            raise bad_request(f"Unknown parameter: '{name}'.", name, "unknown_parameter")
    _check_values(body)
    names = _check_tools(body.get("tools"))
    _check_choice(body.get("tool_choice"), names)
    form = (body.get("text") or {}).get("format")
    if isinstance(form, dict) and form.get("type") == "json_schema" and rules.strict:
        check_openai_form(
            form, "text.format", param="text.format.schema", code="invalid_json_schema"
        )
    _check_model_limits(body, rules)
    wants_reasoning = "reasoning.encrypted_content" in (body.get("include") or ())
    if is_known and not rules.reasoning and wants_reasoning:
        raise bad_request(
            "Encrypted content is not supported with this model.", "include", "invalid_value"
        )
    _check_input(body, seal)


def _check_values(body: dict[str, Any]) -> None:
    most = body.get("max_output_tokens")
    if most is not None:
        if not isinstance(most, int) or isinstance(most, bool):
            raise wrong_type("max_output_tokens", "an integer", most)
        if most < 16:
            raise bad_request(
                "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16, "
                f"but got {most} instead.",
                "max_output_tokens",
                "integer_below_min_value",
            )
    for name, (low, high) in _RANGES.items():
        value = body.get(name)
        if value is not None and not is_number(value):
            raise wrong_type(name, "a decimal", value)
        if value is not None and not low <= value <= high:
            side, bound = ("below minimum", low) if value < low else ("above maximum", high)
            sign, word = (">=", "min") if value < low else ("<=", "max")
            raise bad_request(
                f"Invalid '{name}': decimal {side} value. Expected a value {sign} {bound}, but got "
                f"{value} instead.",
                name,
                f"decimal_{'below' if value < low else 'above'}_{word}_value",
            )
    for name in ("stream", "store", "background", "parallel_tool_calls"):
        if body.get(name) is not None and not isinstance(body[name], bool):
            raise wrong_type(name, "a boolean", body[name])
    if body.get("background") and body.get("store") is False:
        raise bad_request("Background mode requires that 'store' is true.", "background")
    for name in ("text", "reasoning"):
        if body.get(name) is not None and not isinstance(body[name], dict):
            raise wrong_type(name, "an object", body[name])


def _check_tools(tools: Any) -> list[str]:
    if tools is None:
        return []
    if not isinstance(tools, list):
        raise wrong_type("tools", "an array of objects", tools)
    names = []
    for index, tool in enumerate(tools):
        where = f"tools[{index}]"
        if not isinstance(tool, dict):
            raise wrong_type(where, "an object", tool)
        if "type" not in tool:
            raise missing(f"{where}.type")
        if tool["type"] in ("function", "custom"):
            names.append(check_openai_name(tool.get("name"), f"{where}.name"))
        if tool["type"] == "function":
            check_openai_function(tool, f"{where}.parameters")
    return names


def _check_choice(choice: Any, names: list[str]) -> None:
    if isinstance(choice, dict):
        if choice.get("type") == "function" and choice.get("name") not in names:
            raise bad_request(
                f"Tool choice 'function' not found in 'tools' parameter: {choice.get('name')}.",
                "tool_choice",
            )
    elif choice is not None and choice not in _CHOICES:
        raise not_one_of(_CHOICES, "tool_choice", choice)
    elif choice == "required" and not names:
        raise bad_request(
            "Tool choice 'required' must be specified with 'tools' parameter.", "tool_choice"
        )


def _check_model_limits(body: dict[str, Any], rules: Rules) -> None:
    reasoning = body.get("reasoning") or {}
    effort = reasoning.get("effort")
    if effort is not None and not rules.efforts and rules.strict:
        raise bad_request(
            "Unsupported parameter: 'reasoning.effort' is not supported with this model.",
            "reasoning.effort",
            "unsupported_parameter",
        )
    if effort is not None and rules.strict and effort not in rules.efforts:
        raise bad_request(
            f"Unsupported value: '{effort}' is not supported with the '{body['model']}' model. "
            f"Supported values are: {listed(rules.efforts)}.",
            "reasoning.effort",
            "unsupported_value",
        )
    for name in ("temperature", "top_p"):
        taken = not rules.reasoning or (effort or rules.default_effort) in rules.sampling_at
        if body.get(name) is not None and not taken:
            raise bad_request(
                f"Unsupported parameter: '{name}' is not supported with this model.", name
            )


def _check_input(body: dict[str, Any], seal: Callable[[str], str]) -> None:
    given = body.get("input")
    if given is None:
        if body.get("previous_response_id") or body.get("prompt") or body.get("conversation"):
            return
        raise missing("input")
    if isinstance(given, str):
        return
    if not isinstance(given, list):
        raise wrong_type("input", "one of a string or array of objects", given)
    if not given:
        raise empty_array("input")
    _check_items(given, seal, resumes=bool(body.get("previous_response_id")))


def _check_items(items: list[Any], seal: Callable[[str], str], *, resumes: bool) -> None:
    called: set[str] = set()
    answered: set[str] = set()
    reasoned: set[str] = set()
    for index, item in enumerate(items):
        where = f"input[{index}]"
        if not isinstance(item, dict):
            raise wrong_type(where, "an object", item)
        kind = item.get("type", "message")
        for name in _NEEDED.get(kind, ()):
            if item.get(name) is None:
                raise missing(f"{where}.{name}")
        if kind in _CALLS:
            check_openai_name(item["name"], f"{where}.name")
        if "call_id" in _NEEDED.get(kind, ()):
            check_openai_id(item["call_id"], f"{where}.call_id", RESPONSES_ID)
        if kind == "message":
            _check_message(item, where)
        elif kind == "reasoning":
            _check_reasoning(item, seal)
            reasoned.add(item["id"])
        elif kind == "function_call":
            _check_thought(item.get("id"), reasoned)
            called.add(item["call_id"])
        elif kind == "function_call_output":
            answered.add(item["call_id"])
    if not resumes and (unasked := sorted(answered - called)):
        raise bad_request(
            f"No tool call found for function call output with call_id {unasked[0]}.", "input"
        )
    if left := sorted(called - answered):
        raise bad_request(f"No tool output found for function call {left[0]}.", "input")


def _check_message(item: dict[str, Any], where: str) -> None:
    role, content = item.get("role"), item.get("content")
    if role not in _ROLES:
        raise not_one_of(_ROLES, f"{where}.role", role)
    if isinstance(content, str):
        return
    if not isinstance(content, list):
        raise wrong_type(f"{where}.content", "one of a string or array of objects", content)
    kinds = _PARTS[role == "assistant"]
    for number, part in enumerate(content):
        kind = part.get("type") if isinstance(part, dict) else None
        if kind not in kinds:
            raise not_one_of(kinds, f"{where}.content[{number}]", kind)
        needed = _SOURCES.get(kind, ())
        if needed and all(part.get(name) is None for name in needed):
            raise missing(f"{where}.content[{number}].{needed[0]}")


def _check_reasoning(item: dict[str, Any], seal: Callable[[str], str]) -> None:
    blob = item.get("encrypted_content")
    if blob is not None and blob != seal(item["id"]):
        raise bad_request(
            f"The encrypted content for item {item['id']} could not be verified. Reason: Encrypted "
            "content could not be decrypted or parsed.",
            code="invalid_encrypted_content",
        )


def _check_thought(item_id: Any, reasoned: set[str]) -> None:
    """The id of a call that was thought about has a mark, and begins as that of its reasoning."""
    if not isinstance(item_id, str) or len(item_id) != 51 or item_id[19] != "1":
        return
    needed = f"rs_{item_id[3:19]}1{0:031x}"
    if needed not in reasoned:
        raise bad_request(
            f"Item '{item_id}' of type 'function_call' was provided without its required "
            f"'reasoning' item: '{needed}'.",
            "input",
        )
