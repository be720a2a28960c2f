"""Frames: what a relay keeps of a stream and hands to its readers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from attrs import frozen

__all__ = ["Frame", "decode_items", "frame_of"]

_encode = msgspec.json.Encoder().encode


class _FrameContent(msgspec.Struct):
    t: float = 0.0
    items: list[dict[str, Any]] = []


_decode = msgspec.json.Decoder(_FrameContent).decode


@frozen
class Frame:
    """What one network read brought of an answer, or what was told of it, under a number.

    ``number``: 1, 2, 3 … for each log. ``data``: JSON, ``{"t": seconds from t0, "i": index of its first piece
    of text, "items": [...]}``, without ``i`` where it has none; an item is an object with a ``kind``, as
    docs/relay.md lists them. ``is_last``: whether it holds the
    ending, after which there is nothing.
    """

    number: int
    data: bytes
    is_last: bool = False

    @property
    def items(self) -> list[dict[str, Any]]:
        """Its items, decoded anew each time."""
        return decode_items(self.data)


def decode_items(data: bytes) -> list[dict[str, Any]]:
    """Return the items of a frame's ``data``; ``ValueError`` for what is no frame."""
    return _decode(data).items


def frame_of(
    number: int,
    t: float,
    items: Sequence[Mapping[str, Any]],
    *,
    is_last: bool = False,
    first: int | None = None,
) -> Frame:
    """Return a frame. Characters that UTF-8 cannot hold (lone surrogates) become ``?``.

    ``first``: ``Token.index`` of its first piece of text; the others follow on it.
    """
    content: dict[str, Any] = {"t": round(t, 6)}
    if first is not None:
        content["i"] = first
    content["items"] = items
    try:
        data = _encode(content)
    except UnicodeEncodeError:
        data = json.dumps(content, ensure_ascii=False).encode("utf-8", "replace")
    return Frame(number, data, is_last)
