"""By which of its provider's APIs a model is asked, and what is asked there: decided for each call."""

from __future__ import annotations

from collections.abc import Callable
from logging import WARNING
from typing import Final, TypeAlias

from attrs import evolve

from lm_deluge.client.asking import warn_of_dropped
from lm_deluge.client.routes import Route
from lm_deluge.dialects.dialect import Ask, Dropped
from lm_deluge.dialects.responses.summaries import is_for_the_model, refuses_summary
from lm_deluge.dialects.responses.unsaid import unsaid_by_responses
from lm_deluge.errors import StreamError
from lm_deluge.http.request import Request
from lm_deluge.values.foreign import log
from lm_deluge.values.redaction import Redactor

__all__ = ["chosen_way"]

Instead: TypeAlias = Callable[[StreamError], Request | None]

#: Who was refused a summary, by ``Route.account``; or what of a model.
_refused: Final[set[int]] = set()


def chosen_way(route: Route, ask: Ask, redactor: Redactor) -> tuple[Route, Ask, Instead | None]:
    """Return where to ask, what, and what else if that is refused (``ModelRequest.instead``).

    A model that its provider serves by chat completions and by Responses is asked by Responses if all
    that is asked can be said there.
    """
    other = route.by_responses
    if other is not None and unsaid_by_responses(ask) is None:
        route, ask = other, evolve(ask, info=other.info)
    if route.info.dialect != "responses":
        _warn(
            ask, "only the Responses API shows a model's thinking in summaries that are asked for"
        )
        return route, ask, None
    if ask.reasoning_summary is None or "reasoning" in (ask.extra_body or ()):
        return route, ask, None
    if route.account in _refused or _of_model(route, ask) in _refused:
        _warn(ask, "it was refused before")
        return route, evolve(ask, reasoning_summary=None), None

    def instead(error: StreamError) -> Request | None:
        return _without_summary(error, route, ask, redactor)

    return route, ask, instead


def _without_summary(
    error: StreamError, route: Route, ask: Ask, redactor: Redactor
) -> Request | None:
    if not refuses_summary(error):
        return None
    known = _of_model(route, ask) if is_for_the_model(error) else route.account
    if known not in _refused:
        _refused.add(known)
        log(
            WARNING,
            "%s: no summary of its thinking, and none is asked for any more: %s",
            ask.info.name,
            error,
        )
    return route.request(route.dialect.write(evolve(ask, reasoning_summary=None)), redactor)


def _warn(ask: Ask, why: str) -> None:
    """Say that a summary is not asked for, where it was by name."""
    if ask.reasoning_summary not in (None, "auto"):
        warn_of_dropped(ask.info, Dropped("reasoning_summary", why))


def _of_model(route: Route, ask: Ask) -> int:
    return hash((route.account, ask.info.model_id, ask.reasoning_summary))
