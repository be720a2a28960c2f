"""Errors without secrets, all along the chain of their causes."""

from __future__ import annotations

from typing import Final, TypeVar

from lm_deluge.errors import StreamError
from lm_deluge.values.redaction import Redactor, writable

__all__ = ["redact_error"]

E = TypeVar("E", bound=BaseException)


def redact_error(error: E, redactor: Redactor) -> E:
    """Take secrets out of all that an error and its causes show; return the error.

    Our own errors are rewritten, all their texts and data. A foreign one cannot be: where it shows a
    secret, it and what it was caused by are no longer chained.
    """
    seen: set[int] = set()
    queue: list[BaseException] = [error]
    while queue:
        link = queue.pop()
        seen.add(id(link))
        _redact_link(link, redactor)
        for name in ("__cause__", "__context__"):
            following = getattr(link, name)
            if following is None or id(following) in seen:
                continue
            if isinstance(following, StreamError) or not _shows_secret(following, redactor):
                queue.append(following)
            else:
                suppressed = link.__suppress_context__
                setattr(link, name, None)
                link.__suppress_context__ = suppressed
    return error


#: What a model said, and what was redacted when it was made.
_AS_IT_CAME: Final = frozenset({"partial", "handler_failures", "failure", "stream_id"})


def _redact_link(error: BaseException, redactor: Redactor) -> None:
    if isinstance(error, StreamError):
        error.args = redactor.data(error.args)
        for name, value in vars(error).items():
            if name not in _AS_IT_CAME:
                setattr(error, name, redactor.data(value))


def _shows_secret(error: BaseException, redactor: Redactor) -> bool:
    if hasattr(error, "request_info"):  # aiohttp's: its repr shows the request's headers
        return True
    try:
        texts = f"{error!r} {error} {error.args!r} {vars(error)!r}"
    except Exception:  # noqa: BLE001 - whatever cannot be shown is not to be chained
        return True
    return bool(redactor.find(texts)) or writable(texts) != texts
