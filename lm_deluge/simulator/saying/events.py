"""JSON and server-sent events as services write them."""

from __future__ import annotations

import json
from typing import Any, Final

__all__ = ["ALPHABET", "dumps", "event"]

#: What ids are made of.
ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def dumps(value: Any) -> str:
    """Compact JSON as the service writes it: not escaped, but for lone surrogates."""
    text = _encode(value)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":"))
    return text


def event(value: Any, name: str | None = None) -> bytes:
    """One server-sent event with JSON data."""
    opening = f"event: {name}\n" if name else ""
    return f"{opening}data: {dumps(value)}\n\n".encode()
