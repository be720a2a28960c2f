"""Whether JSON fits a schema: the words of JSON Schema that models are asked with, checked as it says them.

``format`` says what a text means and is no check, as JSON Schema has it. A schema that refers to
something elsewhere (``http://…``) is refused where it is given.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any, Final, TypeAlias

from lm_deluge.structured.accepted import one_of
from lm_deluge.structured.misfits import Misfit, Path

__all__ = ["Checker", "Node", "kind_of"]

#: A schema inside of a schema; ``None``: nothing is known.
Node: TypeAlias = "Mapping[str, Any] | None"

#: What may stand beside a reference and says nothing of the value.
_ABOUT: Final = frozenset(
    "$ref $defs definitions title description default examples deprecated $comment $id $schema".split()
)

_COMBINED: Final = ("anyOf", "oneOf", "allOf", "not", "if")


def kind_of(value: Any) -> str:
    """Return what JSON Schema calls the kind of a JSON value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return "string"
    if isinstance(value, Mapping):
        return "object"
    if isinstance(value, list | tuple):
        return "array"
    return "integer" if isinstance(value, int) else "number"


#: Values of these types are of a kind, whatever they are.
_TYPES: Final[dict[str, frozenset[type]]] = {
    "string": frozenset({str}),
    "integer": frozenset({int}),
    "number": frozenset({int, float}),
    "boolean": frozenset({bool}),
    "null": frozenset({type(None)}),
    "array": frozenset(),
    "object": frozenset(),
}


class Checker:
    """Checks values, and parts of them while the rest still grows. ``root``: the schema."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.root: Final = schema
        self._types: dict[tuple[int, str | None], frozenset[type] | None] = {}
        self._narrowed: dict[tuple[int, str], Node] = {}

    def resolved(self, node: Node) -> Node:
        """Return the schema that a ``$ref`` stands for; where others stand beside it, nothing is known."""
        for _ in range(100):
            if node is None or "$ref" not in node:
                return node
            if len(node.keys() - _ABOUT) > 0:
                return None
            node = self.target(node["$ref"])
        return None

    def target(self, reference: str) -> Node:
        """Return what is at ``#/$defs/Name``; ``None`` where nothing is."""
        found: Any = self.root
        for key in reference.removeprefix("#").split("/")[1:]:
            key = key.replace("~1", "/").replace("~0", "~")
            try:
                found = found[int(key)] if isinstance(found, list) else found[key]
            except (KeyError, IndexError, ValueError, TypeError):
                return None
        return found if isinstance(found, Mapping) else None

    def surely_fits(self, node: Node, key: str | None, value: Any) -> bool:
        """Whether nothing is said of a member (``key``) or an item of a value but its type, which it has."""
        if node is None:
            return True
        known = (id(node), key)
        try:
            types = self._types[known]
        except KeyError:
            if key is None and "prefixItems" in node:
                types = frozenset()
            else:
                types = self._types_of(self.child(node, 0 if key is None else key))
            self._types[known] = types
        return types is None or type(value) in types

    def _types_of(self, node: Node) -> frozenset[type] | None:
        """Return the types of what certainly fits a schema; ``None``: all do."""
        if node is None:
            return None
        resolved = self.resolved(node)
        if resolved is None:
            return frozenset()
        said = resolved.keys() - _ABOUT
        if said == {"type"}:
            return frozenset().union(*(_TYPES[kind] for kind in _kinds(resolved["type"])))
        if said == {"anyOf"}:
            branches = [self._types_of(branch) for branch in resolved["anyOf"] if branch]
            return frozenset().union(*(branch for branch in branches if branch))
        return frozenset()

    def narrowed(self, node: Node, kind: str) -> Node:
        """Return what is said of a value of a kind and of its parts; ``None`` where only the whole tells."""
        if node is None:
            return None
        known = (id(node), kind)
        if known not in self._narrowed:
            self._narrowed[known] = self._narrow(node, kind)
        return self._narrowed[known]

    def _narrow(self, node: Node, kind: str) -> Node:
        for _ in range(100):
            node = self.resolved(node)
            if node is None:
                return None
            branches = node.get("anyOf") or node.get("oneOf")
            if branches is None:
                return None if any(word in node for word in _COMBINED) else node
            if any(word in node for word in ("properties", "items", "allOf", "not", "if")):
                return None
            fitting = [branch for branch in branches if self._may_be(branch, kind)]
            if len(fitting) != 1:
                return None
            node = fitting[0]
        return None

    def child(self, node: Mapping[str, Any], key: str | int) -> Node:
        """Return what is said of a member or an item; ``None``: nothing."""
        if isinstance(key, str):
            found = node.get("properties", {}).get(key)
            if found is None and "patternProperties" not in node:
                found = node.get("additionalProperties")
        else:
            first = node.get("prefixItems", ())
            found = first[key] if key < len(first) else node.get("items")
        return found if isinstance(found, Mapping) else None

    def is_one_of_few(self, node: Node) -> bool:
        """Whether a text can only be one of those that the schema names."""
        node = self.narrowed(node, "string")
        return node is not None and ("enum" in node or "const" in node)

    def misfit(self, value: Any, node: Any, path: Path = (), *, deep: bool = True) -> Misfit | None:
        """Return the first thing that does not fit; ``None``: all does. ``deep``: its parts, too."""
        try:
            return self._misfit(value, node, path, deep=deep)
        except RecursionError:
            return Misfit(path, "the schema refers to itself without an end")

    def _misfit(self, value: Any, node: Any, path: Path, *, deep: bool) -> Misfit | None:
        if isinstance(node, bool) or node is None:
            return Misfit(path, "it must not be there") if node is False else None
        if "$ref" in node:
            found = self._misfit(value, self.target(node["$ref"]), path, deep=deep)
            if found is not None:
                return found
        if (message := _alone(value, node)) is not None:
            return Misfit(path, message)
        found = self._combined(value, node, path)
        if found is None and deep:
            found = self._parts(value, node, path)
        return found

    def _parts(self, value: Any, node: Mapping[str, Any], path: Path) -> Misfit | None:
        if isinstance(value, Mapping):
            for key, member in value.items():
                for schema in _schemas_of(key, node):
                    if found := self._misfit(member, schema, (*path, key), deep=True):
                        return found
        elif isinstance(value, list):
            first = node.get("prefixItems", ())
            for index, item in enumerate(value):
                schema = first[index] if index < len(first) else node.get("items")
                if found := self._misfit(item, schema, (*path, index), deep=True):
                    return found
        return None

    def _combined(self, value: Any, node: Mapping[str, Any], path: Path) -> Misfit | None:
        for branch in node.get("allOf", ()):
            if found := self._misfit(value, branch, path, deep=True):
                return found
        for word in ("anyOf", "oneOf"):
            if word in node and (found := self._one_of(value, node[word], path, word)):
                return found
        if "not" in node and self._misfit(value, node["not"], path, deep=True) is None:
            return Misfit(path, "it fits what it must not be")
        if "if" in node:
            fits = self._misfit(value, node["if"], path, deep=True) is None
            return self._misfit(value, node.get("then" if fits else "else"), path, deep=True)
        return None

    def _one_of(self, value: Any, branches: Sequence[Any], path: Path, word: str) -> Misfit | None:
        kind = kind_of(value)
        misfits = [self._misfit(value, branch, path, deep=True) for branch in branches]
        fitting = misfits.count(None)
        if fitting == 1 or (fitting and word == "anyOf"):
            return None
        if fitting:
            return Misfit(path, f"it fits {fitting} forms of which it must have one")
        # What fits best went furthest.
        likely = [
            misfit
            for misfit, branch in zip(misfits, branches, strict=True)
            if misfit is not None and self._may_be(branch, kind)
        ]
        if len(likely) == 1:
            return likely[0]
        return Misfit(path, f"it has none of the {len(branches)} forms that it may have")

    def _may_be(self, node: Any, kind: str) -> bool:
        node = self.resolved(node) if isinstance(node, Mapping) else node
        if not isinstance(node, Mapping):
            return node is not False
        if "type" in node:
            kinds = _kinds(node["type"])
            return kind in kinds or (kind == "integer" and "number" in kinds)
        if "const" in node:
            return kind_of(node["const"]) == kind
        if isinstance(node.get("enum"), list):
            return any(kind_of(value) == kind for value in node["enum"])
        branches = node.get("anyOf") or node.get("oneOf")
        return branches is None or any(self._may_be(branch, kind) for branch in branches)


def _kinds(said: Any) -> tuple[str, ...]:
    return (said,) if isinstance(said, str) else tuple(said)


def _schemas_of(key: str, node: Mapping[str, Any]) -> list[Any]:
    found = [node["properties"][key]] if key in node.get("properties", ()) else []
    patterns = node.get("patternProperties", {})
    found += [schema for pattern, schema in patterns.items() if _matches(pattern, key)]
    return found or [node.get("additionalProperties")]


def _alone(value: Any, node: Mapping[str, Any]) -> str | None:
    """Return what of a value does not fit, its parts and other schemas aside."""
    if "const" in node and not _same(value, node["const"]):
        return f"it must be {node['const']!r}"
    if "enum" in node and not any(_same(value, each) for each in node["enum"]):
        return one_of(node["enum"])
    kind = kind_of(value)
    if "type" in node:
        kinds = _kinds(node["type"])
        is_whole = kind == "number" and value == value // 1 if kind == "number" else False
        also = ("number",) if kind == "integer" else ("integer",) if is_whole else ()
        if kind not in kinds and not any(other in kinds for other in also):
            return f"it must be {' or '.join(map(_with_article, kinds))}, not {_with_article(kind)}"
    check = _CHECKS.get(kind)
    return None if check is None else check(value, node)


def _with_article(kind: str) -> str:
    if kind == "null":
        return kind
    return f"{'an' if kind[0] in 'aio' else 'a'} {kind}"


def _same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal: ``true`` is not 1."""
    if isinstance(one, bool) is not isinstance(other, bool):
        return False
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    return bool(one == other)


def _of_number(value: Any, node: Mapping[str, Any]) -> str | None:
    for word, is_beyond, said in _BOUNDS:
        if word in node and not is_beyond(value, node[word]):
            return f"it must be {said} {node[word]}, not {value!r:.40}"
    step = node.get("multipleOf")
    if step:
        with suppress(OverflowError, ValueError):
            if abs(value / step - round(value / step)) > 1e-9:
                return f"it must be a multiple of {step}, not {value!r:.40}"
    return None


_BOUNDS: Final[tuple[tuple[str, Callable[[Any, Any], bool], str], ...]] = (
    ("minimum", lambda value, bound: value >= bound, "at least"),
    ("maximum", lambda value, bound: value <= bound, "at most"),
    ("exclusiveMinimum", lambda value, bound: value > bound, "more than"),
    ("exclusiveMaximum", lambda value, bound: value < bound, "less than"),
)


def _of_length(value: Any, node: Mapping[str, Any], what: str, unit: str) -> str | None:
    least, most = node.get(f"min{what}"), node.get(f"max{what}")
    if least is not None and len(value) < least:
        return f"it must have at least {least} {unit}, not {len(value)}"
    if most is not None and len(value) > most:
        return f"it must have at most {most} {unit}, not {len(value)}"
    return None


def _of_text(value: str, node: Mapping[str, Any]) -> str | None:
    if (said := _of_length(value, node, "Length", "characters")) is not None:
        return said
    if "pattern" in node and not _matches(node["pattern"], value):
        return f"it must match {node['pattern']!r}"
    return None


def _of_list(value: list[Any], node: Mapping[str, Any]) -> str | None:
    if (said := _of_length(value, node, "Items", "items")) is not None:
        return said
    if node.get("uniqueItems") is True:
        seen = {repr(item) for item in value}
        if len(seen) < len(value):
            return "its items must differ"
    return None


def _of_object(value: Mapping[str, Any], node: Mapping[str, Any]) -> str | None:
    missing = [key for key in node.get("required", ()) if key not in value]
    if missing:
        return f"{', '.join(map(repr, missing))} is missing"
    if node.get("additionalProperties") is False:
        patterns = node.get("patternProperties", ())
        for key in value.keys() - node.get("properties", {}).keys():
            if not any(_matches(pattern, key) for pattern in patterns):
                return f"it must not have {key!r}"
    return _of_length(value, node, "Properties", "members")


_CHECKS: Final[dict[str, Callable[[Any, Mapping[str, Any]], str | None]]] = {
    "integer": _of_number,
    "number": _of_number,
    "string": _of_text,
    "array": _of_list,
    "object": _of_object,
}


@lru_cache(256)
def _pattern(pattern: str) -> re.Pattern[str] | None:
    try:
        return re.compile(pattern)
    except (re.error, RecursionError, OverflowError):  # another dialect of patterns
        return None


def _matches(pattern: str, text: str) -> bool:
    compiled = _pattern(pattern)
    return compiled is None or compiled.search(text) is not None
