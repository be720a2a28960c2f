"""What a server says of an answer as a whole, whatever its dialect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias

from lm_deluge.values.usage import Usage
from lm_deluge.wire.keeping import join, text_or_none

__all__ = ["Facts", "Name", "count_in"]

Name: TypeAlias = Literal["response_id", "model_external", "system_fingerprint", "service_tier"]

_NOTHING_GROWS: Final = frozenset[str]()


def count_in(raw: Mapping[str, Any], key: str) -> int | None:
    """Return a count of a usage object; ``None`` where it has none of that name."""
    value = raw.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


class Facts:
    """What the events say beside the choices; the last word on each matter counts.

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

    def take_name(self, name: Name, value: object) -> None:
        """Take a name that the server gives; an empty one, and what is no text, says nothing."""
        known = getattr(self, name)
        if value and value != known:
            text = value if type(value) is str and value.isascii() else text_or_none(value)
            if text is not None:
                self.size += len(text) - len(known or "")
                setattr(self, name, text)

    def set_usage(self, usage: Usage, size: int) -> None:
        """Let a count take the place of the one before. ``size``: its characters."""
        self.size += size - self._usage_size
        self._usage_size = size
        self.usage = usage

    def keep(self, fields: Mapping[str, Any]) -> None:
        """Keep fields that nobody here knows."""
        extra = {} if self.extra is None else self.extra
        self.size += join(extra, fields, grows=_NOTHING_GROWS)
        self.extra = extra or None
