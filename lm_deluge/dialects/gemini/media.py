"""Images, audio, video and files as Gemini has them: data in the part, or the address of a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from lm_deluge.dialects.asked import url_of
from lm_deluge.dialects.attached import audio_in, data_in, file_in, kind_of_url, no_place_for

__all__ = ["media_of"]

#: What nobody there reads, by how its kind begins.
_UNKNOWN: Final = (
    "application/vnd.",
    "application/msword",
    "application/zip",
    "application/octet-stream",
)

#: Texts that go by the kind that it knows.
_AS_TEXT: Final = ("application/json", "application/jsonl", "application/yaml")


def media_of(part: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return a part; ``ValueError`` for what is none, or of a kind that Gemini does not read."""
    kind = part["type"]
    if kind == "input_audio":
        return _inline(*audio_in(part, where))
    if kind == "file":
        return _file(file_in(part, where), where)
    url = url_of(part.get(kind), where)
    data = data_in(url)
    if data is not None:
        return _inline(*data)
    # Of an image it is told by the file itself.
    return _by_address(url, None if kind == "image_url" else kind_of_url(url))


def _file(file: Mapping[str, Any], where: str) -> dict[str, Any]:
    given = file.get("file_data")
    if not isinstance(given, str):
        url = str(file.get("file_url") or file["file_id"])
        return _by_address(url, kind_of_url(url))
    kind, data = data_in(given) or ("application/pdf", given)
    if kind.startswith(_UNKNOWN):
        instead = "give a PDF or a text, or ask an 'openai-responses:…'"
        raise no_place_for(where, f"a file of the kind {kind!r}", "the Gemini API", instead)
    return _inline("text/plain" if kind in _AS_TEXT else kind, data)


def _inline(kind: str, data: str) -> dict[str, Any]:
    return {"inlineData": {"mimeType": kind, "data": data}}


def _by_address(url: str, kind: str | None) -> dict[str, Any]:
    return {"fileData": {**({} if kind is None else {"mimeType": kind}), "fileUri": url}}
