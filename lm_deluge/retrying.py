"""Whether a failed attempt is followed by another, and when. Values in, values out."""

from __future__ import annotations

import email.utils
import time
from collections.abc import Mapping
from datetime import UTC
from random import random
from typing import Final

from lm_deluge.config import RetryPolicy
from lm_deluge.errors import (
    AnswerCutError,
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    NotFoundError,
    PermissionDeniedError,
    ProviderError,
    StreamError,
)

__all__ = ["falls_back", "retry_after", "retry_delay"]

# What providers call a passing failure when they report it inside a 200.
_PASSING: Final = frozenset(
    {
        "overloaded",
        "overloaded_error",
        "rate_limit_error",
        "rate_limit_exceeded",
        "server_error",
        "internal_server_error",
        "api_error",
        "service_unavailable",
        "timeout",
    }
)

# A 429 that waiting does not cure: the account has no money left.
_SPENT: Final = frozenset({"insufficient_quota", "billing_hard_limit_reached"})


def retry_delay(policy: RetryPolicy, error: StreamError, failures: int) -> float | None:
    """Return seconds until the model is asked again, ``None`` if it is not.

    ``error`` came before any output; ``failures`` attempts at this model have failed, this one
    included.
    """
    if failures >= policy.max_attempts or not _is_passing(policy, error):
        return None
    asked = error.retry_after if isinstance(error, APIStatusError) else None
    if asked is None:
        return policy.delay(failures, random)
    if policy.max_retry_after is not None and asked > policy.max_retry_after:
        return None
    return asked


def falls_back(policy: RetryPolicy, error: StreamError) -> bool:
    """Return whether another model may be able to answer where this one was not.

    It may not where the request itself is at fault, or where the whole stream has run out of time.
    """
    if isinstance(error, (NotFoundError, PermissionDeniedError)):
        return True
    if isinstance(error, APIStatusError):
        return error.status_code is not None and policy.retries_status(error.status_code)
    return _is_passing(policy, error)


def _is_passing(policy: RetryPolicy, error: StreamError) -> bool:
    if isinstance(error, APIStatusError):
        if error.status_code is None or error.code in _SPENT or error.type in _SPENT:
            return False
        if error.should_retry is not None:
            return error.should_retry
        return policy.retries_status(error.status_code)
    if isinstance(error, ProviderError):
        code = error.code
        if isinstance(code, str) and code.isascii() and code.isdigit() and len(code) == 3:
            code = int(code)
        if isinstance(code, int):
            return policy.retries_status(code)
        return bool({error.type, code} & _PASSING)
    if isinstance(error, APITimeoutError):
        return policy.timeouts and error.phase in ("connect", "first_token")
    if isinstance(error, (APIConnectionError, AnswerCutError)):
        return policy.connection_errors
    return False


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds a server asks to wait, from the three forms it may say so in.

    ``retry-after-ms`` (milliseconds), ``Retry-After`` in seconds, or as an HTTP date (RFC 9110,
    section 10.2.3). ``None`` where there is none or it makes no sense.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    text = headers.get("Retry-After")
    if text is None:
        return None
    seconds = _number(text)
    if seconds is not None:
        return seconds
    try:
        moment = email.utils.parsedate_to_datetime(text)
        if moment.tzinfo is None:  # without a zone, or with "-0000": UTC all the same
            moment = moment.replace(tzinfo=UTC)
        return max(0.0, moment.timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def _number(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value < float("inf") else None
