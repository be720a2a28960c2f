"""The body of a chat-completions request: dicts in, one dict out.

What a model takes is in its `ModelInfo`; nothing here knows a model by name, except that each
parameter which is set and not sent is logged once for it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from lm_deluge.config import SamplingParams
from lm_deluge.endpoint import validate_api_key, validate_headers
from lm_deluge.models import MAX_TOKENS_FIELDS, ModelInfo
from lm_deluge.plain import plain_json, plain_text

__all__ = ["build_body", "map_system_role", "validate_api_key", "validate_headers"]

logger = logging.getLogger("lm_deluge")

_warned: set[tuple[str, str]] = set()


def _warn_dropped(info: ModelInfo, parameter: str, why: str) -> None:
    if (info.name, parameter) not in _warned:
        _warned.add((info.name, parameter))
        logger.warning("%s is not sent to %s: %s", parameter, info.name, why)


def _why_not(info: ModelInfo, parameter: str) -> str:
    efforts = [effort for effort, names in info.accepts_at.items() if parameter in names]
    if efforts:
        return f"the model takes it only with reasoning_effort {' or '.join(map(repr, efforts))}"
    return "the model does not take it"


def _sampling(
    info: ModelInfo, params: SamplingParams, max_tokens_field: str, effort: str | None
) -> dict[str, Any]:
    """The parameters that were set and that the model takes, under their names on the wire."""
    asked: dict[str, tuple[str, Any]] = {
        "temperature": ("temperature", params.temperature),
        "top_p": ("top_p", params.top_p),
        "max_new_tokens": (max_tokens_field, params.max_new_tokens),
        "json_mode": ("response_format", {"type": "json_object"} if params.json_mode else None),
        "reasoning_effort": ("reasoning_effort", params.reasoning_effort),
        "stop": ("stop", list(params.stop) if params.stop else None),
        "seed": ("seed", params.seed),
        "presence_penalty": ("presence_penalty", params.presence_penalty),
        "frequency_penalty": ("frequency_penalty", params.frequency_penalty),
        "logprobs": ("logprobs", params.logprobs or None),
        "top_logprobs": ("top_logprobs", params.top_logprobs),
        "n": ("n", params.n if params.n != 1 else None),
    }
    body: dict[str, Any] = {}
    for parameter, (key, value) in asked.items():
        if value is None:
            continue
        if not info.takes(parameter, effort):
            _warn_dropped(info, parameter, _why_not(info, parameter))
        elif parameter == "reasoning_effort" and not info.takes_effort(value):
            why = f"it takes {', '.join(info.efforts)}, not {value!r}"
            _warn_dropped(info, parameter, why)
        else:
            body[key] = value
    return body


def _merge_into_user(
    messages: list[dict[str, Any]], system: list[Any], position: int
) -> list[dict[str, Any]]:
    """`messages` with the system contents at the start of the first user message."""
    first = next((i for i, m in enumerate(messages) if m["role"] == "user"), None)
    contents = list(system)
    if first is not None and messages[first].get("content"):
        contents.append(messages[first]["content"])
    merged: str | list[Any]
    if all(isinstance(content, str) for content in contents):
        merged = "\n\n".join(contents)
    else:
        merged = []
        for content in contents:
            merged += [{"type": "text", "text": content}] if isinstance(content, str) else content
    if first is None:
        return [*messages[:position], {"role": "user", "content": merged}, *messages[position:]]
    return [*messages[:first], {**messages[first], "content": merged}, *messages[first + 1 :]]


def map_system_role(
    messages: Sequence[Mapping[str, Any]], system_role: str
) -> list[dict[str, Any]]:
    """The messages with the system role that a model knows; what was given is not changed.

    "system": verbatim. "developer": system messages become developer messages. "user-prefix":
    both become the start of the first user message, or a user message if there is none.
    """
    if system_role == "developer":
        return [{**m, "role": "developer"} if m["role"] == "system" else dict(m) for m in messages]
    if system_role != "user-prefix":
        return [dict(m) for m in messages]
    told = [i for i, m in enumerate(messages) if m["role"] in ("system", "developer")]
    others = [dict(m) for i, m in enumerate(messages) if i not in told]
    system = [content for i in told if (content := messages[i].get("content"))]
    return _merge_into_user(others, system, told[0]) if system else others


def _check_tools(tools: Sequence[Mapping[str, Any]] | None) -> list[dict[str, Any]]:
    given: Any = tools
    if given is None:
        return []
    if not isinstance(given, list | tuple):
        raise TypeError(f"tools must be a list of dicts, not {type(given).__name__}")
    for index, tool in enumerate(given):
        if not isinstance(tool, Mapping):
            raise TypeError(
                f"tools[{index}] must be a dict like {{'type': 'function', 'function': …}}, "
                f"not {type(tool).__name__}"
            )
        kind = tool.get("type")
        if not isinstance(kind, str) or not kind:
            raise ValueError(f"tools[{index}] has no 'type', as 'function'; it has {list(tool)}")
        if kind == "function":
            function = tool.get("function")
            if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
                raise ValueError(f"tools[{index}]['function'] must be a dict with a 'name'")
    checked: list[dict[str, Any]] = plain_json(given, "tools")
    return checked


def _check_tool_choice(tool_choice: object, *, have_tools: bool) -> None:
    if not isinstance(tool_choice, str | Mapping):
        raise TypeError(f"tool_choice must be a str or a dict, not {type(tool_choice).__name__}")
    if not tool_choice:
        raise ValueError("tool_choice is empty")
    if not have_tools:
        raise ValueError("tool_choice is given without tools")


def _check_response_format(response_format: object, *, json_mode: bool) -> None:
    if not isinstance(response_format, Mapping):
        raise TypeError(
            "response_format must be a dict like {'type': 'json_schema', 'json_schema': …}, "
            f"not {type(response_format).__name__}"
        )
    if not isinstance(response_format.get("type"), str):
        # A dict, but of a wrong shape.
        raise ValueError(f"response_format has no 'type': {list(response_format)}")
    if json_mode and response_format.get("type") != "json_object":
        raise ValueError("json_mode and response_format are both given: choose one")


def _check_extra_body(extra_body: Mapping[str, Any] | None) -> dict[str, Any]:
    given: Any = {} if extra_body is None else extra_body
    if not isinstance(given, Mapping):
        raise TypeError(f"extra_body must be a dict, not {type(given).__name__}")
    for key in given:
        if not isinstance(key, str):
            raise TypeError(f"a key of extra_body must be a str, not {key!r}")
    if "stream" in given:
        raise ValueError("extra_body must not hold 'stream': this library always streams")
    checked: dict[str, Any] = plain_json(given, "extra_body") if given else {}
    return checked


def build_body(
    info: ModelInfo,
    messages: Sequence[Mapping[str, Any]],
    params: SamplingParams,
    *,
    tools: Sequence[Mapping[str, Any]] | None = None,
    tool_choice: str | Mapping[str, Any] | None = None,
    response_format: Mapping[str, Any] | None = None,
    extra_body: Mapping[str, Any] | None = None,
    stream_options: bool | None = None,
    max_tokens_field: str | None = None,
) -> dict[str, Any]:
    """The body of a streamed chat-completions request, to be sent as JSON.

    Args:
        info: the model; its `accepts` and `accepts_at` say which parameters are sent. One that is
            set and not taken is left out, with a warning once per model and parameter.
        messages: OpenAI message dicts (`conversation.to_messages`); not changed.
        params: how the answer is to be drawn.
        tools: OpenAI tool dicts, verbatim; an empty list is none.
        tool_choice: "auto", "none", "required" or a dict; only with tools.
        response_format: an OpenAI response format, verbatim; not together with `json_mode`.
        extra_body: merged last, at the top level: what it holds wins.
        stream_options: whether to ask for usage; None: as the model's entry says.
        max_tokens_field: the name of `max_new_tokens`; None: as the model's entry says.

    Raises:
        TypeError, ValueError: naming the argument, and the index within it.
    """
    field = info.max_tokens_field if max_tokens_field is None else plain_text(max_tokens_field)
    if field not in MAX_TOKENS_FIELDS:
        accepted = " or ".join(MAX_TOKENS_FIELDS)
        raise ValueError(f"max_tokens_field must be {accepted}, not {field!r}")
    extra = _check_extra_body(extra_body)
    body: dict[str, Any] = {
        "model": info.model_id,
        "messages": map_system_role(messages, info.system_role),
        "stream": True,
    }
    if info.stream_options if stream_options is None else stream_options:
        body["stream_options"] = {"include_usage": True}
    # An effort that comes by extra_body is the one that will be in force.
    body |= _sampling(info, params, field, extra.get("reasoning_effort", params.reasoning_effort))
    if checked := _check_tools(tools):
        body["tools"] = checked
    if tool_choice is not None:
        # Tools of another vendor, or the legacy functions, can only come by extra_body.
        _check_tool_choice(tool_choice, have_tools=bool(checked or extra.get("tools")))
        body["tool_choice"] = plain_json(tool_choice, "tool_choice")
    if response_format is not None:
        _check_response_format(response_format, json_mode=params.json_mode)
        body["response_format"] = plain_json(response_format, "response_format")
    return body | extra


def characters_of(messages: Sequence[Mapping[str, Any]]) -> int:
    """Return how many characters of text the messages hold."""
    total = 0
    for message in messages:
        content = message.get("content")
        if isinstance(content, str):
            total += len(content)
        elif isinstance(content, list):
            total += sum(
                len(part["text"])
                for part in content
                if isinstance(part, Mapping) and isinstance(part.get("text"), str)
            )
    return total
