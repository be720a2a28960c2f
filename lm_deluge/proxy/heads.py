"""Heads of HTTP/1 messages: a request's read strictly, a response's as kindly as clients do.

A request that two servers could read differently is refused before any of it goes on (RFC 9112, sections 2.2,
3.2, 5.2, 6.1 and 6.3). A response is its upstream's own: what is no head of one passes on as it came.
"""

from __future__ import annotations

import re
from typing import Final

from attrs import frozen

__all__ = [
    "MAX_HEAD",
    "AskedLine",
    "BadRequestHead",
    "HeaderField",
    "StatusLine",
    "find_request_end",
    "find_response_end",
    "read_request",
    "read_response",
]

#: Bytes of a request's head; its fields; bytes of the request line.
MAX_HEAD: Final = 64 << 10
_MAX_FIELDS: Final = 200
_MAX_LINE: Final = 32 << 10

_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_REQUEST: Final = re.compile(rb"(" + _TOKEN + rb") ([^\x00-\x20\x7f]+) HTTP/(\d)\.(\d)")
_FIELD: Final = re.compile(rb"(" + _TOKEN + rb"):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*?)[ \t]*")
_STATUS: Final = re.compile(rb"HTTP/1\.([01]) ([1-9]\d\d)(?: [^\r\n]*)?")
_END: Final = re.compile(rb"\n\r?\n")
_BARE: Final = re.compile(rb"(?<!\r)\n|\r(?!\n|\Z)")


class BadRequestHead(Exception):  # noqa: N818 - it is what was sent
    """A head that is refused; ``status``: with which."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status: Final = status


@frozen
class HeaderField:
    """A field: its name in small letters, its value without white space around it, its line as it came."""

    name: bytes
    value: bytes
    line: bytes


@frozen
class AskedLine:
    """A request's first line. ``minor``: 0 or 1, of its version."""

    method: bytes
    target: bytes
    minor: int


@frozen
class StatusLine:
    """A response's first line. ``minor``: of its version. ``line``: as it came."""

    minor: int
    status: int
    line: bytes


def find_request_end(data: bytes | bytearray, known: int = 0) -> int | None:
    """Return where the head of a request ends, ``None`` if it is not all there.

    ``known``: how many bytes were looked at before. Raises ``BadRequestHead`` as soon as what is there can
    be no beginning of one.
    """
    end = data.find(b"\r\n\r\n", max(0, known - 3), MAX_HEAD)
    if _BARE.search(data, max(0, known - 1), end if end >= 0 else MAX_HEAD) is not None:
        raise BadRequestHead(400, "a line of the head does not end with CR LF")
    if end >= 0:
        return end + 4
    if len(data) > _MAX_LINE and data.find(b"\r\n", 0, _MAX_LINE + 2) < 0:
        raise BadRequestHead(414, f"the request line has more than {_MAX_LINE} bytes")
    if len(data) > MAX_HEAD:
        raise BadRequestHead(431, f"the head has more than {MAX_HEAD} bytes")
    return None


def read_request(head: bytes) -> tuple[AskedLine, list[HeaderField]]:
    """Return the first line and the fields of a request's head, which ends with an empty line.

    Raises ``BadRequestHead``.
    """
    first, *lines = head[:-4].split(b"\r\n")
    if len(first) > _MAX_LINE:
        raise BadRequestHead(414, f"the request line has more than {_MAX_LINE} bytes")
    if len(lines) > _MAX_FIELDS:
        raise BadRequestHead(431, f"the head has more than {_MAX_FIELDS} fields")
    found = _REQUEST.fullmatch(first)
    if found is None:
        raise BadRequestHead(400, "the request line is no METHOD TARGET HTTP/1.1")
    if found[3] != b"1" or found[4] not in b"01":
        raise BadRequestHead(505, "HTTP/1.1 and HTTP/1.0 are spoken here")
    fields = []
    for line in lines:
        parts = _FIELD.fullmatch(line)
        if parts is None:
            raise BadRequestHead(400, "a line of the head is no NAME: VALUE")
        fields.append(HeaderField(parts[1].lower(), parts[2], line))
    return AskedLine(found[1], found[2], int(found[4])), fields


def find_response_end(data: bytes | bytearray, known: int) -> int | None:
    """Return where the head of a response ends, ``None`` if it is not all there.

    ``known``: how many bytes were looked at before.
    """
    found = _END.search(data, max(0, known - 2))
    return None if found is None else found.end()


def read_response(head: bytes) -> tuple[StatusLine, list[HeaderField]] | None:
    """Return the first line and the fields of a response's head; ``None`` if it is none."""
    first, *lines = head.replace(b"\r\n", b"\n").rstrip(b"\n").split(b"\n")
    found = _STATUS.fullmatch(first)
    if found is None:
        return None
    fields: list[HeaderField] = []
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or line[:1] in b" \t":
            if not fields:
                return None
            # A continued line (obsolete): it stays with its field.
            before = fields.pop()
            fields.append(
                HeaderField(
                    before.name, before.value + b" " + line.strip(), before.line + b"\r\n" + line
                )
            )
            continue
        fields.append(HeaderField(name.strip().lower(), value.strip(b" \t"), line))
    return StatusLine(int(found[1]), int(found[2]), first), fields
