"""What a proxy tells of beside streams: requests that do not stream, and what was not understood."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from inspect import iscoroutine
from typing import Any

from attrs import frozen

from lm_deluge.values.foreign import is_exit, log, message_of, type_name

__all__ = ["Note", "PassedRequest", "Telling"]


@frozen(eq=False, kw_only=True)
class PassedRequest:
    """A request that did not stream its answer, and went through.

    ``id``: unique across machines. ``model``: ``None`` where it names none. ``status``: ``None`` where no
    answer came. ``wait``: seconds until the answer began. ``elapsed``: until it was over, or broke.
    ``bytes``: of the answer's body, as they came.
    """

    id: str
    model: str | None
    status: int | None
    wait: float | None
    elapsed: float
    bytes: int


@frozen(eq=False, kw_only=True)
class Note:
    """Something that was not understood; it passed on all the same.

    ``id``: of the stream or request. ``elapsed``: seconds from t0. ``offset``: bytes of the body before it.
    ``what``: in words that quote nothing.
    """

    id: str
    elapsed: float
    offset: int
    what: str


class Telling:
    """Those of the handlers that want to hear it: they have ``on_request(request)`` or ``on_note(note)``.

    Plain methods. What one raises is logged once and stops nobody.
    """

    def __init__(self, handlers: Sequence[object]) -> None:
        self._handlers = {
            name: [method for one in handlers if callable(method := getattr(one, name, None))]
            for name in ("on_request", "on_note")
        }
        self._failed: set[Any] = set()

    def request(self, request: PassedRequest) -> None:
        """Tell of a request that did not stream."""
        self._tell("on_request", request)

    def note(self, note: Note) -> None:
        """Tell of what was not understood."""
        self._tell("on_note", note)

    def _tell(self, name: str, told: object) -> None:
        method: Callable[[object], object]
        for method in self._handlers[name]:
            try:
                result = method(told)
                if iscoroutine(result):
                    result.close()
                    message = f"{name} must be a plain method"
                    raise TypeError(message)  # noqa: TRY301 - told as any other failure
            except BaseException as error:
                if is_exit(error):
                    raise
                if (method, type(error)) not in self._failed:
                    self._failed.add((method, type(error)))
                    log(
                        logging.ERROR,
                        "handler %s failed in %s: %s: %s",
                        type_name(getattr(method, "__self__", method)),
                        name,
                        type_name(error),
                        message_of(error),
                    )
