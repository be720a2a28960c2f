"""Surrogate halves: pieces of text that cut a character in two."""

from __future__ import annotations

from typing import Any, Final

__all__ = ["join_surrogates", "without_surrogates"]

#: Where texts come in pieces, so that a half may find its other half in the next chunk.
_PIECES: Final = frozenset(
    {
        "arguments",
        "content",
        "delta",
        "partial_json",
        "reasoning",
        "reasoning_content",
        "refusal",
        "stringValue",
        "text",
        "thinking",
    }
)


def join_surrogates(text: str) -> tuple[str, str]:
    """Return ``text`` without surrogates, and a high surrogate at its end that may find its half.

    A pair becomes its character, a lone half U+FFFD: neither stdout nor a UTF-8 log can write one.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        held = text[-1] if "\ud800" <= text[-1] <= "\udbff" else ""
        body = text[: len(text) - len(held)]
        return body.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace"), held
    return text, ""


def without_surrogates(value: Any, pieces: frozenset[str] = _PIECES) -> Any:
    """Return a JSON value without surrogates, but for the texts that come in ``pieces``.

    ``ChoiceParts`` joins those; everything else (names, ids, messages, log probabilities) comes whole.
    ``pieces``: the keys under which they stand.
    """
    if isinstance(value, str):
        text, held = join_surrogates(value)
        return text + "\N{REPLACEMENT CHARACTER}" if held else text
    if isinstance(value, list):
        return [without_surrogates(item, pieces) for item in value]
    if isinstance(value, dict):
        return {
            without_surrogates(key): item
            if key in pieces and isinstance(item, str)
            else without_surrogates(item, pieces)
            for key, item in value.items()
        }
    return value
