"""What of a call is in one provider's words, and stays with it when a fallback of another is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lm_deluge.client.asking import warn_of_dropped
from lm_deluge.dialects.dialect import Dropped
from lm_deluge.models.registry import ModelInfo

__all__ = ["asked_elsewhere"]


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
    tools = [tool for tool in given if _goes_along(tool, info)]
    if len(tools) == len(given):
        return kept
    for tool in given:
        if tool not in tools:
            warn_of_dropped(info, Dropped(f"the tool {_called(tool)!r}", why))
    kept["tools"] = tools or None
    choice = asked["tool_choice"]
    if choice is not None and not _may_choose(choice, tools):
        kept["tool_choice"] = None
        warn_of_dropped(info, Dropped("tool_choice", "what it chooses is not sent either"))
    return kept


def _goes_along(tool: Any, info: ModelInfo) -> bool:
    """Whether a tool is run by the program, and not by the first model's provider.

    What is no tool at all goes along, too: the dialect says what is wrong with it.
    """
    if not isinstance(tool, Mapping):
        return True
    if info.dialect == "messages" and isinstance(tool.get("input_schema"), Mapping):
        return True
    kind = tool.get("type")
    return kind in ("function", "custom") and isinstance(tool.get(kind), Mapping)


def _called(tool: Mapping[str, Any]) -> str:
    """Return what a tool is called in a warning: never what it holds."""
    told = next((tool[key] for key in ("type", "name") if isinstance(tool.get(key), str)), None)
    return told or next(iter(tool), "")


def _may_choose(choice: Any, tools: list[Any]) -> bool:
    """Whether a choice can be made among the tools that are left."""
    if not tools or isinstance(choice, str):
        return bool(tools)
    kind = choice.get("type") if isinstance(choice, Mapping) else None
    named = choice.get(kind) if kind in ("function", "custom") else None
    name = named.get("name") if isinstance(named, Mapping) else None
    return any(
        isinstance(tool, Mapping)
        and isinstance(said := tool.get(str(kind)), Mapping)
        and said.get("name") == name
        for tool in tools
    )
