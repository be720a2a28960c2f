"""From an error reply to the exception that tells it. No I/O."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from lm_deluge.errors import APIStatusError, status_error
from lm_deluge.wire.error_words import told_by, type_of, words_in
from lm_deluge.wire.headers import header_text, request_id, retry_after
from lm_deluge.wire.json import decode_any
from lm_deluge.wire.surrogates import without_surrogates

__all__ = [
    "error_from_reply",
]

#: What says nothing but that the answer is elsewhere (RFC 9110, section 15.4).
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_NOT_MODIFIED: Final = 304
_NOT_FOUND: Final = 404


def error_from_reply(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    shown_url: str,
    hints: Sequence[tuple[str, str]] = (),
    usual_path: str = "",
) -> APIStatusError:
    """Return the most specific exception for a reply with a status other than 200.

    ``body``: as far as it was read; whoever raises the error redacts it. JSON of known shapes gives the
    provider's message, type, code and param; anything else is shown as it came. ``hints``: what to say
    beside a message with some words in it. ``usual_path``: what most base URLs of this API end in, to name it
    where one without a path finds nothing.
    """
    from lm_deluge.wire.waits import told_wait  # few streams fail, and all would import it

    try:
        parsed: Any = decode_any(body)
    except ValueError:
        parsed = None
    with contextlib.suppress(RecursionError):  # what nests so deep was decoded without any
        parsed = without_surrogates(parsed, frozenset())
    error = parsed
    if isinstance(parsed, list) and parsed:  # Gemini's compatible endpoint
        error = parsed[0]
    if isinstance(error, Mapping) and _is_wrapped(error):
        error = error["error"]
    fields = told_by(error)
    message = words_in(error) or _shown(body) or "no explanation"
    if status in _REDIRECTS and "Location" not in headers:
        message = f"{shown_url} redirects, and does not say where to: is the base_url right?"
    elif 300 <= status < 400 and status != _NOT_MODIFIED and "Location" in headers:
        target = _host(header_text(headers.get("Location", "")))
        message = (
            f"{shown_url} redirects to {target}; redirects are refused, "
            "because the key must not follow to another host: correct the base_url"
        )
    code = fields.get("code")
    param = fields.get("param")
    code = code if isinstance(code, (str, int)) else None
    # Google's code is the status once more; its word for the error is the type.
    word = type_of(fields) if str(code) == str(status) else code
    text = f"{message.rstrip()} (HTTP {status}{f', {word}' if word else ''})"
    for mark, hint in hints:
        if mark in message:
            text = f"{text}. Hint: {hint}"
    has_no_path = usual_path and urlsplit(shown_url).path in ("", "/")
    if status == _NOT_FOUND and has_no_path and "model" not in message.lower():
        text = f"{text}. Hint: most servers answer below {shown_url.rstrip('/')}{usual_path}"
    wait = retry_after(headers)
    should_retry = headers.get("x-should-retry")
    return status_error(status)(
        text,
        status_code=status,
        body=error if error is not None else body.decode("utf-8", "replace"),
        type=type_of(fields),
        code=code,
        param=param if isinstance(param, str) else None,
        request_id=request_id(headers),
        retry_after=told_wait(error, message) if wait is None else wait,
        should_retry={"true": True, "false": False}.get((should_retry or "").lower()),
    )


def _is_wrapped(body: Mapping[str, Any]) -> bool:
    """Whether ``error`` is the error itself, and not only its title beside the ``message``."""
    error = body.get("error")
    return bool(error) and not (isinstance(error, str) and isinstance(body.get("message"), str))


def _shown(body: bytes) -> str:
    """Return the beginning of a body that is no JSON, on one line."""
    text = " ".join(body[:500].decode("utf-8", "replace").split())
    return f"{text[:200]}…" if len(text) > 200 else text


def _host(location: str) -> str:
    """Return scheme and host of a redirect's target: the rest may hold a secret."""
    try:
        parts = urlsplit(location)
    except ValueError:
        return "an address that is none"
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}".removeprefix("://") if host else "another path"
