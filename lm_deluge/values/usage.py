"""Tokens as a server counted them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from lm_deluge.values.pydantic_schema import pydantic_schema

if TYPE_CHECKING:
    from typing import Self

__all__ = ["COUNTS", "Usage"]

COUNTS = (
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
)
"""The counts of a ``Usage``, by name."""


def _count(value: object) -> int | None:
    """Return a server's count; ``None`` for anything that is none (absent, text, NaN)."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return int(value)
    except (ValueError, OverflowError):
        return None


def _first_count(usage: Mapping[str, Any], *names: str) -> int | None:
    """Return the first count that there is under these names."""
    for name in names:
        if name in usage and (count := _count(usage[name])) is not None:
            return count
    return None


@frozen(kw_only=True)
class Usage:
    """Tokens as the server counted them; ``None`` where it did not say, which is not 0.

    ``input_tokens``, ``output_tokens``, ``total_tokens``: the server's own numbers; the total need
    not be the sum, and what it says more is priced as output. An API that counts kinds of input apart, or
    reasoning beside the output (xAI), or gives no total, is added up.
    ``cache_read_tokens``: input tokens served from the provider's cache; ``cache_write_tokens``: those
    written to it. Both are part of ``input_tokens``.
    ``reasoning_tokens``: output tokens spent on reasoning. ``raw``: the object as it came.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    raw: dict[str, Any] = field(factory=dict, repr=False)

    __get_pydantic_core_schema__ = classmethod(pydantic_schema)

    @classmethod
    def from_openai(cls, usage: Mapping[str, Any]) -> Self:
        """Read the ``usage`` object of a chat completion."""
        prompt = usage.get("prompt_tokens_details")
        completion = usage.get("completion_tokens_details")
        cached = prompt.get("cached_tokens") if isinstance(prompt, dict) else None
        if cached is None:
            # DeepSeek and Moonshot name it at the top level.
            cached = usage.get("prompt_cache_hit_tokens", usage.get("cached_tokens"))
        written = prompt.get("cache_write_tokens") if isinstance(prompt, dict) else None
        reasoning = completion.get("reasoning_tokens") if isinstance(completion, dict) else None
        if reasoning is None:
            reasoning = usage.get("reasoning_tokens")
        taken = _first_count(usage, "prompt_tokens", "input_tokens")
        given = _first_count(usage, "completion_tokens", "output_tokens")
        total, thought = _count(usage.get("total_tokens")), _count(reasoning)
        if thought and total and given is not None and total == (taken or 0) + given + thought:
            # xAI counts reasoning beside the rest of the output, and says so by the total alone.
            given += thought
        return cls(
            input_tokens=taken,
            output_tokens=given,
            total_tokens=total,
            cache_read_tokens=_count(cached),
            cache_write_tokens=None if written is None else _count(written),
            reasoning_tokens=thought,
            raw=dict(usage),
        )
