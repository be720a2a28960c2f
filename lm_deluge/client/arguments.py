"""Arguments checked where they are given: each error names the argument and what is accepted."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from lm_deluge.dialects import dialect_named
from lm_deluge.dialects.asked import checked_extra_body
from lm_deluge.observers.handler_methods import methods_of
from lm_deluge.observers.method_names import METHODS
from lm_deluge.values.addresses import validate_headers
from lm_deluge.values.checks import (
    checked_dict,
    checked_flag,
    checked_names,
    checked_path,
    checked_text,
)
from lm_deluge.values.foreign import type_name

if TYPE_CHECKING:
    from lm_deluge.engine.prices import Prices, Pricing
    from lm_deluge.recording import Recorder

__all__ = [
    "checked_body",
    "checked_dialect",
    "checked_fallbacks",
    "checked_handlers",
    "checked_header_value",
    "checked_recorder",
    "checked_resume",
    "listed_handlers",
    "pricing_by",
]


def checked_header_value(name: str, value: str | None) -> str | None:
    """Return a text that goes into a header; ``ValueError`` for what no header can hold."""
    checked: str | None = checked_text(name, value, optional=True, empty=True)
    validate_headers({name: checked or ""}, name)
    return checked


def checked_dialect(dialect: str | None) -> str | None:
    """Return the name of a dialect; ``ValueError`` for what is none."""
    name: str | None = checked_text("dialect", dialect, optional=True)
    if name is not None:
        dialect_named(name)
    return name


def checked_resume(resume: bool, dialect: str | None) -> bool:  # noqa: FBT001 - the argument's own form
    """Return whether answers are resumed; ``ValueError`` beside a dialect that cannot."""
    if checked_flag("resume", resume) and dialect not in (None, "responses"):
        raise ValueError(f'with resume=True dialect must be "responses", not {dialect!r}')
    return resume


def checked_recorder(record: str | os.PathLike[str] | Recorder | None) -> Recorder | None:
    """Return what records; ``TypeError`` or ``ValueError`` for what is neither it nor a path."""
    if record is None:
        return None
    from lm_deluge.recording import Recorder

    return record if isinstance(record, Recorder) else Recorder(checked_path("record", record))


def checked_body(value: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a copy of what is added to every body; raise for what none may hold, by its name."""
    body = checked_dict("extra_body", value)
    if body:
        checked_extra_body(body)
    return body


def checked_fallbacks(value: Iterable[str]) -> tuple[str, ...]:
    """Return names of models in their order; ``TypeError`` for what has none, ``ValueError`` for no name."""
    if isinstance(value, (set, frozenset)):
        raise TypeError("fallback_models must be a list of model names, in order, not a set")
    names = checked_names("fallback_models", value, what="model names")
    if not all(name.strip() for name in names):
        raise ValueError("fallback_models has an empty name in it")
    return names


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


def pricing_by(prices: Prices) -> Pricing:
    """Return what asks a function for costs; ``TypeError`` for what cannot be called."""
    # Most programs go by the built-in list.
    from lm_deluge.engine.prices import Pricing

    given: object = prices
    if not callable(given):
        message = f"prices must be a function of model and usage, or None, not {type_name(given)}"
        raise TypeError(message)
    return Pricing(prices)
