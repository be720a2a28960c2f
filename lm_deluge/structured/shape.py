"""``Shape``: the form that an answer is asked to have, whichever way it was said."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import UnionType
from typing import Any, Final, Union, get_args, get_origin

from lm_deluge.structured.checking import Checker, kind_of
from lm_deluge.values.foreign import type_name

__all__ = ["WRAPPED", "Shape", "shape_of"]

#: The member of the object that stands around what is no object, where only objects can be asked for.
WRAPPED: Final = "answer"

_KINDS: Final = frozenset({"object", "array", "string", "number", "integer", "boolean", "null"})
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9_]+")


class Shape:
    """What an answer is asked to be.

    ``given``: the class, the type or the schema. ``schema``: its JSON schema, as it says it; not to be
    changed. ``name``: what it is called on the wire. ``checker``: of parts of an answer. ``kinds``: what
    JSON calls the values it may have. ``is_wrapped``: whether it may be no object, so that an object is put
    around it where only objects can be asked for.
    """

    def __init__(
        self,
        given: object,
        schema: Mapping[str, Any],
        name: str,
        convert: Callable[[Any, bytes | None], Any],
    ) -> None:
        self.given: Final = given
        self.schema: Final = schema
        self.name: Final = (_NOT_IN_NAMES.sub("_", name).strip("_") or "answer")[:64]
        self.checker: Final = Checker(schema)
        self.kinds: Final = self._kinds_of(schema)
        self.is_wrapped: Final = self.kinds != {"object"} or not self._is_object(schema)
        self._convert = convert

    def __repr__(self) -> str:
        return f"Shape({self.name})"

    def __reduce__(self) -> tuple[Any, ...]:
        try:
            pickle.dumps(self.given)
        except Exception:  # noqa: BLE001 - a class of a function cannot be found again, and more
            return type(None), ()
        return shape_of, (self.given,)

    def converted(self, value: Any, text: bytes | None) -> Any:
        """Return what was asked for, made of JSON; ``text``: the same as it came, where that is known.

        Raises ``MisfitError``.
        """
        return self._convert(value, text)

    def _is_object(self, schema: Mapping[str, Any]) -> bool:
        node = self.checker.resolved(schema)
        return node is not None and node.get("type") == "object"

    def _kinds_of(self, node: Any, seen: frozenset[int] = frozenset()) -> frozenset[str]:
        if not isinstance(node, Mapping) or id(node) in seen:
            return _KINDS
        if "type" in node:
            kinds = node["type"]
            return frozenset((kinds,) if isinstance(kinds, str) else kinds)
        if "const" in node or isinstance(node.get("enum"), list):
            return frozenset(map(kind_of, node.get("enum", [node.get("const")])))
        seen = seen | {id(node)}
        if "$ref" in node:
            return self._kinds_of(self.checker.target(node["$ref"]), seen)
        branches = node.get("anyOf") or node.get("oneOf")
        if branches:
            return frozenset[str]().union(*(self._kinds_of(branch, seen) for branch in branches))
        for part in node.get("allOf", ()):
            if (kinds := self._kinds_of(part, seen)) != _KINDS:
                return kinds
        return frozenset({"object"}) if "properties" in node else _KINDS


def shape_of(schema: object, name: str = "schema") -> Shape:
    """Return the shape that a class, a type or a JSON schema asks for. ``name``: of the argument.

    Raises ``TypeError`` or ``ValueError`` for what asks for none, ``ImportError`` without the extra.
    """
    try:
        import jiter  # noqa: F401 - what reads whole answers
    except ImportError as error:
        raise ImportError(
            "structured answers need jiter: pip install 'lm-deluge-streaming[json]'", name="jiter"
        ) from error
    if isinstance(schema, Shape):
        return schema
    if isinstance(schema, Mapping):
        from lm_deluge.structured.given_schema import checked_schema, converter_of

        plain = checked_schema(schema, name)
        title = plain.get("title")
        title = title if isinstance(title, str) else "answer"
        return Shape(schema, plain, title, converter_of(plain))
    if not _is_type(schema):
        raise TypeError(
            f"{name} must be a class (pydantic, msgspec, attrs, a dataclass, a TypedDict), a type like "
            f"list[Recipe], or a JSON schema as a dict, not {type_name(schema)}{_hint(schema)}"
        )
    try:
        return _of_type(schema, name)
    except TypeError as error:
        if "unhashable" not in str(error):
            raise
        return _of_type.__wrapped__(schema, name)


def _is_type(schema: object) -> bool:
    kind = type(schema)
    if issubclass(kind, type):
        return True
    if kind.__module__ in ("typing", "typing_extensions", "types"):
        return get_origin(schema) is not None or kind.__name__ == "TypeAliasType"
    return kind.__name__ == "TypeAdapter" and kind.__module__.startswith("pydantic")


def _hint(schema: object) -> str:
    kind = type(schema)
    if any(
        hasattr(kind, name) for name in ("__attrs_attrs__", "__struct_fields__", "model_fields")
    ):
        return f": give the class, {kind.__name__}, not one of its objects"
    return ""


@lru_cache(256)
def _of_type(given: Any, name: str) -> Shape:
    from lm_deluge.structured.classes import schema_and_converter

    schema, convert = schema_and_converter(given, name)
    return Shape(given, schema, _named(given), convert)


def _named(given: Any) -> str:
    if get_origin(given) in (Union, UnionType):
        return "_or_".join(map(_named, get_args(given)))
    arguments = [_named(each) for each in get_args(given) if isinstance(each, type)]
    own = getattr(given, "__name__", None) or getattr(get_origin(given), "__name__", None)
    return "_".join([own if isinstance(own, str) else "answer", *arguments])
