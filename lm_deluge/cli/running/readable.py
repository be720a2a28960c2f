"""Messages as people read them, and by what they are known again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from lm_deluge.values.addresses import redact_url

__all__ = ["check_text", "digest_of", "readable", "without_data"]


def digest_of(messages: Sequence[Mapping[str, Any]]) -> str:
    """Return 16 hex digits: the same for the same messages."""
    said = json.dumps(messages, sort_keys=True, ensure_ascii=False).encode()
    return hashlib.sha256(said).hexdigest()[:16]


def check_text(value: object, where: str) -> None:
    """Raise ``ValueError`` for half a character (a lone surrogate), which no file or wire can hold."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError as error:
            message = f"half a character ({value[error.start]!a}, a lone surrogate) in {where!r}"
            raise ValueError(message) from None
    elif isinstance(value, Mapping):
        for key, item in value.items():
            check_text(key, where)
            check_text(item, where)
    elif isinstance(value, list):
        for item in value:
            check_text(item, where)


def readable(messages: Sequence[Mapping[str, Any]]) -> str:
    """Return what is asked as text: one user message as it is, several by their roles."""
    if len(messages) == 1 and messages[0].get("role") == "user":
        return _content(messages[0].get("content"))
    return "\n\n".join(f"{said['role']}: {_content(said.get('content'))}" for said in messages)


def _content(content: object) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(_part(part) for part in parts)


def _part(part: object) -> str:
    if isinstance(part, Mapping) and isinstance(part.get("text"), str):
        return str(part["text"])
    kind = part.get("type", "part") if isinstance(part, Mapping) else "part"
    data = json.dumps(part, sort_keys=True, ensure_ascii=False)
    image = part.get("image_url") if isinstance(part, Mapping) else None
    url = image.get("url") if isinstance(image, Mapping) else image
    if isinstance(url, str):
        if not url.startswith("data:"):
            return f"[{kind} {redact_url(url)}]"
        data = url
    return f"[{kind} sha256:{hashlib.sha256(data.encode()).hexdigest()}]"


def without_data(value: Any) -> Any:
    """Return what is sent, with a word in the place of each image and file that is in it."""
    if isinstance(value, dict):
        return {
            key: _data_word(item) if key in ("data", "file_data") else without_data(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [without_data(item) for item in value]
    if isinstance(value, str) and value.startswith("data:"):
        return _data_word(value)
    return value


#: Characters that are shown as they are, even where they are data.
_SHORT = 200


def _data_word(value: Any) -> Any:
    if not isinstance(value, str) or len(value) <= _SHORT:
        return without_data(value) if isinstance(value, dict | list) else value
    head = value[: value.index(",") + 1] if value.startswith("data:") and "," in value else ""
    digest = hashlib.sha256(value.encode()).hexdigest()[:16]
    return f"{head}[{len(value) - len(head)} characters, sha256:{digest}]"
