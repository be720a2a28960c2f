"""Surrogate halves: pieces of text that cut a character in two."""

from __future__ import annotations

__all__ = ["join_surrogates"]


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
