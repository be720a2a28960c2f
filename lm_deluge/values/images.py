"""Images given as bytes, files or addresses, as the content parts that OpenAI has for them."""

from __future__ import annotations

import base64
import mimetypes
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from lm_deluge.values.foreign import shown

__all__ = ["content_with", "shown_parts"]

_ACCEPTED: Final = "bytes, a path, or a URL (http, https, gs, data)"

#: An address; a Windows drive is one letter.
_URL: Final = re.compile(r"(?:[a-z][a-z0-9+.-]+://|data:)", re.IGNORECASE)

#: How the formats begin that models take.
_BEGINNINGS: Final = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "image/webp"),
    (re.compile(rb"....ftyp(?:heic|heix)", re.DOTALL), "image/heic"),
    (re.compile(rb"....ftyp(?:mif1|msf1)", re.DOTALL), "image/heif"),
    (re.compile(rb"BM"), "image/bmp"),
)


def content_with(content: Any, images: object) -> Any:
    """Return a text, or content parts, with images after them, as content parts.

    Files are read at once. Raises ``TypeError`` for what is no image, ``ValueError`` for bytes that are
    none of a known format, and ``OSError`` for a file that cannot be read.
    """
    if images is None or images == []:
        return content
    if not isinstance(images, (list, tuple)):
        one = isinstance(images, (str, bytes, bytearray, memoryview, os.PathLike))
        hint = "; put the image into a list" if one else ""
        raise TypeError(f"images must be a list of images, not {type(images).__name__}{hint}")
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else list(content)
    if content == "":
        parts = []
    return [*parts, *(_part(image, f"images[{at}]") for at, image in enumerate(images))]


#: Characters of a field that are shown; an image has millions.
_SHOWN: Final = 80


def shown_parts(content: list[dict[str, Any]]) -> str:
    """Return the ``repr`` of content parts, of their long fields that are no texts the beginning."""
    return repr([_shortened(part) for part in content])


def _shortened(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: each if k == "text" else _shortened(each) for k, each in value.items()}
    if isinstance(value, str) and len(value) > _SHOWN:
        return f"{value[:_SHOWN]}… ({len(value)} characters)"
    return value


def _part(image: object, where: str) -> dict[str, Any]:
    if isinstance(image, Mapping):
        hint = "; a content part goes into the list of the content"
        raise TypeError(f"{where} must be {_ACCEPTED}, not {type(image).__name__}{hint}")
    if isinstance(image, str) and _URL.match(image) and not image.lower().startswith("file:"):
        url = image
    elif isinstance(image, (bytes, bytearray, memoryview)):
        url = _data_url(bytes(image), where, None)
    elif isinstance(image, (str, os.PathLike)):
        url = _data_url(_read(image, where), where, mimetypes.guess_type(os.fspath(image))[0])
    else:
        raise TypeError(f"{where} must be {_ACCEPTED}, not {type(image).__name__}")
    return {"type": "image_url", "image_url": {"url": url}}


def _read(path: str | os.PathLike[Any], where: str) -> bytes:
    if isinstance(path, str) and not path.strip():
        raise ValueError(f"{where} is an empty text; accepted are {_ACCEPTED}")
    try:
        return Path(os.fsdecode(path)).read_bytes()
    except ValueError as error:  # a null character
        raise ValueError(f"{where} is no path: {shown(path, 60)} ({error})") from error
    except OSError as error:
        reason = f"{where} is no image file that can be read ({error.strerror})"
        raise type(error)(error.errno, reason, os.fsdecode(path)[:200]) from error


def _data_url(data: bytes, where: str, named: str | None) -> str:
    """Return the image in an address. ``named``: its format by the file's name."""
    kind = next((kind for begins, kind in _BEGINNINGS if begins.match(data)), None)
    if kind is None and data and named is not None and named.startswith("image/"):
        kind = named
    if kind is None:
        what = "is empty" if not data else f"is no image: it begins with {data[:12]!r}"
        raise ValueError(f"{where} {what}; known are PNG, JPEG, GIF, WebP, HEIC and BMP")
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
