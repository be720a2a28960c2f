"""aiohttp's sessions and connectors, without the ``ResourceWarning`` of those collected unclosed.

A client need not be closed: its ``Sessions`` close what is left when it is collected. A client in a
circle of references (its handler is the object that holds it) is collected together with its session
and connector, in any order, and aiohttp would warn of a session that is about to be closed.
"""

from __future__ import annotations

from typing import Any

import aiohttp

__all__ = ["Unwarned", "UnwarnedConnector", "UnwarnedSession"]


class Unwarned:
    """Is collected without a warning; whoever owns it closes it."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """In the place of aiohttp's, which discourages subclasses: nothing of theirs is overridden
        but this and what follows."""

    def __del__(self, *args: Any) -> None:
        """In the place of aiohttp's, which warns."""


class UnwarnedConnector(Unwarned, aiohttp.TCPConnector):
    """A connector without a proxy, or with one that speaks HTTP."""


class UnwarnedSession(Unwarned, aiohttp.ClientSession):
    """A session that sends each request once: whether it is sent again is decided by whoever asks."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        # aiohttp sends a ``GET`` whose connection broke once more by itself, and tells nobody.
        self._retry_connection = False
