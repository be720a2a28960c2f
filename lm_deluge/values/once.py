"""What a program is told once, and not with each call that gives the same reason to."""

from __future__ import annotations

from logging import WARNING
from typing import Final

from lm_deluge.values.foreign import log
from lm_deluge.values.locking import LOCK

__all__ = ["log_once"]

#: So many are remembered. A program that gives ever new reasons is told again, rather than remembered.
_MOST: Final = 10_000

_told: Final[set[tuple[str, ...]]] = set()


def log_once(about: tuple[str, ...], message: str, *values: object) -> None:
    """Log a warning to ``lm_deluge``, if none was yet, in this process, ``about`` the same."""
    with LOCK:
        if about in _told:
            return
        if len(_told) >= _MOST:
            _told.clear()
        _told.add(about)
    log(WARNING, message, *values)
