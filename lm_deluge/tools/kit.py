"""The tools of one run: which are functions here, and which the caller or the provider answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen

from lm_deluge.tools.names import names_in
from lm_deluge.tools.tool import Tool
from lm_deluge.values.foreign import type_name
from lm_deluge.values.plain import plain_json

__all__ = ["Kit", "after_the_first", "body_after_the_first", "kit_of"]

#: Where Gemini is told which tools to call, in camels and in snakes.
_CALLING = (
    ("toolConfig", "functionCallingConfig"),
    ("toolConfig", "function_calling_config"),
    ("tool_config", "functionCallingConfig"),
    ("tool_config", "function_calling_config"),
)

_ACCEPTED = "a list of functions, Tool(...) and dicts"


@frozen
class Kit:
    """``functions``: by name. ``others``: names of tools given as dicts. ``written``: all, in order."""

    functions: dict[str, Tool]
    others: frozenset[str]
    written: tuple[dict[str, Any], ...]


def kit_of(tools: Any) -> Kit:
    """Return the tools of a run; raise ``TypeError`` or ``ValueError`` for what is none, with its place."""
    if not isinstance(tools, (list, tuple)):
        hint = f": [{getattr(tools, '__name__', 'function')}]" if callable(tools) else ""
        raise TypeError(f"tools must be {_ACCEPTED}, not {type_name(tools)}{hint}")
    functions: dict[str, Tool] = {}
    others: set[str] = set()
    written: list[dict[str, Any]] = []
    for at, given in enumerate(tools):
        names: Sequence[str]
        if isinstance(given, Mapping):
            written.append(plain_json(given, f"tools[{at}]"))
            names = names_in(written[-1])
        elif isinstance(given, Tool) or callable(given):
            tool = given if isinstance(given, Tool) else _made(given, at)
            written.append(tool.to_openai())
            names = (tool.name,)
        else:
            raise TypeError(
                f"tools[{at}] must be a function, Tool(...) or a dict, not {type_name(given)}"
            )
        for name in names:
            if name in functions or name in others:
                raise ValueError(f"tools[{at}]: there is another tool named {name!r}")
        if isinstance(given, Mapping):
            others.update(names)
        else:
            functions[tool.name] = tool
    return Kit(functions, frozenset(others), tuple(written))


def _made(function: Any, at: int) -> Tool:
    try:
        return Tool(function)
    except (TypeError, ValueError) as error:
        raise type(error)(f"tools[{at}]: {error}") from error


def after_the_first(choice: Any) -> Any:
    """Return which tool is to be called once results are there: none has to be any more.

    A choice that forces a call would force one in every round.
    """
    if isinstance(choice, str):
        return None if choice in ("required", "any") else choice
    if not isinstance(choice, Mapping):
        return choice
    kind = choice.get("type")
    allowed = choice.get("allowed_tools")
    if isinstance(allowed, Mapping):
        return {**choice, "allowed_tools": {**allowed, "mode": "auto"}}
    if kind == "allowed_tools":
        return {**choice, "mode": "auto"}
    if kind in ("any", "tool") and "disable_parallel_tool_use" in choice:
        return {**{name: choice[name] for name in choice if name != "name"}, "type": "auto"}
    if kind in ("function", "custom", "tool", "any") or choice.get("mode") == "ANY":
        return None
    return choice


def body_after_the_first(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is sent beside a request in a provider's words, without a call that it forces."""
    left = dict(body)
    _put(left, "tool_choice", after_the_first(left.get("tool_choice")))
    if isinstance(left.get("function_call"), Mapping):
        del left["function_call"]
    for name, inner in _CALLING:
        config = left.get(name)
        if isinstance(config, Mapping) and inner in config:
            less = dict(config)
            _put(less, inner, after_the_first(less[inner]))
            _put(left, name, less or None)
    return left


def _put(body: dict[str, Any], name: str, value: Any) -> None:
    """Give a field another value; without one, leave it out."""
    if value is None:
        body.pop(name, None)
    else:
        body[name] = value
