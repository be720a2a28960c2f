"""How hard a model of Anthropic's is asked to think, in the words that its generation knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from lm_deluge.dialects.dialect import Ask, Dropped
from lm_deluge.models.claude import claude_version

__all__ = ["refused_with_thinking", "thinking_for", "thinks", "why_not"]

#: The first that decide by themselves how much to think; those before take a number of tokens.
_ADAPTIVE: Final = (4, 6)
#: The first that think at all.
_THINKS: Final = (3, 7)
#: The first that know ``xhigh``; the one before says ``max`` for what is above ``high``.
_KNOWS_XHIGH: Final = (4, 7)

#: Families that think whatever they are told.
_ALWAYS: Final = ("fable", "mythos")

#: The first of which it is not known that they think neither beside a forced call nor other sampling.
_UNKNOWN: Final = (5, 0)

#: The least share of the most likely tokens that is taken beside thinking.
_LEAST_TOP_P: Final = 0.95

#: Tokens of thinking for the models that take a number; no less than the first is taken.
_LEAST: Final = 1024
_BUDGETS: Final = {"minimal": _LEAST, "low": 2048, "medium": 8192, "high": 16_384, "xhigh": 32_768}


def thinking_for(ask: Ask, max_tokens: int) -> tuple[dict[str, Any], dict[str, Any], list[Dropped]]:
    """Return the fields that ask for thinking, what goes into ``output_config``, and what is not sent.

    ``max_tokens``: of the request; thinking is part of it.
    """
    effort = ask.params.reasoning_effort
    if effort is None:
        return {}, {}, []
    if not ask.info.takes_effort(effort):
        return {}, {}, [Dropped("reasoning_effort", "the model does not take it")]
    name = ask.info.model_id.lower()
    version = claude_version(name)
    is_adaptive = version is None or version >= _ADAPTIVE
    if version is not None and version < _THINKS:
        return {}, {}, [Dropped("reasoning_effort", "the model does not think first")]
    if effort == "none":
        if any(family in name for family in _ALWAYS):
            return {}, {}, [Dropped("reasoning_effort", "the model always thinks")]
        return {"thinking": {"type": "disabled"}}, {}, []
    if is_adaptive:
        word: str = "low" if effort == "minimal" else effort
        if word == "xhigh" and version is not None and version < _KNOWS_XHIGH:
            word = "max"
        return {"thinking": {"type": "adaptive", "display": "summarized"}}, {"effort": word}, []
    budget = min(_BUDGETS[effort], max_tokens // 2)
    if budget < _LEAST:
        why = f"its thinking takes {_LEAST} tokens at least, and the answer may have {max_tokens} in all"
        return {}, {}, [Dropped("reasoning_effort", why)]
    return {"thinking": {"type": "enabled", "budget_tokens": budget}}, {}, []


def thinks(thinking: Mapping[str, Any]) -> bool:
    """Whether fields of ``thinking_for`` ask for thinking."""
    asked = thinking.get("thinking")
    return asked is not None and bool(asked["type"] != "disabled")


def why_not(ask: Ask, tools: Mapping[str, Any]) -> str | None:
    """Return why a Claude model refuses to think with these tools; ``None`` where it does not."""
    choice = tools.get("tool_choice")
    forced = isinstance(choice, Mapping) and choice.get("type") in ("any", "tool")
    if forced and _is_particular(ask):
        return "a tool has to be called, and the model thinks only where it may choose"
    return None


def refused_with_thinking(ask: Ask, sampling: Mapping[str, Any]) -> list[str]:
    """Return the sampling parameters that a Claude model refuses where it thinks first."""
    if not _is_particular(ask):
        return []
    refused = ["temperature"] if sampling.get("temperature", 1) != 1 else []
    return [*refused, *(["top_p"] if sampling.get("top_p", 1) < _LEAST_TOP_P else [])]


def _is_particular(ask: Ask) -> bool:
    version = claude_version(ask.info.model_id)
    return version is not None and version < _UNKNOWN
