"""What a store of a relay promises: an append-only log for each stream, read from anywhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, cast

from attrs import frozen

from lm_deluge_plugins.relay.frames import Frame

if TYPE_CHECKING:
    from lm_deluge_plugins.relay.stores.log import Reading

__all__ = [
    "LogWriter",
    "Producer",
    "Store",
    "StoreError",
    "UnknownStreamError",
    "Unread",
    "checked_id",
]

_LONGEST_ID = 200


class StoreError(Exception):
    """The store cannot be reached, or lost what it held. Whoever reads may try again."""


class UnknownStreamError(LookupError):
    """The store has no such stream: there never was one, or its time to live has passed."""


class Unread(Protocol):
    """Hears whether nobody reads a stream now."""

    def __call__(self, *, nobody: bool) -> None: ...


@frozen(kw_only=True)
class Producer:
    """What a store tells the one who writes a stream; called in the writer's event loop.

    ``stop``: somebody asks for its end, for the reason given. ``unread``: whether nobody reads it now.
    """

    stop: Callable[[str], None]
    unread: Unread


class LogWriter(Protocol):
    """Writes one stream's log."""

    async def begin(self) -> None:
        """Wait until the log can be opened from anywhere, before its first frame."""

    def append(self, frames: Sequence[Frame]) -> None:
        """Take frames, in the order of their numbers; never waits.

        Raises ``StoreError``, once, when an earlier one could not be stored.
        """

    async def is_read(self) -> bool:
        """Whether anybody reads the stream, anywhere; ``True`` where that cannot be known."""
        ...

    async def finish(self) -> None:
        """Wait until everything is stored, the ending included; ``StoreError`` if it cannot be."""

    async def leave(self) -> None:
        """Let go of the stream without an ending, as a process that dies does."""


class Store(Protocol):
    """Where frames are. One object serves all streams of an event loop."""

    def write(self, stream_id: str, producer: Producer) -> LogWriter:
        """Begin a stream's log; ``ValueError`` if this process writes one of that id already."""
        ...

    async def open(self, stream_id: str, after: int = 0) -> Reading:
        """Begin to read after frame number ``after``; every reading is to be closed.

        Raises ``UnknownStreamError``, and ``StoreError`` where that cannot be known.
        """
        ...

    async def close_reading(self, stream_id: str, reading: Reading) -> None:
        """End what ``open`` began."""

    async def stop(self, stream_id: str, reason: str) -> bool:
        """Ask the producer, wherever it is, to end the stream; whether the stream was running."""
        ...

    async def name(self, key: str, stream_id: str) -> None:
        """Let ``key`` stand for a stream from now on, and for no other."""

    async def named(self, key: str) -> str | None:
        """Return the id of the stream that ``key`` stands for, ``None`` for none."""

    async def frames(self, stream_id: str, after: int = 0) -> list[Frame]:
        """Return what the log has after frame number ``after``, without being a reader.

        Raises ``UnknownStreamError``, and ``StoreError`` where that cannot be known.
        """
        ...

    async def claim(
        self, log_id: str, reader: str, stream_id: str, first: int, last: int
    ) -> int | None:
        """Note that a reader told of pieces of a stream; return that reader's number in the log, from 0.

        ``None`` where it told of one of them before, or too many readers told. ``reader``: any name.
        """
        ...

    async def close(self) -> None:
        """Let go of connections and tasks. What is stored stays."""


def checked_id(name: str, value: str) -> str:
    """Return an id or a key; ``TypeError`` or ``ValueError`` for what none can be."""
    if not isinstance(cast("object", value), str):
        raise TypeError(f"{name} must be a string, not {type(value).__name__}")
    if (
        not 1 <= len(value) <= _LONGEST_ID
        or not value.isprintable()
        or "{" in value
        or "}" in value
    ):
        raise ValueError(
            f"{name} must be 1 to {_LONGEST_ID} printable characters without braces, not {value[:50]!r}"
        )
    return value
