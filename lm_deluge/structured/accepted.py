"""Which values a schema accepts at a place, where it lists them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from lm_deluge.structured.misfits import Path

__all__ = ["accepted_at", "one_of"]

#: So many are told.
_MOST: Final = 20


def one_of(values: list[Any]) -> str:
    """Return the values that are accepted, as a clause."""
    told = ", ".join(map(repr, values[:_MOST]))
    more = f" and {len(values) - _MOST} more" if len(values) > _MOST else ""
    return f"it must be {'one of ' if len(values) > 1 else ''}{told}{more}"


def accepted_at(schema: Mapping[str, Any], path: Path) -> list[Any]:
    """Return the values that a schema lists for a place; none where others are accepted, too."""
    nodes = [schema]
    for step in path:
        nodes = [
            inner
            for node in nodes
            for branch in _branches(node, schema)
            for inner in _inside(branch, step)
        ]
    found: list[Any] = []
    for node in nodes:
        for branch in _branches(node, schema):
            if isinstance(listed := branch.get("enum"), list):
                found += listed
            elif "const" in branch:
                found.append(branch["const"])
            elif branch.get("type") == "null":
                found.append(None)
            elif not any(word in branch for word in ("anyOf", "oneOf", "allOf", "$ref")):
                return []
    return found if any(value is not None for value in found) else []


def _branches(node: Any, root: Mapping[str, Any], within: int = 8) -> Iterator[dict[str, Any]]:
    """A schema, what it refers to, and what it is made of."""
    if not isinstance(node, dict) or not within:
        return
    yield node
    reference = node.get("$ref")
    if isinstance(reference, str) and reference.startswith("#"):
        found: Any = root
        for key in reference.removeprefix("#").split("/")[1:]:
            key = key.replace("~1", "/").replace("~0", "~")
            found = found.get(key) if isinstance(found, dict) else None
        yield from _branches(found, root, within - 1)
    for word in ("anyOf", "oneOf", "allOf"):
        for branch in node.get(word, ()):
            yield from _branches(branch, root, within - 1)


def _inside(node: dict[str, Any], step: str | int) -> Iterator[Any]:
    if isinstance(step, int):
        first = node.get("prefixItems", [])
        yield first[step] if step < len(first) else node.get("items")
        return
    members = node.get("properties", {})
    yield members[step] if step in members else node.get("additionalProperties")
