"""Errors about the summary of a model's thinking, which an answer does without. No I/O."""

from __future__ import annotations

import re
from typing import Final

from lm_deluge.errors import StreamError
from lm_deluge.wire.error_words import param_at_fault

__all__ = ["is_for_the_model", "refuses_summary"]

#: How servers call the parameter, and what it asks for, where they do not name it as such.
_NAMED: Final = re.compile(r"reasoning[ ._\[\]'\"]{1,3}(generate_)?summar", re.IGNORECASE)

_REQUEST_AT_FAULT: Final = frozenset({400, 403, 422})

#: What an account is refused, whatever the model.
_ACCOUNT: Final = re.compile(r"organi[sz]ation|account|verif", re.IGNORECASE)


def refuses_summary(error: StreamError) -> bool:
    """Return whether an error is about the summary that was asked for, and about nothing else.

    OpenAI names ``reasoning.summary`` (code ``unsupported_value``) to an organization that is not
    verified.
    """
    param = param_at_fault(error, _REQUEST_AT_FAULT)
    if param is None:
        return False
    if param and param != "reasoning":
        return param.startswith(("reasoning.summary", "reasoning.generate_summary"))
    return _NAMED.search(error.message) is not None or (
        param == "reasoning" and "summary" in error.message.lower()
    )


def is_for_the_model(error: StreamError) -> bool:
    """Return whether such an error may be another's for another model or another summary."""
    return _ACCOUNT.search(str(error)) is None
