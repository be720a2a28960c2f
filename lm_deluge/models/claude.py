"""The family and the version that the name of a Claude model says, wherever it is served."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

__all__ = ["claude_version", "is_since"]

#: The version in a name: ``claude-opus-4-6``, ``claude-opus-4.6``, ``claude-3-7-sonnet-20250219``. Dates
#: are none.
_NUMBERS: Final = re.compile(r"claude\D*(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)")


def claude_version(name: str) -> tuple[int, int] | None:
    """Return the version of a Claude model; ``None`` where the name says none."""
    found = _NUMBERS.search(name.lower())
    return None if found is None else (int(found[1]), int(found[2] or 0))


def is_since(name: str, first: Mapping[str, Sequence[int]]) -> bool:
    """Whether a Claude model is the first of its family, or came after it.

    ``first``: versions by family; one that is ``[0, 0]`` stands for all of the family.
    """
    _, is_claude, after = name.lower().partition("claude")
    if not is_claude:
        return False
    version = claude_version(name) or (0, 0)
    return any(f"-{family}" in after and version >= tuple(first[family]) for family in first)
