"""Bodies of requests that are kept to be looked at: how long one may be, and how much all of them."""

from __future__ import annotations

from typing import Final

__all__ = ["MAX_BODY", "MAX_KEPT", "Keeping", "KeptBody"]

MAX_BODY: Final = 16 << 20
"""Bytes of one body that are kept, at most."""

MAX_KEPT: Final = 256 << 20
"""Bytes of all that are kept at once."""


class Keeping:
    """What all bodies share. ``left``: bytes that may still be kept."""

    def __init__(self, most: int = MAX_KEPT) -> None:
        self.left = most


class KeptBody:
    """One body, as far as it came. ``problem``: why no more of it is kept, in words without content."""

    __slots__ = ("_data", "_keeping", "_size", "problem")

    def __init__(self, keeping: Keeping) -> None:
        self._keeping = keeping
        self._data = bytearray()
        # The room that it takes.
        self._size = 0
        self.problem: str | None = None

    def add(self, data: bytes) -> bool:
        """Keep more of it; ``False``, with a ``problem``: it is too long, or there is no room for it."""
        if self.problem is not None:
            return False
        size = len(data)
        if self._size + size > MAX_BODY:
            self.problem = (
                f"the request's body is too long to be looked at (above {MAX_BODY >> 20} MiB)"
            )
        elif size > self._keeping.left:
            self.problem = "the request's body was not looked at: others took the room for them"
        else:
            self._keeping.left -= size
            self._size += size
            self._data += data
            return True
        return False

    def __len__(self) -> int:
        return len(self._data)

    def take(self) -> bytes:
        """Return what there is; its room stays taken until ``let_go``."""
        data = bytes(self._data)
        self._data.clear()
        return data

    def let_go(self) -> None:
        """Give its room back; a second time does nothing."""
        self._data.clear()
        self._keeping.left += self._size
        self._size = 0
