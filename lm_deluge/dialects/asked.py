"""What dialects have in common when they ask: the key, and what is checked of an ``Ask``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from lm_deluge.values.plain import plain_json

__all__ = [
    "all_tools",
    "check_format_type",
    "check_messages",
    "check_no_custom",
    "check_response_format",
    "check_tool_choice",
    "checked_extra_body",
    "checked_tools",
    "has_names",
    "key_header",
    "schema_in",
    "url_of",
    "versioned",
]


#: An API's version in an address: ``/v1``, ``/v1beta``, wherever it stands.
_VERSION: Final = re.compile(r"/v\d+(?:(?:alpha|beta)\d*)?(?:/|$)")


def versioned(base_url: str | None, version: str, path: str) -> str:
    """Return the path that follows an address: with the version before it where the address has none.

    A provider's own package adds the version, so that its variable holds an address without one.
    """
    return path if base_url is None or _VERSION.search(base_url) else f"/{version}{path}"


def key_header(key: str, header: str) -> Mapping[str, str]:
    """Return the header that carries a key as it is; ``Authorization`` has ``Bearer <key>``."""
    return {header: f"Bearer {key}" if header.lower() == "authorization" else key}


def checked_tools(
    tools: Sequence[Mapping[str, Any]] | None,
    is_own: Callable[[Mapping[str, Any]], bool] | None = None,
) -> list[dict[str, Any]]:
    """Return the tools as plain dicts; ``TypeError`` or ``ValueError`` names one that is none.

    ``is_own``: whether one that OpenAI's chat completions do not know is a tool in the dialect's words.
    """
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
        if is_own is not None and is_own(tool):
            continue
        kind = tool.get("type")
        if not isinstance(kind, str) or not kind:
            raise ValueError(f"tools[{index}] has no 'type', as 'function'; it has {list(tool)}")
        if kind == "function":
            function = tool.get("function")
            if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
                raise ValueError(f"tools[{index}]['function'] must be a dict with a 'name'")
    checked: list[dict[str, Any]] = plain_json(given, "tools")
    return checked


def all_tools(tools: Any, extra_body: Mapping[str, Any]) -> list[Any]:
    """Return the tools of a request, those of ``extra_body`` too, whatever they are."""
    given = [tools, extra_body.get("tools")]
    return [each for some in given if isinstance(some, list | tuple) for each in some]


def check_no_custom(tools: Sequence[Mapping[str, Any]], api: str) -> None:
    """Raise ``ValueError`` for a tool of OpenAI's whose input is any text."""
    for index, tool in enumerate(tools):
        if tool.get("type") == "custom" and isinstance(tool.get("custom"), Mapping):
            raise ValueError(f"tools[{index}] is a custom tool, which {api} has none of")


def check_messages(messages: Sequence[Mapping[str, Any]], api: str) -> None:
    """Raise ``ValueError`` naming what only chat completions have a place for in a message, ``TypeError``
    for calls that are no list.

    Names of participants change no meaning: see ``has_names``.
    """
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        if message.get("role") == "function":
            why = "give the role 'tool' and the 'tool_call_id' that it answers"
            raise ValueError(f"{where} has the role 'function', which {api} has none of: {why}")
        for name in ("function_call", "audio"):
            if message.get(name) is not None:
                hint = ": give 'tool_calls'" if name == "function_call" else ""
                raise ValueError(f"{where} has {name!r}, which {api} has no place for{hint}")
        calls = message.get("tool_calls")
        if calls is not None and not isinstance(calls, list | tuple):
            kind = type(calls).__name__
            raise TypeError(f"{where}['tool_calls'] must be a list of calls, not {kind}")


def has_names(messages: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a message says who of several participants wrote it."""
    return any(message.get("name") and message.get("role") != "tool" for message in messages)


def check_tool_choice(tool_choice: object, *, have_tools: bool) -> None:
    """Raise ``TypeError`` or ``ValueError`` for what chooses no tool."""
    if not isinstance(tool_choice, str | Mapping):
        raise TypeError(f"tool_choice must be a str or a dict, not {type(tool_choice).__name__}")
    if not tool_choice:
        raise ValueError("tool_choice is empty")
    if not have_tools:
        raise ValueError("tool_choice is given without tools")


def checked_extra_body(extra_body: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return it as a plain dict; ``TypeError`` or ``ValueError`` for what no request may hold."""
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


def url_of(image: object, where: str) -> str:
    """Return the address in what OpenAI calls ``image_url``; ``ValueError`` where there is none."""
    url = image.get("url") if isinstance(image, Mapping) else image
    if not isinstance(url, str) or not url:
        raise ValueError(f"{where} has no url")
    return url


def check_response_format(given: object) -> None:
    """Raise ``TypeError`` for a form of the answer that is no dict."""
    if not isinstance(given, Mapping):
        raise TypeError(
            "response_format must be a dict like {'type': 'json_schema', 'json_schema': …}, "
            f"not {type(given).__name__}"
        )


def check_format_type(given: object, *, json_mode: bool) -> None:
    """``check_response_format``; ``ValueError`` for one without a type, or beside another form."""
    check_response_format(given)
    assert isinstance(given, Mapping)
    if not isinstance(given.get("type"), str):
        # A dict, but of a wrong shape.
        raise ValueError(f"response_format has no 'type': {list(given)}")
    if json_mode and given.get("type") != "json_object":
        raise ValueError("json_mode and response_format are both given: choose one")


def schema_in(form: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a form of the type ``json_schema``; ``ValueError`` where it has none."""
    named = form.get("json_schema")
    schema = named.get("schema") if isinstance(named, dict) else None
    if not isinstance(schema, dict):
        raise ValueError("response_format['json_schema'] must be a dict with a 'schema'")
    return schema
