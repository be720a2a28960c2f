"""Handlers: objects with some of the six methods, and the bridge from them to the signals."""

from __future__ import annotations

from collections.abc import Callable, Set
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from attrs import define, field
from blinker import ANY

from lm_deluge.handler_methods import StreamHandler, methods_of
from lm_deluge.locking import LOCK
from lm_deluge.signals import SIGNALS, StreamSignal

if TYPE_CHECKING:
    from typing import Self

__all__ = ["Attachment", "Roster", "Sender", "StreamHandler", "attach", "process_roster"]


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

    handler: object = field(repr=False)
    label: str
    methods: dict[str, Callable[..., Any]] = field(repr=False)
    queued: Set[str] = field(repr=False)
    # The alias is attrs' own rule, said aloud for type checkers that do not know it.
    _roster: Roster = field(alias="roster")
    _sender: Any = field(alias="sender", repr=False)

    def detach(self) -> None:
        """Undo the attachment; a second time does nothing."""
        with LOCK:
            self._detach()

    def _detach(self) -> None:
        if self not in self._roster.attachments:
            return
        self._roster.attachments = tuple(
            other for other in self._roster.attachments if other is not self
        )
        StreamSignal.note_change()
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
    in the middle of a stream takes effect with the next piece. Both may be done in any thread.

    Raises ``TypeError`` if the handler has none of the six methods, a misspelt one, or one that cannot
    be called as it would be; and if ``sender`` is no ``Stream``.
    """
    roster: Roster
    if sender is ANY:
        roster = process_roster
    elif isinstance(sender, Sender):
        roster = sender.roster
    else:
        message = f"sender must be a Stream or blinker.ANY, not {type(sender).__name__}"
        raise TypeError(message)
    label, methods, queued = methods_of(handler)
    attachment = Attachment(
        handler=handler,
        label=label,
        methods=methods,
        queued=queued,
        roster=roster,
        sender=sender,
    )
    routers = _PROCESS_ROUTERS if sender is ANY else _STREAM_ROUTERS
    with LOCK:
        for signal in SIGNALS:
            if signal.name in methods and not any(
                signal.name in other.methods for other in roster.attachments
            ):
                signal.connect(routers[signal.name], sender, weak=False)
        roster.attachments = (*roster.attachments, attachment)
        StreamSignal.note_change()
    return attachment


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
