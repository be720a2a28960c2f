"""Arguments checked where they are given: each error names the argument and what is accepted."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeVar

from lm_deluge.foreign import type_name
from lm_deluge.handler_methods import methods_of
from lm_deluge.method_names import METHODS
from lm_deluge.plain import plain_number, plain_tags, plain_text

__all__ = [
    "checked_bound",
    "checked_dict",
    "checked_handlers",
    "checked_instance",
    "checked_names",
    "checked_seconds",
    "checked_tags",
    "listed_handlers",
]

T = TypeVar("T")

#: Seconds; what is more is infinity, or an int that no float can hold.
_LONGEST: Final = sys.float_info.max


def checked_handlers(handlers: Iterable[object]) -> tuple[object, ...]:
    """Return handlers as a tuple; ``TypeError`` for what is none."""
    handlers = listed_handlers(handlers)
    for handler in handlers:
        methods_of(handler)
    return handlers


def listed_handlers(handlers: Iterable[object]) -> tuple[object, ...]:
    """Return handlers as a tuple; ``TypeError`` for what is no list. ``attach`` looks at each."""
    if isinstance(handlers, (list, tuple)):
        return tuple(handlers)
    if isinstance(handlers, (str, bytes, Mapping)) or not isinstance(handlers, Iterable):
        message = f"handlers must be a list of handlers, not {type_name(handlers)}"
        raise TypeError(message)
    if _is_handler(handlers):
        # One that is iterable, too (a MagicMock), would pass for a list of none.
        message = f"handlers must be a list of handlers, not one handler: [{type_name(handlers)}()]"
        raise TypeError(message)
    return tuple(handlers)


def _is_handler(value: object) -> bool:
    try:
        return any(hasattr(value, name) for name in METHODS)
    except Exception:  # noqa: BLE001 - an object may raise anything when it is asked
        return True


def checked_instance(name: str, value: T, kind: type[T]) -> T:
    """Return ``value`` if it is a ``kind``; ``TypeError`` naming the argument otherwise."""
    if not isinstance(value, kind):
        message = f"{name} must be {kind.__name__}(...), not {type(value).__name__}"
        raise TypeError(message)
    return value


def checked_dict(name: str, value: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a copy of a dict with ``str`` keys, ``{}`` for ``None``; ``TypeError`` otherwise."""
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        message = f"{name} must be a dict with str keys, not {type(value).__name__}"
        raise TypeError(message)
    return {plain_text(key): value[key] for key in value}


def checked_tags(name: str, value: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a copy of tags with plain texts and numbers; ``ValueError`` for a lone surrogate."""
    tags = checked_dict(name, value)
    if tags:
        tags = plain_tags(tags, name)
    return tags


def checked_names(name: str, value: Iterable[str]) -> tuple[str, ...]:
    """Return names as a tuple; ``TypeError`` for a lone ``str``."""
    if isinstance(value, str):
        message = f"{name} must be a list of model names, not the str {value!r}"
        raise TypeError(message)
    return tuple(map(plain_text, value))


def checked_seconds(name: str, value: float) -> float:
    """Return seconds, 0 or more; ``ValueError`` otherwise."""
    value = plain_number(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= _LONGEST:
        message = f"{name} must be a number of seconds, 0 or more, not {value!r}"
        raise ValueError(message)
    return float(value)


def checked_bound(name: str, value: int | None) -> int | None:
    """Return an integer of at least 1, or ``None``; ``ValueError`` otherwise."""
    value = plain_number(value)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        message = f"{name} must be an integer of at least 1, or None for no bound; not {value!r}"
        raise ValueError(message)
    return value
