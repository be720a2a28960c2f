"""Handlers: objects with some of the six methods, and the bridge from them to the signals."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from types import FunctionType, TracebackType
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from attrs import define, field
from blinker import ANY

from lm_deluge.signals import SIGNALS, StreamSignal

if TYPE_CHECKING:
    from typing import Self

    from lm_deluge.errors import StreamError
    from lm_deluge.payloads import Delta, Retry, Token
    from lm_deluge.response import APIResponse
    from lm_deluge.stream import Stream

__all__ = ["Attachment", "Roster", "Sender", "StreamHandler", "attach", "process_roster"]

METHODS: Final = tuple(signal.name for signal in SIGNALS)


class StreamHandler:
    """Base class of handlers: every method does nothing.

    A handler need not derive from it; any object with some of these methods will do. Methods may be
    plain or ``async def``. Plain ones run on the event loop and must not block; ``async`` ones run
    in order off the reading path. Neither can hurt the stream: what they raise is logged and listed
    in ``handler_failures``.
    """

    def on_start(self, stream: Stream) -> Any:
        """The first attempt is about to be sent."""

    def on_token(self, stream: Stream, token: Token) -> Any:
        """A piece of visible answer text arrived."""

    def on_delta(self, stream: Stream, delta: Delta) -> Any:
        """A piece of reasoning, of a refusal or of a tool call arrived."""

    def on_retry(self, stream: Stream, retry: Retry) -> Any:
        """An attempt failed before any output, and another follows."""

    def on_complete(self, stream: Stream, response: APIResponse) -> Any:
        """The answer is whole."""

    def on_error(self, stream: Stream, error: StreamError) -> Any:
        """The stream ended any other way."""


@define(eq=False)
class Roster:
    """The handlers attached to one stream, or to the process, in order."""

    attachments: tuple[Attachment, ...] = ()


class Sender:
    """What handlers can be attached to: the base of ``Stream``."""

    def __init__(self) -> None:
        self.roster: Final = Roster()

    def deliver(self, attachment: Attachment, name: str, *payload: Any) -> None:
        """Call one method of one attached handler; implemented by the engine."""
        raise NotImplementedError


process_roster: Final = Roster()


@define(eq=False)
class Attachment:
    """A handler attached to one stream or to the whole process; undone by ``detach()``.

    It can be used in a ``with`` statement, and holds the handler strongly until it is undone.
    """

    handler: object
    label: str
    methods: dict[str, Callable[..., Any]]
    queued: frozenset[str]
    # The alias is attrs' own rule, said aloud for type checkers that do not know it.
    _roster: Roster = field(alias="roster")
    _sender: Any = field(alias="sender", repr=False)

    def detach(self) -> None:
        """Undo the attachment; a second time does nothing."""
        if self not in self._roster.attachments:
            return
        self._roster.attachments = tuple(
            other for other in self._roster.attachments if other is not self
        )
        StreamSignal.changes += 1
        for signal in SIGNALS:
            if signal.name in self.methods and not any(
                signal.name in other.methods for other in self._roster.attachments
            ):
                router = _PROCESS_ROUTERS if self._sender is ANY else _STREAM_ROUTERS
                signal.disconnect(router[signal.name], self._sender)
        self._sender = ANY

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.detach()


def attach(handler: object, sender: Any = ANY) -> Attachment:
    """Attach a handler to one stream, or (``sender=ANY``, the default) to all of the process.

    ``handler``: any object with some of the methods of ``StreamHandler``. Handlers of the process hear
    first, then those of the stream, each group in the order of attaching. Attaching and detaching
    in the middle of a stream takes effect with the next piece.

    Raises ``TypeError`` if the handler has none of the six methods or if ``sender`` is no ``Stream``.
    """
    roster: Roster
    if sender is ANY:
        roster = process_roster
    elif isinstance(sender, Sender):
        roster = sender.roster
    else:
        message = f"sender must be a Stream or blinker.ANY, not {type(sender).__name__}"
        raise TypeError(message)
    methods = methods_of(handler)
    attachment = Attachment(
        handler=handler,
        label=type(handler).__name__,
        methods=methods,
        queued=frozenset(name for name, method in methods.items() if _is_async(method)),
        roster=roster,
        sender=sender,
    )
    routers = _PROCESS_ROUTERS if sender is ANY else _STREAM_ROUTERS
    for signal in SIGNALS:
        if signal.name in methods and not any(
            signal.name in other.methods for other in roster.attachments
        ):
            signal.connect(routers[signal.name], sender, weak=False)
    roster.attachments = (*roster.attachments, attachment)
    StreamSignal.changes += 1
    return attachment


def methods_of(handler: object) -> dict[str, Callable[..., Any]]:
    """Return a handler's methods by name, without those it inherits from ``StreamHandler``.

    Raises ``TypeError`` for what cannot be a handler, with the likely typo.
    """
    if isinstance(handler, type):
        message = f"a handler must be an object, not the class {handler.__name__}: call it first"
        raise TypeError(message)
    methods: dict[str, Callable[..., Any]] = {}
    for name in METHODS:
        method = getattr(handler, name, None)
        if method is None:
            continue
        if not callable(method):
            message = f"{type(handler).__name__}.{name} must be callable, not {method!r}"
            raise TypeError(message)
        if getattr(method, "__func__", None) is not getattr(StreamHandler, name):
            methods[name] = method
    if methods or type(handler) is StreamHandler:
        return methods
    near = [
        f"{name} (did you mean {match[0]}?)"
        for name in dir(handler)
        if not name.startswith("_") and (match := difflib.get_close_matches(name, METHODS, 1, 0.7))
    ]
    found = f"; it has {', '.join(near)}" if near else ""
    message = (
        f"{type(handler).__name__} is no handler: it has none of the methods "
        f"{', '.join(METHODS)}{found}"
    )
    raise TypeError(message)


#: Whether a function is ``async``: asked for every handler of every stream, and slow to find out.
_known_async: Final[WeakKeyDictionary[FunctionType, bool]] = WeakKeyDictionary()


def _is_async(method: Any) -> bool:
    function = getattr(method, "__func__", None)
    if type(function) is not FunctionType:
        return _find_async(method)
    known = _known_async.get(function)
    if known is None:
        known = _known_async[function] = _find_async(method)
    return known


def _find_async(method: Any) -> bool:
    while hasattr(method, "func"):  # functools.partial
        method = method.func
    return inspect.iscoroutinefunction(method) or inspect.iscoroutinefunction(
        getattr(method, "__call__", None)  # noqa: B004 - an object with async __call__
    )


def _router(signal: StreamSignal, roster_of: Callable[[Sender], Roster]) -> Callable[..., None]:
    """Return the one receiver through which attached handlers hear a signal.

    Connected per sender instead of the handlers themselves: blinker's order is undefined, and it
    never lets go of a strong receiver that was connected to one sender.
    """
    name = signal.name

    def route(sender: Sender, **payload: Any) -> None:
        for attachment in roster_of(sender).attachments:
            if name in attachment.methods:
                sender.deliver(attachment, name, *payload.values())

    return route


_STREAM_ROUTERS: Final = {
    signal.name: _router(signal, lambda sender: sender.roster) for signal in SIGNALS
}
_PROCESS_ROUTERS: Final = {
    signal.name: _router(signal, lambda sender: process_roster) for signal in SIGNALS
}
ROUTER_IDS: Final = frozenset(
    id(router) for router in (*_STREAM_ROUTERS.values(), *_PROCESS_ROUTERS.values())
)
