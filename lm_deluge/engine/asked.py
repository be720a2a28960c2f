"""What a request asks for, as observers are told of it."""

from __future__ import annotations

from typing import Any, Final

import attrs

from lm_deluge.config import SamplingParams
from lm_deluge.dialects.dialect import Ask
from lm_deluge.engine.plan import ModelRequest
from lm_deluge.observers.stream_request import StreamRequest
from lm_deluge.values.redaction import Redactor

__all__ = ["request_of"]

_UNSET: Final = SamplingParams()


def request_of(target: ModelRequest, redactor: Redactor) -> StreamRequest:
    """Return what a model is asked for. ``redactor``: of the whole stream."""
    ask = target.ask
    assert ask is not None
    return StreamRequest(
        model=ask.info.name,
        model_id=ask.info.model_id,
        dialect=target.dialect.name,
        parameters=_parameters(ask, target.dialect.name),
        messages=ask.messages,
        tools=ask.tools,
        extra_body=ask.extra_body,
        redactor=redactor,
    )


def _parameters(ask: Ask, dialect: str) -> dict[str, Any]:
    """Return what was set, by name."""
    set_ = attrs.asdict(
        ask.params,
        filter=lambda field, value: value != getattr(_UNSET, field.name),
        # As JSON would give them back.
        value_serializer=lambda _, __, value: list(value) if isinstance(value, tuple) else value,
    )
    for name in ("tool_choice", "response_format"):
        if (value := getattr(ask, name)) is not None:
            set_[name] = value
    if dialect == "responses" and ask.reasoning_summary is not None:
        set_["reasoning_summary"] = ask.reasoning_summary
    return set_
