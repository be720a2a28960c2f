"""What a Gemini server says of an answer as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from lm_deluge.values.usage import Usage
from lm_deluge.wire.facts import Facts, count_in
from lm_deluge.wire.keeping import kept

__all__ = ["GeminiFacts"]

#: What is read, here or of the candidates; the rest of a chunk is kept as it is.
_READ: Final = frozenset(
    {"candidates", "usageMetadata", "responseId", "modelVersion", "promptFeedback", "error"}
)


class GeminiFacts(Facts):
    """What the chunks say beside their candidates.

    ``is_blocked``: the prompt was refused. ``counts``: the last ``usageMetadata``, where it is still to be
    read: each chunk has one, and only the last counts.
    """

    __slots__ = ("_usage", "counts", "is_blocked")

    def __init__(self) -> None:
        self.counts: dict[str, Any] | None = None
        super().__init__()
        self.is_blocked = False

    @property
    def usage(self) -> Usage | None:
        """The last counts, read when they are asked for."""
        if self.counts is not None:
            raw, _ = kept(self.counts)
            self.usage = _usage_of(raw)
        return self._usage

    @usage.setter
    def usage(self, usage: Usage | None) -> None:
        self.counts = None
        self._usage = usage

    def take(self, chunk: Mapping[str, Any]) -> None:
        """Read one chunk, but for its candidates."""
        self.take_name("response_id", chunk.get("responseId"))
        self.take_name("model_external", chunk.get("modelVersion"))
        usage = chunk.get("usageMetadata")
        if isinstance(usage, dict) and usage:
            self._take_usage(usage)
        if not chunk.keys() <= _READ:
            self.keep({key: value for key, value in chunk.items() if key not in _READ})

    def _take_usage(self, usage: dict[str, Any]) -> None:
        """Take counts: each is of the whole answer so far, and nothing of an older one is left."""
        raw, size = kept(usage)
        if isinstance(raw, dict):
            self.set_usage(_usage_of(raw), size)
            self.take_name("service_tier", raw.get("serviceTier"))


def _usage_of(raw: dict[str, Any]) -> Usage:
    """Read the counts. Thoughts are no candidates' tokens, and both are output; what tools said is input."""
    prompt, total = count_in(raw, "promptTokenCount"), count_in(raw, "totalTokenCount")
    answer, thought = count_in(raw, "candidatesTokenCount"), count_in(raw, "thoughtsTokenCount")
    if prompt is None and answer is None and total is None:
        return Usage(raw=raw)
    return Usage(
        input_tokens=(prompt or 0) + (count_in(raw, "toolUsePromptTokenCount") or 0),
        output_tokens=(answer or 0) + (thought or 0),
        total_tokens=total,
        cache_read_tokens=count_in(raw, "cachedContentTokenCount"),
        reasoning_tokens=thought,
        raw=raw,
    )
