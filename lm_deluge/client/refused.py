"""What servers refused to answer: it is not asked for again in this process."""

from __future__ import annotations

from typing import Final

from lm_deluge.values.locking import LOCK

__all__ = ["remember_refused", "was_refused"]

#: So many are remembered; then all are forgotten, and asked for once more.
_MOST: Final = 10_000

#: Hashes alone, as keys are among what tells one who asks from another.
_refused: Final[set[int]] = set()


def was_refused(*what: object) -> bool:
    """Return whether that was refused."""
    return hash(what) in _refused


def remember_refused(*what: object) -> bool:
    """Remember that it was; return whether that is news."""
    known = hash(what)
    with LOCK:
        if known in _refused:
            return False
        if len(_refused) >= _MOST:
            _refused.clear()
        _refused.add(known)
    return True
