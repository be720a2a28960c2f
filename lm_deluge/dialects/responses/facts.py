"""What a Responses server says of an answer as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lm_deluge.values.usage import Usage
from lm_deluge.wire.facts import Facts, count_in
from lm_deluge.wire.keeping import kept

__all__ = ["ResponsesFacts"]


class ResponsesFacts(Facts):
    """What the events say beside the items."""

    __slots__ = ()

    def take(self, response: Mapping[str, Any]) -> None:
        """Read a response object, whose items are read elsewhere; most of it repeats the request."""
        self.take_name("response_id", response.get("id"))
        self.take_name("model_external", response.get("model"))
        self.take_name("service_tier", response.get("service_tier"))
        usage = response.get("usage")
        if isinstance(usage, dict) and usage:
            raw, size = kept(usage)
            if isinstance(raw, dict):
                self.set_usage(_usage_of(raw), size)


def _usage_of(raw: dict[str, Any]) -> Usage:
    taken, given = raw.get("input_tokens_details"), raw.get("output_tokens_details")
    read, written = count_in(raw, "input_tokens"), count_in(raw, "output_tokens")
    total = count_in(raw, "total_tokens")
    if total is None and read is not None and written is not None:
        total = read + written
    return Usage(
        input_tokens=read,
        output_tokens=written,
        total_tokens=total,
        cache_read_tokens=count_in(taken, "cached_tokens") if isinstance(taken, dict) else None,
        cache_write_tokens=(
            count_in(taken, "cache_write_tokens") if isinstance(taken, dict) else None
        ),
        reasoning_tokens=count_in(given, "reasoning_tokens") if isinstance(given, dict) else None,
        raw=raw,
    )
