"""What the pipe tells of one request and its answer, and what is made of it.

The pipe passes bytes on first and tells of them afterwards. Nothing here raises, awaits or touches what
is passed on. The methods of a ``WatchedExchange`` are called in this order::

    open ─> sent* ─┬─> asked ─> sent* ─> head ─> read* ─> ended
                   └─> ended("unreachable")
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Any, Literal, TypeAlias

from attrs import field, frozen

__all__ = ["Ending", "RequestHead", "WatchedExchange", "Watcher"]

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
    """One request and its answer, told by the pipe in order. No method raises, none waits."""

    def sent(self, data: bytes) -> None:
        """Bytes of the request's body went upstream; ``b""``: it is whole."""

    def asked(self, connected: float) -> None:
        """The request's head was written just now, over a connection that took so many seconds; 0 for
        one that was open."""

    def head(self, status: int, headers: Sequence[tuple[str, str]]) -> None:
        """The head of the answer came; of none that is informational (1xx)."""

    def read(self, data: bytes, arrived: float) -> None:
        """Bytes of the answer's body were passed on, without the framing of chunks.

        ``data``: as they came, compressed or not. ``arrived``: when, by ``time.perf_counter``.
        """

    def ended(
        self, how: Ending, cause: BaseException | None = None, arrived: float | None = None
    ) -> None:
        """It is over; once. ``cause``: what broke it. ``arrived``: when that was, if not just now."""


class Watcher:
    """Who listens to all exchanges of a proxy: the handlers hear of each stream, the log of the rest.

    ``handlers``: as those of a client; besides the six methods they may have ``on_request`` and
    ``on_note``. ``tags``: of every stream. ``body_tags``: whether ``metadata`` and ``user`` of a request
    become tags.
    """

    def __init__(
        self,
        handlers: Sequence[object] = (),
        *,
        tags: Mapping[str, Any] | None = None,
        body_tags: bool = False,
    ) -> None:
        self.handlers = tuple(handlers)
        self.tags = dict(tags or {})
        self.body_tags = body_tags

    def open(self, head: RequestHead) -> WatchedExchange:
        """Return who is told of a request; its head is there, and nothing went upstream yet."""
        return WatchedExchange()

    async def aclose(self) -> None:
        """Wait until every handler has heard the endings of all streams that were told."""
