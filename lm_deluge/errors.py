"""Everything a stream can end with, and the one error that comes before a stream.

    ValueError
    ├── UnsupportedModelError            nobody said where this model is served
    └── SchemaError                      a StreamError, too: see there

    StreamError                          .stream_id .partial .handler_failures .attempts
    │                                    .failed_attempts .phase .elapsed
    ├── APIError
    │   ├── APIConnectionError           the server could not be reached
    │   │   ├── APITimeoutError          .limit; .phase names which wait was too long
    │   │   └── ConnectionLostError      the connection broke before the answer was whole
    │   ├── APIStatusError               .status_code .body .type .code .param .request_id .retry_after
    │   │   ├── BadRequestError          400
    │   │   ├── AuthenticationError      401, or no key to send (then .status_code is None)
    │   │   ├── PermissionDeniedError    403
    │   │   ├── NotFoundError            404
    │   │   ├── ConflictError            409
    │   │   ├── UnprocessableEntityError 422
    │   │   ├── RateLimitError           429
    │   │   └── InternalServerError      500 and above
    │   ├── ProviderError                an error inside a 200: .type .code .body .retry_after; of the class
    │   │                                for its status, too, where it says what failed
    │   ├── AnswerCutError               a clean end of the bytes before the end of the answer
    │   ├── ProtocolError                not the protocol: .offset .evidence .content_type
    │   └── LimitExceededError           larger than a bound in ``Limits``: .name .limit .value
    ├── StreamCancelled                  ``stream.cancel()``, or the caller walked away: .reason
    ├── HandlerError                     a handler failed under ``strict=True``: .failure
    ├── SchemaError                      the answer is whole and not of the form that ``schema=`` asks for:
    │                                    .text .value .path .response
    └── PromptError                      one prompt of ``stream_many`` makes no sense; nothing was sent

Names that the official ``openai`` package has mean what they mean there. Every ``StreamError`` keeps
what was received before it in ``.partial``; none of them but ``SchemaError`` is a ``ValueError``, which is
kept for arguments that make no sense.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lm_deluge.values.failures import HandlerFailure
    from lm_deluge.values.response import APIResponse, FailedAttempt, Partial
    from lm_deluge.values.rounds import Round

__all__ = [
    "APIConnectionError",
    "APIError",
    "APIStatusError",
    "APITimeoutError",
    "AnswerCutError",
    "AuthenticationError",
    "BadRequestError",
    "ConflictError",
    "ConnectionLostError",
    "HandlerError",
    "InternalServerError",
    "LimitExceededError",
    "NotFoundError",
    "PermissionDeniedError",
    "PromptError",
    "ProtocolError",
    "ProviderError",
    "RateLimitError",
    "SchemaError",
    "StreamCancelled",
    "StreamError",
    "UnprocessableEntityError",
    "UnsupportedModelError",
    "status_error",
]


class UnsupportedModelError(ValueError):
    """The model is another provider's, or nobody said where it is served.

    Raised by ``stream()`` and ``open_stream()`` before anything is sent. ``model``: the name that was
    asked for. ``provider``: whose model it is, where that is known. ``suggestions``: known names
    close to it.
    """

    def __init__(
        self,
        message: str,
        *,
        model: str,
        provider: str | None = None,
        suggestions: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message)
        self.model = model
        self.provider = provider
        self.suggestions = suggestions

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args, self.__dict__)


class StreamError(Exception):
    """A stream ended any other way than with a whole answer.

    ``message``: the text of ``str(error)``.
    ``stream_id``: ``Stream.id``; ``None`` for an error from before the stream.
    ``partial``: a ``Partial`` with all that was received; ``None`` only before ``on_start``.
    ``handler_failures``: list of ``HandlerFailure``; complete once the stream has ended.
    ``attempts``: requests sent, the failing one included.
    ``failed_attempts``: list of ``FailedAttempt``: why the attempts before it failed; for a limit
    (``Timeouts.total``) that leaves no room for another attempt, all of them, and ``__cause__`` is the
    error of the last.
    ``phase``: what the stream waited for: ``"connect"``, ``"first_token"``, ``"between_tokens"``,
    ``"tail"``, or ``"total"`` for the timeout of that name; ``None`` before ``on_start``.
    ``elapsed``: seconds from t0 to the arrival of the bytes or the fault that ended the stream,
    monotonic clock; ``None`` before ``on_start``.
    ``rounds``: the list of ``Round`` before it, where it ended ``run_tools``.
    """

    def __init__(self, message: str, *, phase: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.phase = phase
        self.stream_id: str | None = None
        self.partial: Partial | None = None
        self.handler_failures: list[HandlerFailure] = []
        self.attempts = 0
        self.failed_attempts: list[FailedAttempt] = []
        self.elapsed: float | None = None
        self.rounds: list[Round] = []

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(
    cls: type[BaseException], args: tuple[Any, ...], state: Mapping[str, Any]
) -> BaseException:
    """Unpickle without calling ``__init__``, whose keyword arguments are in ``state`` already."""
    error = cls.__new__(cls, *args)
    error.__dict__.update(state)
    return error


class APIError(StreamError):
    """The server, or the way to it, did not give a whole answer."""


class APIConnectionError(APIError):
    """The server could not be reached, or it went before it answered.

    ``status_code``: the HTTP status with which a proxy refused the connection, else ``None``.
    ``stale``: whether the request went out on a kept connection that was closed without an answer:
    most likely because it had been idle, so that it is asked again at once.
    """

    status_code: int | None = None
    stale: bool = False


class APITimeoutError(APIConnectionError):
    """A wait was longer than ``Timeouts`` allows.

    ``phase`` names the field of ``Timeouts`` and ``limit`` its value in seconds.
    """

    def __init__(self, message: str, *, phase: str, limit: float) -> None:
        super().__init__(message, phase=phase)
        self.limit = limit


class ConnectionLostError(APIConnectionError):
    """The connection broke after the answer had begun and before it was whole."""


class APIStatusError(APIError):
    """The server answered with a status other than 200, or with an error that has one inside a 200.

    ``status_code``: the HTTP status; of an error inside an answer (then it is a ``ProviderError``, too)
    the one that a reply with the same error has. ``body``: the error object (dict) of a JSON answer, else the
    JSON or text as it came, cut at ``Limits.max_error_body_bytes``. ``type``, ``code``, ``param``: as
    the server names them, else ``None``. ``request_id``: the server's, from its header.
    ``retry_after``: seconds the server asks to wait, in a header or in the body, ``None`` where it does
    not say.
    ``should_retry``: the server's ``x-should-retry``, ``None`` where it does not say.
    """

    def __init__(
        self,
        message: str,
        *,
        status_code: int | None,
        body: object = None,
        type: str | None = None,  # noqa: A002 - the name the official client uses
        code: str | int | None = None,
        param: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        should_retry: bool | None = None,
        phase: str | None = None,
    ) -> None:
        super().__init__(message, phase=phase)
        self.status_code = status_code
        self.body = body
        self.type = type
        self.code = code
        self.param = param
        self.request_id = request_id
        self.retry_after = retry_after
        self.should_retry = should_retry


class BadRequestError(APIStatusError):
    """400: the request makes no sense to the server."""


class AuthenticationError(APIStatusError):
    """401: the key is wrong; or there is no key, and nothing was sent (``status_code`` is None).

    ``missing_key``: the environment variable that should hold the key and does not, else ``None``.
    """

    missing_key: str | None = None


class PermissionDeniedError(APIStatusError):
    """403: the key may not do this."""


class NotFoundError(APIStatusError):
    """404: no such model or path."""


class ConflictError(APIStatusError):
    """409: the resource was changed by another request."""


class UnprocessableEntityError(APIStatusError):
    """422: the request is well formed and still cannot be processed."""


class RateLimitError(APIStatusError):
    """429: too many requests or tokens, or no quota left."""


class InternalServerError(APIStatusError):
    """500 and above: the server failed or is overloaded."""


_BY_STATUS: dict[int, type[APIStatusError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    422: UnprocessableEntityError,
    429: RateLimitError,
}


def status_error(status: int) -> type[APIStatusError]:
    """Return the class for an HTTP status: the most specific one there is."""
    if status >= 500:
        return InternalServerError
    return _BY_STATUS.get(status, APIStatusError)


class ProviderError(APIError):
    """The provider reported an error inside an answer that had begun with status 200.

    Where its type or code says what failed, the error is of the class that a reply with the same error
    has, too: ``RateLimitError``, ``InternalServerError``, ``BadRequestError`` and so on, whose
    ``status_code`` is the status of such a reply. Either class catches it.

    ``body``: the error as it came (dict or text). ``type`` and ``code``: as the server names them.
    ``request_id``: the server's, from the head of the answer. ``retry_after``: seconds the error asks to
    wait, ``None`` where it does not say.
    """

    request_id: str | None = None
    retry_after: float | None = None

    def __init__(
        self,
        message: str,
        *,
        body: object = None,
        type: str | None = None,  # noqa: A002 - the name the official client uses
        code: str | int | None = None,
        phase: str | None = None,
    ) -> None:
        super().__init__(message, phase=phase)
        self.body = body
        self.type = type
        self.code = code


class AnswerCutError(APIError):
    """The bytes ended cleanly before what ends an answer.

    In chat completions that is ``[DONE]`` or a finish reason for every choice, elsewhere the last event.
    """


class ProtocolError(APIError):
    """What arrived is not a stream of the dialect that was asked, or ended without any answer.

    ``[DONE]`` before any text, reasoning, refusal, tool call or finish reason is an empty reply, and no
    answer.

    ``offset``: where the offending event's data begins, in bytes of the body after decompression, line
    ends counted as one byte each; ``None`` where the fault has no place in the body. ``evidence``: the
    first bytes of it, at most 200. ``content_type``: of a reply that is no stream from its head on
    (``"text/html"``: a page for people), else ``None``; such a server is not asked again.
    """

    def __init__(
        self,
        message: str,
        *,
        offset: int | None = None,
        evidence: bytes = b"",
        content_type: str | None = None,
        phase: str | None = None,
    ) -> None:
        super().__init__(message, phase=phase)
        self.offset = offset
        self.evidence = evidence
        self.content_type = content_type


class LimitExceededError(APIError):
    """The answer is larger than a bound set in ``Limits``.

    ``name``: the field of ``Limits``; ``limit``: its value; ``value``: what was met.
    """

    def __init__(self, name: str, *, limit: int, value: int, phase: str | None = None) -> None:
        super().__init__(
            f"the answer passes Limits.{name}: {value:,} where {limit:,} is allowed", phase=phase
        )
        self.name = name
        self.limit = limit
        self.value = value


class StreamCancelled(StreamError):  # noqa: N818 - what was asked for is no error
    """The stream was cancelled, or whoever consumed it walked away. ``reason`` says which.

    ``__cause__``: the exception given to ``Stream.cancel``; of a printer whose output was closed, the
    ``OSError``.
    """

    def __init__(self, reason: str, *, phase: str | None = None) -> None:
        super().__init__(f"the stream was cancelled: {reason}", phase=phase)
        self.reason = reason


class HandlerError(StreamError):
    """A handler failed and the client is ``strict``. ``failure`` is its ``HandlerFailure``."""

    def __init__(self, failure: HandlerFailure, *, phase: str | None = None) -> None:
        super().__init__(
            f"handler {failure.handler} failed in {failure.method}: "
            f"{failure.type}: {' '.join(failure.message.split())}",
            phase=phase,
        )
        self.failure = failure


class SchemaError(StreamError, ValueError):
    """The answer is whole, and what it says is not what ``schema=`` asks for: cut, broken, unfit or no JSON.

    The stream itself went well: ``on_complete`` was heard before.

    ``text``: what the model said, or the arguments of its call. ``value``: the JSON in it as far as there is
    any, else ``None``. ``path``: the keys and indices on the way to what is wrong; ``()`` for all of it.
    ``response``: the whole response, with usage and cost.
    """

    def __init__(
        self,
        message: str,
        *,
        text: str,
        value: Any = None,
        path: tuple[str | int, ...] = (),
        response: APIResponse | None = None,
    ) -> None:
        super().__init__(message)
        self.text = text
        self.value = value
        self.path = path
        self.response = response


class PromptError(StreamError):
    """One prompt of ``stream_many`` makes no sense; nothing was sent, no handler heard of it.

    ``__cause__``: what ``LLMClient.stream`` would have raised, a ``ValueError`` or ``TypeError`` as a rule.
    """
