"""The six signals of a stream. The sender is always the ``Stream``.

Connect a plain function; it is called as ``receiver(stream, token=token)`` and so on::

    from lm_deluge.signals import on_token

    @on_token.connect
    def count(stream, token): ...

``connect(receiver)`` observes every stream of the process, ``connect(receiver, sender=stream)`` one.
blinker holds receivers weakly unless told ``weak=False``: keep a reference to yours. For objects with
several methods, for ``async`` ones, and for a fixed order, use ``lm_deluge.attach``.

A program may send a signal itself, in the thread of the stream's event loop:
``on_token.send(stream, token=token)`` is heard as what the stream says, by receivers and attached
handlers, by each once; a failure among them is in ``handler_failures`` and stops nobody. After the
stream's end nobody hears anything. The response is not changed by it. ``send_async`` is blinker's own:
attached handlers do not hear it, and nothing is isolated.

    on_start ──> on_token | on_delta ... ──> on_complete | on_error
        └──> on_retry ... ──┘
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, Final, TypeVar

from blinker import ANY, NamedSignal

from lm_deluge.values.locking import LOCK

__all__ = ["on_complete", "on_delta", "on_error", "on_retry", "on_start", "on_token"]

F = TypeVar("F", bound=Callable[..., Any])


class StreamSender:
    """What stream signals are sent of: the base of ``Stream``."""

    def deliver(self, signal: StreamSignal, *payload: Any) -> None:
        """Let everyone who listens hear a signal; implemented by ``Stream``."""
        raise NotImplementedError


class StreamSignal(NamedSignal):
    """A blinker signal that counts its changes, so that the engine need not resolve receivers
    for every token to notice one that comes or goes in the middle of a stream. Unlike blinker's own,
    it may be changed by several threads.

    ``payload``: the keyword of its payload, ``None`` if it has none.
    """

    #: Connects and disconnects of all stream signals of the process so far.
    changes = 0

    def __init__(self, name: str, payload: str | None, doc: str) -> None:
        super().__init__(name, doc)
        self.payload: Final = payload

    @property
    def is_muted(self) -> bool:
        """Whether ``muted()`` holds it; a change, too."""
        return self._is_muted

    @is_muted.setter
    def is_muted(self, muted: bool) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        self._is_muted = muted
        StreamSignal.note_change()

    @staticmethod
    def note_change() -> None:
        """Let everyone who listens be looked up anew."""
        with LOCK:
            StreamSignal.changes += 1

    def send(self, sender: Any = None, /, **payload: Any) -> list[tuple[Callable[..., Any], Any]]:
        """Send by hand; see the module's docstring. Of a stream, nobody's result is returned.

        Raises ``TypeError`` if the payload is not the one that the signal has.
        """
        if not isinstance(sender, StreamSender):
            return super().send(sender, **payload)
        if set(payload) != ({self.payload} if self.payload is not None else set()):
            message = f"{self.name} is sent with {self.payload or 'no payload'} alone"
            raise TypeError(message)
        sender.deliver(self, *payload.values())
        return []

    def connect(self, receiver: F, sender: Any = ANY, weak: bool = True) -> F:  # noqa: FBT001, FBT002 - blinker's signature
        """Connect ``receiver``; see the module's docstring."""
        with LOCK:
            connected = super().connect(receiver, sender, weak)
            StreamSignal.changes += 1
        return connected

    def disconnect(self, receiver: Callable[..., Any], sender: Any = ANY) -> None:
        """Disconnect ``receiver`` from one sender, or from all."""
        with LOCK:
            super().disconnect(receiver, sender)
            StreamSignal.changes += 1

    def receivers_for(self, sender: Any) -> Generator[Callable[..., Any]]:
        """Yield who hears ``sender``, in no order; all are looked up at once."""
        with LOCK:
            receivers = tuple(super().receivers_for(sender))
        yield from receivers

    # What blinker calls when a receiver or a sender is collected, in whichever thread that is.

    def _disconnect(self, receiver_id: Any, sender_id: Any) -> None:
        with LOCK:
            super()._disconnect(receiver_id, sender_id)

    def _make_cleanup_sender(self, sender_id: Any) -> Callable[[Any], None]:
        cleanup = super()._make_cleanup_sender(sender_id)

        def locked(sender: Any) -> None:
            with LOCK:
                cleanup(sender)

        return locked


on_start = StreamSignal(
    "on_start",
    None,
    """Once per stream: the first attempt is about to be sent; ``stream.started_at`` is set.""",
)
on_token = StreamSignal(
    "on_token", "token", """A piece of visible answer text arrived: ``token``, a ``Token``."""
)
on_delta = StreamSignal(
    "on_delta",
    "delta",
    """Reasoning, refusal text or a fragment of a tool call arrived: ``delta``, a ``Delta``.""",
)
on_retry = StreamSignal(
    "on_retry",
    "retry",
    """An attempt failed before any output, or is resumed, and another follows: ``retry``, a ``Retry``.""",
)
on_complete = StreamSignal(
    "on_complete",
    "response",
    """The answer is whole: ``response``, the ``APIResponse`` that ``client.stream()`` returns.""",
)
on_error = StreamSignal(
    "on_error",
    "error",
    """The stream ended any other way: ``error``, a ``StreamError`` with what was received.""",
)

SIGNALS: Final = (on_start, on_token, on_delta, on_retry, on_complete, on_error)
