"""What a response body is, by the bytes of it that have come. No I/O."""

from __future__ import annotations

import re
from typing import Final, Literal

from lm_deluge.wire.json import decode_any

__all__ = ["is_object", "kind_of"]

_BOM: Final = b"\xef\xbb\xbf"

#: The first line of an event stream: a field, or a comment (WHATWG HTML, section 9.2.5).
_FIELDS: Final = (b"data", b"event", b"id", b"retry")
_LINE: Final = re.compile(rb"(?:data|event|id|retry)?:")


def kind_of(data: bytes) -> Literal["events", "json", "other"] | None:
    """Return what a body is that begins so; ``None`` if its first bytes leave that open.

    Servers, and what stands before them, send good event streams under any content type.
    """
    if len(data) < len(_BOM) and _BOM.startswith(data):
        return None
    text = data.removeprefix(_BOM).lstrip()
    if not text:
        return None
    if text[:1] in (b"{", b"["):
        return "json"
    if _LINE.match(text):
        return "events"
    if any(field.startswith(text) for field in _FIELDS):
        return None
    return "other"


def is_object(data: bytes | bytearray) -> bool:
    """Whether these bytes are one JSON object, whole."""
    try:
        return isinstance(decode_any(bytes(data)), dict)
    except ValueError:
        return False
