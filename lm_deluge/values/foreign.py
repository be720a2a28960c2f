"""What can be said of objects that are not ours.

Their names, messages and reprs may raise, lie, be no text, or be endless, and the program's logging may
fail; none of that may reach whoever only wants to tell of them. ``KeyboardInterrupt`` and
``SystemExit`` go on from here.
"""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from inspect import CO_ITERABLE_COROUTINE
from types import CoroutineType, GeneratorType
from typing import Any, Final, TypeAlias

__all__ = [
    "is_awaitable",
    "is_exit",
    "log",
    "message_of",
    "name_of",
    "shown",
    "traceback_of",
    "type_name",
]

_logger: Final = logging.getLogger("lm_deluge")

#: Characters of a message, and of a traceback, that are told.
_MESSAGE: Final = 2_000
_TRACEBACK: Final = 20_000

_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_NAME_OF: Final = type.__dict__["__name__"].__get__

Redact: TypeAlias = Callable[[str], str]
_EXITS: Final = (KeyboardInterrupt, SystemExit)


def name_of(kind: object) -> str:
    """Return the name of a class, whatever its metaclass says."""
    return _presentable(_NAME_OF(kind), _MESSAGE)


def type_name(value: object) -> str:
    """Return the name of ``type(value)``."""
    return name_of(type(value))


def message_of(error: BaseException, redact: Redact | None = None) -> str:
    """Return ``str(error)``, redacted, cut at 2,000 characters, without lone surrogates."""
    return _told(str, error, _MESSAGE, redact)


def shown(value: object, limit: int = 200) -> str:
    """Return ``repr(value)``, cut at so many characters, without lone surrogates."""
    return _told(repr, value, limit)


def traceback_of(error: BaseException, redact: Redact | None = None) -> str:
    """Return the traceback as text, with causes and contexts, redacted; its last 20,000 characters."""
    return _told(_formatted, error, _TRACEBACK, redact, end=True)


def log(
    level: int, message: str, *values: object, extra: Mapping[str, object] | None = None
) -> None:
    """Log to ``lm_deluge``. What a filter or handler of the program's raises must not end a stream."""
    try:
        _logger.log(level, message, *values, extra=extra)
    except _EXITS:
        raise
    except BaseException as error:  # noqa: BLE001 - there is nowhere left to tell of it
        with suppress(Exception):
            error.__traceback__ = None  # its frames hold what is told of


def is_exit(error: BaseException) -> bool:
    """Whether it ends the program: ``KeyboardInterrupt``, ``SystemExit``, or a group with one."""
    kind = type(error)
    if issubclass(kind, _EXITS):
        return True
    if not issubclass(kind, BaseExceptionGroup) or issubclass(kind, Exception):
        return False
    group: Any = error
    return any(is_exit(member) for member in BaseExceptionGroup.exceptions.__get__(group))


def is_awaitable(value: object) -> bool:
    """Whether ``await value`` is possible, by its type: what an object says of itself is not asked."""
    kind = type(value)
    if kind is CoroutineType:
        return True
    if kind is GeneratorType:
        generator: Any = value
        return bool(generator.gi_code.co_flags & CO_ITERABLE_COROUTINE)
    return any(vars(link).get("__await__") is not None for link in kind.__mro__)


def _formatted(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


def _told(
    how: Callable[[Any], str],
    value: object,
    limit: int,
    redact: Redact | None = None,
    *,
    end: bool = False,
) -> str:
    try:
        text = how(value)
        if redact is not None:  # before anything is cut
            text = redact(_plain(text))
    except _EXITS:
        raise
    except BaseException as error:  # noqa: BLE001 - whatever its __str__ or __repr__ raises
        verb = how.__name__.strip("_")
        text = f"<{type_name(value)}: {verb}() of it raised {type_name(error)}>"
    return _presentable(text, limit, end=end)


def _plain(text: str) -> str:
    return str.__getitem__(text, slice(None))


def _presentable(text: str, limit: int, *, end: bool = False) -> str:
    # Of a subclass of str its characters are taken, not its methods.
    size = str.__len__(text)
    if size > limit:
        kept = str.__getitem__(text, slice(size - limit, size) if end else slice(limit))
        told = f"… {kept}" if end else f"{kept}…"
        text = f"{told} ({size:,} characters)" if not end else told
    else:
        text = _plain(text)
    return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)
