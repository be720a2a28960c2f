"""What servers call their failures, and the status that each has as a reply: one table for all dialects.

Imported when a first failure is told, not before.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

__all__ = ["is_spent", "says_spent", "status_told"]

#: A word in a type or code, and the status of a reply that has it; the first that is found counts.
#: Words are lower case and their parts joined by ``_``.
_STATUSES: Final = tuple(
    (re.compile(words), status)
    for words, status in (
        # An account without money.
        (r"insufficient_(\w+_)?quota|exceeded_current_quota|billing_(hard|not)", 429),
        (r"billing|payment_required|arrear|overdue|(out_of|no)_(credit|fund)", 402),
        (r"insufficient_(\w+_)?(balance|credit|fund)", 402),
        (r"(credit|balance|fund)s?_(exhausted|exceeded|insufficient|depleted)", 402),
        # Limits of a request, before those that pass.
        (r"(request|payload|entity|content)_too_large", 413),
        (r"context_(length|window)|too_(large|long|many_tokens|small)|tokens_limit_reached", 400),
        (r"^image_(?!generation)|_image(_|$)", 400),
        (
            r"rate_?limit|throttl|resource_(has_been_)?exhausted|too_many_requests|quota|queue_exceeded",
            429,
        ),
        (r"model_not_ready|tier_capacity|limit_?exceeded|^requests$|^tokens$", 429),
        (r"^overloaded_error", 529),
        (r"overload|unavailable|capacity|slow_?down|busy|model_loading", 503),
        (r"request_timed?_?out", 408),
        (r"timed?_?out|deadline", 504),
        (r"bad_gateway|upstream", 502),
        (r"unimplemented|not_implemented", 501),
        (r"api_?key|(invalid|wrong|missing)_key|authenti|unauthori[sz]ed|credential", 401),
        (r"(invalid|expired)_token|account_deactivated", 401),
        (r"permission|forbidden|denied|not_allowed|country", 403),
        (r"not_?found|no_such|does_not_exist|unknown_(model|url)|model_not_(exist|available)", 404),
        (r"conflict|already_exists|^aborted$", 409),
        (r"unprocessable|validation(?!_exception)", 422),
        (r"invalid|bad_?request|unsupported|not_supported|malformed|failed_precondition", 400),
        (r"out_of_range|validation|content_filter|policy|moderation|safety|sensitive", 400),
        (r"data_?inspection|flagged|guardrail|unknown_parameter|missing_|too_many", 400),
        (r"tool_use_failed|json_validate_failed|string_above|_value$", 400),
        (r"auth", 401),
        (r"server_?error|internal|^api_?error$|^unknown$|data_loss|stream_error", 500),
        (r"generation$|service_error|processing_error", 500),
    )
)

#: How an account without money is called. Seen: insufficient_quota, billing_hard_limit_reached,
#: billing_not_active (OpenAI), insufficient_user_quota (one-api), Arrearage (Alibaba), AccountOverdueError
#: (Volcengine), exceeded_current_quota_error (Moonshot), payment_required, insufficient_balance,
#: credits_exhausted and their like.
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

#: Where an error object has the status that it would have as a reply, and where words for what failed:
#: a code says more than a type (``invalid_request_error``, ``invalid_api_key``).
_NUMBERS: Final = ("code", "status", "status_code", "statusCode", "http_status")
_WORDS: Final = ("code", "error_code", "status", "type", "error_type")

#: Between the parts of ``RateLimitError``, ``Throttling.RateQuota``, ``INVALID_ARGUMENT``.
_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_BETWEEN: Final = re.compile(r"[^a-z0-9]+")

#: Characters of a name that are looked at: xAI's codes are sentences.
_LONGEST: Final = 120

#: A text that is a name and no sentence.
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{2,59}")


def status_told(*told: object) -> int | None:
    """Return the HTTP status that a failure has as a reply; ``None`` where nothing in it says.

    ``told``: error objects, or words and codes alone; the first that says something counts.
    """
    for value in told:
        if isinstance(value, Mapping):
            for key in _NUMBERS:
                if (number := _http(value.get(key))) is not None:
                    return number
            names = [value.get(key) for key in _WORDS]
        else:
            # A text may be a name, and is a sentence elsewhere, in which any word may stand.
            names = [value] if isinstance(value, str) and _NAME.fullmatch(value) else []
        for name in names:
            if isinstance(name, str) and (status := _status_of(name)) is not None:
                return status
    return None


def is_spent(*names: object) -> bool:
    """Whether types or codes say that the account has no money left, which waiting does not cure."""
    return any(isinstance(name, str) and _SPENT.search(name.lower()) is not None for name in names)


def says_spent(message: str) -> bool:
    """Whether a message says so."""
    return _SPENT_WORDS.search(message) is not None


def _status_of(name: str) -> int | None:
    word = _BETWEEN.sub("_", _HUMP.sub("_", name[:_LONGEST]).lower())
    for pattern, status in _STATUSES:
        if pattern.search(word) is not None:
            return status
    return None


def _http(value: object) -> int | None:
    """Return a number that is the status of a failure; other numbers are a provider's own."""
    if isinstance(value, str) and len(value) == 3 and value.isascii() and value.isdigit():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 400 <= value <= 599 else None
