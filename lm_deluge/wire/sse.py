"""Server-sent events: bytes in, events out (WHATWG HTML, section 9.2).

The decoder does no I/O. It splits on bytes, so a character or a line end may be cut between two
reads, and leaves UTF-8 to whoever reads an event's data.
"""

from __future__ import annotations

import msgspec

from lm_deluge.errors import LimitExceededError

__all__ = ["Event", "EventDecoder"]

_BOM = b"\xef\xbb\xbf"
DEFAULT_MAX_EVENT_BYTES = 8 * 1024 * 1024


class Event(msgspec.Struct, frozen=True, gc=False):
    """One dispatched event.

    ``data``: its data lines joined with LF. ``event``: its type, ``""`` for a plain message. ``id``:
    the last event id in force. ``retry``: the last reconnection time in force, in milliseconds.

    A msgspec struct and not an attrs class: it never leaves the protocol layer and there is one per
    token, where it costs a third.
    """

    data: bytes
    event: str = ""
    id: str = ""
    retry: int | None = None


class EventDecoder:
    """Turns the reads of one response body into events.

    ``feed(data)`` returns the events that became whole with these bytes; ``close()`` the last one,
    if its blank line is missing. Both raise ``LimitExceededError`` when an event is larger than
    ``max_event_bytes``, comments not counted. Time is linear in the bytes fed, however they are cut;
    memory is bounded by twice that size.
    """

    def __init__(self, max_event_bytes: int = DEFAULT_MAX_EVENT_BYTES) -> None:
        self._max_event_bytes = max_event_bytes
        self._tail = bytearray()
        self._ended_in_cr = False
        self._at_start = True
        self._id = ""
        self._retry: int | None = None

    @property
    def pending(self) -> int:
        """Bytes kept of an event that is not whole yet."""
        return len(self._tail)

    def feed(self, data: bytes) -> list[Event]:
        """Return the events that these bytes complete."""
        if b"\r" in data or self._ended_in_cr:
            data = self._with_lf(data)
        tail = self._tail
        if tail:
            searched = len(tail) - 1
            tail += data
            if tail.find(b"\n\n", searched) < 0:
                # Twice the bound, so that a shedding that reads it all is paid for by what came in.
                if len(tail) > 2 * self._max_event_bytes:
                    self._shed_comments()
                return []
            data = bytes(tail)
            tail.clear()
        blocks = data.split(b"\n\n")
        rest = blocks.pop()
        if rest:
            tail += rest
        if len(data) > self._max_event_bytes:
            for block in blocks:
                self._check_size(block)
        events: list[Event] = []
        for block in blocks:
            # What nearly every block is: one data line and no state to carry.
            if block[:6] == b"data: " and b"\n" not in block and not self._id:
                events.append(Event(block[6:], "", "", self._retry))
                self._at_start = False
            elif (event := self._parse(block)) is not None:
                events.append(event)
        return events

    def close(self) -> list[Event]:
        """Return the event whose blank line never came, if there is one."""
        block = bytes(self._tail)
        self._tail.clear()
        if block.endswith(b"\n"):
            block = block[:-1]
        event = self._parse(block)
        return [] if event is None else [event]

    def _with_lf(self, data: bytes) -> bytes:
        """Make every line end LF. A CR ends its line at once; a LF that follows it is swallowed."""
        if self._ended_in_cr and data[:1] == b"\n":
            data = data[1:]
            self._ended_in_cr = False
        if data:
            self._ended_in_cr = data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _parse(self, block: bytes) -> Event | None:
        if self._at_start:
            self._at_start = False
            block = block.removeprefix(_BOM)
        name = ""
        lines: list[bytes] = []
        for line in block.split(b"\n"):
            key, _, value = line.partition(b":")
            if value[:1] == b" ":
                value = value[1:]
            if key == b"data":
                lines.append(value)
            elif key == b"event":
                name = value.decode("utf-8", "replace")
            elif key == b"id":
                if b"\0" not in value:
                    self._id = value.decode("utf-8", "replace")
            elif key == b"retry" and value.isdigit() and len(value) < 16:
                self._retry = int(value)
        if not lines:
            return None
        return Event(b"\n".join(lines), name, self._id, self._retry)

    def _check_size(self, block: bytes) -> bytes:
        """Return the block without its whole comment lines; raise if it is too large even so."""
        if len(block) > self._max_event_bytes:
            *lines, last = block.split(b"\n")
            block = b"".join(line + b"\n" for line in lines if line[:1] != b":") + last
            if len(block) > self._max_event_bytes:
                raise LimitExceededError(
                    "max_event_bytes", limit=self._max_event_bytes, value=len(block)
                )
        return block

    def _shed_comments(self) -> None:
        self._tail[:] = self._check_size(bytes(self._tail))
