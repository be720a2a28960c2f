"""How hard a model of Google's is asked to think, in the words that its family knows."""

from __future__ import annotations

import re
from typing import Any, Final

from lm_deluge.dialects.dialect import Ask, Dropped

__all__ = ["is_of_third_family", "thinking_for"]

#: The family of a model: ``gemini-2.5-pro``, ``models/gemini-3-flash-preview``.
_FAMILY: Final = re.compile(r"gemini-(\d+)(?:\.(\d+))?")
#: The first that think at all.
_THINKS: Final = (2, 5)
#: The first that take a word, that think always, and that sign their calls.
_TAKES_LEVELS: Final = (3, 0)
#: The first whose large models know ``medium``.
_PRO_KNOWS_MEDIUM: Final = (3, 1)

#: A large model, which thinks always; ``gemini-pro-latest`` is one, too.
_PRO: Final = re.compile(r"gemini-(?:[\d.]+-)?pro\b")

#: How many tokens of thinking a word for effort stands for, where the model takes a number: the figures
#: of Google's page on OpenAI compatibility.
_BUDGETS: Final = {"none": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24_576}


def thinking_for(ask: Ask) -> tuple[dict[str, Any], list[Dropped]]:
    """Return the fields of ``generationConfig`` that ask for thinking, and what is not sent."""
    effort = ask.params.reasoning_effort
    if effort is None:
        return {}, []
    why = _why_not(ask, effort)
    if why is not None:
        return {}, [Dropped("reasoning_effort", why)]
    model = ask.info.model_id.lower()
    thinking: dict[str, Any] = {"includeThoughts": effort != "none"}
    if is_of_third_family(model):
        thinking["thinkingLevel"] = _level(model, effort)
    else:
        thinking["thinkingBudget"] = _BUDGETS.get(effort, _BUDGETS["high"])
    return {"thinkingConfig": thinking}, []


def is_of_third_family(model: str) -> bool:
    """Whether a model is one of those that take a word for how hard to think, and sign their calls."""
    family = _family(model.lower())
    return family is not None and family >= _TAKES_LEVELS


def _why_not(ask: Ask, effort: str) -> str | None:
    """Return why an effort cannot be asked of a model; ``None`` where it can, as far as is known."""
    if not ask.info.takes_effort(effort):
        return "the model does not take it"
    model = ask.info.model_id.lower()
    family = _family(model)
    if family is not None and family < _THINKS:
        return "the model does not think first"
    if effort == "none" and (is_of_third_family(model) or _PRO.search(model)):
        return "the model always thinks"
    return None


def _level(model: str, effort: str) -> str:
    """Return the level nearest to an effort, as Google's page on OpenAI compatibility has them."""
    if effort == "xhigh":
        return "high"
    if _PRO.search(model):
        if effort == "minimal":
            return "low"
        if effort == "medium" and (_family(model) or _THINKS) < _PRO_KNOWS_MEDIUM:
            return "high"
    return effort


def _family(model: str) -> tuple[int, int] | None:
    found = _FAMILY.search(model)
    return None if found is None else (int(found[1]), int(found[2] or 0))
