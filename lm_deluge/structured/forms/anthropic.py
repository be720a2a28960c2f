"""A schema as Anthropic's Messages API takes it: what it does not know is told in the description.

The same as ``anthropic.transform_schema`` makes of a class; where that gives up, the schema is left as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

__all__ = ["anthropic_schema", "told_beside"]

_FORMATS: Final = frozenset(
    "date-time time date duration email hostname uri ipv4 ipv6 uuid".split()
)


def anthropic_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema in the words that the API knows."""
    left = dict(schema)
    said: dict[str, Any] = {}
    for word in ("$defs", "definitions"):
        if word in left:
            said[word] = {name: anthropic_schema(node) for name, node in left.pop(word).items()}
    if "$ref" in left:
        return said | {"$ref": left["$ref"]}
    kind = left.pop("type", None)
    if isinstance(kind, list):
        return said | anthropic_schema(_as_alternatives(left, kind))
    branches = {word: left.pop(word, None) for word in ("anyOf", "oneOf", "allOf")}
    enum = left.get("enum")
    if isinstance(enum, list) and enum and all(map(_is_plain, enum)):
        said["enum"] = list(left.pop("enum"))
    if "const" in left and _is_plain(left["const"]):
        said["const"] = left.pop("const")
    is_literal = "enum" in said or "const" in said
    kind = None if is_literal else kind
    for word, where in (("anyOf", "anyOf"), ("oneOf", "anyOf"), ("allOf", "allOf")):
        if isinstance(branches[word], list):
            said[where] = [anthropic_schema(branch) for branch in branches[word]]
            break
    else:
        if kind is not None:
            said["type"] = kind
    for word in ("description", "title"):
        if (text := left.pop(word, None)) is not None:
            said[word] = text
    said |= _of_kind(kind, left)
    return told_beside(said, left)


def _of_kind(kind: str | None, left: dict[str, Any]) -> dict[str, Any]:
    """Return what is said of a kind of values; it is taken out of what is ``left``."""
    said: dict[str, Any] = {}
    if kind == "object":
        members = left.pop("properties", {}).items()
        said["properties"] = {name: anthropic_schema(member) for name, member in members}
        left.pop("additionalProperties", None)
        said["additionalProperties"] = False
        if (required := left.pop("required", None)) is not None:
            said["required"] = list(required)
    elif kind == "string" and "format" in left:
        _say_or_tell("format", said, left, is_known=left["format"] in _FORMATS)
    elif kind == "array":
        if isinstance(left.get("items"), Mapping):
            said["items"] = anthropic_schema(left.pop("items"))
        if "minItems" in left:
            _say_or_tell("minItems", said, left, is_known=left["minItems"] in (0, 1))
    return said


def _say_or_tell(word: str, said: dict[str, Any], left: dict[str, Any], *, is_known: bool) -> None:
    """Say a word if it is known with its value; else it is the last that is told."""
    value = left.pop(word)
    (said if is_known else left)[word] = value


def _as_alternatives(left: dict[str, Any], kinds: list[str]) -> dict[str, Any]:
    """Return a schema of several types as several of one type each."""
    about: dict[str, Any] = {
        word: left.pop(word) for word in ("description", "title") if word in left
    }
    if left.get("default", ...) is None:
        del left["default"]
    return {
        **about,
        "anyOf": [{**(left if kind != "null" else {}), "type": kind} for kind in kinds],
    }


def told_beside(said: dict[str, Any], left: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is said, with what is ``left`` told in the description."""
    if not left:
        return said
    told = "{" + ", ".join(f"{word}: {value}" for word, value in left.items()) + "}"
    before = said.get("description")
    return said | {"description": told if before is None else f"{before}\n\n{told}"}


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, str | int | float | bool)
