"""The events of text alone, which most of an answer is: read at once, and strictly. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

import msgspec

__all__ = ["Place", "place_of", "texts_in"]

_HEAD: Final = b"event: response.output_text.delta\ndata: "
_LENGTH: Final = len(_HEAD)
_LINE: Final = _HEAD.index(b"\n")
_DATA: Final = b"data: "

#: The id of an item, its index, and that of a part in it.
Place = tuple[str, int, int]


class _OutputTextEvent(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    type: Literal["response.output_text.delta"]
    delta: str
    item_id: str
    output_index: int
    content_index: int
    sequence_number: int = 0
    logprobs: list[None] | None = None
    obfuscation: str = ""


_decode: Final = msgspec.json.Decoder(_OutputTextEvent).decode


def place_of(told: dict[str, Any]) -> Place | None:
    """Return where a delta of a text stands; ``None`` where it does not say that."""
    item, index, part = told.get("item_id"), told.get("output_index"), told.get("content_index")
    if isinstance(item, str) and type(index) is int and type(part) is int:
        return item, index, part
    return None


def texts_in(blocks: Sequence[bytes], start: int, stop: int, place: Place) -> list[str]:
    """Return the texts of blocks from ``start`` on, before ``stop`` and the first that says more.

    ``place``: that of the delta before. One that stands elsewhere says more.
    """
    item, index, part = place
    found: list[str] = []
    try:
        while start < stop:
            block = blocks[start]
            if block[:_LENGTH] == _HEAD:
                if block.rfind(b"\n") != _LINE:
                    break
                event = _decode(block[_LENGTH:])
            elif block[:6] == _DATA and b"\n" not in block:
                event = _decode(block[6:])
            else:
                break
            if event.item_id != item or event.output_index != index or event.content_index != part:
                break
            if event.logprobs:
                break
            found.append(event.delta)
            start += 1
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass
    return found
