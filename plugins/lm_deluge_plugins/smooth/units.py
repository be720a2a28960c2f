"""Text cut where a reader would: after words, never within a character as people see it."""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

__all__ = ["graphemes", "whole_units"]

#: Scripts that write words without spaces between them, and pictures: each of their characters is a unit.
_UNSPACED = (
    r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Extended_Pictographic}"
    r"\p{Regional_Indicator}"
)


@cache
def _patterns() -> tuple[Any, Any]:
    try:
        regex: Any = importlib.import_module("regex")
    except ImportError as error:
        message = "Smooth needs regex: pip install regex (the extra smooth)"
        raise ImportError(message, name=error.name) from error
    # A grapheme is that of UAX #29; a word takes the blanks before it along, as models' tokens do.
    return regex.compile(r"\X"), regex.compile(rf"[^\s\w]*[{_UNSPACED}]")


def graphemes(text: str) -> list[str]:
    """Return the characters of a text as people see them; ``ImportError`` without ``regex``."""
    found: list[str] = _patterns()[0].findall(text)
    return found


def whole_units(text: str) -> list[str]:
    """Return a text as words, each with the blanks before it, and characters of scripts without blanks.

    The last one may go on in what follows.
    """
    _, unspaced = _patterns()
    units: list[str] = []
    begun = ""
    has_word = False
    for grapheme in [text] if text.isalpha() and text.isascii() else graphemes(text):
        if grapheme.isspace():
            if has_word:
                units.append(begun)
                begun, has_word = "", False
            begun += grapheme
        elif unspaced.match(grapheme):
            if has_word:
                units.append(begun)
                begun = ""
            units.append(begun + grapheme)
            begun, has_word = "", False
        else:
            begun += grapheme
            has_word = True
    if begun:
        units.append(begun)
    return units
