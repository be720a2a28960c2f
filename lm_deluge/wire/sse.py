"""Server-sent events: bytes in, events out (WHATWG HTML, section 9.2).

The decoder does no I/O. It splits on bytes, so a character or a line end may be cut between two
reads, and leaves UTF-8 to whoever reads an event's data.
"""

from __future__ import annotations

import re

import msgspec

from lm_deluge.errors import LimitExceededError

__all__ = ["Event", "EventDecoder"]

_BOM = b"\xef\xbb\xbf"
# Regular expressions, because a list of the lines of a hostile block would be many times its size.
_FIELD = re.compile(rb"^(data|event|id|retry)(?:: ?([^\n]*))?$", re.MULTILINE)
_COMMENT = re.compile(rb"^:[^\n]*\n", re.MULTILINE)
_KNOWN = re.compile(rb"^(?:data|event|id|retry)?(?::[^\n]*)?(?:\n|\Z)", re.MULTILINE)
_OTHER = re.compile(rb"^(?!(?:data|event|id|retry)?(?::|$))[^\n]+$", re.MULTILINE)
_DATA = re.compile(rb"^data(?:: ?|$)", re.MULTILINE)
_ERROR = re.compile(rb"^error: ?", re.MULTILINE | re.IGNORECASE)
#: What the end of a body left of its last line, where that is the beginning of a field's name or of the mark.
_CUT_NAME = re.compile(
    rb"(?:\A\xef\xbb?|(?:^|\A\xef\xbb\xbf)(?:d|da|dat|e|ev|eve|even|i|r|re|ret|retr))\Z",
    re.MULTILINE,
)
_LF, _CR = b"\n\r"
_STRAY = 4096
_MOST_LINES = 1000
_SHED = 64 * 1024
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

    ``feed(data)`` returns the events that became whole with these bytes, in two steps: ``blocks`` splits
    a read, ``events_in`` reads one block, in order. ``close()`` returns the last event, if its blank
    line is missing. ``error``: set when an event is larger than ``max_event_bytes``,
    comments not counted; the events before it were returned, nothing follows. It is no exception, so
    that what came in the same read is not lost. Time is linear in the bytes fed, however they are
    cut; memory is bounded by twice that size and one read.

    ``takes_bare``: what servers send in place of an event, or beside its data, is one, too, where the
    standard ignores it: the field ``error`` is an event of that type, and bare JSON is the data of an
    event. ``stray``: the first bytes of other lines that are no fields of the standard, to show where
    there was nothing else.
    """

    __slots__ = (
        "_at_start",
        "_body",
        "_body_at",
        "_ended_in_cr",
        "_first_shed",
        "_id",
        "_is_idle",
        "_max_event_bytes",
        "_retry",
        "_shed_at",
        "_tail",
        "_tail_at",
        "_takes_bare",
        "error",
        "stray",
    )

    def __init__(
        self, max_event_bytes: int = DEFAULT_MAX_EVENT_BYTES, *, takes_bare: bool = False
    ) -> None:
        self.error: LimitExceededError | None = None
        self.stray = b""
        self._takes_bare = takes_bare
        self._max_event_bytes = max_event_bytes
        self._tail = bytearray()
        self._first_shed = self._shed_at = min(_SHED, 2 * max_event_bytes)
        # For ``offset_of``: the events of the last read, where they begin, where the tail begins.
        self._body = b""
        self._body_at = 0
        self._tail_at = 0
        self._ended_in_cr = False
        self._at_start = True
        self._id = ""
        self._retry: int | None = None
        # Whether nothing of the bytes so far bears on where the next block ends.
        self._is_idle = False

    def blocks(self, data: bytes) -> list[bytes]:
        """Take one network read; return the blocks that it completes, which hold an event each, or none.

        A block is what stands between two blank lines, its line ends LF. ``events_in`` reads it.
        """
        # Nearly every read of live traffic is one block, and asked first such a read costs a third.
        # Numbers, because asking whether bytes are in bytes costs ten times as much (CPython 3.11).
        if (
            self._is_idle
            and 2 < len(data) <= self._max_event_bytes
            and data[-1] == _LF == data[-2]
            and _CR not in data
            and (_LF not in (body := data[:-2]) or b"\n\n" not in body)
        ):
            self._body, self._body_at = body, self._tail_at
            self._tail_at += len(data)
            return [body]
        blocks = self._blocks(data)
        self._is_idle = not (self._tail or self._ended_in_cr) and self.error is None
        return blocks

    def feed(self, data: bytes) -> list[Event]:
        """Return the events that these bytes complete."""
        return [event for block in self.blocks(data) for event in self.events_in(block)]

    def _blocks(self, data: bytes) -> list[bytes]:
        if self.error is not None:
            return []
        if b"\r" in data or self._ended_in_cr:
            data = self._with_lf(data)
        tail = self._tail
        if tail:
            searched = len(tail) - 1
            tail += data
            if tail.find(b"\n\n", searched) < 0:
                if len(tail) > self._shed_at:
                    self._shed_comments()
                return []
            data = bytes(tail)
            tail.clear()
            self._shed_at = self._first_shed
        cut = data.rfind(b"\n\n")
        if cut < 0:
            self._keep(data)
            return []
        body = data[:cut]
        self._body, self._body_at = body, self._tail_at
        self._tail_at += cut + 2
        blocks = body.split(b"\n\n")
        if len(body) > self._max_event_bytes:
            blocks = self._fitting(blocks)
        if (rest := data[cut + 2 :]) and self.error is None:
            self._keep(rest)
        return blocks

    def close(self) -> list[Event]:
        """Return the event whose blank line never came, if there is one."""
        tail = bytes(self._tail)
        block = tail.removesuffix(b"\n") if tail.endswith(b"\n") else _CUT_NAME.sub(b"", tail)
        self._tail.clear()
        self._body, self._body_at = block, self._tail_at
        return self.events_in(block) if self._fitting([block]) else []

    @property
    def size(self) -> int:
        """Bytes of the blocks that the last read completed, at most."""
        return len(self._body)

    def offset_of(self, position: int) -> int:
        """Return where the data of an event begins, in bytes of the body.

        ``position``: the event's place among those of the last read, or of ``close``. A line end counts
        as one byte, whichever it is.
        """
        offset = self._body_at
        for block in self._body.split(b"\n\n") if self._body else ():
            has_bom = offset == 0 and block.startswith(_BOM)
            begins = _begins(block.removeprefix(_BOM) if has_bom else block, self._takes_bare)
            if position < len(begins):
                return offset + begins[position] + (len(_BOM) if has_bom else 0)
            position -= len(begins)
            offset += len(block) + len(b"\n\n")
        return offset

    def _keep(self, rest: bytes) -> None:
        """Keep the beginning of an event that is not whole yet."""
        self._tail += rest
        if len(rest) > self._shed_at:
            self._shed_comments()

    def _with_lf(self, data: bytes) -> bytes:
        """Make every line end LF. A CR ends its line at once; a LF that follows it is swallowed."""
        if self._ended_in_cr and data[:1] == b"\n":
            data = data[1:]
            self._ended_in_cr = False
        if data:
            self._ended_in_cr = data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def events_in(self, block: bytes) -> list[Event]:
        """Return the event of a block: none, or two where an error stands beside its data."""
        if self._at_start:
            self._at_start = False
            block = block.removeprefix(_BOM)
        # What nearly every block is: one data line, and no state to carry.
        if block[:6] == b"data: " and _LF not in block and not self._id and self._retry is None:
            return [Event(block[6:])]
        name = ""
        lines: list[bytes] = []
        for field in _FIELD.finditer(block):
            key, value = field[1], field[2] or b""
            if key == b"data":
                lines.append(value)
            elif key == b"event":
                name = value.decode("utf-8", "replace")
            elif key == b"id":
                if b"\0" not in value:
                    self._id = value.decode("utf-8", "replace")
            elif value.isdigit() and len(value) < 16:
                self._retry = int(value)
        events = [Event(b"\n".join(lines), name, self._id, self._retry)] if lines else []
        if _OTHER.search(block) is not None:
            texts, kind = _beside(block)
            if kind is None or not self._takes_bare:
                self.stray = self.stray or texts[0][:_STRAY]
            else:
                others = [Event(text, kind, self._id, self._retry) for text in texts]
                # Where nothing is read after the end, the failure is told first.
                is_end = bool(lines) and lines[0].lstrip().startswith(b"[DONE]")
                events = others + events if is_end else events + others
        return events

    def _fitting(self, blocks: list[bytes]) -> list[bytes]:
        """Return the blocks before the first one that is too large, which is the error."""
        for position, block in enumerate(blocks):
            if len(block) > self._max_event_bytes:
                size = len(_without_comments(block))
                if size > self._max_event_bytes:
                    self._fail(size)
                    return blocks[:position]
        return blocks

    def _shed_comments(self) -> None:
        """Keep the tail without its comments; it is too large if that does not help.

        Done each time the tail has doubled, so that reading it all is paid for by what came in since.
        """
        tail = self._tail
        kept = _without_comments(bytes(tail))
        if len(kept) > self._max_event_bytes:
            self._fail(len(kept))
            return
        self._tail_at += len(tail) - len(kept)
        tail[:] = kept
        self._shed_at = max(self._first_shed, 2 * len(kept))

    def _fail(self, size: int) -> None:
        if self.error is None:
            self.error = LimitExceededError(
                "max_event_bytes", limit=self._max_event_bytes, value=size
            )
        self._tail.clear()


def _beside(block: bytes) -> tuple[list[bytes], str | None]:
    """Return what a block holds beside the fields of the standard, and the type of events that it makes.

    ``None`` for what makes none. An object a line is an event each.
    """
    text = _KNOWN.sub(b"", block)
    if text[:1] in b"{[":
        if 0 < text.strip().count(b"\n") < _MOST_LINES:
            lines = [line for line in text.split(b"\n") if line.strip()]
            if all(line[:1] == b"{" and line.rstrip()[-1:] == b"}" for line in lines):
                return lines, ""
        return [text], ""
    found = _ERROR.search(text)
    return ([text[found.end() :]], "error") if found is not None else ([text], None)


def _begins(block: bytes, takes_bare: bool) -> list[int]:  # noqa: FBT001
    """Return where the data of each event of a block begins."""
    data = _DATA.search(block)
    begins = [] if data is None else [data.end()]
    other = _OTHER.search(block) if takes_bare else None
    if other is None:
        return begins
    texts, kind = _beside(block)
    if kind is None:
        return begins
    found = _ERROR.search(block) if kind else None
    others = [match.start() for match in _OTHER.finditer(block)] if len(texts) > 1 else []
    others = others or [other.start() if found is None else found.end()]
    if data is not None and block[data.end() : data.end() + 99].lstrip().startswith(b"[DONE]"):
        return others + begins
    return begins + others


def _without_comments(block: bytes) -> bytes:
    """Return a block, which may end within a line, without the text of its comments."""
    block = _COMMENT.sub(b"", block)
    last = block.rfind(b"\n") + 1
    return block[: last + 1] if block[last : last + 1] == b":" else block
