"""What a Messages server says of an answer as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from lm_deluge.values.usage import Usage
from lm_deluge.wire.facts import Facts, count_in
from lm_deluge.wire.keeping import kept

__all__ = ["MessagesFacts"]

#: The kinds of input, which the server counts apart.
_INPUT: Final = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")


class MessagesFacts(Facts):
    """What the events say beside the blocks."""

    __slots__ = ("_usage",)

    def __init__(self) -> None:
        super().__init__()
        self._usage: dict[str, Any] = {}

    def take_usage(self, usage: object) -> None:
        """Take counts: each is a total, and takes the place of the one before; a null says nothing."""
        if not isinstance(usage, Mapping):
            return
        told = {key: value for key, value in usage.items() if value is not None}
        raw, size = kept(self._usage | told)
        if isinstance(raw, dict):
            self._usage = raw
            self.set_usage(_usage_of(raw), size)
            self.take_name("service_tier", raw.get("service_tier"))


def _usage_of(raw: dict[str, Any]) -> Usage:
    """Read the counts: ``input_tokens`` is all input, of the cache or not, as everywhere here."""
    parts = [count for key in _INPUT if (count := count_in(raw, key)) is not None]
    taken = sum(parts) if parts else None
    given = count_in(raw, "output_tokens")
    details = raw.get("output_tokens_details")
    thought = count_in(details, "thinking_tokens") if isinstance(details, dict) else None
    return Usage(
        input_tokens=taken,
        output_tokens=given,
        total_tokens=None if taken is None or given is None else taken + given,
        cache_read_tokens=count_in(raw, "cache_read_input_tokens"),
        cache_write_tokens=count_in(raw, "cache_creation_input_tokens"),
        reasoning_tokens=thought,
        raw=raw,
    )
