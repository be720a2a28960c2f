"""A schema as OpenAI takes it strictly, in chat completions and Responses.

The same as ``openai.lib._pydantic.to_strict_json_schema`` makes of a class, and besides: alternatives are
said by ``anyOf``, and around what is no object an object is put, as only objects can be asked for.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Final

from lm_deluge.structured.checking import kind_of
from lm_deluge.structured.forms.anthropic import told_beside
from lm_deluge.structured.shape import WRAPPED, Shape

__all__ = ["openai_format", "strict_schema"]

#: What the strict form does not know, and what can be told in words: it is checked here.
_TOLD: Final = (
    *("not", "if", "then", "else", "dependentRequired", "dependentSchemas", "propertyNames"),
    *("unevaluatedProperties", "unevaluatedItems", "minProperties", "maxProperties"),
    *("contains", "minContains", "maxContains", "uniqueItems"),
)

#: What says of a schema more than that something is there.
_SAYS: Final = ("type", "anyOf", "oneOf", "allOf", "$ref", "enum", "const")


def openai_format(shape: Shape) -> dict[str, Any]:
    """Return the ``response_format`` of chat completions that asks for a shape.

    ``strict`` is false where what is asked for cannot be said strictly: objects of any members.
    """
    schema = copy.deepcopy(dict(shape.schema))
    if shape.is_wrapped:
        schema = _wrapped(schema)
    is_strict = can_be_strict(schema)
    if is_strict:
        schema = strict_schema(schema)
    return {
        "type": "json_schema",
        "json_schema": {"name": shape.name, "schema": schema, "strict": is_strict},
    }


def _wrapped(schema: dict[str, Any]) -> dict[str, Any]:
    """Put an object around a schema; what it refers to moves along."""
    around: dict[str, Any] = {
        "type": "object",
        "properties": {WRAPPED: _moved(schema)},
        "required": [WRAPPED],
        "additionalProperties": False,
    }
    for word in ("$defs", "definitions"):
        if word in schema:
            around[word] = around["properties"][WRAPPED].pop(word)
    return around


def _moved(node: Any) -> Any:
    """Let what refers to the schema as a whole, or to a part of it by its place, find it in its new place."""
    if isinstance(node, list):
        return [_moved(each) for each in node]
    if not isinstance(node, dict):
        return node
    moved = {key: _moved(value) for key, value in node.items()}
    reference = node.get("$ref")
    if isinstance(reference, str) and not reference.startswith(("#/$defs/", "#/definitions/")):
        moved["$ref"] = f"#/properties/{WRAPPED}" + reference.removeprefix("#")
    return moved


def can_be_strict(node: Any) -> bool:
    """Whether all that a schema asks for can be asked strictly."""
    if isinstance(node, bool):
        return False
    if not any(word in node for word in _SAYS):
        return False
    more = node.get("additionalProperties", False)
    if isinstance(more, Mapping) or "patternProperties" in node or "prefixItems" in node:
        return False
    if len(node.get("allOf", ())) > 1:
        return False
    if node.get("type") == "object" and not node.get("properties"):
        # Nothing is said of what is in it, unless it is that there is nothing.
        return node.get("additionalProperties") is False
    if node.get("type") == "array" and "items" not in node:
        return False
    return all(map(can_be_strict, _inside(node)))


def _inside(node: Mapping[str, Any]) -> list[Any]:
    """Return the schemas inside of one."""
    found: list[Any] = []
    for word in ("$defs", "definitions", "properties"):
        found += node.get(word, {}).values()
    for word in ("anyOf", "oneOf", "allOf"):
        found += node.get(word, ())
    return [*found, node["items"]] if "items" in node else found


def strict_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """Make a schema strict; it is changed."""
    return _strict(schema, schema, ())


def _strict(node: dict[str, Any], root: dict[str, Any], within: tuple[str, ...]) -> dict[str, Any]:
    told: dict[str, Any] = {word: node.pop(word) for word in _TOLD if word in node}
    if told:
        node.update(told_beside({**node}, told))
    for word in ("$defs", "definitions"):
        for name, inner in node.get(word, {}).items():
            node[word][name] = _strict(inner, root, within)
    if "type" not in node and ("enum" in node or "const" in node):
        kinds = sorted({kind_of(value) for value in node.get("enum", [node.get("const")])})
        node["type"] = kinds[0] if len(kinds) == 1 else kinds
    if node.get("type") == "object":
        node["additionalProperties"] = False
    if isinstance(node.get("properties"), dict):
        node["required"] = list(node["properties"])
        for name, inner in node["properties"].items():
            node["properties"][name] = _strict(inner, root, within)
    if isinstance(node.get("items"), dict):
        node["items"] = _strict(node["items"], root, within)
    _combine(node, root, within)
    if node.get("default", ...) is None:
        del node["default"]
    reference = node.get("$ref")
    if isinstance(reference, str) and len(node) > 1 and reference not in within:
        # Nothing may stand beside a reference: what it stands for is said in its place.
        node.update({**copy.deepcopy(_target(root, reference)), **node})
        del node["$ref"]
        return _strict(node, root, (*within, reference))
    if isinstance(reference, str) and len(node) > 1:
        return {"$ref": reference}
    return node


def _combine(node: dict[str, Any], root: dict[str, Any], within: tuple[str, ...]) -> None:
    """Make the alternatives of a schema strict, and put in place what is only one."""
    if "oneOf" in node and "anyOf" not in node:
        node["anyOf"] = node.pop("oneOf")
        node.pop("discriminator", None)
    for word in ("anyOf", "allOf"):
        if isinstance(node.get(word), list):
            node[word] = [_strict(branch, root, within) for branch in node[word]]
    if len(node.get("allOf", ())) == 1:
        node.update(node.pop("allOf")[0])


def _target(root: dict[str, Any], reference: str) -> dict[str, Any]:
    found: Any = root
    for key in reference.removeprefix("#").split("/")[1:]:
        key = key.replace("~1", "/").replace("~0", "~")
        found = found[int(key)] if isinstance(found, list) else found[key]
    return dict(found)
