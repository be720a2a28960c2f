"""What pydantic, and so FastAPI, asks a class that is not its own; without importing either.

A core schema is a plain dict (``pydantic_core.core_schema`` has the keys), and the handler that comes
with the question makes those of types that pydantic knows itself.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from functools import partial
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec
from attrs import NOTHING, fields, has

__all__ = ["pydantic_schema"]


def pydantic_schema(cls: type[Any], source: Any, handler: Any) -> dict[str, Any]:
    """``__get_pydantic_core_schema__`` of an attrs class, for ``classmethod(pydantic_schema)``.

    Instances pass as they are; a mapping becomes one, by ``from_dict`` where the class has it. It is
    written, as JSON too, as ``to_dict`` has it, or as a dict of its fields.
    """
    shape = _shape(cls, handler)
    read = getattr(cls, "from_dict", None) or partial(msgspec.convert, type=cls)
    from_mapping = {
        "type": "function-after",
        "function": {"type": "no-info", "function": read},
        "schema": shape,
    }
    return {
        "type": "json-or-python",
        "json_schema": from_mapping,
        "python_schema": {
            "type": "union",
            "choices": [{"type": "is-instance", "cls": cls}, from_mapping],
        },
        "serialization": {
            "type": "function-plain",
            "function": getattr(cls, "to_dict", None) or _fields_of,
            "return_schema": shape,
        },
    }


def _fields_of(value: Any) -> Any:
    return msgspec.to_builtins(value, enc_hook=str)


def _shape(cls: type[Any], handler: Any) -> dict[str, Any]:
    """Return the schema of the dict that an instance is written as."""
    hints = get_type_hints(cls)
    return {
        "type": "typed-dict",
        "cls": cls,
        "extra_behavior": "ignore",
        "fields": {
            attribute.name: {
                "type": "typed-dict-field",
                "schema": _schema_of(hints[attribute.name], handler),
                "required": attribute.default is NOTHING,
            }
            for attribute in fields(cls)
            if attribute.init
        },
    }


def _schema_of(kind: Any, handler: Any) -> Any:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType) and len(arguments) == 2 and type(None) in arguments:
        (inner,) = (argument for argument in arguments if argument is not type(None))
        return {"type": "nullable", "schema": _schema_of(inner, handler)}
    if origin is list:
        return {"type": "list", "items_schema": _schema_of(arguments[0], handler)}
    if isinstance(kind, type) and has(kind):
        return _shape(kind, handler)
    return handler.generate_schema(dict[str, Any] if origin is Mapping else kind)
