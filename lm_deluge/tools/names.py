"""By which names tools are called that are given as dicts, in any dialect's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["names_in"]


def names_in(tool: Mapping[str, Any]) -> list[str]:
    """Return the names of the functions that a dict stands for."""
    declared = tool.get("functionDeclarations")
    if isinstance(declared, list):
        return [name for each in declared if isinstance(each, dict) for name in names_in(each)]
    inner = tool.get(str(tool.get("type")))
    name = (inner if isinstance(inner, Mapping) else tool).get("name")
    return [name] if isinstance(name, str) else []
