"""Errors about the form that an answer was asked to have, which can be asked for in words instead. No I/O."""

from __future__ import annotations

import re
from typing import Final

from lm_deluge.errors import StreamError
from lm_deluge.wire.error_words import param_at_fault

__all__ = ["is_for_the_model", "is_for_the_schema", "refuses_form"]

#: How servers call the parameter, in each API's words, and what it asks for.
_NAMED: Final = re.compile(
    r"response[ _.-]?format|json[ _.-]?schema|json[ _.-]?mode|text\.format|output[ _.]?(config|format)|"
    r"response[ _]?(json[ _]?)?schema|structured[ _-]?(output|decoding|generation)|guided|grammar|\bschema",
    re.IGNORECASE,
)

#: A schema that is not of the answer.
_OF_A_TOOL: Final = re.compile(
    r"function|\btools?\b|input_schema|parameters|declaration", re.IGNORECASE
)

#: What is wrong with the one that was given, and not with giving any.
_OF_THIS: Final = re.compile(
    r"invalid (json )?schema|context=|not permitted|additional_?properties|required|complex|too (many|large|"
    r"deep|long)|nest|depth|exceed|recursi|\$ref|property|properties|keyword|grammar|compil|pattern|enum",
    re.IGNORECASE,
)

_PARAMS: Final = ("response_format", "text", "output_config", "output_format", "generation")
_REQUEST_AT_FAULT: Final = frozenset({400, 422, 501})


def refuses_form(error: StreamError) -> bool:
    """Return whether an error is about the form that was asked for, and about nothing else."""
    param = param_at_fault(error, _REQUEST_AT_FAULT)
    if param is None:
        return False
    if param:
        return param.startswith(_PARAMS) or "schema" in param
    return _NAMED.search(error.message) is not None and _OF_A_TOOL.search(error.message) is None


def is_for_the_schema(error: StreamError) -> bool:
    """Return whether such an error may not come for another schema."""
    return _OF_THIS.search(str(error)) is not None


def is_for_the_model(error: StreamError) -> bool:
    """Return whether such an error may not come for another model."""
    return "model" in str(error).lower()
