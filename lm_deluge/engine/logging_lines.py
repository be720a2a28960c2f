"""What a stream does, told to the logger ``lm_deluge``: a few lines a stream, none a token.

INFO: each attempt that failed and what follows, and how the stream ended. DEBUG, besides: what is asked
for, the head of the response, the first output. Nothing of a prompt or an answer is told, and no
secret. Whoever logs asks ``is_enabled_for`` first, so that nothing is worked out for nobody.

Every record has the attributes ``stream_id`` and ``model``; the lines show the id's first eight
characters.
"""

from __future__ import annotations

import logging
from logging import DEBUG, INFO
from typing import TYPE_CHECKING, Any, Final

import msgspec

from lm_deluge.errors import StreamError
from lm_deluge.values.foreign import log

if TYPE_CHECKING:
    from lm_deluge.engine.plan import ModelRequest
    from lm_deluge.http.exchange import HttpExchange
    from lm_deluge.observers.retry import Retry
    from lm_deluge.values.response import APIResponse

__all__ = [
    "DEBUG",
    "INFO",
    "is_enabled_for",
    "log_ending",
    "log_head",
    "log_output",
    "log_request",
    "log_retry",
]

logger = logging.getLogger("lm_deluge")

#: ``is_enabled_for(level)``: whether anybody listens.
is_enabled_for: Final = logger.isEnabledFor

#: Fields of a request whose text is no part of a prompt.
_WORDS: Final = frozenset({"model", "reasoning_effort", "service_tier", "tool_choice", "verbosity"})


def log_request(stream_id: str, target: ModelRequest, attempt: int) -> None:
    """A request is about to be sent."""
    request = target.request
    way = f" by way of the proxy {request.proxy.shown}" if request.proxy is not None else ""
    _tell(
        DEBUG,
        stream_id,
        target.info.name,
        "attempt %d asks %s at %s%s: %s",
        attempt,
        target.info.name,
        request.shown_url,
        way,
        request.redact(_parameters(request.body)),
    )


def log_head(
    stream_id: str, model: str, exchange: HttpExchange, request_id: str | None, at: float
) -> None:
    """The head of a response is there, ``at`` seconds from t0."""
    _tell(
        DEBUG,
        stream_id,
        model,
        "status %d, %s, after %.3f s on %s connection (request id: %s)",
        exchange.status,
        exchange.request.redact(exchange.content_type) or "no content type",
        at,
        "an open" if exchange.reused else "a new",
        request_id or "none",
    )


def log_output(stream_id: str, model: str, at: float) -> None:
    """The first output is there, ``at`` seconds from t0."""
    _tell(DEBUG, stream_id, model, "first output after %.3f s", at)


def log_retry(stream_id: str, model: str, retry: Retry) -> None:
    """An attempt failed, and another follows."""
    after = f" in {retry.delay:.3g} s" if retry.delay else ""
    following = "again" if retry.next_model == model else f"{retry.next_model} instead"
    if retry.resumed:
        following = "for the rest of its answer"
    _tell(
        INFO,
        stream_id,
        model,
        "attempt %d at %s failed after %.3f s (%s: %s); asking %s%s",
        retry.attempt,
        model,
        retry.error.elapsed or 0.0,
        type(retry.error).__name__,
        _line(str(retry.error)),
        following,
        after,
    )


def log_ending(stream_id: str, model: str, ending: APIResponse | StreamError) -> None:
    """The stream has its ending."""
    if isinstance(ending, StreamError):
        received = len(ending.partial.text) if ending.partial is not None else 0
        _tell(
            INFO,
            stream_id,
            model,
            "ended after %.3f s with %d characters, attempt %d at %s: %s: %s",
            ending.elapsed or 0.0,
            received,
            ending.attempts,
            model,
            type(ending).__name__,
            _line(str(ending)),
        )
        return
    # The reason is the server's word, and so may be anything.
    reason = ending.finish_reason or "no finish reason"
    if ending.source is not None:
        reason = ending.source.redactor.text(reason)
    usage = ending.usage
    tokens = usage.output_tokens if usage is not None else None
    _tell(
        INFO,
        stream_id,
        model,
        "whole after %.3f s, attempt %d at %s: %s (first output after %s, %s characters, %s, %s)",
        ending.elapsed,
        ending.attempts,
        model,
        _line(reason),
        "none" if ending.ttft is None else f"{ending.ttft:.3f} s",
        len(ending.completion),
        "tokens not counted" if tokens is None else f"{tokens} tokens",
        "cost not known" if ending.cost is None else f"${ending.cost:.6f}",
    )


def _tell(level: int, stream_id: str, model: str, message: str, *values: object) -> None:
    log(
        level,
        "stream %s: " + message,
        stream_id[:8],
        *values,
        extra={"stream_id": stream_id, "model": model},
    )


def _line(text: str) -> str:
    """Return a text as one line that is not long."""
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


_LONGEST: Final = 300


def _parameters(body: bytes) -> str:
    """Return a request's fields, without what they say: numbers, switches and a few words as they are."""
    fields: dict[str, Any] = msgspec.json.decode(body)
    shown = []
    for name, value in fields.items():
        if isinstance(value, (bool, int, float)) or value is None or name in _WORDS:
            shown.append(f"{name}={value}")
        elif isinstance(value, list):
            shown.append(f"{name}=[{len(value)}]")
        else:
            shown.append(f"{name}=…")
    return ", ".join(shown)
