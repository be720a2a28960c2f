"""``events``: the relay's own format, frames as they are, by which a reader can go on anywhere."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from lm_deluge_plugins.relay.formats.format import HEADERS, HEARTBEAT
from lm_deluge_plugins.relay.frames import Frame

__all__ = ["Events"]


class Events:
    """One server-sent event a frame: ``id:`` is its number, ``data:`` its JSON.

    A browser's ``EventSource`` comes back with the last id by itself. The ending is an item of the last
    event: ``complete``, ``error`` or ``cancelled``.
    """

    headers: Mapping[str, str] = HEADERS
    is_resumable: bool = True

    def encode(self, frame: Frame) -> bytes:
        """Return one event."""
        return b"id: %d\ndata: %b\n\n" % (frame.number, frame.data)

    def heartbeat(self) -> bytes:
        """Return a comment."""
        return HEARTBEAT

    def unavailable(self, message: str) -> bytes:
        """Return an event without an id, of the name ``unavailable``."""
        data = msgspec.json.encode({"message": message, "retryable": True})
        return b"event: unavailable\ndata: %b\n\n" % data
