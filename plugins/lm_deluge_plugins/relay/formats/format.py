"""What a wire format is: frames in, bytes of a response out. Pure, one object a reader."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from lm_deluge_plugins.relay.frames import Frame

__all__ = ["HEADERS", "HEARTBEAT", "Encoder", "event_of"]

#: Headers that keep proxies from holding a stream of events back or changing it.
HEADERS: Final[Mapping[str, str]] = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
}

#: A comment: every reader of server-sent events passes over it.
HEARTBEAT: Final = b": heartbeat\n\n"


class Encoder(Protocol):
    """Turns one log's frames into one response's body.

    ``headers``: of the response. ``is_resumable``: whether a reader may begin behind a frame; without it
    every reader gets all of the log.
    """

    @property
    def headers(self) -> Mapping[str, str]:
        """Of the response."""
        ...

    @property
    def is_resumable(self) -> bool:
        """Whether a reader may begin behind a frame."""
        ...

    def encode(self, frame: Frame) -> bytes:
        """Return what the next frame comes to; ``b""`` where the format has no words for it."""
        ...

    def heartbeat(self) -> bytes:
        """Return bytes that say nothing."""
        ...

    def unavailable(self, message: str) -> bytes:
        """Return what says that the log cannot be read on for now, and that trying again may help."""
        ...


def event_of(data: bytes) -> bytes:
    """Return one server-sent event with the JSON given, which has no line break in it."""
    return b"data: " + data + b"\n\n"
