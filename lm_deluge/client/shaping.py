"""What ``schema=`` adds to what is asked, and what becomes of the answer."""

from __future__ import annotations

import json
from typing import Any, Final

from attrs import evolve

from lm_deluge.config import SamplingParams
from lm_deluge.dialects.dialect import Ask, Dropped
from lm_deluge.errors import SchemaError
from lm_deluge.structured.forms.openai import openai_format
from lm_deluge.structured.shape import Shape
from lm_deluge.values.response import APIResponse

__all__ = ["asked_for", "in_words", "outcome_or_error"]

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
        told = {"role": "system", "content": _WORDS + json.dumps(shape.schema)}
        ask = evolve(ask, messages=[told, *ask.messages], shape=None, response_format=None)
        return ask, Dropped("schema", "the model takes no form of its answer: it is told in words")
    wanted = (ask.response_format or {}).get("json_schema", {})
    if ask.info.dialect in ("chat", "responses") and wanted.get("strict") is False:
        return ask, Dropped("strict", f"{shape.name} holds objects or lists of anything")
    return ask, None


def outcome_or_error(response: APIResponse) -> APIResponse | SchemaError:
    """Return a response that is what was asked for, or the error that says how it is not."""
    try:
        _ = response.parsed
    except SchemaError as error:
        return error.with_traceback(None)
    return response
