"""Handlers: objects with some of the methods, and the bridge from them to the signals."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Set
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final
from weakref import ref

from attrs import define, field
from blinker import ANY

from lm_deluge.observers.handler_methods import methods_of
from lm_deluge.observers.method_names import IMPLIED
from lm_deluge.signals import SIGNALS, StreamSender, StreamSignal
from lm_deluge.values.locking import LOCK

if TYPE_CHECKING:
    from typing import Self

__all__ = ["Attachment", "Roster", "Sender", "attach", "process_roster"]


@define(eq=False)
class Roster:
    """The handlers attached to one stream, or to the process, in order.

    ``tells_objects``: whether one of them has ``on_object``.
    """

    attachments: tuple[Attachment, ...] = ()
    tells_objects: bool = False


class Sender(StreamSender):
    """What handlers can be attached to: the base of ``Stream``."""

    def __init__(self) -> None:
        self.roster: Final = Roster()

    #: What the answer was asked to be, a ``Shape``.
    shape: Any = None

    @property
    def id(self) -> str:
        """Unique across machines."""
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
    # It is not kept alive by what is attached to it. The alias is attrs' own rule, said aloud for type
    # checkers that do not know it.
    _sender: Callable[[], Any] = field(alias="sender", repr=False)

    def detach(self) -> None:
        """Undo the attachment; a second time does nothing."""
        with LOCK:
            self._detach()

    def _detach(self) -> None:
        sender = self._sender()
        if sender is None:
            return
        roster, routers = _listeners(sender)
        if self not in roster.attachments:
            return
        roster.attachments = tuple(other for other in roster.attachments if other is not self)
        if roster.tells_objects:
            roster.tells_objects = any("on_object" in each.methods for each in roster.attachments)
        StreamSignal.note_change()
        heard = _heard_by(roster) if roster.attachments else ()
        own = self.methods if "on_object" not in self.methods else _hears(self.methods)
        for signal in SIGNALS:
            if signal.name in own and signal.name not in heard:
                signal.disconnect(routers[signal.name], sender)

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

    Raises ``TypeError`` if the handler has none of the methods, a misspelt one, or one that cannot
    be called as it would be; and if ``sender`` is no ``Stream``.
    """
    if sender is not ANY and not isinstance(sender, Sender):
        message = f"sender must be a Stream or blinker.ANY, not {type(sender).__name__}"
        raise TypeError(message)
    label, methods, queued = methods_of(handler)
    attachment = Attachment(
        handler=handler,
        label=label,
        methods=methods,
        queued=queued,
        sender=_process if sender is ANY else ref(sender),
    )
    roster, routers = _listeners(sender)
    with LOCK:
        heard = _heard_by(roster) if roster.attachments else ()
        own = methods if "on_object" not in methods else _hears(methods)
        for signal in SIGNALS:
            if signal.name in own and signal.name not in heard:
                signal.connect(routers[signal.name], sender, weak=False)
        roster.attachments = (*roster.attachments, attachment)
        roster.tells_objects = roster.tells_objects or "on_object" in methods
        StreamSignal.note_change()
    return attachment


def _listeners(sender: Any) -> tuple[Roster, dict[str, Callable[..., None]]]:
    """Return where the handlers of a sender stand, and what stands for them among the receivers."""
    if sender is ANY:
        return process_roster, _PROCESS_ROUTERS
    return sender.roster, _STREAM_ROUTERS


def _heard_by(roster: Roster) -> set[str]:
    """Return the names of the signals that those attached hear."""
    heard: set[str] = set()
    for attachment in roster.attachments:
        heard.update(_hears(attachment.methods))
    return heard


def _hears(methods: Mapping[str, object]) -> Collection[str]:
    """Return the names of the signals that a handler with these methods hears."""
    if "on_object" not in methods:
        return methods
    return methods.keys() | IMPLIED["on_object"]


def _process() -> Any:
    """Return the sender that stands for all."""
    return ANY


def _router() -> Callable[..., None]:
    """Return what stands for the attached handlers among a signal's receivers; the stream calls them.

    Connected per sender instead of the handlers themselves: blinker's order is undefined, and it
    never lets go of a strong receiver that was connected to one sender.
    """

    def route(sender: object, **payload: object) -> None:
        """Do nothing: a sender that is no stream has no handlers."""

    return route


_STREAM_ROUTERS: Final = {signal.name: _router() for signal in SIGNALS}
_PROCESS_ROUTERS: Final = {signal.name: _router() for signal in SIGNALS}
ROUTER_IDS: Final = frozenset(
    id(router) for router in (*_STREAM_ROUTERS.values(), *_PROCESS_ROUTERS.values())
)
