"""The body of a Gemini request: dicts of OpenAI's form in, one dict out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from lm_deluge.dialects.asked import (
    all_tools,
    check_messages,
    check_no_custom,
    check_response_format,
    check_tool_choice,
    checked_extra_body,
    checked_tools,
    has_names,
    schema_in,
)
from lm_deluge.dialects.attached import check_sizes
from lm_deluge.dialects.dialect import Ask, Dropped
from lm_deluge.dialects.gemini.contents import contents_of
from lm_deluge.dialects.gemini.thinking import is_of_third_family, thinking_for
from lm_deluge.dialects.going_back import without_foreign
from lm_deluge.values.plain import plain_json

__all__ = ["build_body"]

#: The parameters, under their names on the wire.
_SAMPLING: Final = {
    "temperature": "temperature",
    "top_p": "topP",
    "max_new_tokens": "maxOutputTokens",
    "stop": "stopSequences",
    "seed": "seed",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
}

_ELSEWHERE: Final = ("logprobs", "top_logprobs")

#: The words for a choice of tools.
_CHOICES: Final = {"auto": "AUTO", "required": "ANY", "none": "NONE"}


def build_body(ask: Ask) -> tuple[dict[str, Any], list[Dropped]]:
    """Return the body of a streamed request, to be sent as JSON, and what is not sent.

    ``generationConfig`` of ``extra_body`` is joined with ours, and wins. Raises ``TypeError`` or
    ``ValueError`` naming what was given and cannot be said.
    """
    if ask.params.n > 1:
        raise ValueError(
            f"n is {ask.params.n}, and the Gemini API streams one answer: "
            'ask more than once, or with dialect="chat"'
        )
    check_messages(ask.messages, "the Gemini API")
    check_sizes(ask.messages, ask.info)
    extra = checked_extra_body(ask.extra_body)
    tools = all_tools(ask.tools, extra)
    told = without_foreign(ask.messages, "gemini", ask.info.base_url, tools)
    system, contents = contents_of(told, signs=is_of_third_family(ask.info.model_id))
    body: dict[str, Any] = {"contents": contents}
    if system:
        body["systemInstruction"] = {"parts": system}
    config, dropped = _config(ask)
    body |= _tools(ask, extra)
    given = extra.pop("generationConfig", None)
    if given is not None and not isinstance(given, dict):
        raise TypeError(
            f"extra_body['generationConfig'] must be a dict, not {type(given).__name__}"
        )
    config |= given or {}
    if config:
        body["generationConfig"] = config
    return body | extra, dropped


def _config(ask: Ask) -> tuple[dict[str, Any], list[Dropped]]:
    """Return the parameters that were set and can be sent; the others."""
    params = ask.params
    config: dict[str, Any] = {}
    dropped: list[Dropped] = []
    for name, sent in _SAMPLING.items():
        value = getattr(params, name)
        if value is None:
            continue
        if name != "max_new_tokens" and not ask.info.takes(name):
            dropped.append(Dropped(name, "the model does not take it"))
        else:
            config[sent] = list(value) if name == "stop" else value
    set_in_vain = [name for name in _ELSEWHERE if getattr(params, name) not in (None, False)]
    dropped += [Dropped(name, "the dialect 'gemini' does not write it") for name in set_in_vain]
    if has_names(ask.messages):
        dropped.append(Dropped("name", "a message has no such field in the Gemini API"))
    thinking, not_thought = thinking_for(ask)
    return config | thinking | _format(ask), dropped + not_thought


def _format(ask: Ask) -> dict[str, Any]:
    """Return what says in which form the answer has to be."""
    if ask.shape is not None:
        # Most requests ask for none.
        from lm_deluge.structured.forms.gemini import gemini_schema

        schema = gemini_schema(ask.shape.schema)
        return {"responseMimeType": "application/json", "responseJsonSchema": schema}
    wanted: Any = ask.response_format
    if wanted is None:
        return {"responseMimeType": "application/json"} if ask.params.json_mode else {}
    check_response_format(wanted)
    plain: dict[str, Any] = plain_json(wanted, "response_format")
    kind, form = plain.get("type"), {"responseMimeType": "application/json"}
    if kind == "json_object":
        return form
    if kind == "json_schema":
        return {**form, "responseJsonSchema": schema_in(plain)}
    if kind == "text":
        return {}
    raise ValueError(
        f"response_format['type'] must be 'json_schema', 'json_object' or 'text', not {kind!r}"
    )


def _tools(ask: Ask, extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tools, and which of them is to be called; the provider's own tools go as they are."""
    body: dict[str, Any] = {}
    tools = checked_tools(ask.tools, _is_own)
    if tools:
        check_no_custom(tools, "the Gemini API")
        functions = [
            _function(tool["function"]) for tool in tools if tool.get("type") == "function"
        ]
        own = [_own(tool) for tool in tools if tool.get("type") != "function"]
        body["tools"] = [*([{"functionDeclarations": functions}] if functions else []), *own]
    if ask.tool_choice is not None:
        check_tool_choice(ask.tool_choice, have_tools=bool(tools or extra.get("tools")))
        body["toolConfig"] = {"functionCallingConfig": _calling(ask.tool_choice)}
    return body


def _function(function: Mapping[str, Any]) -> dict[str, Any]:
    said = {key: function[key] for key in ("name", "description") if function.get(key) is not None}
    schema = function.get("parameters")
    return {**said, "parametersJsonSchema": schema} if schema else said


def _is_own(tool: Mapping[str, Any]) -> bool:
    """Whether a tool is written as here: what it is called stands before what it is told."""
    told = [isinstance(value, (Mapping, list)) for value in tool.values()]
    return bool(told) and all(told) and "function" not in tool


def _own(tool: dict[str, Any]) -> dict[str, Any]:
    """Return a tool of the provider's: ``{"type": "googleSearch", …}`` stands under its type there."""
    if _is_own(tool):
        return tool
    kind = tool["type"]
    return {kind: {key: value for key, value in tool.items() if key != "type"}}


def _calling(choice: str | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(choice, str):
        if choice not in _CHOICES:
            raise ValueError(f"tool_choice must be {', '.join(_CHOICES)} or a dict, not {choice!r}")
        return {"mode": _CHOICES[choice]}
    plain: dict[str, Any] = plain_json(choice, "tool_choice")
    function = plain.get("function")
    if plain.get("type") == "function" and isinstance(function, dict):
        return {"mode": "ANY", "allowedFunctionNames": [function.get("name")]}
    return plain
