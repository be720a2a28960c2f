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
        """Read one chunk."""
        for key, name in _NAMES.items():
            value = chunk.get(key)
            if value and value != (known := getattr(self, name)):
                text = text_or_none(value)
                if text is not None:
                    self.size += len(text) - len(known or "")
                    setattr(self, name, text)
        usage = _usage_in(chunk)
        if usage is not None:
            raw, size = kept(usage)
            if isinstance(raw, dict):
                self.size += size - self._usage_size
                self._usage_size = size
                self.usage = Usage.from_openai(raw)
        unknown = {key: value for key, value in chunk.items() if key not in _READ}
        if unknown:
            extra = {} if self.extra is None else self.extra
            self.size += join(extra, unknown, grows=frozenset())
            self.extra = extra or None


def _usage_in(chunk: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the usage of a chunk: its own, one in a vendor's field (Groq), or in a choice (Moonshot)."""
    usage = chunk.get("usage")
    if isinstance(usage, dict) and usage:
        return usage
    choices = chunk.get("choices")
    places: list[Any] = [value for key, value in chunk.items() if key not in _READ]
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict):
            places += [choice, choice.get("delta"), choice.get("message")]
    for place in places:
        if isinstance(place, dict):
            usage = place.get("usage")
            if isinstance(usage, dict) and usage:
                return usage
    return None
