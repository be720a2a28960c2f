"""What chat completions say and Responses cannot. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from lm_deluge.config import SamplingParams
from lm_deluge.dialects.dialect import Ask, Dropped

__all__ = ["unsaid_by_responses", "unsaid_parameters"]

_UNKNOWN: Final = "the Responses API has no such parameter"
_LATER: Final = "this dialect does not write it yet"

#: Fields of ``SamplingParams`` that Responses has not, or has in a form of its own: why they are not sent.
_PARAMETERS: Final = {
    "stop": _UNKNOWN,
    "seed": _UNKNOWN,
    "presence_penalty": _UNKNOWN,
    "frequency_penalty": _UNKNOWN,
    "logprobs": _LATER,
    "top_logprobs": _LATER,
}

#: Those of which every value asks for something.
_NEVER_NEUTRAL: Final = ("seed", "top_logprobs")

#: Fields of a message that its items have no place for.
_FIELDS: Final = ("name", "audio", "function_call")

_PARTS: Final = ("input_audio",)

#: Fewer tokens than these are no limit that Responses takes.
_LEAST_TOKENS: Final = 16


def unsaid_parameters(params: SamplingParams) -> list[Dropped]:
    """Return the parameters that ask for something, and that Responses cannot be asked."""
    found: list[Dropped] = []
    for name, why in _PARAMETERS.items():
        value = getattr(params, name)
        if value or (value is not None and name in _NEVER_NEUTRAL):
            found.append(Dropped(name, why))
    return found


def unsaid_by_responses(ask: Ask) -> str | None:
    """Return the first thing asked, in words of chat completions, that Responses cannot be asked.

    ``None``: all of it can be said there. ``extra_body`` is in the words of whom it was written for.
    """
    params = ask.params
    if params.n > 1:
        return "n"
    if params.max_new_tokens is not None and params.max_new_tokens < _LEAST_TOKENS:
        return f"max_new_tokens below {_LEAST_TOKENS}"
    # Also what the model would refuse: who asks for it is answered by the API that has it.
    if unsaid := unsaid_parameters(params):
        return unsaid[0].parameter
    if ask.extra_body:
        return "extra_body"
    return _unsaid_in(ask.messages)


def _unsaid_in(messages: Sequence[Mapping[str, Any]]) -> str | None:
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        if message.get("role") == "function":
            return f"{where}['role']"
        for name in _FIELDS:
            # A tool's result is known by the id of its call.
            if message.get(name) is not None and (name != "name" or message["role"] != "tool"):
                return f"{where}[{name!r}]"
        content = message.get("content")
        for at, part in enumerate(content if isinstance(content, list | tuple) else ()):
            if isinstance(part, Mapping) and part.get("type") in _PARTS:
                return f"{where}['content'][{at}]"
    return None
