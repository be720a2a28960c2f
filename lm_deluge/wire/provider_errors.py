"""Errors that come inside an answer's body: the shapes that servers give them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from lm_deluge.errors import ProviderError
from lm_deluge.wire.keeping import text_of, text_or_none
from lm_deluge.wire.text import without_surrogates

__all__ = ["error_in", "is_error_event", "provider_error"]

#: Words of an object without choices that only a failure has.
_TELLS: Final = ("error", "exception", "fault")

#: Where such an object says in words what went wrong.
_WORDS: Final = (
    "message",
    "detail",
    "details",
    "msg",
    "error_message",
    "error_msg",
    "errorMessage",
    "status_msg",
    "reason",
    "title",
    "error",
    "errors",
)

#: What a server says while it works: no failure, whatever it says beside it.
_HARMLESS: Final = frozenset(
    {
        "ping",
        "keepalive",
        "keep-alive",
        "heartbeat",
        "ok",
        "success",
        "succeeded",
        "queued",
        "pending",
        "processing",
        "running",
        "in_progress",
        "started",
        "loading",
        "completed",
    }
)

_PARTS: Final = re.compile(r"[^a-z]+")

_FAILED: Final = frozenset({"failed", "failure", "error", "fail", "cancelled", "canceled"})


def is_error_event(name: str) -> bool:
    """Whether an event's type says that it tells of a failure."""
    return bool(name) and ("error" in (low := name.lower()) or "exception" in low)


def error_in(chunk: Mapping[str, Any], event: str) -> object:
    """Return the failure that a chunk tells of, in whatever place and shape, else ``None``."""
    error = chunk.get("error")
    if error:
        return error
    kind = chunk.get("object")
    if isinstance(kind, str) and kind != "chat.completion.chunk" and "error" in kind.lower():
        return chunk
    if event and is_error_event(event):
        return chunk
    choices = chunk.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict):
            for place in (choice, choice.get("delta"), choice.get("message")):
                if isinstance(place, dict) and place.get("error"):
                    return place["error"]
            reason = choice.get("finish_reason")
            if reason and "error" in text_of(reason).lower():
                return choice
    if "base_resp" in chunk and _has_failed(chunk["base_resp"]):  # MiniMax, beside its choices
        return chunk["base_resp"]
    if not choices and not chunk.get("usage") and _is_failure(chunk, event):
        return chunk
    return None


def _has_failed(status: object) -> bool:
    if not isinstance(status, dict):
        return False
    code = status.get("status_code")
    return bool(code) and code not in ("0", 200)


def _is_failure(fields: Mapping[str, Any], event: str) -> bool:
    """Tell whether an object without an answer is about a failure."""
    kind, status = fields.get("type"), fields.get("status")
    words = {str(word).lower() for word in (kind, status) if isinstance(word, str)}
    if any("error" in word or not _FAILED.isdisjoint(_PARTS.split(word)) for word in words):
        return True
    if any(isinstance(value, dict) and value.get("error") for value in fields.values()):
        return True
    if any(value and _tells(key) for key, value in fields.items()):
        return True
    if fields.get("success") is False or fields.get("ok") is False:
        return True
    for code in (status, fields.get("code"), fields.get("status_code")):
        if isinstance(code, int) and not isinstance(code, bool) and 400 <= code <= 599:
            return True
    if words & _HARMLESS or event not in ("", "message"):
        return False
    return any(isinstance(fields.get(key), (str, list)) and fields[key] for key in _WORDS)


def _tells(key: object) -> bool:
    low = str(key).lower()
    return any(word in low for word in _TELLS)


def provider_error(body: object) -> ProviderError:
    """Return the exception for an error as the server sent it: an object, a text, anything else."""
    try:
        body = without_surrogates(body, frozenset())
    except RecursionError:
        body = "an error object nested too deeply to be shown"
    fields: Mapping[str, Any] = body if isinstance(body, dict) else {}
    code = fields.get("code")
    return ProviderError(
        f"the provider reported an error: {_words(body)}",
        body=body,
        type=text_or_none(fields.get("type")),
        code=code if isinstance(code, (str, int)) else None,
    )


def _words(body: object) -> str:
    """Return what the server says in words; where it says nothing, all of it."""
    if isinstance(body, str):
        return body
    if isinstance(body, dict):
        reason = body.get("finish_reason")
        places = [body, *(value for value in body.values() if isinstance(value, dict))]
        places += [place["error"] for place in places if isinstance(place.get("error"), dict)]
        for place in places:
            for key in _WORDS:
                text = place.get(key)
                if isinstance(text, str) and text:
                    return f"{text} (finish_reason {reason!r})" if reason else text
        if reason:
            said = json.dumps(body, ensure_ascii=False)
            return f"the finish reason is {reason!r}: {said}"
    return json.dumps(body, ensure_ascii=False)
