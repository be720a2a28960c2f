"""Templates of the page, and data that goes into it without harm."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from importlib.resources import files
from typing import Any
from unicodedata import bidirectional

from lm_deluge.timeline.report.drawing import Environment, FunctionLoader, Markup

__all__ = ["embedded_json", "isolated", "render"]

_RIGHT_TO_LEFT = ("R", "AL", "RLE", "RLO", "RLI", "LRE", "LRO", "LRI")

_ESCAPED = re.compile("[<\ud800-\udfff]")


def render(template: str, values: Mapping[str, Any]) -> str:
    """Return a file of ``templates/`` filled in; what is not ``Markup`` is escaped."""
    templates = Environment(loader=FunctionLoader(_template), autoescape=True)
    text = templates.get_template(template).render(values)
    return text.encode("utf-8", "replace").decode("utf-8")  # lone surrogates become "?"


def embedded_json(value: Any) -> Markup:
    """Return JSON for the inside of ``<script type="application/json">``.

    ``<`` is written as an escape of JSON, so that nothing in it ends the element or begins another;
    lone surrogates, which UTF-8 has not, are escapes, too: two pieces may make one character.
    Raises ``ValueError`` for NaN and infinity, which JSON has not.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(_ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def isolated(text: str, names: Iterable[str]) -> str:
    """Return a sentence in which names that run from right to left leave the words around alone.

    They are put between U+2068 and U+2069 (first strong isolate, and its end; UAX #9).
    """
    for name in sorted(names, key=len, reverse=True):
        if any(bidirectional(char) in _RIGHT_TO_LEFT for char in name):
            text = text.replace(name, f"\u2068{name}\u2069")
    return text


def _template(name: str) -> str:
    return (files(__package__) / "templates" / name).read_text(encoding="utf-8")
