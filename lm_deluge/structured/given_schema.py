"""A JSON schema that was given as such: checked, and what it makes of an answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from lm_deluge.structured.checking import Checker
from lm_deluge.structured.misfits import MisfitError
from lm_deluge.values.plain import plain_json

__all__ = ["checked_schema", "converter_of"]

_TYPES: Final = ("object", "array", "string", "number", "integer", "boolean", "null")

#: Where schemas stand inside of one, and in which container.
_ONE: Final = (
    "items",
    "not",
    "if",
    "then",
    "else",
    "additionalProperties",
    "contains",
    "propertyNames",
)
_MANY: Final = ("anyOf", "oneOf", "allOf", "prefixItems")
_NAMED: Final = ("properties", "$defs", "definitions", "patternProperties", "dependentSchemas")


def checked_schema(schema: Mapping[Any, Any], name: str) -> dict[str, Any]:
    """Return a copy of a JSON schema; ``TypeError`` or ``ValueError`` says what is wrong with it."""
    for key in schema:
        if not isinstance(key, str):
            raise TypeError(f"{name} must be a JSON schema with names as keys, not {key!r:.60}")
    plain: dict[str, Any] = plain_json(schema, name)
    if not plain:
        raise ValueError(f"{name} is empty: json_mode=True asks for any JSON")
    if "json_schema" in plain or plain.get("type") in ("json_schema", "json_object"):
        raise ValueError(
            f"{name} is a response_format: give the schema that it holds, or response_format="
        )
    if not plain.keys() & {
        "type",
        "properties",
        "anyOf",
        "oneOf",
        "allOf",
        "$ref",
        "enum",
        "const",
        "items",
    }:
        raise ValueError(
            f"{name} must be a JSON schema, with 'type', 'properties', 'anyOf' or the like, and it has "
            f"{', '.join(map(repr, list(plain)[:10]))}"
        )
    if "type" not in plain and "properties" in plain and "$ref" not in plain:
        plain["type"] = "object"
    _check(plain, name, Checker(plain))
    return plain


def _check(node: Any, where: str, checker: Checker) -> None:
    if isinstance(node, bool):
        return
    if not isinstance(node, dict):
        raise ValueError(f"{where} must be a schema, a dict, not {node!r:.60}")
    _check_words(node, where, checker)
    for word in _ONE:
        if word in node:
            _check(node[word], f"{where}[{word!r}]", checker)
    for word in _MANY:
        if word in node:
            branches = node[word]
            if not isinstance(branches, list) or not branches:
                raise ValueError(f"{where}[{word!r}] must be a list of schemas")
            for index, branch in enumerate(branches):
                _check(branch, f"{where}[{word!r}][{index}]", checker)
    for word in _NAMED:
        if word in node:
            if not isinstance(node[word], dict):
                raise ValueError(f"{where}[{word!r}] must be a dict of schemas")
            for key, inner in node[word].items():
                _check(inner, f"{where}[{word!r}][{key!r}]", checker)


def _check_words(node: dict[str, Any], where: str, checker: Checker) -> None:
    kinds = node.get("type", [])
    for kind in [kinds] if isinstance(kinds, str) or not isinstance(kinds, list) else kinds:
        if kind not in _TYPES:
            raise ValueError(f"{where}['type'] must be {', '.join(_TYPES)}, not {kind!r:.60}")
    if "$ref" in node:
        reference = node["$ref"]
        found = isinstance(reference, str) and reference.startswith("#")
        if not found or checker.target(reference) is None:
            raise ValueError(
                f"{where}['$ref'] must name a schema inside of it, not {reference!r:.80}"
            )
    for word in ("required", "enum"):
        if word in node and not isinstance(node[word], list):
            raise ValueError(f"{where}[{word!r}] must be a list, not {node[word]!r:.60}")
    for word in _NUMBERS:
        if word in node and (
            isinstance(node[word], bool) or not isinstance(node[word], int | float)
        ):
            raise ValueError(f"{where}[{word!r}] must be a number, not {node[word]!r:.60}")
    if "pattern" in node and not isinstance(node["pattern"], str):
        raise ValueError(f"{where}['pattern'] must be a text, not {node['pattern']!r:.60}")


_NUMBERS: Final = (
    "minimum maximum exclusiveMinimum exclusiveMaximum multipleOf minLength maxLength minItems maxItems "
    "minProperties maxProperties"
).split()


def converter_of(schema: Mapping[str, Any]) -> Callable[[Any, bytes | None], Any]:
    """Return what checks a value by a schema, and returns it."""
    checker = Checker(schema)

    def convert(value: Any, text: bytes | None) -> Any:
        misfit = checker.misfit(value, schema)
        if misfit is not None:
            raise MisfitError(misfit)
        return value

    return convert
