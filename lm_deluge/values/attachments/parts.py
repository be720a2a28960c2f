"""Content parts of OpenAI's form for images, audio and files: what every dialect is written from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from lm_deluge.values.attachments.given import Attached, attached, listed
from lm_deluge.values.attachments.kinds import AUDIO_FORMATS

__all__ = ["content_with", "shown_parts"]

#: What a file of bytes alone is called: a provider goes by the ending.
_NAMES: Final = {
    "application/pdf": "document.pdf",
    "text/plain": "document.txt",
    "text/html": "document.html",
    "text/csv": "document.csv",
    "application/json": "document.json",
}


def content_with(content: Any, images: object = (), audio: object = (), files: object = ()) -> Any:
    """Return a text, or content parts, with images, audio and files after them, as content parts.

    Files are read at once. Raises ``TypeError`` for what is none of them, ``ValueError`` for bytes of no
    known format, and ``OSError`` for a file that cannot be read.
    """
    added = [
        *_parts(images, "images", _image),
        *_parts(audio, "audio", _audio, one=True),
        *_parts(files, "files", _file, one=True, named=True),
    ]
    if not added:
        return content
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else list(content)
    return [*([] if content == "" else parts), *added]


def _parts(
    given: object,
    what: str,
    part: Callable[[Attached, str], dict[str, Any]],
    *,
    one: bool = False,
    named: bool = False,
) -> list[dict[str, Any]]:
    return [
        part(
            attached(each, f"{what}[{at}]", reads_data=what != "images", named=named),
            f"{what}[{at}]",
        )
        for at, each in enumerate(listed(given, what, one=one))
    ]


def _image(given: Attached, where: str) -> dict[str, Any]:
    kind = given.kind or ""
    if given.url is None and not kind.startswith("image/"):
        raise ValueError(
            f"{where} is no image: {_seen(given)}; accepted are PNG, JPEG, GIF, WebP, HEIC and BMP"
        )
    return {"type": "image_url", "image_url": {"url": given.url or given.data_url}}


def _audio(given: Attached, where: str) -> dict[str, Any]:
    if given.url is not None:
        return {"type": "audio_url", "audio_url": {"url": given.url}}
    kind = (given.kind or "").replace("video/", "audio/")
    if kind not in AUDIO_FORMATS:
        known = "WAV, MP3, FLAC, Ogg, M4A, AAC, AIFF and WebM"
        raise ValueError(f"{where} is no audio: {_seen(given)}; accepted are {known}")
    return {
        "type": "input_audio",
        "input_audio": {"data": given.encoded, "format": AUDIO_FORMATS[kind]},
    }


def _file(given: Attached, where: str) -> dict[str, Any]:
    """Return a file's part; an image or audio among the files goes as what it is."""
    kind = given.kind or ""
    if kind.startswith("image/"):
        return _image(given, where)
    if kind in AUDIO_FORMATS:
        return _audio(given, where)
    if given.url is not None:
        named = {} if given.name is None else {"filename": given.name}
        return {"type": "file", "file": {"file_url": given.url, **named}}
    if given.kind is None:
        raise ValueError(
            f"{where} is of no known format: {_seen(given)}; give a name with an ending: (name, bytes)"
        )
    name = given.name or _NAMES.get(kind, "document")
    return {"type": "file", "file": {"filename": name, "file_data": given.data_url}}


def _seen(given: Attached) -> str:
    kind = "" if given.kind is None else f", as {given.kind} does"
    return f"it begins with {given.data[:12]!r}{kind}"


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
