"""Which items of a Responses answer say more than a text and the calls after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

__all__ = ["says_more", "without_logprobs", "without_texts"]

#: What of a message and of its parts is said by its text, or says nothing for the next turn.
_MESSAGE: Final = frozenset({"type", "id", "role", "status", "content"})
_PART: Final = frozenset({"type", "text", "refusal"})


def says_more(items: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a text and calls, in that order, leave something out."""
    called = False
    for item in items:
        kind = item.get("type")
        if kind == "function_call":
            called = True
        elif kind != "message" or called or any(item[key] for key in item if key not in _MESSAGE):
            return True
        parts = item.get("content")
        if any(_marks(part) for part in (parts if isinstance(parts, list) else ())):
            return True
    return False


def _marks(part: object) -> bool:
    """Whether a part of a message says more than its text."""
    return isinstance(part, Mapping) and any(part[key] for key in part if key not in _PART)


def without_logprobs(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return an item without the log probabilities of its texts, which are many and go nowhere."""
    parts = item.get("content")
    if item.get("type") != "message" or not isinstance(parts, list):
        return dict(item)
    bare = [
        {key: part[key] for key in part if key != "logprobs"} if isinstance(part, dict) else part
        for part in parts
    ]
    return {**item, "content": bare}


def without_texts(item: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    """Return a message or a call without what is told of it, and how long that is.

    Texts in bytes of UTF-8, as a choice's are, arguments in characters.
    """
    bare = dict(item)
    arguments = bare.pop("arguments", None)
    size = len(arguments) if isinstance(arguments, str) else 0
    parts = item.get("content")
    if item.get("type") != "message" or not isinstance(parts, list):
        return bare, size
    bare["content"] = rest = []
    for part in parts:
        if not isinstance(part, dict):
            rest.append(part)
            continue
        rest.append({key: part[key] for key in part if key not in ("text", "refusal")})
        for text in (part.get("text"), part.get("refusal")):
            if isinstance(text, str):
                size += len(text.encode("utf-8", "surrogatepass"))
    return bare, size
