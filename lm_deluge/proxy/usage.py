"""Asking for usage in other people's requests: a chat that streams tells its tokens only if it is asked.

``stream_options.include_usage`` is put at the beginning of the object; every other byte stays as it was.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from lm_deluge.proxy.framing import Framing, Sized
from lm_deluge.proxy.heads import AskedLine, HeaderField
from lm_deluge.proxy.keeping import MAX_BODY

__all__ = ["may_ask", "with_length", "with_usage"]

_OPENING: Final = re.compile(rb"[ \t\r\n]*\{")
_ASKED: Final = b'"stream_options":{"include_usage":true},'


class _Streaming(msgspec.Struct):
    """What is read of a request; the rest is passed over undecoded."""

    stream: Any = None
    stream_options: Any = msgspec.UNSET


_decode: Final = msgspec.json.Decoder(_Streaming).decode


def may_ask(first: AskedLine, fields: Sequence[HeaderField], framing: Framing) -> bool:
    """Whether the body of a chat's request can be held and changed."""
    return (
        first.method == b"POST"
        and isinstance(framing, Sized)
        and 0 < framing.left <= MAX_BODY
        and not any(field.name in (b"content-encoding", b"expect") for field in fields)
    )


def with_usage(body: bytes) -> bytes:
    """Return a body that asks for usage: as it was, if it does not stream or says something of it itself."""
    try:
        asked = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return body
    if asked.stream is not True or asked.stream_options is not msgspec.UNSET:
        return body
    found = _OPENING.match(body)
    if found is None:
        return body
    return body[: found.end()] + _ASKED + body[found.end() :]


def with_length(fields: Sequence[HeaderField], length: int) -> list[HeaderField]:
    """Return the fields with another ``Content-Length``."""
    changed = []
    for field in fields:
        if field.name == b"content-length":
            value = b"%d" % length
            field = HeaderField(field.name, value, field.line.partition(b":")[0] + b": " + value)
        changed.append(field)
    return changed
