"""Arguments checked where they are given: each error names the argument and what is accepted.

``TypeError`` for a wrong type, ``ValueError`` for a wrong value. What is given may be any object: its
own ``__eq__`` is not asked, and its ``__repr__`` may raise or be endless.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from lm_deluge.values.foreign import shown, type_name
from lm_deluge.values.plain import (
    encodable,
    plain_number,
    plain_tags,
    plain_text,
)

__all__ = [
    "checked_dict",
    "checked_flag",
    "checked_instance",
    "checked_integer",
    "checked_names",
    "checked_number",
    "checked_one_of",
    "checked_path",
    "checked_tags",
    "checked_text",
    "wrong_type",
    "wrong_value",
]

T = TypeVar("T")


def wrong_type(name: str, accepted: str, value: object) -> TypeError:
    """Return the error for a value of a type that is not accepted."""
    return TypeError(f"{name} must be {accepted}, not {shown(value)}")


def wrong_value(name: str, accepted: str, value: object) -> ValueError:
    """Return the error for a value of the right type that is not accepted."""
    return ValueError(f"{name} must be {accepted}, not {shown(value)}")


def checked_number(
    name: str,
    value: Any,
    low: float,
    high: float | None = None,
    *,
    above: bool = False,
    optional: str = "",
    words: tuple[str, ...] = (),
    unit: str = "a number",
) -> Any:
    """Return a finite number in a range, one of ``words``, or ``None`` if ``optional`` says what it means."""
    value = plain_number(value)
    if (value is None and optional) or (isinstance(value, str) and value in words):
        return value
    accepted = f"{unit} {_range(low, high, above=above)}"
    accepted += "".join(f" or {word!r}" for word in words)
    accepted += f" or None ({optional})" if optional else ""
    if isinstance(value, bool) or not isinstance(value, int | float):
        wrong = wrong_value if isinstance(value, str) and words else wrong_type
        raise wrong(name, accepted, value)
    too_low = value <= low if above else value < low
    if not _is_finite(value) or too_low or (high is not None and value > high):
        raise wrong_value(name, accepted, value)
    return value


def checked_integer(
    name: str, value: Any, low: int, high: int | None = None, *, optional: str = ""
) -> Any:
    """Return an integer in a range, or ``None`` if ``optional`` says what it means."""
    value = plain_number(value)
    if value is None and optional:
        return None
    accepted = f"an integer {_range(low, high)}"
    accepted += f" or None ({optional})" if optional else ""
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong_type(name, accepted, value)
    if value < low or (high is not None and value > high):
        raise wrong_value(name, accepted, value)
    return value


def _range(low: float, high: float | None, *, above: bool = False) -> str:
    if high is None:
        return f"{'greater than' if above else 'at least'} {low}"
    return f"from {low} to {high}"


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an int that no float can hold
        return False


def checked_flag(name: str, value: Any, *, optional: str = "") -> Any:
    """Return ``True`` or ``False``, or ``None`` if ``optional`` says what it means."""
    if isinstance(value, bool) or (value is None and optional):
        return value
    raise wrong_type(name, "True or False" + (f" or None ({optional})" if optional else ""), value)


def checked_text(name: str, value: Any, *, optional: bool = False, empty: bool = False) -> Any:
    """Return a text as a plain ``str``; ``empty``: whether it may be. ``ValueError`` for a lone surrogate."""
    if value is None and optional:
        return None
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, not {type_name(value)}")
    if not empty and not value.strip():
        raise ValueError(f"{name} is empty: it must be a text")
    return encodable(plain_text(value), name)


def checked_one_of(
    name: str, value: Any, accepted: Sequence[str], *, optional: bool = False
) -> Any:
    """Return one of some words, or ``None`` if it is ``optional``."""
    if value is None and optional:
        return None
    listed = f"one of {', '.join(accepted)}"
    if not isinstance(value, str):
        raise wrong_type(name, listed, value)
    if value not in accepted:
        raise wrong_value(name, listed, value)
    return plain_text(value)


def checked_instance(name: str, value: Any, kind: type[T]) -> T:
    """Return ``value`` if it is a ``kind``."""
    if not isinstance(value, kind):
        message = f"{name} must be {kind.__name__}(...), not {type_name(value)}"
        raise TypeError(message)
    return value


def checked_dict(name: str, value: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a copy of a dict with ``str`` keys, ``{}`` for ``None``."""
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        message = f"{name} must be a dict with str keys, not {type_name(value)}"
        raise TypeError(message)
    return {plain_text(key): value[key] for key in value}


def checked_tags(name: str, value: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a copy of tags with plain texts and numbers; ``ValueError`` for a lone surrogate."""
    tags = checked_dict(name, value)
    if tags:
        tags = plain_tags(tags, name)
    return tags


def checked_names(
    name: str, value: Iterable[str], accepted: Sequence[str] | None = None, what: str = "names"
) -> tuple[str, ...]:
    """Return names as a tuple, ``TypeError`` for a lone ``str`` or a dict. ``accepted``: of what."""
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        raise wrong_type(name, f"a list of {what}", value)
    names = tuple(value)
    for each in names:
        if accepted is not None:
            checked_one_of(f"each of {name}", each, accepted)
        elif not isinstance(each, str):
            raise TypeError(f"{name} must be a list of {what}, not with {shown(each)} in it")
    return tuple(map(plain_text, names))


def checked_path(name: str, value: Any) -> str:
    """Return the path of a file as a ``str``."""
    if not isinstance(value, (str, os.PathLike)):
        raise TypeError(f"{name} must be the path of a file, not {type_name(value)}")
    path = os.fspath(value)
    if not isinstance(path, str):
        raise TypeError(f"{name} must be the path of a file as a str, not {type_name(path)}")
    if not path:
        raise ValueError(f"{name} is empty: it must be the path of a file")
    return path
