"""How many tokens a prompt may have, before any server has counted them."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

__all__ = ["CHARACTERS", "image_size", "image_tokens", "prompt_tokens"]

#: Characters a token, for English text.
CHARACTERS: Final = 4

# OpenAI's guide "Images and vision", calculating costs, gpt-4o: 85 tokens for an image in low detail.
# In high detail it is scaled to fit 2048 x 2048, then its shortest side down to 768, and costs 85
# and 170 for each tile of 512 x 512.
_LOW: Final = 85
_TILE: Final = 170
_LONGEST_SIDE: Final = 2048
_SHORTEST_SIDE: Final = 768
_TILE_SIDE: Final = 512

#: The size that an image is taken to have which cannot be looked at; the guide's own example.
_USUAL: Final = (1024, 1024)

#: Bytes of an image that are looked at for its size; the profile of a photograph may come first.
_LOOKED_AT: Final = 1 << 20

#: Seconds of sound a token (OpenAI's guide "Audio": 10 tokens a second), and bytes a second of what
#: the API takes: 24 kHz of 16 bits, or MP3 at 128 kbit/s.
_SOUND_TOKENS: Final = 10
_SOUND_BYTES: Final = {"wav": 48_000, "mp3": 16_000}


def prompt_tokens(messages: Sequence[Mapping[str, Any]]) -> float:
    """Estimate the tokens of a prompt: text by its length, images and sound by their price."""
    return sum(_content(message.get("content")) for message in messages)


def _content(content: object) -> float:
    if isinstance(content, str):
        return len(content) / CHARACTERS
    if not isinstance(content, list):
        return 0.0
    return sum(_part(part) for part in content if isinstance(part, Mapping))


def _part(part: Mapping[str, Any]) -> float:
    if isinstance(part.get("text"), str):
        return len(part["text"]) / CHARACTERS
    if (image := part.get("image_url")) is not None:
        given = image if isinstance(image, Mapping) else {"url": image}
        return image_tokens(given.get("url"), given.get("detail", part.get("detail")))
    sound = part.get("input_audio")
    if isinstance(sound, Mapping) and isinstance(sound.get("data"), str):
        rate = _SOUND_BYTES.get(str(sound.get("format")), 16_000)
        return len(sound["data"]) * 3 / 4 / rate * _SOUND_TOKENS
    # A file, or what only another vendor knows: as an image whose size is not known.
    return image_tokens(None)


def image_tokens(url: object, detail: object = None) -> int:
    """Return the price of an image in tokens; ``url``: its address, or the image as a ``data:`` URL.

    ``detail``: ``"low"``, or anything else for high. An image elsewhere is taken to be 1024 x 1024.
    """
    if detail == "low":
        return _LOW
    width, height = (image_size(url) if isinstance(url, str) else None) or _USUAL
    shrink = min(1.0, _LONGEST_SIDE / max(width, height))
    width, height = width * shrink, height * shrink
    shrink = min(1.0, _SHORTEST_SIDE / min(width, height))
    across, down = (math.ceil(side * shrink / _TILE_SIDE) for side in (width, height))
    return _LOW + _TILE * across * down


def image_size(url: str) -> tuple[float, float] | None:
    """Return width and height of the image in a ``data:`` URL; ``None`` if they cannot be seen."""
    head, comma, data = url.partition(",")
    if not comma or not head.startswith("data:") or not head.endswith(";base64"):
        return None
    kept = data[: _LOOKED_AT * 4 // 3 // 4 * 4]
    try:
        image = base64.b64decode(kept + "=" * (-len(kept) % 4))
    except ValueError:
        return None
    for look in (_png, _gif, _webp, _jpeg):
        size = look(image)
        if size is not None:
            return size if min(size) > 0 else None
    return None


def _number(data: bytes, start: int, length: int, order: Any = "big") -> int:
    return int.from_bytes(data[start : start + length], order)


def _png(data: bytes) -> tuple[float, float] | None:
    """PNG (Third Edition) 11.2.1: IHDR comes first."""
    if not data.startswith(b"\x89PNG\r\n\x1a\n") or len(data) < 24:
        return None
    return _number(data, 16, 4), _number(data, 20, 4)


def _gif(data: bytes) -> tuple[float, float] | None:
    """GIF89a 18: the logical screen."""
    if data[:6] not in (b"GIF87a", b"GIF89a") or len(data) < 10:
        return None
    return _number(data, 6, 2, "little"), _number(data, 8, 2, "little")


def _webp(data: bytes) -> tuple[float, float] | None:
    """RFC 9649 2.5 to 2.7: lossy, lossless and extended files."""
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP" or len(data) < 30:
        return None
    kind = data[12:16]
    if kind == b"VP8X":
        return _number(data, 24, 3, "little") + 1, _number(data, 27, 3, "little") + 1
    if kind == b"VP8L":
        bits = _number(data, 21, 4, "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        return _number(data, 26, 2, "little") & 0x3FFF, _number(data, 28, 2, "little") & 0x3FFF
    return None


def _jpeg(data: bytes) -> tuple[float, float] | None:
    """ITU T.81 B.2.2: the frame header is a segment SOF, of which there are 13."""
    if not data.startswith(b"\xff\xd8"):
        return None
    at = 2
    while at + 9 < len(data) and data[at] == 0xFF:
        kind = data[at + 1]
        if kind == 0xFF:  # fill
            at += 1
            continue
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            return _number(data, at + 7, 2), _number(data, at + 5, 2)
        if kind == 0x01 or 0xD0 <= kind <= 0xD8:
            at += 2
        else:
            at += 2 + _number(data, at + 2, 2)
    return None
