"""What bytes are, by how they begin; by their name where that does not tell."""

from __future__ import annotations

import mimetypes
import re
from typing import Final

__all__ = ["AUDIO_FORMATS", "kind_named", "kind_of"]

_HTML: Final = re.compile(rb"\s*<(?:!doctype html|html)[\s>]", re.IGNORECASE)

#: How the formats begin that models take.
_BEGINNINGS: Final = tuple(
    (re.compile(pattern, re.DOTALL), kind)
    for pattern, kind in (
        (rb"\x89PNG\r\n\x1a\n", "image/png"),
        (rb"\xff\xd8\xff", "image/jpeg"),
        (rb"GIF8[79]a", "image/gif"),
        (rb"RIFF....WEBP", "image/webp"),
        (rb"....ftyp(?:heic|heix)", "image/heic"),
        (rb"....ftyp(?:mif1|msf1)", "image/heif"),
        (rb"....ftypavif", "image/avif"),
        (rb"BM....\x00\x00\x00\x00", "image/bmp"),
        (rb"II\*\x00|MM\x00\*", "image/tiff"),
        (rb"RIFF....WAVE", "audio/wav"),
        (rb"ID3[\x02-\x04]|\xff[\xfb\xfa\xf3\xf2]", "audio/mpeg"),
        (rb"fLaC", "audio/flac"),
        (rb"OggS\x00", "audio/ogg"),
        (rb"....ftypM4[AB]", "audio/mp4"),
        (rb"\xff[\xf0\xf1\xf8\xf9]", "audio/aac"),
        (rb"FORM....AIF[FC]", "audio/aiff"),
        (rb"%PDF-", "application/pdf"),
        (rb"....ftypqt  ", "video/quicktime"),
        (rb"....ftyp", "video/mp4"),
        (rb"\x1aE\xdf\xa3", "video/webm"),
        (rb"RIFF....AVI ", "video/x-msvideo"),
        (rb"\x00\x00\x01\xba", "video/mpeg"),
    )
)

_OFFICE: Final = "application/vnd.openxmlformats-officedocument."

#: What a ZIP archive is, by a name in it.
_IN_ARCHIVES: Final = (
    (b"word/document", f"{_OFFICE}wordprocessingml.document"),
    (b"xl/workbook", f"{_OFFICE}spreadsheetml.sheet"),
    (b"ppt/presentation", f"{_OFFICE}presentationml.presentation"),
)

#: What Python does not know of names, or knows otherwise on one system or another.
_NAMES: Final = {
    ".md": "text/markdown",
    ".csv": "text/csv",
    ".flac": "audio/flac",
    ".m4a": "audio/mp4",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".wav": "audio/wav",
    ".webp": "image/webp",
    ".heic": "image/heic",
    ".heif": "image/heif",
    ".webm": "video/webm",
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
    ".py": "text/x-python",
    ".docx": f"{_OFFICE}wordprocessingml.document",
    ".xlsx": f"{_OFFICE}spreadsheetml.sheet",
    ".pptx": f"{_OFFICE}presentationml.presentation",
}

AUDIO_FORMATS: Final = {
    "audio/wav": "wav",
    "audio/mpeg": "mp3",
    "audio/flac": "flac",
    "audio/ogg": "ogg",
    "audio/mp4": "m4a",
    "audio/aac": "aac",
    "audio/aiff": "aiff",
    "audio/webm": "webm",
}
"""What ``input_audio`` calls the formats; OpenAI takes the first two."""


def kind_of(data: bytes, name: str | None = None) -> str | None:
    """Return the media type of bytes; ``None`` where nobody can tell. ``name``: the file's."""
    for begins, kind in _BEGINNINGS:
        if begins.match(data):
            return kind
    named = kind_named(name or "")
    if data.startswith(b"PK\x03\x04"):
        inside = next((kind for word, kind in _IN_ARCHIVES if word in data), None)
        return inside or named or "application/zip"
    if _is_text(data):
        if _HTML.match(data):
            return "text/html"
        is_said = named is not None and not named.startswith(("image/", "audio/", "video/"))
        return named if is_said and named != "application/pdf" else "text/plain"
    return named


def kind_named(name: str) -> str | None:
    """Return the media type that a file's name, or an address, tells; ``None`` where it tells none."""
    ending = re.search(r"\.\w+$", name)
    if ending is None:
        return None
    return _NAMES.get(ending[0].lower()) or mimetypes.guess_type(f"x{ending[0].lower()}")[0]


def _is_text(data: bytes) -> bool:
    if not data or b"\0" in data:
        return False
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
