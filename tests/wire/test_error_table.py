"""What servers call a failure has the class of the status that the same failure has as a reply."""

from __future__ import annotations

import copy
import pickle
import traceback
from typing import Any

import pytest

from lm_deluge.errors import APIStatusError, ProviderError, StreamError, status_error
from lm_deluge.wire.error_words import reported_error
from lm_deluge.wire.waits import told_wait

#: The status that a word has; what several providers say, each in its spelling.
WORDS = {
    # Anthropic
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
    # OpenAI, and those who follow it
    "rate_limit_exceeded": 429,
    "insufficient_quota": 429,
    "requests": 429,
    "tokens": 429,
    "server_error": 500,
    "server_is_overloaded": 503,
    "engine_overloaded_error": 503,
    "slow_down": 503,
    "service_unavailable": 503,
    "invalid_api_key": 401,
    "context_length_exceeded": 400,
    "string_above_max_length": 400,
    "content_filter": 400,
    "content_policy_violation": 400,
    "invalid_prompt": 400,
    "image_file_not_found": 400,
    "failed_to_download_image": 400,
    "model_not_found": 404,
    "unsupported_country_region_territory": 403,
    "billing_hard_limit_reached": 429,
    "vector_store_timeout": 504,
    "too_many_requests_error": 429,
    "token_quota_exceeded": 429,
    "service_tier_capacity_exceeded": 429,
    "tool_use_failed": 400,
    "insufficient_balance": 402,
    # Google
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ABORTED": 409,
    "ALREADY_EXISTS": 409,
    "RESOURCE_EXHAUSTED": 429,
    "UNKNOWN": 500,
    "INTERNAL": 500,
    "DATA_LOSS": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
    # vLLM, LiteLLM, Bedrock, Azure, Alibaba, text-generation-inference
    "BadRequestError": 400,
    "AuthenticationError": 401,
    "NotFoundError": 404,
    "UnprocessableEntityError": 422,
    "RateLimitError": 429,
    "InternalServerError": 500,
    "ServiceUnavailableError": 503,
    "APITimeoutError": 504,
    "ContextWindowExceededError": 400,
    "ValidationException": 400,
    "AccessDeniedException": 403,
    "ResourceNotFoundException": 404,
    "throttlingException": 429,
    "ModelNotReadyException": 429,
    "internalServerException": 500,
    "TooManyRequests": 429,
    "DeploymentNotFound": 404,
    "Throttling.RateQuota": 429,
    "InvalidApiKey": 401,
    "Arrearage": 402,
    "validation": 422,
    "overloaded": 503,
}

#: What says nothing of the kind of the failure.
UNKNOWN: list[Any] = [
    "boom",
    "The engine is overloaded, sorry about that",
    {"message": "rate limit reached"},
    {"code": 1301, "message": "x"},
    {"code": "x", "type": "y"},
    {"code": 200},
    {"code": True},
    {"code": "²³⁴"},
    {"type": "insufficient_system_resource"},
    {"type": ["rate_limit_error"]},
    [],
    None,
    7,
]


@pytest.mark.parametrize(("word", "status"), WORDS.items())
@pytest.mark.parametrize(
    "shape",
    [
        lambda word: {"type": word, "message": "no"},
        lambda word: {"code": word, "message": "no"},
        lambda word: {"status": word, "message": "no"},
        lambda word: {"error": {"type": word, "message": "no"}},
        lambda word: {"type": word, "code": None, "param": "p"},
        lambda word: word,
    ],
    ids=["type", "code", "status", "nested", "nulls", "text"],
)
def test_a_word_gives_the_class_of_its_status(shape: Any, word: str, status: int) -> None:
    error = reported_error(shape(word))
    assert isinstance(error, ProviderError)
    assert isinstance(error, status_error(status))
    assert isinstance(error, APIStatusError)
    assert type(error).__name__ == status_error(status).__name__
    assert error.status_code == status


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 409, 413, 422, 429, 499, 500, 529])
@pytest.mark.parametrize("key", ["code", "status", "status_code"])
def test_a_number_that_is_a_status_counts_before_words(key: str, status: int) -> None:
    for number in (status, str(status)):
        error = reported_error({key: number, "type": "overloaded_error", "message": "no"})
        assert isinstance(error, status_error(status))
        assert error.status_code == status


def test_a_code_says_more_than_a_type() -> None:
    error = reported_error({"type": "invalid_request_error", "code": "invalid_api_key"})
    assert isinstance(error, status_error(401))
    error = reported_error({"type": "overloaded_error", "code": "x"})
    assert isinstance(error, status_error(529))


@pytest.mark.parametrize("body", UNKNOWN, ids=repr)
def test_what_says_nothing_of_its_kind_is_a_provider_error_alone(body: object) -> None:
    error = reported_error(body)
    assert type(error) is ProviderError
    assert error.body == body


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("Client specified an invalid argument", 400),
        ("The caller does not have permission to execute the specified operation", 403),
        ("Some requested entity was not found", 404),
        ("Some resource has been exhausted", 429),
        ("The service is currently unavailable", 503),
    ],
)
def test_a_code_may_be_a_sentence(code: str, status: int) -> None:  # xAI
    error = reported_error({"code": code, "error": "no"})
    assert isinstance(error, status_error(status))
    assert isinstance(error, ProviderError)


def test_it_keeps_what_the_provider_said() -> None:
    body = {"type": "rate_limit_error", "code": "c", "param": "p", "message": "slow", "more": [1]}
    error: Any = reported_error(body)
    assert (error.type, error.code, error.param, error.body) == ("rate_limit_error", "c", "p", body)
    assert (error.request_id, error.should_retry, error.phase) == (None, None, None)
    assert "slow" in str(error)
    assert error.__class__.__doc__


def test_it_can_be_pickled_and_copied_and_is_shown_under_its_name() -> None:
    error: Any = reported_error({"type": "rate_limit_error", "message": "slow", "retry_after": 2})
    for made in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(made) is type(error)
        assert isinstance(made, StreamError)
        assert vars(made) == vars(error)
        assert str(made) == str(error)
    assert traceback.format_exception_only(error)[0].startswith("lm_deluge.errors.RateLimitError:")


RETRY_INFO = "type.googleapis.com/google.rpc.RetryInfo"


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        ({"details": [{"@type": RETRY_INFO, "retryDelay": "34.074824224s"}]}, 34.074824224),
        ({"error": {"details": [{"@type": "x"}, {"retryDelay": "48s"}]}}, 48.0),
        ({"details": [{"retryDelay": {"seconds": 3, "nanos": 500_000_000}}]}, 3.5),
        ({"details": [{"retryDelay": {"seconds": "3"}}]}, 3.0),
        ({"details": [{"metadata": {"quotaResetDelay": "373.8ms"}}]}, 0.3738),
        ({"retry_after": 7}, 7.0),
        ({"retry_after": "7"}, 7.0),
        ({"retry_after": "1.5s"}, 1.5),
        ({"retryAfter": 0}, 0.0),
        ({"retry_after_seconds": 2.5}, 2.5),
        ({"retry_after_ms": 250}, 0.25),
        ({"metadata": {"headers": {"Retry-After": "9"}}}, 9.0),
        ({"message": "Please try again in 1.2s. Visit https://x to learn more."}, 1.2),
        ({"message": "Please try again in 20ms."}, 0.02),
        ({"message": "Please try again in 6m0s."}, 360.0),
        ({"message": "Please try again in 1h2m3.5s"}, 3723.5),
        ({"message": "Please try again in 7m54.336s. Need more tokens?"}, 474.336),
        ({"message": "Please retry in 34.07s."}, 34.07),
        ({"message": "Please retry after 10 seconds."}, 10.0),
        ({"message": "Try again in 1 minute and 5 seconds"}, 65.0),
        ({"message": "try again in 2 days"}, 172_800.0),
        ({"message": "Slow down: wait for 3 secs before the next request"}, 3.0),
        ("Rate limit reached. Please try again in 250 milliseconds", 0.25),
    ],
)
def test_the_wait_that_an_error_asks_for_is_read(body: Any, seconds: float) -> None:
    error = reported_error(body)
    assert error.retry_after == pytest.approx(seconds)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"message": "try again later"},
        {"message": "try again in a while"},
        {"message": "Please try again in 5 steps"},
        {"message": "retry after 2026-01-01"},
        {"message": "after 7 seconds the model gave up"},
        {"retry_after": -1},
        {"retry_after": True},
        {"retry_after": None},
        {"retry_after": "soon"},
        {"retry_after": float("nan")},
        {"retry_after": float("inf")},
        {"retry_after": 10**400},
        {"retry_after": "9" * 400},
        {"retryDelay": {"seconds": -1}},
        {"retryDelay": {}},
        {1: 2, "details": [[[[[[[{"retry_after": 1}]]]]]]]},
        [],
        None,
    ],
    ids=repr,
)
def test_what_is_no_wait_is_none(body: Any) -> None:
    message = body["message"] if isinstance(body, dict) and "message" in body else ""
    assert told_wait(body, message) is None
