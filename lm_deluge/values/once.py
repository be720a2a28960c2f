"""What happens once in a process: a thing that is told, or learned."""

from __future__ import annotations

from logging import WARNING
from typing import Final, TypeVar

from lm_deluge.values.foreign import log
from lm_deluge.values.locking import LOCK

__all__ = ["log_once", "remember"]

T = TypeVar("T")

#: So many are remembered; then all are forgotten. A program that gives ever new ones hears again.
_MOST: Final = 10_000

_told: Final[set[tuple[str, ...]]] = set()


def log_once(about: tuple[str, ...], message: str, *values: object) -> None:
    """Log a warning to ``lm_deluge``, if none was yet, in this process, ``about`` the same."""
    if remember(_told, about):
        log(WARNING, message, *values)


def remember(known: set[T], what: T) -> bool:
    """Put something into a set that threads share and that stays bounded; return whether it is new."""
    with LOCK:
        if what in known:
            return False
        if len(known) >= _MOST:
            known.clear()
        known.add(what)
    return True
