"""Values that a JSON schema accepts, for the common kinds of schema."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from lm_deluge.simulator.saying.words import some_words

__all__ = ["plausible"]

#: Deeper than this a value is as small as it may be.
_DEEP = 4


def plausible(schema: Any, rng: random.Random, depth: int = 0, root: Any = None) -> Any:
    """A value that a JSON schema would accept. ``root``: the schema that references are looked up in."""
    root = schema if root is None else root
    if not isinstance(schema, Mapping):
        return some_words(rng, 1)
    if isinstance(schema.get("$ref"), str):
        return plausible(_target(root, schema["$ref"]), rng, depth + 1, root)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return rng.choice(list(schema["enum"]))
    for union in ("anyOf", "oneOf", "allOf"):
        if schema.get(union):
            return plausible(_branch(schema[union], depth), rng, depth + 1, root)
    wanted = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(wanted, list):
        wanted = next((name for name in wanted if name != "null"), "null")
    if wanted == "object":
        return _object(schema, rng, depth, root)
    if wanted == "array":
        count = max(int(schema.get("minItems", 1 if depth < _DEEP else 0)), 0)
        return [plausible(schema.get("items"), rng, depth + 1, root) for _ in range(count)]
    if wanted in ("integer", "number"):
        return _number(schema, rng, wanted)
    if wanted == "boolean":
        return rng.random() < 0.5
    return None if wanted == "null" else _text(schema, rng)


def _target(root: Any, reference: str) -> Any:
    found = root
    for key in reference.removeprefix("#").split("/")[1:]:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def _branch(branches: Any, depth: int) -> Any:
    """One of several forms: deep inside the one that ends, as what refers to itself has to."""
    last = branches[-1]
    ends = isinstance(last, Mapping) and last.get("type") == "null"
    return last if depth > _DEEP and ends else branches[0]


def _object(schema: Mapping[str, Any], rng: random.Random, depth: int, root: Any) -> dict[str, Any]:
    properties = schema.get("properties")
    if not isinstance(properties, Mapping) or depth > 40:
        return {}
    required = schema.get("required") or list(properties)
    return {
        name: plausible(inner, rng, depth + 1, root)
        for name, inner in properties.items()
        if name in required
    }


def _number(schema: Mapping[str, Any], rng: random.Random, wanted: str) -> float:
    low = schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)
    high = schema.get("maximum", schema.get("exclusiveMaximum", low + 42) - 1)
    if wanted == "integer":
        return rng.randint(int(low), max(int(high), int(low)))
    return round(rng.uniform(low, max(high, low)), 2)


def _text(schema: Mapping[str, Any], rng: random.Random) -> str:
    text = some_words(rng, rng.randint(1, 3))
    pattern = schema.get("pattern")
    if isinstance(pattern, str) and pattern.startswith("^"):
        # Of patterns the beginning in plain letters alone.
        text = pattern[1:].rstrip("$") + text
    text = text.ljust(schema.get("minLength", 0), "x")
    return text[: schema.get("maxLength", len(text))]
