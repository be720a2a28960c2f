"""What users give, as plain Python: subclasses and look-alikes of ``str``, ``int``, ``float`` and ``dict``.

Normalised once, where a value is given: what lies behind (bodies, logs, pickles, hashes) sees builtins
alone. Whatever ``json.dumps`` takes is taken, and keeps on the wire what it is there; so is what means
a number (``__index__``, ``__float__``).
"""

from __future__ import annotations

import contextlib
import math
import operator
from collections.abc import Mapping
from typing import Any

import attrs

__all__ = ["encodable", "plain_fields", "plain_json", "plain_number", "plain_tags", "plain_text"]


def plain_text(value: Any) -> Any:
    """Return a ``str`` of a subclass as ``str``, an enumeration's member by its value; all else as it is."""
    return str.__str__(value) if isinstance(value, str) and type(value) is not str else value


def plain_number(value: Any) -> Any:
    """Return what means a number as ``int`` or ``float``; all else, ``bool`` included, as it is."""
    kind = type(value)
    if kind is int or kind is float or kind is bool:
        return value
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, float):
        return float.__float__(value)
    # Not those of numpy: its truth values are no numbers either.
    if isinstance(value, (str, bytes, bytearray)) or kind.__name__ in ("bool", "bool_"):
        return value
    for method, meaning in (("__index__", operator.index), ("__float__", float)):
        if hasattr(kind, method):
            with contextlib.suppress(Exception):  # an object of the user's own may raise anything
                return meaning(value)
    return value


def plain_fields(cls: type, fields: list[attrs.Attribute[Any]]) -> list[attrs.Attribute[Any]]:
    """Make every field of an attrs class plain before it is checked: ``define(field_transformer=…)``.

    Type checkers do not look at it, so that constructors keep the types of their fields.
    """
    return [
        field.evolve(converter=_plain_field) if field.converter is None else field
        for field in fields
    ]


def _plain_field(value: Any) -> Any:
    return plain_text(value) if isinstance(value, str) else plain_number(value)


def plain_json(value: Any, where: str) -> Any:
    """Return a value that JSON can hold as dicts with ``str`` keys, lists and plain scalars; a copy.

    Keys become texts as ``json.dumps`` writes them. ``where``: what the messages name.

    Raises:
        TypeError: what JSON cannot hold.
        ValueError: NaN or infinity, a lone surrogate, or what holds itself or nests too deeply.
    """
    try:
        return _plain(value, where)
    except RecursionError:
        raise ValueError(f"{where} nests too deeply for JSON, or holds itself") from None


def _plain(value: Any, where: str) -> Any:
    kind = type(value)
    if kind is str:
        return value if value.isascii() else encodable(value, where)
    if value is None or kind is int or kind is bool:
        return value
    if isinstance(value, Mapping):
        plain = {}
        for key, item in value.items():
            # Most are plain as they are: a call for each would cost more than sending them.
            name = key if type(key) is str and key.isascii() else _key(key, where)
            is_plain = type(item) is str and item.isascii()
            plain[name] = item if is_plain else _plain(item, f"{where}[{key!r}]")
        return plain
    if isinstance(value, (list, tuple)):
        return [_plain(item, f"{where}[{at}]") for at, item in enumerate(value)]
    if isinstance(value, str):
        return encodable(plain_text(value), where)
    number = plain_number(value)
    if type(number) is int:
        return number
    if type(number) is float:
        if not math.isfinite(number):
            raise ValueError(f"{where} is {number!r}, which JSON cannot hold")
        return number
    raise TypeError(
        f"{where} must be what JSON can hold (None, bool, int, float, str, list or dict), "
        f"not {kind.__name__}"
    )


def _key(key: Any, where: str) -> str:
    if isinstance(key, str):
        return encodable(plain_text(key), f"a key of {where}")
    if key is None or key is True or key is False:
        return {None: "null", True: "true", False: "false"}[key]
    if isinstance(key, int):
        return int.__repr__(key)
    if isinstance(key, float):
        if not math.isfinite(key):
            raise ValueError(f"a key of {where} is {float(key)!r}, which JSON cannot hold")
        return float.__repr__(key)
    raise TypeError(f"a key of {where} must be a str, not {type(key).__name__}")


def plain_tags(value: Any, where: str) -> Any:
    """Return tags with their texts, numbers and dicts plain, and whatever else they hold as it is.

    Raises ``ValueError`` for a lone surrogate.
    """
    try:
        return _plain_tag(value, where)
    except RecursionError:
        return value


def _plain_tag(value: Any, where: str) -> Any:
    kind = type(value)
    if isinstance(value, str):
        return encodable(plain_text(value), where)
    if value is None or kind is int or kind is float or kind is bool:
        return value
    if isinstance(value, Mapping):
        return {
            _plain_tag(key, f"a key of {where}"): _plain_tag(item, f"{where}[{key!r}]")
            for key, item in value.items()
        }
    if kind is list or kind is tuple:
        return kind(_plain_tag(item, f"{where}[{at}]") for at, item in enumerate(value))
    return plain_number(value)


def encodable(text: str, where: str) -> str:
    """Return a text; ``ValueError`` naming ``where`` for a lone surrogate, which UTF-8 cannot hold."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ValueError(
                f"{where} holds a lone surrogate ({text[error.start]!a} at character "
                f"{error.start}), which cannot be sent as UTF-8"
            ) from None
    return text
