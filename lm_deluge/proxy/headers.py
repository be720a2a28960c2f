"""Heads as they go on: what is between two neighbours stays there, and all else passes as it came.

RFC 9110, section 7.6.1. Framing passes as it is, because the bytes it speaks of do.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from lm_deluge.proxy.heads import AskedLine, HeaderField, StatusLine

__all__ = [
    "asks_for_websocket",
    "expects_continue",
    "forwarded_request",
    "forwarded_response",
    "keeps_open",
    "pairs",
]

_HOP_BY_HOP: Final = frozenset(
    (
        b"http2-settings",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"upgrade",
    )
)

#: What ``Connection`` cannot take away: it would make another message of this one.
_KEPT: Final = frozenset((b"content-length", b"host", b"transfer-encoding"))

#: What ``Connection`` may say to the next neighbour, too: each connection of an app has one of its own
#: behind it, which lives as long.
_PASSED: Final = frozenset((b"close", b"keep-alive"))


def _connection(fields: Iterable[HeaderField]) -> set[bytes]:
    """Return what ``Connection`` names, in small letters."""
    return {
        token.strip().lower()
        for field in fields
        if field.name == b"connection"
        for token in field.value.split(b",")
        if token.strip()
    }


def keeps_open(minor: int, fields: Iterable[HeaderField]) -> bool:
    """Whether the connection may carry another message (RFC 9112, section 9.3)."""
    named = _connection(fields)
    return b"close" not in named and (minor > 0 or b"keep-alive" in named)


def expects_continue(first: AskedLine, fields: Iterable[HeaderField]) -> bool:
    """Whether a body waits until it is asked for (RFC 9110, section 10.1.1)."""
    return first.minor > 0 and any(
        field.name == b"expect" and field.value.lower() == b"100-continue" for field in fields
    )


def asks_for_websocket(first: AskedLine, fields: Sequence[HeaderField]) -> bool:
    """Whether a request asks for a connection that is no HTTP any more (RFC 6455, section 4.1)."""
    return (
        first.minor > 0
        and b"upgrade" in _connection(fields)
        and any(f.name == b"upgrade" and f.value.lower() == b"websocket" for f in fields)
    )


def _passed(
    fields: Sequence[HeaderField], *, upgrades: bool, dropped: frozenset[bytes] = frozenset()
) -> list[bytes]:
    named = _connection(fields)
    gone = ((_HOP_BY_HOP | named) - _KEPT - ({b"upgrade"} if upgrades else set())) | dropped
    passed = _PASSED | ({b"upgrade"} if upgrades else set())
    lines = []
    for field in fields:
        if field.name == b"connection":
            if not named - passed:
                lines.append(field.line)
            elif kept := [t for t in field.value.split(b",") if t.strip().lower() in passed]:
                written = field.line.partition(b":")[0]
                lines.append(written + b": " + b",".join(kept).strip())
        elif field.name not in gone:
            lines.append(field.line)
    return lines


def forwarded_request(
    first: AskedLine,
    fields: Sequence[HeaderField],
    *,
    target: bytes,
    host: bytes,
    dropped: frozenset[bytes] = frozenset(),
    authorization: bytes = b"",
) -> bytes:
    """Return the head of a request as it goes on.

    ``target``: what is asked of the upstream. ``host``: whose it is. ``dropped``: fields of ours, in small
    letters. ``authorization``: for the proxy behind us, if there is one.
    """
    lines = _passed(fields, upgrades=asks_for_websocket(first, fields), dropped=dropped)
    for place, line in enumerate(lines):
        name, _, _ = line.partition(b":")
        if name.lower() == b"host":
            lines[place] = name + b": " + host
            break
    else:
        lines.insert(0, b"Host: " + host)
    if authorization:
        lines.append(b"Proxy-Authorization: " + authorization)
    line = b"%b %b HTTP/1.%d" % (first.method, target, first.minor)
    return b"\r\n".join((line, *lines, b"", b""))


def forwarded_response(first: StatusLine, fields: Sequence[HeaderField]) -> bytes:
    """Return the head of a response as it goes on."""
    return b"\r\n".join((first.line, *_passed(fields, upgrades=first.status == 101), b"", b""))


def pairs(fields: Iterable[HeaderField]) -> list[tuple[str, str]]:
    """Return names and values as text, a character for each byte that is not ASCII."""
    return [
        (field.line.partition(b":")[0].strip().decode("latin-1"), field.value.decode("latin-1"))
        for field in fields
    ]
