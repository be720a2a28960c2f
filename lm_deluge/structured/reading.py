"""A whole answer's text made into what was asked for."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from lm_deluge.structured.answer_text import AnswerText
from lm_deluge.structured.misfits import Misfit, MisfitError
from lm_deluge.structured.shape import WRAPPED, Shape

__all__ = ["Failure", "Fitting", "read"]


@frozen
class Failure:
    """``misfit``: where and why. ``value``: the JSON as far as there is any. ``kind``: what is wrong."""

    misfit: Misfit
    value: Any
    kind: str


@frozen
class Fitting:
    """``value``: what was asked for: the class, or the JSON of a schema."""

    value: Any


def read(text: str, shape: Shape | None, *, is_bare: bool = False) -> Fitting | Failure:
    """Return what a text holds of a shape (``None``: any JSON), or why it does not.

    ``is_bare``: the text is JSON alone, as the arguments of a tool are.
    """
    value, source = _fast(text, shape)
    if source is None:
        answer = AnswerText(shape, is_bare=is_bare)
        answer.feed(text)
        answer.finish()
        value = answer.value()
        if (fault := answer.fault) is not None:
            kind = "missing" if not answer.has_begun else "cut" if _is_cut(fault) else "invalid"
            return Failure(fault, value, kind)
    if shape is None:
        return Fitting(value)
    if shape.is_wrapped and isinstance(value, dict) and value.keys() == {WRAPPED}:
        value, source = value[WRAPPED], None
    try:
        return Fitting(shape.converted(value, source))
    except MisfitError as error:
        return Failure(error.misfit, value, "unfit")


def _is_cut(fault: Misfit) -> bool:
    return fault.message == "the JSON is cut"


def _fast(text: str, shape: Shape | None) -> tuple[Any, bytes | None]:
    """Return what jiter makes of a text that is JSON alone, perhaps in a fence, and the JSON.

    ``None`` for the JSON where it is not that simple.
    """
    import jiter

    body = text.strip().removeprefix("\ufeff")
    if body.startswith("```") and body.endswith("```") and "\n" in body:
        body = body[body.index("\n") : -3].strip()
    try:
        source = body.encode()
        value = jiter.from_json(source)
    except ValueError:
        return None, None
    if shape is None and not isinstance(value, dict | list):
        return None, None
    return value, source
