"""What a class asks for, and how an answer becomes one: by msgspec, or by pydantic where it is pydantic's.

msgspec knows its own classes, those of attrs, dataclasses, typed dicts, named tuples and what the standard
library has besides. pydantic, which need not be installed, is asked of its own classes, of types in which
they occur, and of what msgspec cannot express (a union of two dataclasses).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Annotated, Any, Final, TypeAlias, get_args, get_origin, get_type_hints

import msgspec

from lm_deluge.structured.misfits import Misfit, MisfitError, Path
from lm_deluge.values.foreign import message_of, name_of

__all__ = ["schema_and_converter"]

Converter: TypeAlias = Callable[[Any, "bytes | None"], Any]

_AT: Final = re.compile(r" - at `(?:key(?: in |` in `))?\$(?P<path>.*)`$", re.DOTALL)
#: What stands for a key that is not told.
_ANY_KEY: Final = "[...]"
_STEP: Final = re.compile(r"\.(?P<name>[^.\[]+)|\[(?P<index>\d+)\]")


def schema_and_converter(given: Any, name: str) -> tuple[dict[str, Any], Converter]:
    """Return the JSON schema of a class or type, and what makes one of an answer's JSON.

    Raises ``TypeError`` for a class that says nothing of its fields. ``name``: of the argument.
    """
    if _mentions_pydantic(given, set()):
        return _by_pydantic(given, name)
    try:
        schema = msgspec.json.schema(given)
        return schema, _msgspec_converter(given, schema)
    except (TypeError, NameError) as error:
        try:
            return _by_pydantic(given, name)
        except (ImportError, TypeError):
            raise _no_schema(given, name, error) from error


def _no_schema(given: Any, name: str, error: BaseException) -> TypeError:
    return TypeError(
        f"{name} must be a class that says what its fields are, or a type made of such, and of "
        f"{_called(given)} there is no JSON schema: {message_of(error)}"
    )


def _called(given: Any) -> str:
    return name_of(given) if isinstance(given, type) else repr(given)


def _mentions_pydantic(given: Any, seen: set[int]) -> bool:
    """Whether a type is pydantic's, or says something in pydantic's words anywhere inside."""
    if id(given) in seen:
        return False
    seen.add(id(given))
    if get_origin(given) is Annotated:
        words = [type(each).__module__.partition(".")[0] for each in given.__metadata__]
        if any(word in ("pydantic", "annotated_types") for word in words):
            return True
    if type(given).__module__.startswith("pydantic"):
        return True
    if isinstance(given, type) and any(
        hasattr(given, name) for name in ("__pydantic_validator__", "__pydantic_core_schema__")
    ):
        return True
    if any(_mentions_pydantic(each, seen) for each in get_args(given)):
        return True
    if not isinstance(given, type) or given.__module__ in ("builtins", "typing"):
        return False
    if not getattr(given, "__annotations__", None):
        return False
    try:
        hints = get_type_hints(given, include_extras=True)
    except Exception:  # noqa: BLE001 - a class may name what cannot be found; msgspec says so
        return False
    return any(_mentions_pydantic(hint, seen) for hint in hints.values())


def _msgspec_converter(given: Any, schema: dict[str, Any]) -> Converter:
    def convert(value: Any, text: bytes | None) -> Any:
        try:
            return msgspec.convert(value, given, str_keys=True)
        except msgspec.ValidationError as error:
            raise MisfitError(_msgspec_misfit(str(error), schema, value)) from error
        except RecursionError:
            raise MisfitError(Misfit((), "it nests too deeply")) from None

    return convert


def _msgspec_misfit(message: str, schema: dict[str, Any], value: Any) -> Misfit:
    found = _AT.search(message)
    path: Path = ()
    if found is not None:
        message = message[: found.start()]
        before, unnamed, _ = found["path"].partition(_ANY_KEY)
        path = tuple(
            int(step["index"]) if step["index"] else step["name"] for step in _STEP.finditer(before)
        )
        if unnamed:
            # The key is not told; the schema finds it.
            from lm_deluge.structured.checking import Checker

            misfit = Checker(schema).misfit(value, schema)
            path = path if misfit is None else misfit.path
    if missing := re.search(r"missing required field `(.*)`$", message):
        return Misfit((*path, missing[1]), message)
    from lm_deluge.structured.accepted import accepted_at, one_of

    listed = accepted_at(schema, path)
    return Misfit(path, f"{message}: {one_of(listed)}" if listed else message)


def _by_pydantic(given: Any, name: str) -> tuple[dict[str, Any], Converter]:
    from pydantic import TypeAdapter, ValidationError
    from pydantic.errors import PydanticUserError

    try:
        adapter = given if isinstance(given, TypeAdapter) else TypeAdapter(given)
        schema = adapter.json_schema()
    except (PydanticUserError, NameError) as error:
        raise _no_schema(given, name, error) from error

    def convert(value: Any, text: bytes | None) -> Any:
        # From text, since a strict model takes a date from JSON alone.
        source = json.dumps(value).encode() if text is None else text
        try:
            return adapter.validate_json(source)
        except ValidationError as error:
            raise MisfitError(_pydantic_misfit(value, error)) from error

    return schema, convert


def _pydantic_misfit(value: Any, error: Any) -> Misfit:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    path: list[str | int] = []
    places = first["loc"]
    for at, place in enumerate(places):
        # Names of classes of a union stand among them.
        if place in (value if isinstance(value, dict) else range(_length(value))):
            value = value[place]
        elif first["type"] != "missing" or at < len(places) - 1:
            continue
        path.append(place)
    return Misfit(tuple(path), first["msg"])


def _length(value: Any) -> int:
    return len(value) if isinstance(value, list) else 0
