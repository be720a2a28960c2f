"""Errors that come inside an answer's body: the shapes that servers give them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from lm_deluge.errors import ProviderError
from lm_deluge.wire.error_words import reported_error, words_in
from lm_deluge.wire.keeping import text_of

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

#: Under what names a reason for the end stands.
_ENDS: Final = frozenset({"finish_reason", "stop_reason", "native_finish_reason"})

_FAILED: Final = frozenset({"failed", "failure", "error", "fail", "cancelled", "canceled"})

#: Words of a finish reason that nobody gives to an answer which is whole: the server, or what stands
#: before it, gave up (vLLM and SGLang: abort; DeepSeek: insufficient_system_resource).
_GAVE_UP: Final = _FAILED | {"abort", "aborted", "timeout", "timedout", "insufficient", "crashed"}


def is_error_event(name: str) -> bool:
    """Whether an event's type says that it tells of a failure."""
    return bool(name) and ("error" in (low := name.lower()) or "exception" in low)


def error_in(chunk: Mapping[str, Any], event: str) -> object:  # noqa: C901 - one place after the other
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
    failed = None
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict):
            for place in (choice, choice.get("delta"), choice.get("message")):
                if isinstance(place, dict):
                    if place.get("error"):
                        return place["error"]
                    if failed is None and (
                        place.get("finish_reason")
                        or place.get("stop_reason")
                        or place.get("native_finish_reason")
                    ):
                        failed = choice if _failed_end(place) else None
    if failed is not None:
        return failed
    if not _ENDS.isdisjoint(chunk) and _failed_end(chunk):
        return chunk
    if "base_resp" in chunk and _has_failed(chunk["base_resp"]):  # MiniMax, beside its choices
        return chunk["base_resp"]
    if not choices and not chunk.get("usage") and _is_failure(chunk, event):
        return chunk
    return None


def _failed_end(place: Mapping[str, Any]) -> object:
    """Return the reason for the end that says that the answer came to none, else ``None``.

    A ``stop_reason`` beside a ``finish_reason`` is none: vLLM puts the stop text there that it met.
    """
    reason = place.get("finish_reason")
    for told in (reason or place.get("stop_reason"), place.get("native_finish_reason")):
        text = text_of(told).lower() if told else ""
        if "error" in text or "timed_out" in text or not _GAVE_UP.isdisjoint(_PARTS.split(text)):
            return told
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


def provider_error(
    body: object, event: str = "", beside: Mapping[str, Any] | None = None
) -> ProviderError:
    """Return the exception for an error as the server sent it: an object, a text, anything else."""
    return reported_error(body, _words, event=event, beside=beside)


def _words(body: Any) -> str | None:
    """Return what the server says in words."""
    words = words_in(body)
    if not isinstance(body, dict):
        return words
    places = (body, body.get("delta"), body.get("message"))
    ends = [_failed_end(place) for place in places if isinstance(place, dict)]
    reason = next((end for end in ends if end), body.get("finish_reason"))
    if not reason:
        return words
    if words:
        return f"{words} (finish_reason {reason!r})"
    return f"the finish reason is {reason!r}: {json.dumps(body, ensure_ascii=False)}"
