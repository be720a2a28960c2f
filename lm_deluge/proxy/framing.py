"""Where the body of a message ends, and what of its bytes is the body: nothing is changed on the way.

RFC 9112, sections 6 and 7.1. A framing is fed what comes in; it says how much of that belongs to the message,
and which bytes are the content.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Protocol

from lm_deluge.proxy.heads import AskedLine, BadRequestHead, HeaderField, StatusLine

__all__ = [
    "Chunked",
    "Framing",
    "FramingError",
    "Sized",
    "UntilClose",
    "of_request",
    "of_response",
]

_LENGTH: Final = re.compile(rb"\d{1,18}")
#: A chunk's first line: sixteen digits are more than any machine has memory for.
_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,16})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?")
_ONLY: Final = re.compile(rb"([0-9A-Fa-f]{1,8})\r\n")
_KIND_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;.*)?", re.S)
_TRAILER: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[^\x00-\x08\x0a-\x1f\x7f]*")
#: What a trailer must not say (RFC 9110, section 6.5.1): how the message is framed or where it goes.
_NO_TRAILERS: Final = frozenset((b"content-length", b"host", b"transfer-encoding"))

_MAX_SIZE_LINE: Final = 4 << 10
_MAX_TRAILERS: Final = 16 << 10


class FramingError(Exception):
    """Bytes that are no chunk. ``found``: the content before them, of what was fed last."""

    found: bytes = b""


class Framing(Protocol):
    """The body of one message. ``done``: it is whole."""

    done: bool

    def feed(self, data: bytes) -> tuple[bytes, int]:
        """Return the content in ``data``, and how many bytes of it belong to the message.

        Raises ``FramingError``.
        """


class Sized:
    """A body of so many bytes. ``left``: of them to come."""

    __slots__ = ("done", "left")

    def __init__(self, length: int) -> None:
        self.left = length
        self.done = length == 0

    def feed(self, data: bytes) -> tuple[bytes, int]:
        """See ``Framing``."""
        size = len(data)
        if size < self.left:
            self.left -= size
            return data, size
        taken = self.left
        self.left = 0
        self.done = True
        return (data if taken == size else data[:taken]), taken


class UntilClose:
    """A body that ends with its connection."""

    __slots__ = ("done",)

    def __init__(self) -> None:
        self.done = False

    def feed(self, data: bytes) -> tuple[bytes, int]:
        """See ``Framing``."""
        return data, len(data)


class Chunked:
    """A body in chunks, its trailers included.

    ``strict``: a request's. Clients take some liberties of servers, as LF alone and blanks behind a size;
    between two servers they are ways to smuggle a request.
    """

    __slots__ = ("_left", "_line", "_strict", "_trailers", "done")

    def __init__(self, *, strict: bool) -> None:
        # Bytes of the present chunk that are still to come, its line's end (2) included; -1: its first
        # line is to come; -2: trailers are.
        self._left = -1
        self._line = b""
        self._strict = strict
        self._trailers = 0
        self.done = False

    def feed(self, data: bytes) -> tuple[bytes, int]:
        """See ``Framing``."""
        if self._left == -1 and not self._line:
            # One whole chunk and nothing else: what servers write that stream.
            only = _ONLY.match(data)
            if only is not None and data[-2:] == b"\r\n":
                size = int(only[1], 16)
                if size and size == len(data) - only.end() - 2:
                    return data[only.end() : -2], len(data)
        found: list[bytes] = []
        try:
            at = self._take(data, found)
        except FramingError as error:
            error.found = b"".join(found)
            raise
        return (found[0] if len(found) == 1 else b"".join(found)), at

    def _take(self, data: bytes, found: list[bytes]) -> int:
        at, end = 0, len(data)
        while at < end and not self.done:
            if self._left < 0:
                at = self._take_line(data, at)
                continue
            content = self._left - 2
            if content > 0:
                piece = data[at : at + content]
                found.append(piece)
                at += len(piece)
                self._left -= len(piece)
                if at >= end:
                    break
            at = self._take_end(data, at)
        return at

    def _take_end(self, data: bytes, at: int) -> int:
        """Take what ends a chunk, as far as it is there."""
        byte = data[at : at + 1]
        if self._left == 2:
            if byte == b"\n" and not self._strict:
                self._left = -1
                return at + 1
            if byte != b"\r":
                raise FramingError("a chunk does not end where its size says")
            self._left = 1
            return at + 1
        if byte != b"\n":
            raise FramingError("a chunk does not end where its size says")
        self._left = -1
        return at + 1

    def _take_line(self, data: bytes, at: int) -> int:
        """Take a chunk's first line or a trailer, as far as it is there."""
        end = data.find(b"\n", at)
        limit = _MAX_SIZE_LINE if self._left == -1 else _MAX_TRAILERS
        if (end if end >= 0 else len(data)) - at + len(self._line) > limit:
            raise FramingError("the line of a chunk is too long")
        if end < 0:
            self._line += data[at:]
            # No need to wait for the end of what is wrong at its beginning.
            if self._left == -1 and self._line[:1] not in b"0123456789abcdefABCDEF":
                raise FramingError("a chunk has no size")
            return len(data)
        line = self._line + data[at:end] if self._line else data[at:end]
        self._line = b""
        if line[-1:] == b"\r":
            line = line[:-1]
        elif self._strict:
            raise FramingError("the line of a chunk does not end with CR LF")
        if self._left == -1:
            found = (_SIZE if self._strict else _KIND_SIZE).fullmatch(line)
            if found is None:
                raise FramingError("a chunk has no size")
            size = int(found[1], 16)
            self._left = size + 2 if size else -2
        elif not line:
            self.done = True
        else:
            self._take_trailer(line)
        return end + 1

    def _take_trailer(self, line: bytes) -> None:
        self._trailers += len(line)
        if self._trailers > _MAX_TRAILERS:
            raise FramingError("the trailers are too long")
        if self._strict:
            name = line.partition(b":")[0].lower()
            if _TRAILER.fullmatch(line) is None or name in _NO_TRAILERS:
                raise FramingError("what follows the last chunk is no trailer")


def of_request(first: AskedLine, fields: Sequence[HeaderField]) -> Framing:
    """Return how a request's body is framed. Raises ``BadRequestHead``."""
    lengths = [field.value for field in fields if field.name == b"content-length"]
    codings = [field.value.lower() for field in fields if field.name == b"transfer-encoding"]
    if codings:
        if lengths:
            raise BadRequestHead(400, "a body has a length or is in chunks, not both")
        if first.minor == 0:
            raise BadRequestHead(400, "HTTP/1.0 has no chunks")
        if codings != [b"chunked"]:
            raise BadRequestHead(501, "Transfer-Encoding: chunked is the only one known here")
        return Chunked(strict=True)
    if not lengths:
        return Sized(0)
    if len(lengths) > 1 or _LENGTH.fullmatch(lengths[0]) is None:
        raise BadRequestHead(400, "Content-Length is no number of bytes")
    return Sized(int(lengths[0]))


def of_response(method: bytes, first: StatusLine, fields: Sequence[HeaderField]) -> Framing:
    """Return how the body of a response to a request of this method is framed."""
    if method == b"HEAD" or first.status in (204, 304) or first.status < 200:
        return Sized(0)
    codings = [field.value for field in fields if field.name == b"transfer-encoding"]
    if codings:
        last = codings[-1].rpartition(b",")[2].strip().lower()
        return Chunked(strict=False) if last == b"chunked" else UntilClose()
    # The same length several times is that length (RFC 9110, section 8.6).
    lengths = {
        length.strip()
        for field in fields
        if field.name == b"content-length"
        for length in field.value.split(b",")
    }
    if len(lengths) == 1 and _LENGTH.fullmatch(length := lengths.pop()):
        return Sized(int(length))
    return UntilClose()
