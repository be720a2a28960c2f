"""Whether a failed attempt is followed by another, and when. Values in, values out."""

from __future__ import annotations

import re
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

#: How providers call what is wrong with a request, which another attempt does not cure.
_REQUEST: Final = re.compile(
    r"invalid|bad_?request|context_length|too_(large|long|many_tokens)|content_(filter|policy)"
    r"|data_?inspection|moderation|safety|sensitive|auth|permission|forbidden|denied|not_?found"
    r"|unsupported|not_supported|unprocessable|validation"
)

#: How providers call an account without money, in a code or type. Seen: insufficient_quota,
#: billing_hard_limit_reached, billing_not_active (OpenAI), insufficient_user_quota (one-api),
#: Arrearage (Alibaba), AccountOverdueError (Volcengine), exceeded_current_quota_error (Moonshot),
#: payment_required, insufficient_balance, credits_exhausted and their like.
_SPENT: Final = re.compile(
    r"insufficient_?(\w+_)?(quota|balance|credit|fund)|exceeded_current_quota"
    r"|(credits?|balance|funds?)_?(exhausted|exceeded|insufficient|depleted)"
    r"|(out_of|no)_(credit|fund)|billing|payment_required|arrear|account_?overdue"
)

#: The same in the words of those who have no code for it (Anthropic: 400, invalid_request_error).
_SPENT_WORDS: Final = re.compile(
    r"(credit|account) balance|insufficient[ _]\w*[ _]?(balance|credit|fund|quota)|payment required"
    r"|(out of|not enough|no more|run out of) (credit|fund|money)"
    r"|\u4f59\u989d\u4e0d\u8db3|\u6b20\u8d39",  # "balance is not enough", "in arrears"
    re.IGNORECASE,
)

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
    asked = error.retry_after if isinstance(error, APIStatusError) else None
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
    if _is_spent(error) or _SPENT_WORDS.search(error.message) is not None:
        return True
    return isinstance(error, ProviderError) and _is_passing(policy, error)


def _is_passing(policy: RetryPolicy, error: StreamError, *, verdict: bool | None = None) -> bool:
    if verdict is not None:
        return verdict
    if isinstance(error, APIStatusError):
        if error.status_code is None or _is_spent(error):
            return False
        if error.should_retry is not None:
            return error.should_retry
        return policy.retries_status(error.status_code)
    if isinstance(error, ProviderError):
        if _is_spent(error) or _SPENT_WORDS.search(error.message) is not None:
            return False
        status = _status_of(error)
        if status is not None:
            return policy.retries_status(status)
        # What says nothing of the request is the server's own trouble.
        return not any(
            isinstance(name, str) and _REQUEST.search(name.lower()) is not None
            for name in (error.type, error.code)
        )
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


def _status_of(error: APIStatusError | ProviderError) -> int | None:
    """Return the HTTP status, which a provider may report as the code of an error inside a 200."""
    if isinstance(error, APIStatusError):
        return error.status_code
    code = error.code
    if isinstance(code, str) and code.isascii() and code.isdigit() and len(code) == 3:
        code = int(code)
    # Other numbers are a provider's own.
    return code if isinstance(code, int) and 400 <= code <= 599 else None


def _is_spent(error: APIStatusError | ProviderError) -> bool:
    """Whether the account has no money left, which waiting does not cure."""
    return any(
        isinstance(name, str) and _SPENT.search(name.lower()) is not None
        for name in (error.type, error.code)
    )
