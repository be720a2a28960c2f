"""What a type hint is to a model (a JSON schema), and how a value of JSON becomes one of it.

By msgspec what msgspec knows; by pydantic, where it is installed, its own models and the rest.
"""

from __future__ import annotations

import importlib.util
import json
import pathlib
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Final

import msgspec
from attrs import frozen

__all__ = ["Reader", "gathered", "reader_of"]

#: Where a schema keeps those that it names.
_DEFS: Final = "$defs"
_REF: Final = "#/$defs/"


@frozen
class Reader:
    """``schema``: of one type. ``read``: makes a value of the type; raises ``ValueError`` with a sentence."""

    schema: dict[str, Any]
    read: Callable[[Any], Any]


def reader_of(hint: Any) -> Reader:
    """Return the reader of a type hint; ``TypeError`` for a type that has no schema."""
    if hint is Any or hint is object:
        return Reader({}, lambda value: value)
    if _is_for_pydantic(hint) and _has_pydantic():
        return _by_pydantic(hint)
    try:
        return _by_msgspec(hint)
    except Exception as error:
        if not _has_pydantic():
            raise TypeError(str(error).splitlines()[-1]) from error
        try:
            return _by_pydantic(hint)
        except Exception as other:
            raise TypeError(str(other).splitlines()[0]) from other


def gathered(properties: Mapping[str, dict[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return schemas whose definitions stand in one place, and the definitions.

    Two different ones of one name get names of their own.
    """
    named: dict[str, Any] = {}
    told: dict[str, Any] = {}
    for key, schema in properties.items():
        own = schema.get(_DEFS, {})
        renamed = {name: _free(name, body, named) for name, body in own.items()}
        for name, body in own.items():
            named[renamed[name]] = _moved(body, renamed)
        told[key] = _moved({name: schema[name] for name in schema if name != _DEFS}, renamed)
    return told, named


def _free(name: str, body: Any, named: Mapping[str, Any]) -> str:
    free, number = name, 1
    while free in named and named[free] != body:
        number += 1
        free = f"{name}{number}"
    return free


def _moved(schema: Any, renamed: Mapping[str, str]) -> Any:
    if isinstance(schema, dict):
        moved = {key: _moved(value, renamed) for key, value in schema.items()}
        ref = moved.get("$ref")
        if isinstance(ref, str) and ref.startswith(_REF):
            name = ref.removeprefix(_REF)
            moved["$ref"] = _REF + renamed.get(name, name)
        return moved
    return [_moved(item, renamed) for item in schema] if isinstance(schema, list) else schema


def _by_msgspec(hint: Any) -> Reader:
    schema = msgspec.json.schema(hint, schema_hook=_schema_of_other)

    def read(value: Any) -> Any:
        try:
            return _converted(value, hint, strict=True)
        except msgspec.ValidationError as error:
            try:
                # "3" for a number: what models write when they mean one.
                return _converted(value, hint, strict=False)
            except msgspec.ValidationError:
                raise ValueError(str(error).replace("`$", "`").replace("`.", "`")) from error

    return Reader(schema, read)


def _converted(value: Any, hint: Any, *, strict: bool) -> Any:
    return msgspec.convert(value, hint, strict=strict, str_keys=True, dec_hook=_other_of)


def _schema_of_other(kind: type) -> dict[str, Any]:
    if kind is object:
        return {}
    if isinstance(kind, type) and issubclass(kind, pathlib.PurePath):
        return {"type": "string", "format": "path"}
    raise NotImplementedError(f"{kind!r} has no JSON schema")


def _other_of(kind: type, value: Any) -> Any:
    if kind is object:
        return value
    if issubclass(kind, pathlib.PurePath) and isinstance(value, str):
        return kind(value)
    raise TypeError(f"Expected a text, got {type(value).__name__}")


def _has_pydantic() -> bool:
    return importlib.util.find_spec("pydantic") is not None


def _is_for_pydantic(hint: Any) -> bool:
    """Whether a hint says something that pydantic alone understands."""
    return any(_is_pydantics(part) for part in _parts(hint))


def _parts(hint: Any) -> Iterator[Any]:
    yield hint
    if typing.get_origin(hint) is Annotated:
        yield from hint.__metadata__
        yield from _parts(hint.__origin__)
        return
    for part in typing.get_args(hint):
        yield from _parts(part)


def _is_pydantics(part: Any) -> bool:
    kind = part if isinstance(part, type) else type(part)
    home = getattr(kind, "__module__", None) or ""
    if home.partition(".")[0] in ("pydantic", "annotated_types"):
        return True
    return isinstance(part, type) and hasattr(part, "__pydantic_validator__")


def _by_pydantic(hint: Any) -> Reader:
    from pydantic import TypeAdapter, ValidationError

    adapter: Any = TypeAdapter(hint)
    schema = adapter.json_schema()

    def read(value: Any) -> Any:
        try:
            # As JSON: a date is a text, a set a list.
            return adapter.validate_json(json.dumps(value))
        except ValidationError as error:
            raise ValueError("; ".join(_told(each) for each in error.errors())) from error

    return Reader(schema, read)


def _told(error: Mapping[str, Any]) -> str:
    place = ".".join(str(part) for part in error["loc"])
    return f"{error['msg']} - at `{place}`" if place else str(error["msg"])
