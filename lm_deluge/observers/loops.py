"""The loop over one stream's pieces: what waits for it, and how it is left."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from typing import Any, Generic, Protocol, TypeVar

from lm_deluge.errors import StreamError
from lm_deluge.observers.attach import Attachment, Sender, attach
from lm_deluge.values.pieces import Delta, Token
from lm_deluge.values.response import APIResponse

__all__ = ["PieceQueue", "Queue", "TokenQueue", "looped"]

T = TypeVar("T")


class _Looped(Protocol):
    """What a loop asks of a ``Stream``."""

    def until_end(self) -> asyncio.Future[None]: ...
    async def aclose(self) -> None: ...
    def result(self) -> APIResponse | StreamError: ...


class Queue(Generic[T]):
    """What a consuming loop has not taken yet, heard through the signals like any handler.

    ``items``: in order of arrival, as many as there are. The loop takes them while there are ``more``,
    then calls ``leave``. Making one starts the stream.
    """

    __slots__ = ("_attachment", "_end", "_stream", "_waiter", "items")

    def __init__(self, stream: Any) -> None:
        self.items: deque[T] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._stream: _Looped | None = stream
        self._attachment: Attachment | None = attach(self, stream)
        self._end = stream.until_end()
        self._end.add_done_callback(self._wake)

    async def more(self) -> bool:
        """Wait until there is an item; ``False`` once there will be none any more."""
        while not self.items:
            if self._end.done():
                return False
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return True

    async def leave(self) -> None:
        """Hear no more; end the stream if it runs, and wait until it has ended."""
        stream, self._stream = self._stream, None
        attachment, self._attachment = self._attachment, None
        if attachment is not None and stream is not None:
            attachment.detach()
            await stream.aclose()

    def _wake(self, finished: object = None) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        self._waiter = None


class TokenQueue(Queue[Token]):
    """The tokens."""

    __slots__ = ()

    def on_token(self, stream: Sender, token: Token) -> None:
        """Keep the token and wake the loop."""
        self.items.append(token)
        if self._waiter is not None:
            self._wake()


class PieceQueue(Queue["Token | Delta"]):
    """The tokens and all else, in one order."""

    __slots__ = ()

    def on_token(self, stream: Sender, token: Token) -> None:
        """Keep the token and wake the loop."""
        self.items.append(token)
        if self._waiter is not None:
            self._wake()

    def on_delta(self, stream: Sender, delta: Delta) -> None:
        """Keep the delta and wake the loop."""
        self.items.append(delta)
        if self._waiter is not None:
            self._wake()


async def looped(stream: Any, queue_of: Callable[[Any], Queue[T]]) -> AsyncGenerator[T, None]:
    """Yield what ``queue_of`` a stream hears, then raise how it ended, if it was no whole answer.

    Leaving it early ends the stream.
    """
    queue = queue_of(stream)
    items = queue.items
    try:
        while await queue.more():
            while items:
                yield items.popleft()
        outcome = stream.result()
    finally:
        try:
            await queue.leave()
        finally:
            del stream, queue
    if isinstance(outcome, StreamError):
        try:
            raise outcome
        finally:
            del outcome
