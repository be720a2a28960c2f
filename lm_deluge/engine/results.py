"""What a stream has come to, as its user sees it: the response, what was received, its timeline."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from lm_deluge.dialects.dialect import AnswerReader
from lm_deluge.engine.missing import missing_from
from lm_deluge.engine.plan import ModelRequest
from lm_deluge.errors import StreamError
from lm_deluge.http.redacted_errors import redact_error
from lm_deluge.models.registry import cost_of
from lm_deluge.values.addresses import endpoint_of
from lm_deluge.values.conversation import ToolCall
from lm_deluge.values.failures import HandlerFailure
from lm_deluge.values.redaction import Redactor
from lm_deluge.values.response import SENT_BACK, APIResponse, Choice, FailedAttempt, Partial
from lm_deluge.values.timeline_source import TimelineSource

if TYPE_CHECKING:
    from lm_deluge.engine.prices import Pricing

__all__ = [
    "ToldAttempt",
    "ToldAttempts",
    "ToldPlan",
    "bind_error",
    "received_by",
    "response_of",
    "timeline_source_of",
]

logger = logging.getLogger("lm_deluge")


class ToldAttempt(Protocol):
    """What is told of one attempt: the engine's is one, and so is an exchange that a proxy passes on."""

    @property
    def answer(self) -> AnswerReader: ...
    @property
    def target(self) -> ModelRequest: ...
    @property
    def request_id(self) -> str | None: ...
    @property
    def decided(self) -> float: ...
    @property
    def phase(self) -> str: ...


class ToldAttempts(Protocol):
    """What is told of all attempts of a stream."""

    @property
    def current(self) -> ToldAttempt: ...
    @property
    def number(self) -> int: ...
    @property
    def failed(self) -> list[FailedAttempt]: ...


class ToldPlan(Protocol):
    """What is told of a stream's plan."""

    @property
    def targets(self) -> Sequence[ModelRequest]: ...
    @property
    def redactor(self) -> Redactor: ...
    @property
    def tags(self) -> Mapping[str, Any]: ...
    @property
    def pricing(self) -> Pricing | None: ...


def received_by(attempt: ToldAttempt) -> dict[str, Any]:
    """Return what a ``Partial`` and an ``APIResponse`` have in common, by field."""
    answer = attempt.answer
    facts = answer.facts
    choices = answer.choices()
    info = attempt.target.info
    if info.reasoning_goes_back:
        for choice in choices:
            if choice.reasoning is not None:
                choice.extra["reasoning_content"] = choice.reasoning
    for choice in choices:
        signed = [call for call in choice.tool_calls if call.extra] if choice.tool_calls else None
        if choice.extra or signed:
            _name_origin(choice, signed, attempt.target.dialect.name, info.base_url)
    return {
        "choices": choices,
        "usage": facts.usage,
        "model_external": facts.model_external,
        "response_id": facts.response_id,
        "request_id": attempt.request_id,
        "system_fingerprint": facts.system_fingerprint,
        "service_tier": facts.service_tier,
        "ttft": answer.arrivals.first_output,
        "extra": facts.extra or {},
    }


def _name_origin(
    choice: Choice, signed: list[ToolCall] | None, dialect: str, base_url: str | None
) -> None:
    """Say of what has to go back where it came from: nobody else can read it."""
    extra = choice.extra
    came = extra.get("provider_content")
    if not isinstance(came, dict) or came.get("dialect") != dialect:
        extra.pop("provider_content", None)
        came = {"dialect": dialect}
        if not signed and extra.keys().isdisjoint(SENT_BACK):
            return
    extra["provider_content"] = {**came, "endpoint": endpoint_of(base_url)}


def response_of(
    plan: ToldPlan, attempts: ToldAttempts, *, stream_id: str, failures: list[HandlerFailure]
) -> APIResponse:
    """Return the response of a whole answer; what it lacks of what was asked for is told to the logger."""
    attempt = attempts.current
    target = attempt.target
    info = target.info
    received = received_by(attempt)
    missing = missing_from(received["choices"], asked=target.choices, logprobs=target.logprobs)
    for sentence in missing:
        logger.warning("%s: %s (stream %s)", info.name, sentence, stream_id)
    if plan.pricing is None:
        cost = cost_of(info, received["usage"])
    else:
        cost = plan.pricing.cost(info.model_id, received["usage"])
    return APIResponse(
        **received,
        missing=missing,
        model=plan.targets[0].info.name,
        model_used=info.name,
        cost=cost,
        elapsed=attempt.decided,
        attempts=attempts.number,
        failed_attempts=attempts.failed,
        tags=dict(plan.tags),
        handler_failures=failures,
    )


def timeline_source_of(
    plan: ToldPlan,
    attempts: ToldAttempts,
    *,
    stream_id: str,
    queued: float,
    started_at: datetime | None,
    ending: APIResponse | StreamError | None,
) -> TimelineSource:
    """Return what a timeline is made of. ``queued``: seconds; ``ending``: ``None`` while it runs."""
    attempt = attempts.current
    outcome = "open"
    if ending is not None:
        outcome = "error" if isinstance(ending, StreamError) else "complete"
    return TimelineSource(
        arrivals=attempt.answer.arrivals,
        stream_id=stream_id,
        model=attempt.target.info.name,
        queued=queued,
        at=started_at.isoformat(timespec="milliseconds") if started_at is not None else "",
        tags=plan.tags,
        outcome=outcome,
        error=type(ending).__name__ if outcome == "error" else None,
        phase=ending.phase if isinstance(ending, StreamError) else None,
        elapsed=attempt.decided,
        attempts=attempts.number,
        redactor=plan.redactor,
    )


def bind_error(
    error: StreamError,
    attempts: ToldAttempts,
    *,
    stream_id: str,
    redactor: Redactor,
    failures: list[HandlerFailure],
    partial: Callable[[], Partial],
) -> None:
    """Tell an error what it ended, and what had been received by then; nothing it shows is secret.

    ``partial``: asked when the error knows the rest, which a timeline of it tells.
    """
    redact_error(error, redactor)
    error.stream_id = stream_id
    error.attempts = attempts.number
    error.failed_attempts = list(attempts.failed)
    error.handler_failures = failures
    error.elapsed = attempts.current.decided
    if error.phase is None:
        error.phase = attempts.current.phase
    error.partial = partial()
