"""Which items of a Responses answer say more than a text and the calls after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

__all__ = ["says_more", "without_logprobs"]

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
