"""Tells whoever asks a model at its provider's own endpoint that its last day is near."""

from __future__ import annotations

from datetime import UTC, date, datetime
from logging import WARNING
from typing import Final

from lm_deluge.models.others import last_day_of
from lm_deluge.values.foreign import log
from lm_deluge.values.locking import LOCK

#: Days before the last one from which on it is told.
NOTICE: Final = 60

_told: Final[set[str]] = set()


def today() -> date:
    """The day, in UTC."""
    return datetime.now(UTC).date()


def tell_of_last_day(name: str) -> None:
    """Tell the logger, once in a process, of a model that has less than 60 days left; refuse nothing."""
    last = last_day_of(name)
    if last is None:
        return
    left = (last - today()).days
    if left >= NOTICE:
        return
    with LOCK:
        if name in _told:
            return
        _told.add(name)
    if left < 0:
        when = f"was to serve it until {last} only"
    else:
        days = "its last day" if left == 0 else "one more day" if left == 1 else f"{left} more days"
        when = f"serves it until {last}, {days}"
    log(WARNING, "%s: its provider %s; ask it which model to use instead", name, when)
