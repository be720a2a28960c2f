"""The body of a chat-completions request: dicts in, one dict out.

What a model takes is in its `ModelInfo`; nothing here knows a model by name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from lm_deluge.config import SamplingParams
from lm_deluge.dialects.asked import (
    all_tools,
    check_format_type,
    check_tool_choice,
    checked_extra_body,
    checked_tools,
)
from lm_deluge.dialects.dialect import Dropped
from lm_deluge.models.registry import MAX_TOKENS_FIELDS, ModelInfo
from lm_deluge.values.addresses import validate_api_key, validate_headers
from lm_deluge.values.plain import plain_json, plain_text

__all__ = ["build_body", "map_system_role", "validate_api_key", "validate_headers"]


_UNSEEN: Final = "(You cannot be shown this image: this API has no images in results of tools.)"


def _why_not(info: ModelInfo, parameter: str) -> str:
    efforts = [effort for effort, names in info.accepts_at.items() if parameter in names]
    if efforts:
        return f"the model takes it only with reasoning_effort {' or '.join(map(repr, efforts))}"
    return "the model does not take it"


def _sampling(
    info: ModelInfo, params: SamplingParams, max_tokens_field: str, effort: str | None
) -> tuple[dict[str, Any], list[Dropped]]:
    """The parameters that were set and that the model takes, under their names on the wire; the others."""
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
    dropped: list[Dropped] = []
    for parameter, (key, value) in asked.items():
        if value is None:
            continue
        if not info.takes(parameter, effort):
            dropped.append(Dropped(parameter, _why_not(info, parameter)))
        elif parameter == "reasoning_effort" and not info.takes_effort(value):
            why = f"it takes {', '.join(info.efforts)}, not {value!r}"
            dropped.append(Dropped(parameter, why))
        else:
            body[key] = value
    return body, dropped


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


def _without_origins(
    info: ModelInfo, messages: Sequence[Mapping[str, Any]], tools: list[Any]
) -> list[Mapping[str, Any]]:
    """The messages as this server takes them, some of which came from one provider or another.

    It has no word for a result that is an error, and no place for an image in a result.
    """
    # Most conversations have none.
    from lm_deluge.dialects.going_back import CAME, without_foreign

    left = {CAME, "is_error"} | (set() if info.reasoning_goes_back else {"reasoning_content"})
    return [
        {key: message[key] for key in message if key not in left}
        if CAME in message or (message["role"] == "tool" and "is_error" in message)
        else message
        for message in map(_in_words, without_foreign(messages, "chat", info.base_url, tools))
    ]


def _in_words(message: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a message; a tool's result with a text in the place of each image."""
    content = message.get("content")
    if message["role"] != "tool" or not isinstance(content, list):
        return message
    told = [
        {"type": "text", "text": _UNSEEN}
        if isinstance(part, Mapping) and part.get("type") == "image_url"
        else part
        for part in content
    ]
    return {**message, "content": told} if told != content else message


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
) -> tuple[dict[str, Any], list[Dropped]]:
    """The body of a streamed chat-completions request, to be sent as JSON, and what is not sent.

    Arguments:
        info: the model; its `accepts` and `accepts_at` say which parameters are sent. One that is
            set and not taken is left out and told of.
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
    extra = checked_extra_body(extra_body)
    for message in messages:
        if isinstance(message.get("content"), list):
            # Most messages are a text.
            from lm_deluge.dialects.chat.parts import check_parts

            check_parts(messages, info)
            break
    for message in messages:
        if "provider_content" in message or "is_error" in message or "tool_calls" in message:
            messages = _without_origins(info, messages, all_tools(tools, extra))
            break
    body: dict[str, Any] = {
        "model": info.model_id,
        "messages": map_system_role(messages, info.system_role),
        "stream": True,
    }
    if info.stream_options if stream_options is None else stream_options:
        body["stream_options"] = {"include_usage": True}
    # An effort that comes by extra_body is the one that will be in force.
    effort = extra.get("reasoning_effort", params.reasoning_effort)
    sampling, dropped = _sampling(info, params, field, effort)
    body |= sampling
    if checked := checked_tools(tools):
        body["tools"] = checked
    if tool_choice is not None:
        # Tools of another vendor, or the legacy functions, can only come by extra_body.
        check_tool_choice(tool_choice, have_tools=bool(checked or extra.get("tools")))
        body["tool_choice"] = plain_json(tool_choice, "tool_choice")
    if response_format is not None:
        check_format_type(response_format, json_mode=params.json_mode)
        body["response_format"] = plain_json(response_format, "response_format")
    return body | extra, dropped
