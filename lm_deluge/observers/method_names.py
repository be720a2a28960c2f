"""The names of a handler's methods, and what a name that is nearly one of them was meant to be."""

from __future__ import annotations

from typing import Final

from lm_deluge.signals import SIGNALS
from lm_deluge.values.spelling import nearest

__all__ = ["BESIDE", "IMPLIED", "METHODS", "looks_like_one", "meant_by", "misspelt"]

#: Those that a signal calls, and the one that is told of an object while it grows.
METHODS: Final = (*(signal.name for signal in SIGNALS), "on_object")

#: What a handler has to hear for another of its methods to be told.
IMPLIED: Final = {"on_object": frozenset({"on_token", "on_delta", "on_complete"})}

#: Methods that a handler may have besides: a proxy or a relay calls them.
BESIDE: Final = frozenset({"on_request", "on_note", "on_seen"})

#: The six without ``on_`` and their inflections: what a hurried hand or memory makes of them.
_FORMS: Final = {
    "on_start": ("start", ("", "s", "ed", "ing")),
    "on_token": ("token", ("", "s", "ed")),
    "on_delta": ("delta", ("", "s")),
    "on_retry": ("retr", ("y", "ys", "ies", "ied", "ying")),
    "on_complete": ("complet", ("e", "es", "ed", "ing", "ion", "ions")),
    "on_error": ("error", ("", "s", "ed")),
    "on_object": ("object", ("", "s")),
}

#: Words that other libraries use for the same moments.
_SYNONYMS: Final = {
    "begin": "on_start", "open": "on_start", "request": "on_start",
    "chunk": "on_token", "text": "on_token", "content": "on_token", "message": "on_token",
    "reasoning": "on_delta", "thinking": "on_delta", "refusal": "on_delta", "tool": "on_delta",
    "end": "on_complete", "finish": "on_complete", "done": "on_complete", "stop": "on_complete",
    "close": "on_complete", "success": "on_complete", "response": "on_complete",
    "fail": "on_error", "exception": "on_error", "cancel": "on_error",
}  # fmt: skip


def misspelt(name: str) -> str | None:
    """Return which of the six a name is but for its spelling."""
    if name[:2].lower() != "on":
        return None
    bare = name.lower().replace("_", "").removeprefix("on")
    for method, (root, endings) in _FORMS.items():
        if any(bare == root + ending for ending in endings):
            return method
        if _is_one_slip(bare, method.removeprefix("on_")):
            return method
    return None


def _is_one_slip(written: str, meant: str) -> bool:
    """Whether one letter is missing, too many, another, or two neighbours changed places."""
    if abs(len(written) - len(meant)) > 1:
        return False
    at = next((i for i, (a, b) in enumerate(zip(written, meant, strict=False)) if a != b), None)
    if at is None:
        return True
    rest, wanted = written[at:], meant[at:]
    return (
        rest[1:] == wanted[1:]
        or rest[1:] == wanted
        or rest == wanted[1:]
        or (rest[:2] == wanted[:2][::-1] and rest[2:] == wanted[2:])
    )


def meant_by(name: str) -> str | None:
    """Return the method that a name may stand for."""
    near = misspelt(name)
    if near is not None:
        return near
    lowered = name.lower()
    for method, (root, _) in _FORMS.items():
        if root in lowered:
            return method
    for word, method in _SYNONYMS.items():
        if word in lowered:
            return method
    return next(iter(nearest(lowered, METHODS, 1, 0.7)), None)


def looks_like_one(name: str) -> bool:
    """Whether a method of this name may be meant for one of the six."""
    return name[:2].lower() == "on" or bool(nearest(name, METHODS, 1, 0.7))
