"""The results of calls in what was said, round by round, in nobody's words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

__all__ = ["rounds_of", "text_in"]


def rounds_of(said: Iterable[tuple[bool, list[str]]]) -> tuple[tuple[str, ...], ...]:
    """Return the texts of results since the user spoke last, those of one round together.

    ``said``: of each message whether the user wrote it, and the results that it holds.
    """
    rounds: list[list[str]] = []
    goes_on = False
    for is_users, results in said:
        if results:
            if not goes_on:
                rounds.append([])
            rounds[-1] += results
        elif is_users:
            rounds = []
        goes_on = bool(results)
    return tuple(map(tuple, rounds))


def text_in(content: Any) -> str:
    """Return the text of a result: a text, or parts with one each."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = (part.get("text") for part in content if isinstance(part, dict))
    return "".join(text for text in texts if isinstance(text, str))
