"""Content parts in the shapes of chat completions, made of what front-ends attach: pure."""

from __future__ import annotations

import json
from typing import Any, Final

__all__ = ["RequestBodyError", "attachment", "content_of", "said_by_tool", "text_part"]

_AUDIO: Final = {"audio/wav": "wav", "audio/x-wav": "wav", "audio/mpeg": "mp3", "audio/mp3": "mp3"}


class RequestBodyError(ValueError):
    """A body that a front-end of this kind does not send; the message says where it is wrong."""


def text_part(text: str) -> dict[str, Any]:
    """Return a text as a content part."""
    return {"type": "text", "text": text}


def attachment(media_type: str, url: str, name: str | None, where: str) -> dict[str, Any]:
    """Return an attached file as a content part; ``url``: of ``data:``, ``http:`` or ``https:``.

    Raises ``RequestBodyError`` for another address: a file of this machine is nobody's to ask for.
    """
    if not url.startswith(("data:", "https://", "http://")):
        raise RequestBodyError(
            f"{where}.url must be a data:, http: or https: URL, not {url[:40]!r}"
        )
    kind = media_type.partition(";")[0].strip().lower()
    if kind.startswith("image/"):
        return {"type": "image_url", "image_url": {"url": url}}
    if kind in _AUDIO and url.startswith("data:"):
        data = url.partition(",")[2]
        return {"type": "input_audio", "input_audio": {"data": data, "format": _AUDIO[kind]}}
    if url.startswith("data:"):
        return {"type": "file", "file": {"filename": name or "file", "file_data": url}}
    raise RequestBodyError(f"{where}: a file of type {media_type[:40]!r} must be a data: URL")


def content_of(parts: list[dict[str, Any]]) -> str | list[dict[str, Any]]:
    """Return parts as a message's content: one text where there is nothing else."""
    if all(part["type"] == "text" for part in parts):
        return "".join(part["text"] for part in parts)
    return parts


def said_by_tool(output: Any) -> str:
    """Return what a tool gave as the text that a model is told."""
    return output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)
