"""A schema as Gemini takes it in ``responseJsonSchema``: what it does not know is told in the description."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from lm_deluge.structured.forms.anthropic import told_beside

__all__ = ["gemini_schema"]

#: The words of JSON Schema that the API knows, those aside that hold schemas.
_WORDS: Final = frozenset(
    "$ref type format title description enum minItems maxItems minimum maximum required".split()
)


def gemini_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema in the words that the API knows: members in their order, and no others."""
    left = dict(schema)
    said: dict[str, Any] = {}
    if "$defs" not in left and "definitions" in left:
        left["$defs"] = left.pop("definitions")
    if "$defs" in left:
        said["$defs"] = {name: gemini_schema(node) for name, node in left.pop("$defs").items()}
    parts = left.get("allOf")
    if isinstance(parts, list) and len(parts) == 1 and isinstance(parts[0], Mapping):
        del left["allOf"]
        left = {**parts[0], **left}
    if "const" in left:
        left["enum"] = [left.pop("const")]
    if left.get("default", ...) is None:
        del left["default"]
    if isinstance(left.get("$ref"), str):
        reference = left["$ref"].replace("#/definitions/", "#/$defs/")
        return said | {"$ref": reference}
    said |= {word: left.pop(word) for word in list(left) if word in _WORDS}
    return told_beside(said | _inside(left), left)


def _inside(left: dict[str, Any]) -> dict[str, Any]:
    """Return the schemas inside of one; they are taken out of what is ``left``."""
    said: dict[str, Any] = {}
    if isinstance(left.get("properties"), Mapping):
        members = left.pop("properties")
        said["properties"] = {name: gemini_schema(member) for name, member in members.items()}
        said["propertyOrdering"] = list(members)
        if not isinstance(left.get("additionalProperties"), Mapping):
            left["additionalProperties"] = False
    for word in ("items", "additionalProperties"):
        if isinstance(left.get(word), Mapping):
            said[word] = gemini_schema(left.pop(word))
        elif isinstance(left.get(word), bool):
            said[word] = left.pop(word)
    for word, where in (("anyOf", "anyOf"), ("oneOf", "anyOf"), ("prefixItems", "prefixItems")):
        if isinstance(left.get(word), list):
            said[where] = [gemini_schema(each) for each in left.pop(word)]
            left.pop("discriminator", None)
    return said
