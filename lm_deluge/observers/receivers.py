"""Receivers of signals that are no handlers, and exceptions that they may keep."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from lm_deluge.errors import StreamError
from lm_deluge.values.foreign import type_name

__all__ = ["by_keyword", "label_of", "let_go"]


def by_keyword(receiver: Callable[..., Any], keyword: str | None) -> Callable[..., Any]:
    """Make a raw receiver callable with (stream, payload), as handlers' methods are."""
    if keyword is None:
        return receiver
    return lambda stream, payload: receiver(stream, **{keyword: payload})


def label_of(receiver: Callable[..., Any]) -> str:
    """Return what a receiver is called in a failure."""
    try:
        name = receiver.__qualname__
    except Exception:  # noqa: BLE001 - an object may raise anything when it is asked
        name = None
    return name if type(name) is str else type_name(receiver)


def let_go(error: BaseException, stream_id: str) -> None:
    """Take the traceback off an exception that its handler may keep, and raise again and again.

    It was logged; its frames hold the stream, and it would grow each time. Those of an error of this
    stream are cleared at the end.
    """
    with suppress(Exception):
        trace = error.__traceback__
        ours = issubclass(type(error), StreamError) and error.stream_id == stream_id  # type: ignore[attr-defined]
        error.__traceback__ = trace.tb_next if ours and trace is not None else None
