"""What a client asks of a model, and what it says and counts of that before it is sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lm_deluge.client.routes import Route
from lm_deluge.config import Timeouts
from lm_deluge.dialects.dialect import Ask, Dropped, Written
from lm_deluge.engine.plan import ModelRequest, ReadRecorder
from lm_deluge.models.registry import ModelInfo
from lm_deluge.values.once import log_once
from lm_deluge.values.redaction import Redactor

__all__ = ["model_request", "warn_of_dropped", "warn_of_written"]


def model_request(
    route: Route,
    asked: Mapping[str, Any],
    timeouts: Timeouts,
    redactor: Redactor,
    recorder: ReadRecorder | None,
    *,
    is_first: bool,
) -> ModelRequest:
    """Return the request to one model. ``asked``: what an ``Ask`` holds, but for the model.

    ``is_first``: whether it is no fallback. Raises what the dialect does of what cannot be asked.
    """
    info = route.info
    ask = Ask(info=info, **asked)
    if ask.shape is not None:
        # Most streams ask for none.
        from lm_deluge.client.shaping import in_words

        ask, not_sent = in_words(ask)
        if not_sent is not None:
            warn_of_dropped(info, not_sent)
    summary = ask.reasoning_summary
    is_named = summary is not None and summary != "auto"
    more: dict[str, Any] = {}
    if info.dialect == "responses" or route.by_responses is not None or ask.resume or is_named:
        # What only Responses has to be asked for; most programs ask by another API.
        from lm_deluge.client.choosing import way_for

        route, ask, more, why = way_for(route, ask, redactor, is_first=is_first)
        info = route.info
        if is_named and why:
            warn_of_dropped(info, Dropped("reasoning_summary", why))
    if ask.shape is not None:
        from lm_deluge.client.shaping import form_or_words

        ask, without = form_or_words(route, ask)
        more["without"] = (*more.get("without", ()), *without)
    if more.get("without"):
        more["write"] = lambda ask: route.request(route.dialect.write(ask), redactor)
    written = route.dialect.write(ask)
    if written.dropped or written.assumed:
        warn_of_written(info, written)
    return ModelRequest(
        info=info,
        dialect=route.dialect,
        request=route.request(written, redactor),
        ask=ask,
        timeouts=timeouts.resolved(
            # Of a model that nobody described, what is asked for tells.
            info.reasoning
            or info.dialect != "chat"
            or ask.params.reasoning_effort not in (None, "none")
        ),
        choices=written.choices,
        logprobs=written.logprobs,
        recorder=recorder,
        **more,
    )


def warn_of_written(info: ModelInfo, written: Written) -> None:
    """Log each parameter that was set and is not sent, and what is sent unasked, once for each model."""
    for each in written.dropped:
        warn_of_dropped(info, each)
    for assumed in written.assumed:
        log_once(("assumed", info.name, assumed), "%s: %s", info.name, assumed)


def warn_of_dropped(info: ModelInfo, dropped: Dropped) -> None:
    """Log a parameter that was set and is not sent, once for each model and reason."""
    name, parameter, why = info.name, dropped.parameter, dropped.why
    log_once(("unsent", name, parameter, why), "%s is not sent to %s: %s", parameter, name, why)
