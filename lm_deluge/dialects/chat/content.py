"""What the fields of a delta or a message say: visible text, reasoning or a refusal."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, TypeAlias

__all__ = ["KNOWN_FIELDS", "Kind", "argument_text", "said"]

Kind: TypeAlias = Literal["text", "reasoning", "refusal"]

#: The fields of a delta or a message that are read here or by ``ChoiceParts``.
KNOWN_FIELDS: Final = frozenset(
    {
        "role",
        "content",
        "refusal",
        "reasoning",
        "reasoning_content",
        "tool_calls",
        "function_call",
        "error",
        "usage",
    }
)

#: Where the text of a part may stand, in the order of trust.
_TEXT_KEYS: Final = ("text", "thinking", "reasoning", "summary", "content", "value")

#: What of a part says nothing by itself.
_NO_FIELDS: Final = frozenset({"type", "text"})

#: How many parts within parts are looked into.
_NESTING: Final = 4


def said(message: Mapping[str, Any], unread: list[Any]) -> Iterator[tuple[Kind, str]]:
    """Yield what a delta or a message says, piece by piece; parts of other kinds go to ``unread``."""
    for name in ("reasoning_content", "reasoning"):
        value = message.get(name)
        if value is not None and (text := _text_of(value)):
            # Some servers send both, with the same text.
            yield "reasoning", text
            break
    content = message.get("content")
    if isinstance(content, str):
        yield "text", content
    elif isinstance(content, list):
        for part in content:
            yield from _part(part, unread)
    elif content is not None:
        yield from _part(content, unread)
    refusal = message.get("refusal")
    if refusal is not None and (text := _text_of(refusal)):
        yield "refusal", text


def _part(part: Any, unread: list[Any]) -> Iterator[tuple[Kind, str]]:
    """Read one of the parts that content may come in (Mistral, and the newer API of OpenAI)."""
    if not isinstance(part, dict):
        if text := _text_of(part):
            yield "text", text
        elif part:
            unread.append(part)
        return
    said_as: Kind
    kind = part.get("type")
    kind = kind if isinstance(kind, str) else ""
    if (
        "thinking" in kind
        or "reasoning" in kind
        or "summary" in kind
        or part.get("thought") is True
    ):
        said_as, text = "reasoning", _text_of(part)
    elif kind == "refusal":
        said_as, text = "refusal", _text_of(part.get("refusal")) or _text_of(part.get("text"))
    else:
        said_as, text = "text", _text_of(part.get("text"))
    if text:
        yield said_as, text
    elif any(value is not None for key, value in part.items() if key not in _NO_FIELDS):
        unread.append(part)


def _text_of(value: Any, nesting: int = _NESTING) -> str:
    """Return the text of a part, of a list of parts, or of a text."""
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        # A token "1" that a server's template made a number.
        return json.dumps(value)
    if nesting and isinstance(value, list):
        return "".join([_text_of(item, nesting - 1) for item in value])
    if nesting and isinstance(value, dict):
        for key in _TEXT_KEYS:
            if text := _text_of(value.get(key), nesting - 1):
                return text
    return ""


def argument_text(arguments: object) -> str:
    """Return the JSON text of a tool call's arguments, which Ollama sends as an object."""
    if isinstance(arguments, str):
        return arguments
    if isinstance(arguments, (dict, list)):
        return json.dumps(arguments, ensure_ascii=False, separators=(",", ":"))
    return ""
