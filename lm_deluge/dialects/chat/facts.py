"""What a server says of an answer as a whole: its names, its usage, and fields of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from lm_deluge.dialects.chat.chunks import PlainChunk
from lm_deluge.values.usage import Usage
from lm_deluge.wire.facts import Facts, Name
from lm_deluge.wire.keeping import kept

__all__ = ["ChatFacts"]

#: Under which name each of the server's is kept.
_NAMES: Final[dict[str, Name]] = {
    "id": "response_id",
    "model": "model_external",
    "system_fingerprint": "system_fingerprint",
    "service_tier": "service_tier",
}

#: What says nothing of an answer, or is read elsewhere; ``obfuscation`` is padding of a random length.
_READ: Final = frozenset(
    {*_NAMES, "object", "created", "choices", "usage", "error", "obfuscation", "type"}
)


class ChatFacts(Facts):
    """What the chunks say beside their choices."""

    __slots__ = ()

    def take(self, chunk: Mapping[str, Any]) -> None:
        """Read one chunk, but for its choices."""
        for key, name in _NAMES.items():
            if (value := chunk.get(key)) and value != getattr(self, name):
                self.take_name(name, value)
        if not chunk.keys() <= _READ:
            unknown = {key: value for key, value in chunk.items() if key not in _READ}
            for value in unknown.values():  # Groq's own field
                if isinstance(value, dict):
                    self.take_usage(value.get("usage"))
            self.keep(unknown)
        if usage := chunk.get("usage"):
            self.take_usage(usage)

    def take_names(self, chunk: PlainChunk) -> bool:
        """Read the names of a plain chunk, all that it may say beside its choice; tell if one is new."""
        told = (
            chunk.id or self.response_id,
            chunk.model or self.model_external,
            chunk.system_fingerprint or self.system_fingerprint,
            chunk.service_tier or self.service_tier,
        )
        known = (
            self.response_id,
            self.model_external,
            self.system_fingerprint,
            self.service_tier,
        )
        if told == known:
            return False
        self.take({key: getattr(chunk, key) for key in _NAMES})
        return True

    def take_usage(self, usage: object) -> None:
        """Take the usage of a chunk, or of a choice (Moonshot); the last one that says something counts."""
        if not isinstance(usage, dict) or not usage:
            return
        raw, size = kept(usage)
        if not isinstance(raw, dict):
            return
        read = Usage.from_openai(raw)
        if self.usage is None or _counts(read) or not _counts(self.usage):
            self.set_usage(read, size)


def _counts(usage: Usage) -> bool:
    """Whether it says how many there were of anything."""
    return (
        usage.input_tokens is not None
        or usage.output_tokens is not None
        or usage.total_tokens is not None
        or usage.cache_read_tokens is not None
        or usage.cache_write_tokens is not None
        or usage.reasoning_tokens is not None
    )
