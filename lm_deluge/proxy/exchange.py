"""What the pipe tells of one request and its answer, and what is made of it.

The pipe passes bytes on first and tells of them in a later turn of the loop (``afterwards``). Nothing
here raises, awaits or touches what is passed on. This is the order of a ``WatchedExchange``'s methods::

    open ─> sent* ─┬─> asked ─> sent* ─> head ─> read* ─> ended
                   └─> ended("unreachable")
"""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import Literal, TypeAlias

from attrs import field, frozen

__all__ = ["Ending", "RequestHead", "WatchedExchange"]

Ending: TypeAlias = Literal["whole", "short", "reset", "reader left", "unreachable", "cut by us"]
"""How an exchange ended. ``whole``: the answer's body came to its end. ``short``: its connection was closed
before that. ``reset``: it broke. ``reader left``: the app closed its own. ``unreachable``: there was
no connection to the upstream, or no head of an answer came over it. ``cut by us``: the proxy ended it."""


@frozen(eq=False, kw_only=True)
class RequestHead:
    """The head of a request, and where it goes.

    ``target``: path and query, as the app wrote them. ``headers``: as the app sent them, in order.
    ``base_url``: the upstream's, up to the version of its API. ``path``: what follows it, without query.
    ``dialect``: whose wire the path is, ``None`` for one that does not stream answers. ``fault``: the one
    that the proxy injects. ``received``: when the head was there, by ``time.perf_counter``.
    """

    method: str
    target: str = field(repr=False)
    headers: Sequence[tuple[str, str]] = field(repr=False)
    base_url: str = field(repr=False)
    path: str
    dialect: str | None = None
    fault: str | None = None
    received: float = field(factory=perf_counter)


class WatchedExchange:
    """One request and its answer, told by the pipe in order. No method raises, none waits.

    This one listens to nothing.
    """

    __slots__ = ()

    def sent(self, data: bytes) -> None:
        """Bytes of the request's body went upstream; ``b""``: it is whole."""

    def asked(self, connected: float, at: float | None = None) -> None:
        """The request's head was written, over a connection that took so many seconds; 0 for one that was
        open. ``at``: when, by ``time.perf_counter``, if not just now."""

    def head(
        self, status: int, headers: Sequence[tuple[str, str]], arrived: float | None = None
    ) -> None:
        """The head of the answer came; of none that is informational (1xx).

        ``arrived``: when, by ``time.perf_counter``, if not just now.
        """

    def read(self, data: bytes, arrived: float) -> None:
        """Bytes of the answer's body were passed on, without the framing of chunks.

        ``data``: as they came, compressed or not. ``arrived``: when, by ``time.perf_counter``.
        """

    def ended(
        self, how: Ending, cause: BaseException | None = None, arrived: float | None = None
    ) -> None:
        """It is over; once. ``cause``: what broke it. ``arrived``: when that was, if not just now."""
