"""What servers refused to answer: it is not asked for again in this process."""

from __future__ import annotations

from typing import Final

from lm_deluge.values.once import remember

__all__ = ["remember_refused", "was_refused"]

#: Hashes alone, as keys are among what tells one who asks from another.
_refused: Final[set[int]] = set()


def was_refused(*what: object) -> bool:
    """Return whether that was refused."""
    return hash(what) in _refused


def remember_refused(*what: object) -> bool:
    """Remember that it was; return whether that is news."""
    return remember(_refused, hash(what))
