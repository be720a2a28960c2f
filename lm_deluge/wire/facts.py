"""What a server says of an answer as a whole: its names, its usage, and fields of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from lm_deluge.response import Usage
from lm_deluge.wire.keeping import join, kept, text_or_none

__all__ = ["Facts"]

#: Under which name each of the server's is kept.
_NAMES: Final = {
    "id": "response_id",
    "model": "model_external",
    "system_fingerprint": "system_fingerprint",
    "service_tier": "service_tier",
}

#: What says nothing of an answer, or is read elsewhere; ``obfuscation`` is padding of a random length.
_READ: Final = frozenset(
    {*_NAMES, "object", "created", "choices", "usage", "error", "obfuscation", "type"}
)


class Facts:
    """What the chunks say beside their choices; the last word on each matter counts.

    ``usage``, ``response_id``, ``model_external``, ``system_fingerprint``, ``service_tier``: as in
    ``APIResponse``. ``extra``: the fields that nobody here knows. ``size``: the characters of it all.
    """

    __slots__ = (
        "_usage_size",
        "extra",
        "model_external",
        "response_id",
        "service_tier",
        "size",
        "system_fingerprint",
        "usage",
    )

    def __init__(self) -> None:
        self.response_id: str | None = None
        self.model_external: str | None = None
        self.system_fingerprint: str | None = None
        self.service_tier: str | None = None
        self.usage: Usage | None = None
        self.extra: dict[str, Any] | None = None
        self.size = 0
        self._usage_size = 0

    def take(self, chunk: Mapping[str, Any]) -> None:
        """Read one chunk, but for its choices."""
        for key, name in _NAMES.items():
            value = chunk.get(key)
            if value and value != (known := getattr(self, name)):
                text = value if type(value) is str and value.isascii() else text_or_none(value)
                if text is not None:
                    self.size += len(text) - len(known or "")
                    setattr(self, name, text)
        usage = chunk.get("usage")
        if not chunk.keys() <= _READ:
            unknown = {key: value for key, value in chunk.items() if key not in _READ}
            for value in unknown.values():  # Groq's own field
                if isinstance(value, dict):
                    usage = usage or value.get("usage")
            extra = {} if self.extra is None else self.extra
            self.size += join(extra, unknown, grows=frozenset())
            self.extra = extra or None
        if usage:
            self.take_usage(usage)

    def take_usage(self, usage: object) -> None:
        """Take the usage of a chunk, or of a choice (Moonshot); the last one that says something counts."""
        if not isinstance(usage, dict) or not usage:
            return
        raw, size = kept(usage)
        if isinstance(raw, dict):
            self.size += size - self._usage_size
            self._usage_size = size
            self.usage = Usage.from_openai(raw)
