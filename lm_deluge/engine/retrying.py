"""Whether a failed attempt is followed by another, and when. Values in, values out."""

from __future__ import annotations

from random import random
from typing import Final

from lm_deluge.config import RetryPolicy
from lm_deluge.errors import (
    AnswerCutError,
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    ProtocolError,
    ProviderError,
    StreamError,
)

__all__ = ["falls_back", "retry_delay"]

_PAYMENT_REQUIRED: Final = 402


#: What is wrong with this model or this account, and need not be with another.
_ELSEWHERE: Final = frozenset({_PAYMENT_REQUIRED, 403, 404})


def retry_delay(
    policy: RetryPolicy, error: StreamError, failures: int, *, verdict: bool | None = None
) -> float | None:
    """Return seconds until the model is asked again, ``None`` if it is not.

    ``error`` came before any output; ``failures`` attempts at this model have failed, this one
    included. ``verdict``: whether the dialect says that a reported error passes; ``None``: it does not say.
    """
    if failures >= policy.max_attempts or not _is_passing(policy, error, verdict=verdict):
        return None
    if failures == 1 and isinstance(error, APIConnectionError) and error.stale:
        return 0.0  # it says nothing about how the server is
    asked = error.retry_after if isinstance(error, (APIStatusError, ProviderError)) else None
    if asked is None:
        return policy.delay(failures, random)
    if policy.max_retry_after is not None and asked > policy.max_retry_after:
        return None
    return asked


def falls_back(policy: RetryPolicy, error: StreamError, *, verdict: bool | None = None) -> bool:
    """Return whether another model may be able to answer where this one was not.

    It may not where the request itself is at fault, or where the whole stream has run out of time.
    ``verdict``: as in ``retry_delay``; what passes here may have passed there.
    """
    if isinstance(error, ProtocolError):
        return policy.connection_errors
    if not isinstance(error, (APIStatusError, ProviderError)):
        return _is_passing(policy, error)
    if verdict:
        return True
    status = _status_of(error)
    if status is not None and (
        status in _ELSEWHERE or 200 <= status < 300 or policy.retries_status(status)
    ):
        return True
    if _is_spent(error, words=True):
        return True
    return isinstance(error, ProviderError) and _is_passing(policy, error)


def _is_passing(policy: RetryPolicy, error: StreamError, *, verdict: bool | None = None) -> bool:
    if verdict is not None:
        return verdict
    if isinstance(error, (APIStatusError, ProviderError)):
        return _is_report_passing(policy, error)
    if isinstance(error, APITimeoutError):
        return policy.timeouts and error.phase in ("connect", "first_token")
    if isinstance(error, ProtocolError):
        # A page for people stays one.
        return policy.connection_errors and error.content_type is None
    if isinstance(error, APIConnectionError) and error.status_code is not None:
        return policy.retries_status(error.status_code)
    if isinstance(error, (APIConnectionError, AnswerCutError)):
        return policy.connection_errors
    return False


def _is_report_passing(policy: RetryPolicy, error: APIStatusError | ProviderError) -> bool:
    """Whether what a server reported may pass: by its status, and whatever says nothing of the request."""
    if _is_spent(error, words=isinstance(error, ProviderError)):
        return False
    if isinstance(error, APIStatusError):
        if error.status_code is None:
            return False
        if error.should_retry is not None:
            return error.should_retry
    status = _status_of(error)
    return status is None or policy.retries_status(status)


def _status_of(error: APIStatusError | ProviderError) -> int | None:
    """Return the HTTP status of a reply, or the one that an error inside a 200 has as a reply."""
    from lm_deluge.wire.error_table import status_told  # few streams fail, and all would import it

    if isinstance(error, APIStatusError):
        return error.status_code
    return status_told({"code": error.code, "type": error.type})


def _is_spent(error: APIStatusError | ProviderError, *, words: bool) -> bool:
    """Whether the account has no money left, which waiting does not cure; ``words``: by its message, too."""
    from lm_deluge.wire.error_table import is_spent, says_spent  # as above

    return is_spent(error.type, error.code) or (words and says_spent(error.message))
