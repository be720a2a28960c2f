"""What an answer depends on, in nobody's words: each wire reads it from requests of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import attrs

__all__ = ["Function", "Prompt"]


@attrs.frozen
class Function:
    """A function that may be called; ``schema`` is that of its arguments."""

    name: str
    schema: Any


@attrs.frozen(kw_only=True)
class Prompt:
    """One request that passed the checks."""

    body: Mapping[str, Any]
    """As it was sent, for a text that is a function of it."""
    messages: Any
    """What was said so far: the answer depends on it, and on the seed."""
    prompt_tokens: int
    count: int = 1
    """How many answers are asked for."""
    stops: tuple[str, ...] = ()
    limit: int | None = None
    """The most tokens of the answer."""
    least: int = 0
    """The least tokens of a text that is made for it."""
    fills: bool = False
    """Whether a text that is made for it has as many tokens as it may have (``ignore_eos``)."""
    calls: str = "auto"
    """Whether functions are called: ``"none"``, ``"auto"`` or ``"required"``."""
    functions: tuple[Function, ...] = ()
    """Those that are called where calls are required."""
    answered: bool = False
    """Whether the last thing said is the result of a call."""
    rounds: tuple[tuple[str, ...], ...] = ()
    """The results since the user spoke last, those of one round together."""
    shows_reasoning: bool = True
    """``False`` where the request turned it off."""
    hides_reasoning: bool = False
    """Whether reasoning is billed though none is shown."""
    as_json: bool = False
    schema: Any = None
    """What an answer in JSON must fit; ``None`` for any object."""

    @property
    def text(self) -> str:
        """What was said so far as one text, the same for the same messages."""
        return json.dumps(self.messages, sort_keys=True, default=str)
