"""By which of its provider's APIs a model is asked, and what is asked there: decided for each call."""

from __future__ import annotations

from logging import WARNING
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve

from lm_deluge.client.refused import remember_refused, was_refused
from lm_deluge.client.routes import Route
from lm_deluge.dialects.dialect import Ask, Written
from lm_deluge.dialects.responses.summaries import is_for_the_model, refuses_summary
from lm_deluge.dialects.responses.unsaid import unsaid_by_responses
from lm_deluge.errors import StreamError
from lm_deluge.http.request import Request
from lm_deluge.values.foreign import log
from lm_deluge.values.redaction import Redactor

if TYPE_CHECKING:
    from lm_deluge.engine.plan import Without
    from lm_deluge.engine.resuming import Resumption

__all__ = ["way_for"]

_ELSEWHERE: Final = (
    "only the Responses API shows a model's thinking in summaries that are asked for"
)


def way_for(
    route: Route, ask: Ask, redactor: Redactor, *, is_first: bool
) -> tuple[Route, Ask, dict[str, Any], str]:
    """Return where to ask, what, what else there is to a ``ModelRequest``, and why there is no summary.

    A model that its provider serves by chat completions and by Responses is asked by Responses if all
    that is asked can be said there. ``is_first``: whether it is no fallback, of which only those that
    can are resumed.

    Raises ``ValueError`` where an answer is to be resumed and cannot be.
    """
    route, ask, without, why = _chosen_way(route, ask, is_first=is_first)
    more: dict[str, Any] = {"resumption": _resumption_of(route, ask, redactor)}
    if without is not None:
        more["without"] = (without,)
    return route, ask, more, why


def _chosen_way(
    route: Route, ask: Ask, *, is_first: bool
) -> tuple[Route, Ask, Without | None, str]:
    other = route.by_responses
    unsaid = None if other is None else unsaid_by_responses(ask)
    if other is not None and unsaid is None:
        route, ask = other, evolve(ask, info=other.info)
    if route.info.dialect != "responses":
        if ask.resume and is_first:
            raise _not_resumable(ask, unsaid)
        return route, evolve(ask, resume=False), None, _ELSEWHERE
    if ask.reasoning_summary is None or "reasoning" in (ask.extra_body or ()):
        return route, ask, None, ""
    if was_refused(*_of_account(route)) or was_refused(*_of_model(route, ask)):
        return route, evolve(ask, reasoning_summary=None), None, "it was refused before"

    def without(error: StreamError, ask: Ask) -> Ask | None:
        return _without_summary(error, route, ask)

    return route, ask, without, ""


def _not_resumable(ask: Ask, unsaid: str | None) -> ValueError:
    info = ask.info
    why = "" if unsaid is None else f", which has no {unsaid}"
    instead = "only OpenAI's 'openai-responses:…' can"
    if info.dialect == "chat":
        instead = f"ask for 'openai-responses:{info.model_id}' or with dialect=\"responses\""
    return ValueError(
        f"with resume=True a model must be asked by the Responses API{why}, and {info.name!r} is asked by "
        f"{info.dialect!r}: {instead}"
    )


def _resumption_of(route: Route, ask: Ask, redactor: Redactor) -> Resumption | None:
    """Return how the answer is taken up again; ``None`` where it is not asked to be."""
    if not ask.resume:
        return None
    from lm_deluge.dialects.responses.resuming import ResumableAnswer, cancelling, going_on
    from lm_deluge.engine.resuming import Resumption

    def bare(written: Written, method: str) -> Request:
        return evolve(route.request(written, redactor), method=method, body=b"")

    return Resumption(
        answer=ResumableAnswer,
        again=lambda name, after: bare(going_on(name, after), "GET"),
        cancel=lambda name: bare(cancelling(name), "POST"),
    )


def _without_summary(error: StreamError, route: Route, ask: Ask) -> Ask | None:
    if not refuses_summary(error):
        return None
    known = _of_model(route, ask) if is_for_the_model(error) else _of_account(route)
    if remember_refused(*known):
        log(
            WARNING,
            "%s: no summary of its thinking, and none is asked for any more: %s",
            ask.info.name,
            error,
        )
    return evolve(ask, reasoning_summary=None)


def _of_account(route: Route) -> tuple[object, ...]:
    return "summary", route.account


def _of_model(route: Route, ask: Ask) -> tuple[object, ...]:
    return "summary", route.account, ask.info.model_id, ask.reasoning_summary
