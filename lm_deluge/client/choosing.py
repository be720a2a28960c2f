"""By which of its provider's APIs a model is asked, where there are two: decided for each call."""

from __future__ import annotations

from lm_deluge.client.routes import Route
from lm_deluge.dialects.dialect import Ask

__all__ = ["chosen_way"]


def chosen_way(route: Route, ask: Ask) -> Route:
    """Return the way by Responses where there is one and all that is asked can be said there.

    Otherwise ``route``, which is that by chat completions.
    """
    other = route.by_responses
    if other is None:
        return route
    from lm_deluge.dialects.responses.unsaid import unsaid_by_responses

    return other if unsaid_by_responses(ask) is None else route
