"""Images, audio and files in messages: what is in their parts, and how much of it a provider takes."""

from __future__ import annotations

import base64
import binascii
import mimetypes
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from lm_deluge.models.registry import ModelInfo
from lm_deluge.models.resolving import is_own_endpoint

__all__ = [
    "audio_in",
    "check_sizes",
    "data_in",
    "file_in",
    "kind_of_url",
    "no_place_for",
    "text_in",
]

_DATA_URL: Final = re.compile(
    r"data:([\w.+-]+/[\w.+-]+)(?:;[\w.+-]+=[^;,]*)*;base64,(.*)", re.DOTALL | re.IGNORECASE
)

#: What ``input_audio`` calls what has another name as a media type.
_AUDIO: Final = {"mp3": "audio/mpeg", "m4a": "audio/mp4"}

#: Bytes that a provider takes in all files of one request, by dialect, at its own endpoint: OpenAI's guide
#: "File inputs", Anthropic's "Errors" (the whole request), Google's "File input methods".
_MOST: Final = {
    "chat": 50 * 10**6,
    "responses": 50 * 10**6,
    "messages": 32 * 10**6,
    "gemini": 100 * 10**6,
}

#: Bytes of one image (Anthropic's "Vision").
_MOST_OF_AN_IMAGE: Final = {"messages": 5 * 2**20}


def data_in(url: str) -> tuple[str, str] | None:
    """Return the media type and the base64 in a data URL; ``None`` for another address."""
    found = _DATA_URL.fullmatch(url) if url[:5].lower() == "data:" else None
    return None if found is None else (found[1].lower(), found[2])


def audio_in(part: Mapping[str, Any], where: str) -> tuple[str, str]:
    """Return the media type and the base64 of audio; ``ValueError`` where it has none."""
    audio = part.get("input_audio")
    data = audio.get("data") if isinstance(audio, Mapping) else None
    form = audio.get("format") if isinstance(audio, Mapping) else None
    if not isinstance(data, str) or not data or not isinstance(form, str):
        raise ValueError(f"{where}['input_audio'] must be a dict with 'data' and 'format'")
    return _AUDIO.get(form, f"audio/{form}"), data


def file_in(part: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    """Return what a part says of its file; ``ValueError`` where that is nothing."""
    file = part.get("file")
    known = ("file_data", "file_url", "file_id")
    if not isinstance(file, Mapping) or not any(isinstance(file.get(key), str) for key in known):
        raise ValueError(
            f"{where}['file'] must be a dict with {', '.join(known[:-1])} or {known[-1]}"
        )
    return file


def text_in(data: str, where: str) -> str:
    """Return the text in base64; ``ValueError`` for none."""
    try:
        return base64.b64decode(data).decode()
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"{where} is no text in base64: {error}") from None


def kind_of_url(url: str) -> str | None:
    """Return the media type that an address ends with, ``None`` where it says none."""
    return mimetypes.guess_type(urlsplit(url).path)[0]


def no_place_for(where: str, what: str, api: str, instead: str) -> ValueError:
    """Return the error for a part that an API has no place for. ``instead``: who takes it."""
    return ValueError(f"{where} is {what}, which {api} does not take: {instead}")


def check_sizes(messages: Sequence[Mapping[str, Any]], info: ModelInfo) -> None:
    """Raise ``ValueError`` for more than a provider takes in one request, where it is asked itself."""
    most = _MOST.get(info.dialect)
    sizes = list(_sizes(messages))
    if most is None or not sizes or not is_own_endpoint(info, info.base_url or ""):
        return
    for where, kind, size in sizes:
        limit = _MOST_OF_AN_IMAGE.get(info.dialect) if kind == "image_url" else None
        if limit is not None and size > limit:
            raise ValueError(
                f"{where} has {size / 1e6:.1f} MB, and {info.name} takes {limit / 1e6:.1f} MB an image"
            )
    if (total := sum(size for _, _, size in sizes)) > most:
        where, _, size = max(sizes, key=lambda each: each[2])
        raise ValueError(
            f"the messages hold {total / 1e6:.1f} MB of images, audio and files, of them "
            f"{size / 1e6:.1f} in {where}, and {info.name} takes {most // 10**6} MB in a request: upload "
            "them, and give URLs or ids"
        )


def _sizes(messages: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str, int]]:
    """Yield where each thing in base64 stands, its kind, and how many bytes it has."""
    for index, message in enumerate(messages):
        content = message.get("content")
        for at, part in enumerate(content if isinstance(content, list) else ()):
            kind = part.get("type") if isinstance(part, Mapping) else None
            inner = part.get(kind) if isinstance(kind, str) else None
            if isinstance(inner, Mapping):
                given = inner.get(
                    {"image_url": "url", "input_audio": "data"}.get(kind or "", "file_data")
                )
                if isinstance(given, str) and (
                    kind == "input_audio" or given[:5].lower() == "data:"
                ):
                    yield f"messages[{index}]['content'][{at}]", kind or "", len(given) * 3 // 4
