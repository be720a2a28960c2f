"""What ``schema=`` adds to what is asked, and what becomes of the answer."""

from __future__ import annotations

import json
from logging import WARNING
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve

from lm_deluge.client.refused import remember_refused, was_refused
from lm_deluge.client.routes import Route
from lm_deluge.config import SamplingParams
from lm_deluge.dialects.dialect import Ask, Dropped
from lm_deluge.errors import SchemaError, StreamError
from lm_deluge.structured.forms.openai import openai_format
from lm_deluge.structured.refusals import is_for_the_model, is_for_the_schema, refuses_form
from lm_deluge.structured.shape import Shape
from lm_deluge.values.foreign import log
from lm_deluge.values.response import APIResponse

if TYPE_CHECKING:
    from lm_deluge.engine.plan import Without

__all__ = ["asked_for", "form_or_words", "in_words", "outcome_or_error"]

_WORDS: Final = "Answer with JSON alone, without a word around it, that fits this JSON schema:\n"


def asked_for(shape: Shape, params: SamplingParams, response_format: object) -> dict[str, Any]:
    """Return what of a request asks for a shape, by field of an ``Ask``.

    Raises ``ValueError`` beside a ``response_format``, which asks for another.
    """
    if response_format is not None:
        raise ValueError("schema and response_format are both given: choose one")
    return {
        "shape": shape,
        "response_format": openai_format(shape),
        "params": evolve(params, json_mode=False) if params.json_mode else params,
    }


def in_words(ask: Ask) -> tuple[Ask, Dropped | None]:
    """Return what is asked of a model in a form that it takes, and what of a shape is not sent.

    A model that takes no form of an answer (it is registered without ``json_mode``) is told in words.
    """
    shape = ask.shape
    assert shape is not None
    if not ask.info.takes("json_mode"):
        why = "the model takes no form of its answer: it is told in words"
        return _told_in_words(ask, shape), Dropped("schema", why)
    wanted = (ask.response_format or {}).get("json_schema", {})
    if ask.info.dialect in ("chat", "responses") and wanted.get("strict") is False:
        return ask, Dropped("strict", f"{shape.name} holds objects or lists of anything")
    return ask, None


def form_or_words(route: Route, ask: Ask) -> tuple[Ask, tuple[Without, ...]]:
    """Return what is asked by a route, in words where a form was refused before, and what to ask if it is.

    Servers know no forms, or not all of a schema; what is asked for in words is still checked here.
    """
    shape = ask.shape
    assert shape is not None
    known = (_of_address(route), _of_model(route, ask), _of_schema(route, ask, shape))
    if any(was_refused(*each) for each in known):
        return _told_in_words(ask, shape), ()

    def in_words_instead(error: StreamError, ask: Ask) -> Ask | None:
        if not refuses_form(error):
            return None
        place = 2 if is_for_the_schema(error) else 1 if is_for_the_model(error) else 0
        if remember_refused(*known[place]):
            what = ("no schema", "no schema", "this schema not")[place]
            message = "%s takes %s, and is told in words what to answer from now on: %s"
            log(WARNING, message, ask.info.name, what, error)
        return _told_in_words(ask, shape)

    return ask, (in_words_instead,)


def _told_in_words(ask: Ask, shape: Shape) -> Ask:
    """Return what is asked with the schema in the system's text, which there may be one of."""
    words = _WORDS + json.dumps(shape.schema)
    messages = list(ask.messages)
    first = messages[0] if messages else {}
    if first.get("role") == "system" and isinstance(first.get("content"), str):
        messages[0] = {**first, "content": f"{first['content']}\n\n{words}"}
    else:
        messages.insert(0, {"role": "system", "content": words})
    return evolve(ask, messages=messages, shape=None, response_format=None)


def _of_address(route: Route) -> tuple[object, ...]:
    return "schema", route.account


def _of_model(route: Route, ask: Ask) -> tuple[object, ...]:
    return "schema", route.account, ask.info.model_id


def _of_schema(route: Route, ask: Ask, shape: Shape) -> tuple[object, ...]:
    written = json.dumps(shape.schema, sort_keys=True)
    return "schema", route.account, ask.info.model_id, written


def outcome_or_error(response: APIResponse) -> APIResponse | SchemaError:
    """Return a response that is what was asked for, or the error that says how it is not."""
    try:
        _ = response.parsed
    except SchemaError as error:
        return error.with_traceback(None)
    return response
