"""What of a call is in one provider's words, and stays with it when a fallback of another is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from lm_deluge.client.asking import warn_of_dropped
from lm_deluge.dialects.dialect import Dropped
from lm_deluge.models.registry import ModelInfo

__all__ = ["asked_elsewhere"]

#: What other providers call a choice that names no tool, in small letters, in OpenAI's words.
_WORDS: Final = {"auto": "auto", "any": "required", "none": "none"}


def asked_elsewhere(asked: Mapping[str, Any], info: ModelInfo, first: ModelInfo) -> dict[str, Any]:
    """Return what is asked of a fallback that is of another provider than the client's first model.

    ``extra_body`` and tools in a provider's own words may hold its keys, and another does not know them:
    they are left out, with a warning each. Functions are said in every provider's words, and go along.
    """
    why = f"it is in the words of another provider, that of {first.name}"
    kept = dict(asked)
    if asked["extra_body"]:
        kept["extra_body"] = {}
        warn_of_dropped(info, Dropped("extra_body", why))
    given = asked["tools"] or ()
    tools: list[Any] = []
    for tool in given:
        said = _said(tool, is_same=info.dialect == first.dialect)
        if said is not None:
            tools.append(said)
        else:
            warn_of_dropped(info, Dropped(f"the tool {_called(tool)!r}", why))
    kept["tools"] = tools or None
    choice = asked["tool_choice"]
    if choice is None or (tools == list(given) and tools and info.dialect == first.dialect):
        return kept
    kept["tool_choice"] = _choice(choice, tools)
    if kept["tool_choice"] is None:
        warn_of_dropped(info, Dropped("tool_choice", "what it chooses is not sent either"))
    return kept


def _said(tool: Any, *, is_same: bool) -> Any:
    """Return a function, in OpenAI's words; ``None`` for what the first model's provider runs itself.

    ``is_same``: the fallback is asked in the same dialect, and knows a function as it is given. What is
    no tool at all goes along, too: the dialect says what is wrong with it.
    """
    if not isinstance(tool, Mapping):
        return tool
    kind, schema, name = tool.get("type"), tool.get("input_schema"), tool.get("name")
    if kind in ("function", "custom") and isinstance(tool.get(kind), Mapping):
        return tool
    if isinstance(schema, Mapping) and kind in (None, "custom"):  # as Messages has it
        function = {"name": name, "description": tool.get("description"), "parameters": schema}
    elif kind == "function" and isinstance(name, str):  # as Responses has it
        function = {key: value for key, value in tool.items() if key != "type"}
    else:
        return None
    if is_same:
        return tool
    told = {key: value for key, value in function.items() if value is not None}
    return {"type": "function", "function": told}


def _called(tool: Mapping[str, Any]) -> str:
    """Return what a tool is called in a warning: never what it holds."""
    told = next((tool[key] for key in ("type", "name") if isinstance(tool.get(key), str)), None)
    return told or next(iter(tool), "")


def _choice(choice: Any, tools: list[Any]) -> Any:
    """Return a choice among the tools that are left, in OpenAI's words; ``None`` where it chooses none."""
    if not tools or not isinstance(choice, Mapping):
        return choice if tools else None
    kind = choice.get("type") or choice.get("mode")
    word = _WORDS.get(kind.lower()) if isinstance(kind, str) else None
    if word is not None and "allowedFunctionNames" not in choice:
        return word
    named = choice.get(kind) if kind in ("function", "custom") else choice
    name = named.get("name") if isinstance(named, Mapping) else choice.get("name")
    for tool in tools:
        for way in ("function", "custom"):
            said = tool.get(way) if isinstance(tool, Mapping) else None
            if isinstance(name, str) and isinstance(said, Mapping) and said.get("name") == name:
                return {"type": way, way: {"name": name}}
    return None
