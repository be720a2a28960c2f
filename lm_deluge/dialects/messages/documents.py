"""Images and files as the Messages API has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from lm_deluge.dialects.asked import url_of
from lm_deluge.dialects.attached import data_in, file_in, no_place_for, text_in

__all__ = ["document_of", "image_source"]

_API: Final = "the Messages API"
_IMAGES: Final = ("image/jpeg", "image/png", "image/gif", "image/webp")

#: What is text, whatever it is called.
_TEXTS: Final = ("application/json", "application/jsonl", "application/yaml", "application/xml")


def image_source(image: object, where: str) -> dict[str, Any]:
    """Return where an image is from; ``ValueError`` for a format that this API does not know."""
    url = url_of(image, where)
    data = data_in(url)
    if data is None:
        return {"type": "url", "url": url}
    if data[0] not in _IMAGES:
        instead = "give JPEG, PNG, GIF or WebP"
        raise no_place_for(where, f"an image of the kind {data[0]!r}", _API, instead)
    return {"type": "base64", "media_type": data[0], "data": data[1]}


def document_of(part: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return a file as a document, which is a PDF or a text; an image among the files as an image.

    Raises ``ValueError`` for a file of another kind.
    """
    file = file_in(part, where)
    given = file.get("file_data")
    if not isinstance(given, str):
        known = file.get("file_id")
        source = (
            {"type": "file", "file_id": known}
            if known
            else {"type": "url", "url": file["file_url"]}
        )
        return {"type": "document", "source": source, **_beside(part, file)}
    kind, data = data_in(given) or ("application/pdf", given)
    if kind in _IMAGES:
        return {"type": "image", "source": {"type": "base64", "media_type": kind, "data": data}}
    source = {"type": "base64", "media_type": kind, "data": data}
    if kind.startswith("text/") or kind in _TEXTS:
        source = {"type": "text", "media_type": "text/plain", "data": text_in(data, where)}
    elif kind != "application/pdf":
        instead = "give a PDF or a text, or ask a model of another dialect"
        raise no_place_for(where, f"a file of the kind {kind!r}", _API, instead)
    return {"type": "document", "source": source, **_beside(part, file)}


def _beside(part: Mapping[str, Any], file: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a document has beside its source."""
    name = file.get("filename")
    title = {"title": name} if isinstance(name, str) and name else {}
    return title | {key: part[key] for key in part if key not in ("type", "file")}
