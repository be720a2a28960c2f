"""What a stream has come to, as its user sees it: the response, what was received, its timeline."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

from lm_deluge.engine.attempt import Attempt
from lm_deluge.engine.attempts import Attempts
from lm_deluge.engine.missing import missing_from
from lm_deluge.engine.plan import Plan
from lm_deluge.errors import StreamError
from lm_deluge.models.registry import cost_of
from lm_deluge.values.addresses import endpoint_of
from lm_deluge.values.conversation import ToolCall
from lm_deluge.values.failures import HandlerFailure
from lm_deluge.values.response import SENT_BACK, APIResponse, Choice
from lm_deluge.values.timeline_source import TimelineSource

__all__ = ["received_by", "response_of", "timeline_source_of"]

logger = logging.getLogger("lm_deluge")


def received_by(attempt: Attempt) -> dict[str, Any]:
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
    plan: Plan, attempts: Attempts, *, stream_id: str, failures: list[HandlerFailure]
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
    plan: Plan,
    attempts: Attempts,
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
