"""What the bare loop decodes into: the typed decoder of the least that a client can do."""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["decode", "read"]


class _Delta(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    delta: _Delta
    index: int = 0
    finish_reason: str | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice]
    usage: dict[str, Any] | None = None


decode = msgspec.json.Decoder(_Chunk).decode


def read(data: bytes) -> int:
    """Decode a whole body; return how many tokens it holds. The loop of ``clients.bare`` without I/O."""
    count = 0
    for event in data.split(b"\n\n")[:-1]:
        payload = event[6:]
        if payload == b"[DONE]":
            continue
        chunk = decode(payload)
        if chunk.choices and chunk.choices[0].delta.content:
            count += 1
    return count
