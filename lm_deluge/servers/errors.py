"""Error replies as each provider sends its own: what a status is called, and where it is told.

The words come from recorded replies and from bug reports that quote them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeVar

from attrs import field, frozen

__all__ = [
    "ANTHROPIC_WORDS",
    "GOOGLE_WORDS",
    "OPENAI_WORDS",
    "ErrorReply",
    "anthropic_error",
    "google_error",
    "openai_error",
    "openai_status",
]

#: OpenAI's: message, type and code of a status.
OPENAI_WORDS: Final[Mapping[int, tuple[str, str, str | None]]] = {
    400: ("Invalid request.", "invalid_request_error", None),
    401: ("Incorrect API key provided.", "invalid_request_error", "invalid_api_key"),
    403: (
        "Country, region, or territory not supported",
        "request_forbidden",
        "unsupported_country_region_territory",
    ),
    404: (
        "The model `simulated` does not exist or you do not have access to it.",
        "invalid_request_error",
        "model_not_found",
    ),
    429: (
        "Rate limit reached for simulated in organization org-simulated on requests per min (RPM): "
        "Limit 3, Used 3, Requested 1. Please try again later.",
        "requests",
        "rate_limit_exceeded",
    ),
    500: (
        "The server had an error while processing your request. Sorry about that!",
        "server_error",
        None,
    ),
    503: (
        "The engine is currently overloaded, please try again later",
        "server_error",
        "service_unavailable",
    ),
}

#: Anthropic's: message and type of a status.
ANTHROPIC_WORDS: Final[Mapping[int, tuple[str, str]]] = {
    400: ("Invalid request.", "invalid_request_error"),
    401: ("invalid x-api-key", "authentication_error"),
    402: ("There is a billing issue with your organization.", "billing_error"),
    403: ("Request not allowed", "permission_error"),
    404: ("model: simulated", "not_found_error"),
    405: ("Method Not Allowed", "method_not_allowed"),
    413: ("Request exceeds the maximum size", "request_too_large"),
    429: (
        "This request would exceed your organization's rate limit of 50 requests per minute.",
        "rate_limit_error",
    ),
    500: ("Internal server error", "api_error"),
    503: ("Overloaded", "overloaded_error"),
    504: ("Request timed out", "timeout_error"),
    529: ("Overloaded", "overloaded_error"),
}

#: Google's: message and name of a status (google.rpc.Code, by its HTTP mapping).
GOOGLE_WORDS: Final[Mapping[int, tuple[str, str]]] = {
    400: ("Request contains an invalid argument.", "INVALID_ARGUMENT"),
    401: ("Request had invalid authentication credentials.", "UNAUTHENTICATED"),
    403: ("The caller does not have permission", "PERMISSION_DENIED"),
    404: ("Requested entity was not found.", "NOT_FOUND"),
    409: ("The operation was aborted.", "ABORTED"),
    429: ("Resource has been exhausted (e.g. check quota).", "RESOURCE_EXHAUSTED"),
    499: ("The operation was cancelled.", "CANCELLED"),
    500: ("Internal error encountered.", "INTERNAL"),
    501: ("Operation is not implemented, or supported, or enabled.", "UNIMPLEMENTED"),
    502: ("The service is currently unavailable.", "UNAVAILABLE"),
    503: ("The model is overloaded. Please try again later.", "UNAVAILABLE"),
    504: ("Deadline expired before operation could complete.", "DEADLINE_EXCEEDED"),
}

T = TypeVar("T")

_STREAMED: Final = ":streamGenerateContent"


@frozen(kw_only=True)
class ErrorReply:
    """An error, before it is written: ``body`` as data, ``indent`` as it is spaced; ``None``: not at all."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(factory=dict)
    content_type: str = "application/json"
    indent: int | None = None


def openai_error(
    status: int,
    message: str,
    *,
    kind: str,
    param: str | None = None,
    code: str | None = None,
    headers: Mapping[str, str] | None = None,
    indent: int | None = None,
) -> ErrorReply:
    """Return an error as OpenAI sends it."""
    error = {"message": message, "type": kind, "param": param, "code": code}
    return ErrorReply(status=status, body={"error": error}, headers=headers or {}, indent=indent)


def openai_status(
    status: int, message: str | None = None, headers: Mapping[str, str] | None = None
) -> ErrorReply:
    """Return OpenAI's error of a status, in its own words unless a message is given."""
    words, kind, code = _words(OPENAI_WORDS, status)
    return openai_error(status, message or words, kind=kind, code=code, headers=headers)


def anthropic_error(
    status: int,
    message: str | None = None,
    headers: Mapping[str, str] | None = None,
    *,
    request_id: str,
) -> ErrorReply:
    """Return Anthropic's error of a status: with the request's id, and whether to ask again."""
    words, kind = _words(ANTHROPIC_WORDS, status)
    body = {
        "type": "error",
        "error": {"type": kind, "message": message or words},
        "request_id": request_id,
    }
    again = "true" if status in (408, 409, 429) or status >= 500 else "false"
    own = {"request-id": request_id, "x-should-retry": again}
    return ErrorReply(status=status, body=body, headers={**own, **(headers or {})})


def google_error(
    status: int,
    message: str | None = None,
    headers: Mapping[str, str] | None = None,
    *,
    path: str,
    query: Mapping[str, str],
) -> ErrorReply:
    """Return Google's error of a status: an array where a stream was asked for without ``alt=sse``.

    There is no ``Retry-After`` here: the body says how long to wait.
    """
    words, name = _words(GOOGLE_WORDS, status)
    error: dict[str, Any] = {"code": status, "message": message or words, "status": name}
    given = dict(headers or {})
    if given.get("retry-after", "-")[0].isdigit():
        wait = given.pop("retry-after")
        error["details"] = [
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{wait}s"}
        ]
    body: Any = {"error": error}
    streams = path.endswith(_STREAMED)
    is_sse = streams and query.get("alt") == "sse"
    if streams and not is_sse:
        body = [body]
    kind = "text/event-stream" if is_sse else "application/json; charset=UTF-8"
    return ErrorReply(status=status, body=body, headers=given, content_type=kind, indent=2)


def _words(table: Mapping[int, T], status: int) -> T:
    """Return what a table says of a status; of one that it does not have, what it says of 400 or 500."""
    return table[status] if status in table else table[500 if status >= 500 else 400]
