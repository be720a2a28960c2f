"""The body of a Responses request: dicts of OpenAI's form in, one dict out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from lm_deluge.dialects.asked import (
    all_tools,
    check_format_type,
    check_messages,
    check_tool_choice,
    checked_extra_body,
    checked_tools,
    has_names,
)
from lm_deluge.dialects.attached import check_sizes
from lm_deluge.dialects.dialect import Ask, Dropped
from lm_deluge.dialects.going_back import without_foreign
from lm_deluge.dialects.responses.items import items_of
from lm_deluge.dialects.responses.unsaid import unsaid_parameters
from lm_deluge.values.plain import plain_json

__all__ = ["build_body"]

_CHOICES: Final = ("auto", "required", "none")

#: What chat nests under the name of its type.
_NESTED: Final = ("function", "custom", "allowed_tools")


def build_body(ask: Ask) -> tuple[dict[str, Any], list[Dropped]]:
    """Return the body of a streamed request, to be sent as JSON, and what is not sent.

    Raises ``TypeError`` or ``ValueError`` naming what was given and cannot be said.
    """
    if ask.params.n > 1:
        raise ValueError(
            f"n is {ask.params.n}, and the Responses API gives one answer: "
            'ask more than once, or with dialect="chat"'
        )
    check_messages(ask.messages, "the Responses API")
    check_sizes(ask.messages, ask.info)
    extra = checked_extra_body(ask.extra_body)
    tools = all_tools(ask.tools, extra)
    told = without_foreign(ask.messages, "responses", ask.info.base_url, tools)
    thinks = ask.info.takes("reasoning_effort")
    instructions, items = items_of(told, thinks=thinks)
    body: dict[str, Any] = {"model": ask.info.model_id, "stream": True, "store": False}
    if ask.resume:
        _check_kept(extra)
        body |= {"store": True, "background": True}
    if instructions:
        body["instructions"] = instructions
    body["input"] = items
    if thinks:
        # Other models refuse to be asked for it.
        body["include"] = ["reasoning.encrypted_content"]
    sampling, dropped = _sampling(ask)
    return body | sampling | _format(ask) | _tools(ask, extra) | extra, dropped


def _check_kept(extra: Mapping[str, Any]) -> None:
    """Raise ``ValueError`` for a body that would have nothing kept of an answer to be resumed."""
    for name in ("store", "background"):
        if extra.get(name, True) is not True:
            raise ValueError(
                f"extra_body has {name!r}: {extra[name]!r}, and resume=True needs it to be True"
            )


def _sampling(ask: Ask) -> tuple[dict[str, Any], list[Dropped]]:
    """Return the parameters that were set and can be sent, under their names on the wire; the others."""
    params, info = ask.params, ask.info
    effort = params.reasoning_effort
    sent: dict[str, tuple[str, Any]] = {
        "max_new_tokens": ("max_output_tokens", params.max_new_tokens),
        "temperature": ("temperature", params.temperature),
        "top_p": ("top_p", params.top_p),
        "reasoning_effort": ("reasoning", None if effort is None else {"effort": effort}),
    }
    body: dict[str, Any] = {}
    dropped: list[Dropped] = []
    for parameter, (key, value) in sent.items():
        if value is None:
            continue
        if not info.takes(parameter, effort):
            dropped.append(Dropped(parameter, "the model does not take it"))
        elif parameter == "reasoning_effort" and effort and not info.takes_effort(effort):
            why = f"it takes {', '.join(info.efforts)}, not {effort!r}"
            dropped.append(Dropped(parameter, why))
        else:
            body[key] = value
    if has_names(ask.messages):
        dropped.append(Dropped("name", "a message has no such field in the Responses API"))
    dropped += unsaid_parameters(params)
    if (summary := ask.reasoning_summary) is not None:
        # Unless it is asked for by name, only of a model that is known to think.
        if info.takes("reasoning_effort") and (info.reasoning or summary != "auto"):
            body["reasoning"] = {**body.get("reasoning", {}), "summary": summary}
        elif summary != "auto":
            dropped.append(Dropped("reasoning_summary", "the model does not think first"))
    return body, dropped


def _format(ask: Ask) -> dict[str, Any]:
    """Return the form that the answer shall have."""
    given: Any = ask.response_format
    if given is None:
        return {"text": {"format": {"type": "json_object"}}} if ask.params.json_mode else {}
    check_format_type(given, json_mode=bool(ask.params.json_mode))
    plain: dict[str, Any] = plain_json(given, "response_format")
    schema = plain.pop("json_schema", None)
    if schema is not None and not isinstance(schema, dict):
        raise ValueError("response_format['json_schema'] must be a dict with a 'name'")
    return {"text": {"format": {**plain, **(schema or {})}}}


def _tools(ask: Ask, extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tools, and which of them is to be called; the provider's own tools go as they are."""
    body: dict[str, Any] = {}
    if tools := checked_tools(ask.tools, _is_own):
        body["tools"] = [_tool(tool) for tool in tools]
    if ask.tool_choice is not None:
        check_tool_choice(ask.tool_choice, have_tools=bool(tools or extra.get("tools")))
        body["tool_choice"] = _tool_choice(ask.tool_choice)
    return body


def _is_own(tool: Mapping[str, Any]) -> bool:
    """Whether a tool is a function as this API has them, without chat's nesting."""
    return (
        tool.get("type") == "function"
        and "function" not in tool
        and isinstance(tool.get("name"), str)
    )


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    if _is_own(tool):
        return tool
    flat = _flat(tool)
    if flat["type"] == "function":
        # Unsaid, this API takes a schema as strict, and chat does not.
        flat["strict"] = flat.get("strict") or False
        flat["parameters"] = flat.get("parameters") or {"type": "object", "properties": {}}
    grammar = flat.get("format")
    if isinstance(grammar, dict) and isinstance(grammar.get("grammar"), dict):
        flat["format"] = {"type": grammar.get("type"), **grammar["grammar"]}
    return flat


def _tool_choice(choice: str | Mapping[str, Any]) -> Any:
    if isinstance(choice, str):
        if choice not in _CHOICES:
            raise ValueError(f"tool_choice must be {', '.join(_CHOICES)} or a dict, not {choice!r}")
        return choice
    flat = _flat(plain_json(choice, "tool_choice"))
    if flat.get("type") == "allowed_tools" and isinstance(flat.get("tools"), list):
        flat["tools"] = [_flat(tool) for tool in flat["tools"] if isinstance(tool, dict)]
    return flat


def _flat(nested: dict[str, Any]) -> dict[str, Any]:
    """Return a tool or a choice of one without the nesting of chat's."""
    kind = nested.get("type")
    inner = nested.get(kind) if kind in _NESTED else None
    if not isinstance(inner, dict):
        return nested
    beside = {key: value for key, value in nested.items() if key != kind}
    return {**beside, **{key: value for key, value in inner.items() if value is not None}}
