"""No secret in what an error shows, even if the server echoes it."""

from __future__ import annotations

from typing import Final, TypeVar

from lm_deluge.errors import ProtocolError, StreamError
from lm_deluge.transport import Request

__all__ = ["redact_error", "without_secrets"]

E = TypeVar("E", bound=StreamError)

#: What errors take over from a server's words.
_QUOTED: Final = ("body", "type", "code", "param", "request_id")


def redact_error(error: E, request: Request) -> E:
    """Replace the request's secrets in everything that the error quotes; return the error.

    After decoding, because JSON can spell a character in more than one way.
    """
    text = request.redact(error.message)
    if text != error.message:
        error.message = text
        error.args = (text,)
    for name in _QUOTED:
        if hasattr(error, name):
            try:
                shown = without_secrets(getattr(error, name), request)
            except RecursionError:
                shown = "[nested too deeply to be shown]"
            setattr(error, name, shown)
    if isinstance(error, ProtocolError):
        error.evidence = request.redact(error.evidence.decode("utf-8", "replace")).encode()
    return error


def without_secrets(value: object, request: Request) -> object:
    """Return JSON data with the request's secrets replaced in every text."""
    if isinstance(value, str):
        return request.redact(value)
    if isinstance(value, list):
        return [without_secrets(item, request) for item in value]
    if isinstance(value, dict):
        return {
            without_secrets(key, request): without_secrets(item, request)
            for key, item in value.items()
        }
    return value
