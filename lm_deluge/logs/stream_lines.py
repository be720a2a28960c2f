"""The lines that tell of a whole stream, built from the stream: for every logger the same ones.

What they ask of a ``Stream`` and of a ``Retry`` is named here, because both live in a later room. No
secret is taken out: that is the caller's, with ``stream.redactor``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from lm_deluge.errors import StreamError
from lm_deluge.logs.record import (
    CompleteLine,
    ErrorLine,
    RetryLine,
    StartLine,
    complete_line,
    error_line,
    retry_line,
    start_line,
)
from lm_deluge.values.response import APIResponse
from lm_deluge.values.usage import COUNTS

__all__ = ["complete_line_of", "error_line_of", "retry_line_of", "start_line_of"]


class LoggedStream(Protocol):
    """What the lines need to know of a ``Stream``; see there."""

    @property
    def id(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def base_url(self) -> str: ...
    @property
    def tags(self) -> Mapping[str, Any]: ...
    @property
    def prompt_chars(self) -> int: ...
    @property
    def prompt(self) -> str: ...
    @property
    def started_at(self) -> datetime | None: ...
    @property
    def queued(self) -> float: ...
    @property
    def elapsed(self) -> float: ...
    @property
    def busy(self) -> float: ...


class LoggedRetry(Protocol):
    """What a line needs to know of a ``Retry``; see there."""

    @property
    def error(self) -> StreamError: ...
    @property
    def attempt(self) -> int: ...
    @property
    def delay(self) -> float: ...
    @property
    def resumed(self) -> bool: ...


def start_line_of(
    stream: LoggedStream, tags: Mapping[str, Any] | None = None, *, prompt: bool = False
) -> StartLine:
    """Return the line that opens ``stream``, for ``on_start``. ``tags``: added to the stream's own.

    ``prompt``: whether it tells how the prompt begins. The prompt's hash is the caller's to add, where
    it does not hold up an event loop.
    """
    at = stream.started_at
    return start_line(
        stream.id,
        model=stream.model,
        at=at.isoformat(timespec="milliseconds") if at is not None else "",
        base_url=stream.base_url,
        queued=stream.queued,
        tags={**stream.tags, **tags} if tags else stream.tags,
        prompt_chars=stream.prompt_chars,
        prompt=(stream.prompt or None) if prompt else None,
        # Those alone that a proxy watches have them.
        fault=getattr(stream, "fault", None),
        app_retry=getattr(stream, "app_retry", None),
    )


def retry_line_of(stream: LoggedStream, retry: LoggedRetry) -> RetryLine:
    """Return the line of an attempt that failed and is followed by another, for ``on_retry``."""
    return retry_line(
        stream.id,
        _ended_at(stream, retry.error),
        error=type(retry.error).__name__,
        attempt=retry.attempt,
        delay=retry.delay,
        resumed=retry.resumed,
    )


def complete_line_of(
    stream: LoggedStream, response: APIResponse, *, text: bool = True
) -> CompleteLine:
    """Return the line that ends a whole answer, for ``on_complete``.

    ``text``: ``False`` leaves out what the provider says of the end, which may quote the answer.
    """
    usage = response.usage
    return complete_line(
        stream.id,
        response.elapsed,
        model=response.model_used,
        finish_reason=response.finish_reason,
        usage=None if usage is None else {name: getattr(usage, name) for name in COUNTS},
        cost=response.cost,
        response_id=response.response_id,
        attempts=response.attempts,
        busy=stream.busy,
        missing=response.missing,
        finish_reason_raw=response.finish_reason_raw,
        stop_details=response.stop_details if text else None,
        connected=getattr(stream, "connected", None),
    )


def error_line_of(
    stream: LoggedStream, error: StreamError, *, pieces: int, text: bool = True
) -> ErrorLine:
    """Return the line that ends a stream any other way, for ``on_error``.

    ``pieces``: received so far. ``text``: ``False`` leaves the error's words out, which may quote
    the prompt.
    """
    return error_line(
        stream.id,
        _ended_at(stream, error),
        error=type(error).__name__,
        phase=error.phase,
        tokens=pieces,
        attempts=error.attempts,
        message=str(error) if text else None,
        busy=stream.busy,
        connected=getattr(stream, "connected", None),
    )


def _ended_at(stream: LoggedStream, error: StreamError) -> float:
    return error.elapsed if error.elapsed is not None else stream.elapsed
