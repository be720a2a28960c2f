"""Which blocks of a Messages answer say more than a text and the calls after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

__all__ = ["says_more"]

#: What a block of a call says beside who asks for it, which is the model itself.
_CALL: Final = frozenset({"type", "id", "name", "input", "caller"})
_DIRECT: Final = {"type": "direct"}


def says_more(blocks: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a text and calls, in that order, leave something out."""
    called = False
    for block in blocks:
        kind = block.get("type")
        if kind == "tool_use":
            called = True
            if not block.keys() <= _CALL or block.get("caller", _DIRECT) != _DIRECT:
                return True
        elif (
            kind != "text"
            or called
            or any(block[name] for name in block if name not in ("type", "text"))
        ):
            return True
    return False
