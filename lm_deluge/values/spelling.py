"""The names that a wrong one may stand for, for errors that say what was meant."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["nearest"]


def nearest(given: str, accepted: Iterable[str], n: int = 1, cutoff: float = 0.6) -> list[str]:
    """Return up to ``n`` of the accepted names, the most alike first.

    ``cutoff``: from 0.0 for any to 1.0 for equal, as in ``difflib.get_close_matches``.
    """
    # Only errors need it: importing the package does not pay for it.
    from difflib import get_close_matches

    return get_close_matches(given, list(accepted), n, cutoff)
