"""Whether a failed attempt is followed by another, and when."""

from __future__ import annotations

import email.utils
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_deluge import HandlerFailure, RetryPolicy
from lm_deluge.engine.retrying import falls_back, retry_delay
from lm_deluge.errors import (
    AnswerCutError,
    APIConnectionError,
    APITimeoutError,
    AuthenticationError,
    ConnectionLostError,
    HandlerError,
    LimitExceededError,
    ProtocolError,
    ProviderError,
    StreamCancelled,
    StreamError,
    status_error,
)
from lm_deluge.wire.headers import retry_after

POLICY = RetryPolicy(max_attempts=3, initial_delay=0.5, max_delay=8.0, max_retry_after=60.0)


def status(status: int, /, **fields: Any) -> StreamError:
    return status_error(status)("no", status_code=status, **fields)


def provider(**fields: Any) -> StreamError:
    return ProviderError("no", **fields)


def timeout(phase: str) -> StreamError:
    return APITimeoutError("no", phase=phase, limit=1.0)


#: What providers call an account without money.
SPENT = [
    "insufficient_quota",
    "insufficient_user_quota",
    "billing_hard_limit_reached",
    "billing_not_active",
    "billing_error",
    "payment_required",
    "insufficient_balance",
    "InsufficientBalance",
    "insufficient_credits",
    "credits_exhausted",
    "exceeded_current_quota_error",
    "Arrearage",
    "AccountOverdueError",
]

#: The same in words, where a code says nothing.
SPENT_WORDS = [
    "Your credit balance is too low to access the Anthropic API.",
    "Insufficient Balance",
    "Insufficient credits. Add more using https://openrouter.ai/settings/credits",
    "Payment Required",
    "You have run out of credits",
    "insufficient_quota",
    "\u60a8\u7684\u8d26\u6237\u4f59\u989d\u4e0d\u8db3",
    "\u60a8\u7684\u8d26\u6237\u5df2\u6b20\u8d39",
]

PASSING = [
    *(status(code) for code in (408, 409, 429, 500, 502, 503, 529)),
    status(400, should_retry=True),
    provider(),
    provider(code="²³⁴"),
    provider(code="5" * 5000),
    provider(code=1301),
    provider(type="Throttling", code="Throttling.RateQuota"),
    provider(code=503),
    provider(code="429"),
    provider(code="rate_limit_exceeded"),
    provider(type="server_error"),
    provider(type="overloaded_error", code="x"),
    timeout("connect"),
    timeout("first_token"),
    APIConnectionError("no"),
    ConnectionLostError("no"),
    AnswerCutError("no"),
    ProtocolError("no"),
    status(429, code="token_quota_exceeded", type="too_many_requests_error"),
]

LASTING = [
    *(status(code) for code in (400, 401, 402, 403, 404, 413, 422)),
    status(500, should_retry=False),
    status(429, code="insufficient_quota"),
    status(429, type="insufficient_quota", should_retry=True),
    status(429, code="billing_hard_limit_reached"),
    AuthenticationError("no key", status_code=None),
    provider(code=400),
    provider(code="401"),
    provider(code="content_filter", type="invalid_request_error"),
    provider(type="Invalid_Request"),
    provider(code="context_length_exceeded"),
    provider(code="data_inspection_failed"),
    provider(type="permission_error"),
    provider(code="model_not_found"),
    timeout("between_tokens"),
    timeout("tail"),
    timeout("total"),
    ProtocolError("a page", content_type="text/html"),
    status(204),
    provider(code=402),
    provider(code=429, type="insufficient_quota"),
    *(status(429, code=code) for code in SPENT),
    *(provider(code=429, type=code) for code in SPENT),
    LimitExceededError("max_choices", limit=1, value=2),
    StreamCancelled("enough"),
    HandlerError(HandlerFailure("H", "on_start", "KeyError", "k")),
    StreamError("no"),
]


@pytest.mark.parametrize("error", PASSING, ids=repr)
def test_a_passing_failure_is_retried_until_the_attempts_are_used_up(error: StreamError) -> None:
    first, second = retry_delay(POLICY, error, 1), retry_delay(POLICY, error, 2)
    assert first is not None
    assert second is not None
    assert 0.375 <= first <= 0.5
    assert 0.75 <= second <= 1.0
    assert retry_delay(POLICY, error, 3) is None
    assert retry_delay(RetryPolicy.none(), error, 1) is None


@pytest.mark.parametrize("error", LASTING, ids=lambda error: repr(error)[:40])
def test_a_lasting_failure_is_not_retried(error: StreamError) -> None:
    assert retry_delay(POLICY, error, 1) is None


def test_what_is_passing_can_be_set() -> None:
    policy = RetryPolicy(
        statuses={404}, server_errors=False, connection_errors=False, timeouts=False
    )
    assert retry_delay(policy, status(404), 1) is not None
    for error in (status(429), status(500), timeout("connect"), APIConnectionError("no")):
        assert retry_delay(policy, error, 1) is None
    for error in (AnswerCutError("no"), ProtocolError("no")):
        assert retry_delay(policy, error, 1) is None
        assert not falls_back(policy, error)


def test_the_server_says_how_long_to_wait() -> None:
    assert retry_delay(POLICY, status(429, retry_after=7.5), 1) == 7.5
    assert retry_delay(POLICY, status(503, retry_after=0.0), 2) == 0.0
    assert retry_delay(POLICY, status(429, retry_after=60.0), 1) == 60.0


def test_a_wait_beyond_the_cap_means_no_retry() -> None:
    assert retry_delay(POLICY, status(429, retry_after=60.1), 1) is None
    patient = RetryPolicy(max_retry_after=None)
    assert retry_delay(patient, status(429, retry_after=3600.0), 1) == 3600.0


@pytest.mark.parametrize("error", [*PASSING[:7], *PASSING[8:], status(404), status(403)], ids=repr)
def test_another_model_may_answer_where_this_one_cannot(error: StreamError) -> None:
    assert falls_back(POLICY, error)


@pytest.mark.parametrize(
    "error",
    [
        status(402),
        provider(code=402),
        provider(code="402"),
        *(status(code, code=name) for name in SPENT for code in (400, 403, 429)),
        *(status(400, type=name) for name in SPENT),
        *(provider(code=name) for name in SPENT),
        *(status_error(400)(text, status_code=400) for text in SPENT_WORDS),
        *(ProviderError(text) for text in SPENT_WORDS),
    ],
    ids=repr,
)
def test_another_model_is_asked_when_the_money_for_this_one_is_spent(error: StreamError) -> None:
    assert falls_back(POLICY, error)
    assert retry_delay(POLICY, error, 1) is None


@pytest.mark.parametrize(
    "error",
    [
        ProtocolError("no"),
        ProtocolError("a page", content_type="text/html"),
        status(204),
        provider(code=404),
    ],
    ids=repr,
)
def test_another_model_is_asked_when_this_ones_server_gives_no_answer_at_all(
    error: StreamError,
) -> None:
    assert falls_back(POLICY, error)


@pytest.mark.parametrize(
    "error",
    [
        status(400),
        status(401),
        status(422),
        AuthenticationError("no key", status_code=None),
        timeout("total"),
        provider(code="content_filter"),
        StreamCancelled("enough"),
    ],
    ids=repr,
)
def test_another_model_is_not_asked_where_the_request_is_at_fault(error: StreamError) -> None:
    assert not falls_back(POLICY, error)


# Retry-After


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"Retry-After": "3"}, 3.0),
        ({"Retry-After": " 0.5 "}, 0.5),
        ({"Retry-After": "0"}, 0.0),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "1500", "Retry-After": "9"}, 1.5),
        ({"retry-after-ms": "soon", "Retry-After": "9"}, 9.0),
        ({"retry-after-ms": "-1", "Retry-After": "9"}, 9.0),
        ({"Retry-After": "-3"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After": "1e999"}, None),
        ({"Retry-After": "1e1"}, None),
        ({"Retry-After": "1_0"}, None),
        ({"retry-after-ms": "1_000", "Retry-After": "9"}, 9.0),
        ({"Retry-After": "\uff11\uff10"}, None),
        ({"Retry-After": "+5"}, None),
        ({"Retry-After": "9" * 400}, None),
        ({"Retry-After": ""}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"}, 0.0),
        ({"Retry-After": "Fri, 99 Dec 1999 23:59:59 GMT"}, None),
        ({"Retry-After": "Fri, 31 Dec 99999999999999999999 23:59:59 GMT"}, None),
        ({"Retry-After": "Fri, 31 Dec 1999 23:59:59 +9999"}, None),
    ],
)
def test_the_wait_is_read_in_each_of_its_forms(
    headers: dict[str, str], expected: float | None
) -> None:
    assert retry_after(headers) == expected


@pytest.mark.parametrize("zone", ["GMT", "-0000", ""])
def test_a_date_is_as_far_away_as_it_is_whatever_the_local_zone(
    zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        date = email.utils.formatdate(time.time() + 30, usegmt=True).removesuffix("GMT") + zone
        wait = retry_after({"Retry-After": date.strip()})
    finally:
        monkeypatch.undo()
        time.tzset()
    assert wait is not None
    assert 27 <= wait <= 30


@given(
    st.lists(
        st.sampled_from(
            [
                "Fri,",
                "31",
                "Dec",
                "Jan",
                "1999",
                "99999",
                "23:59:59",
                "9:9",
                "GMT",
                "+9999",
                "x",
                ",",
            ]
        )
        | st.text(max_size=5)
    ).map(" ".join)
)
def test_no_header_makes_it_fail(text: str) -> None:
    wait = retry_after({"Retry-After": text})
    assert wait is None or wait >= 0


@pytest.mark.parametrize("drift", [-86_400, -40, 0, 40, 86_400])
def test_a_date_is_judged_by_the_date_of_the_reply_whose_clock_it_is(drift: int) -> None:
    theirs = time.time() + drift
    headers = {
        "Date": email.utils.formatdate(theirs, usegmt=True),
        "Retry-After": email.utils.formatdate(theirs + 30, usegmt=True),
    }
    assert retry_after(headers) == 30
    past = {**headers, "Retry-After": email.utils.formatdate(theirs - 30, usegmt=True)}
    assert retry_after(past) == 0


@pytest.mark.parametrize("date", ["", "yesterday", "Fri, 99 Dec 9999 99:99:99 GMT"])
def test_a_date_that_makes_no_sense_is_none(date: str) -> None:
    later = email.utils.formatdate(time.time() + 30, usegmt=True)
    wait = retry_after({"Date": date, "Retry-After": later})
    assert wait is not None
    assert 27 <= wait <= 30
