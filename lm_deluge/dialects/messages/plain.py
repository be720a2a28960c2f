"""The events of text alone, which most of an answer is: read at once, and strictly. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

__all__ = ["texts_in"]

_HEAD: Final = b"event: content_block_delta\ndata: "
_LENGTH: Final = len(_HEAD)
_LINE: Final = _HEAD.index(b"\n")


class _TextDelta(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    type: Literal["text_delta"]
    text: str


class _TextEvent(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    type: Literal["content_block_delta"]
    index: int
    delta: _TextDelta


_decode: Final = msgspec.json.Decoder(_TextEvent).decode


def texts_in(blocks: Sequence[bytes], start: int, stop: int) -> list[str]:
    """Return the texts of blocks from ``start`` on, before ``stop`` and the first that says more."""
    found: list[str] = []
    try:
        while start < stop:
            block = blocks[start]
            if block[:_LENGTH] != _HEAD or block.rfind(b"\n") != _LINE:
                break
            found.append(_decode(block[_LENGTH:]).delta.text)
            start += 1
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass
    return found
