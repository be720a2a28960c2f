"""Errors that come inside an answer's body: the shapes that servers give them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lm_deluge.errors import ProviderError
from lm_deluge.wire.chunks import text_or_none
from lm_deluge.wire.text import without_surrogates

__all__ = ["error_in", "provider_error"]


def error_in(chunk: Mapping[str, Any], event: str) -> object:
    """Return the error that a chunk carries in one of the shapes servers use, else ``None``."""
    error = chunk.get("error")
    if error:
        return error
    if event == "error" or chunk.get("object") == "error":
        return chunk
    if chunk.get("type") == "error" and "choices" not in chunk:
        return chunk
    return None


def provider_error(body: object) -> ProviderError:
    """Return the exception for an error as the server sent it: an object, a text, anything else."""
    try:
        body = without_surrogates(body, frozenset())
    except RecursionError:
        body = "an error object nested too deeply to be shown"
    fields: Mapping[str, Any] = body if isinstance(body, dict) else {}
    message = fields.get("message")
    if not isinstance(message, str) or not message:
        nested = fields.get("detail") or fields.get("error")
        message = nested if isinstance(nested, str) else None
    if not message:
        message = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
    code = fields.get("code")
    return ProviderError(
        f"the provider reported an error: {message}",
        body=body,
        type=text_or_none(fields.get("type")),
        code=code if isinstance(code, (str, int)) else None,
    )
