"""The body of a Messages request: dicts of OpenAI's form in, one dict out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

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
from lm_deluge.dialects.going_back import without_foreign
from lm_deluge.dialects.messages.thinking import (
    refused_with_thinking,
    thinking_for,
    thinks,
    why_not,
)
from lm_deluge.dialects.messages.turns import calls_without_thinking, turns_of
from lm_deluge.models.listed import refuses_both
from lm_deluge.values.plain import plain_json

__all__ = ["build_body", "version_for"]

#: The version that every server of this dialect knows, and the newest of Anthropic's own.
_EVERYWHERE: Final = "2023-06-01"
_NEWEST: Final = "2026-10-21"

_HOME: Final = "api.anthropic.com"

#: ``max_tokens`` has to be given; as much as any model of the last years gives.
_MAX_TOKENS: Final = 8192
_ASSUMED: Final = (
    f"max_new_tokens is not given, and how much the model can say is not known: it may say {_MAX_TOKENS} "
    "tokens; give max_new_tokens=, or register_model(..., max_output_tokens=...)"
)

_ELSEWHERE: Final = (
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "logprobs",
    "top_logprobs",
    "json_mode",
)
_NO_THOUGHT: Final = (
    "the calls whose results are sent came without signed thinking, as from another provider"
)
_UNKNOWN_HERE: Final = "the Messages API has no such parameter"

#: The words for a choice of a tool.
_CHOICES: Final = {"auto": "auto", "required": "any", "none": "none"}


def version_for(ask: Ask) -> str:
    """Return the API's version to ask for: the one that the registration pins, or else the newest.

    The newest refuses the sampling parameters, and other servers than Anthropic's may not know it. What is
    asked in the provider's own words (`extra_body`) counts where the model takes the like.
    """
    for header, value in ask.info.headers.items():
        if header.lower() == "anthropic-version":
            return value
    if urlsplit(ask.info.base_url or "").hostname != _HOME:
        return _EVERYWHERE
    wants = [name for name in ("temperature", "top_p") if getattr(ask.params, name) is not None]
    if any(name in (ask.extra_body or ()) for name in ("temperature", "top_p", "top_k")):
        wants.append("temperature")
    return _EVERYWHERE if any(ask.info.takes(name) for name in wants) else _NEWEST


def build_body(ask: Ask, version: str) -> tuple[dict[str, Any], list[Dropped], list[str]]:
    """Return the body of a streamed request, to be sent as JSON, what is not sent, and what is assumed.

    Raises ``TypeError`` or ``ValueError`` naming what was given and cannot be said.
    """
    _check(ask)
    check_messages(ask.messages, "the Messages API")
    check_sizes(ask.messages, ask.info)
    extra = checked_extra_body(ask.extra_body)
    system, messages = turns_of(
        without_foreign(ask.messages, "messages", ask.info.base_url, all_tools(ask.tools, extra))
    )
    most = ask.params.max_new_tokens or ask.info.max_output_tokens
    assumed = [] if most or "max_tokens" in extra else [_ASSUMED]
    body: dict[str, Any] = {
        "model": ask.info.model_id,
        "max_tokens": most or _MAX_TOKENS,
        "stream": True,
    }
    if any(block.keys() > {"type", "text"} for block in system):
        body["system"] = system
    elif system:
        body["system"] = "\n\n".join(block["text"] for block in system)
    body["messages"] = messages
    sampling, dropped = _sampling(ask, version)
    thinking, config, not_thought = thinking_for(ask, _most_of(body | extra))
    tools = _tools(ask, extra)
    if thinks(thinking):
        why = _NO_THOUGHT if calls_without_thinking(messages) else why_not(ask, tools)
        if why is not None:
            thinking = {}
            not_thought.append(Dropped("reasoning_effort", why))
    if thinks(thinking):
        for name in refused_with_thinking(ask, sampling):
            del sampling[name]
            dropped.append(Dropped(name, "the model does not take it where it thinks first"))
    dropped += _never_both(ask, sampling, extra)
    if config := config | _format(ask):
        body["output_config"] = config
    return body | sampling | thinking | tools | extra, dropped + not_thought, assumed


def _check(ask: Ask) -> None:
    if ask.params.n > 1:
        raise ValueError(
            f"n is {ask.params.n}, and the Messages API gives one answer: "
            'ask more than once, or with dialect="chat"'
        )


def _format(ask: Ask) -> dict[str, Any]:
    """Return what says in which form the answer has to be."""
    if ask.shape is not None:
        # Most requests ask for none.
        from lm_deluge.structured.forms.anthropic import anthropic_schema

        return {"format": {"type": "json_schema", "schema": anthropic_schema(ask.shape.schema)}}
    given: Any = ask.response_format
    if given is None:
        return {}
    check_response_format(given)
    plain: dict[str, Any] = plain_json(given, "response_format")
    kind = plain.get("type")
    if kind == "text":
        return {}
    if kind != "json_schema":
        raise ValueError(
            f"response_format is given with the type {kind!r}, and the Messages API has 'json_schema' alone"
        )
    return {"format": {"type": "json_schema", "schema": schema_in(plain)}}


def _tools(ask: Ask, extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tools, and which of them is to be called; the provider's own tools go as they are."""
    body: dict[str, Any] = {}
    if tools := checked_tools(ask.tools, _is_own):
        check_no_custom(tools, "the Messages API")
        body["tools"] = [_tool(tool) for tool in tools]
    if ask.tool_choice is not None:
        check_tool_choice(ask.tool_choice, have_tools=bool(tools or extra.get("tools")))
        body["tool_choice"] = _tool_choice(ask.tool_choice)
    return body


def _is_own(tool: Mapping[str, Any]) -> bool:
    """Whether a tool is a function as this API has them."""
    return isinstance(tool.get("name"), str) and isinstance(tool.get("input_schema"), Mapping)


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    """Return a tool in this API's words; what stands beside a function is in them (`cache_control`)."""
    if tool.get("type") != "function" or _is_own(tool):
        return tool
    function = dict(tool["function"])
    schema = function.pop("parameters", None) or {"type": "object", "properties": {}}
    said = {key: value for key, value in function.items() if value is not None}
    beside = {key: value for key, value in tool.items() if key not in ("type", "function")}
    return {**said, "input_schema": schema, **beside}


def _tool_choice(choice: str | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(choice, str):
        if choice not in _CHOICES:
            raise ValueError(f"tool_choice must be {', '.join(_CHOICES)} or a dict, not {choice!r}")
        return {"type": _CHOICES[choice]}
    plain: dict[str, Any] = plain_json(choice, "tool_choice")
    function = plain.get("function")
    if plain.get("type") == "function" and isinstance(function, dict):
        return {"type": "tool", "name": function.get("name")}
    return plain


def _sampling(ask: Ask, version: str) -> tuple[dict[str, Any], list[Dropped]]:
    """Return the parameters that were set and can be sent, under their names on the wire; the others."""
    params = ask.params
    stop = list(params.stop) if params.stop else None
    sent = {"temperature": params.temperature, "top_p": params.top_p, "stop_sequences": stop}
    body: dict[str, Any] = {}
    dropped: list[Dropped] = []
    for name, value in sent.items():
        parameter = "stop" if name == "stop_sequences" else name
        if value is None:
            continue
        if not ask.info.takes(parameter):
            dropped.append(Dropped(parameter, "the model does not take it"))
        elif parameter != "stop" and version >= _NEWEST:
            dropped.append(Dropped(parameter, f"version {version} of the API does not take it"))
        else:
            body[name] = value
    set_in_vain = [name for name in _ELSEWHERE if getattr(params, name) not in (None, False)]
    dropped += [Dropped(parameter, _UNKNOWN_HERE) for parameter in set_in_vain]
    if has_names(ask.messages):
        dropped.append(Dropped("name", "a message has no such field in the Messages API"))
    return body, dropped


def _never_both(ask: Ask, sampling: dict[str, Any], extra: Mapping[str, Any]) -> list[Dropped]:
    """Take out of the parameters the one that the model refuses beside the other, and return it.

    ``temperature`` is kept, unless the other is said in ``extra_body``, which has the last word.
    """
    given = {"temperature", "top_p"} & (sampling.keys() | extra.keys())
    if len(given) < 2 or not refuses_both(ask.info.model_id):
        return []
    name = "temperature" if "top_p" in extra else "top_p"
    if sampling.pop(name, None) is None:
        return []
    return [Dropped(name, "the model takes temperature or top_p, not both")]


def _most_of(body: Mapping[str, Any]) -> int:
    """Return how many tokens an answer may have; of what ``extra_body`` says, only a number counts."""
    most = body["max_tokens"]
    return most if isinstance(most, int) else _MAX_TOKENS
