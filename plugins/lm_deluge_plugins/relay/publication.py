"""``Publication``: the handler that writes a stream's log."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from lm_deluge import APIResponse, Delta, Retry, Stream, StreamHandler, Token
from lm_deluge.errors import StreamCancelled, StreamError
from lm_deluge_plugins.relay import items
from lm_deluge_plugins.relay.frames import frame_of
from lm_deluge_plugins.relay.policy import Disconnection
from lm_deluge_plugins.relay.stores.store import LogWriter, Producer, Store, StoreError

if TYPE_CHECKING:
    from lm_deluge_plugins.relay.policy import OnDisconnect

__all__ = ["Publication"]

_NO_READ = -1


class Publication(StreamHandler):
    """Writes what it hears into a log that readers can join at any time.

    ``id``: what readers ask for. It hears one stream, whose ending is the log's; with ``is_open_ended``
    several one after the other, the steps of one answer, until ``finish`` or ``fail`` is called. Where
    a step fails after it showed something and another one follows, readers are told to drop what the
    failed one showed.
    """

    def __init__(
        self,
        store: Store,
        publication_id: str,
        *,
        words: Callable[[StreamError], str] = items.plain_words,
        on_disconnect: OnDisconnect = "cancel",
        grace: float = 5.0,
        is_open_ended: bool = False,
    ) -> None:
        self.id = publication_id
        self._words = words
        self._is_open_ended = is_open_ended
        self._loop = asyncio.get_running_loop()
        self._disconnection = Disconnection(self.stop, self._is_read, on_disconnect, grace)
        self._writer: LogWriter = store.write(
            publication_id, Producer(stop=self.stop, unread=self._disconnection.unread)
        )
        self._stream: Stream | None = None
        self._number = 0
        self._items: list[dict[str, Any]] = []
        self._first: int | None = None
        self._next = 0
        self._read = _NO_READ
        self._t = 0.0
        self._flushing = False
        self._untold: StoreError | None = None
        self._is_ended = False
        self._failed_step: StreamError | None = None
        self._stopped: str | None = None

    async def begin(self) -> None:
        """Wait until its log can be read from anywhere; a store that is gone is no reason to wait."""
        await self._writer.begin()

    # What it hears.

    def on_start(self, stream: Stream) -> None:
        """A step begins."""
        self._stream = stream
        if self._failed_step is not None:
            self._failed_step = None
            self._add({"kind": "reset"}, _NO_READ, 0.0)
        self._add(items.start_item(stream, time.time() - stream.elapsed), _NO_READ, 0.0)
        if self._stopped is not None:
            stream.cancel(self._stopped)

    def on_token(self, stream: Stream, token: Token) -> None:
        """A piece of text."""
        if token.index != self._next:
            # One frame's pieces follow on one another.
            self._flush()
        self._next = token.index + 1
        self._add(items.token_item(token), token.read, token.arrived)
        if self._first is None:
            self._first = token.index

    def on_delta(self, stream: Stream, delta: Delta) -> None:
        """A piece of anything else."""
        self._add(items.delta_item(delta), delta.read, delta.arrived)

    def on_retry(self, stream: Stream, retry: Retry) -> None:
        """Another attempt follows."""
        self._add(items.retry_item(retry), _NO_READ, stream.elapsed)

    def on_complete(self, stream: Stream, response: APIResponse) -> Awaitable[None] | None:
        """The answer, or one step of it, is whole."""
        return self._step_ends(items.complete_item(response), response.elapsed)

    def on_error(self, stream: Stream, error: StreamError) -> Awaitable[None] | None:
        """The answer, or one step of it, ended any other way."""
        item = self._item_of(error)
        if self._is_open_ended:
            self._failed_step = error
        return self._step_ends(item, error.elapsed or 0.0)

    # What an app calls, where the log is of several streams.

    async def finish(self) -> None:
        """End a log of several streams as the last of them ended; ``StoreError`` if it is not stored."""
        failed = self._failed_step
        last = (
            {"kind": "complete", "finish_reason": None} if failed is None else self._item_of(failed)
        )
        if not self._is_ended:
            await self._end(last)

    async def fail(self, error: BaseException) -> None:
        """End a log of several streams with an error; ``StoreError`` if it is not stored."""
        if self._is_ended:
            return
        known = error if isinstance(error, StreamError) else StreamError(type(error).__name__)
        if isinstance(error, asyncio.CancelledError):
            known = StreamCancelled("its task was cancelled")
        await self._end(self._item_of(known))

    def stop(self, reason: str) -> None:
        """End the stream at hand, and those that follow."""
        self._stopped = reason
        if self._stream is not None:
            self._stream.cancel(reason)

    async def _is_read(self) -> bool:
        return await self._writer.is_read()

    def _item_of(self, error: StreamError) -> dict[str, Any]:
        if isinstance(error, StreamCancelled):
            return items.cancelled_item(error)
        return items.error_item(error, self._words)

    def _step_ends(self, item: dict[str, Any], t: float) -> Awaitable[None] | None:
        if not self._is_open_ended:
            self._t = t
            return self._end(item)
        self._add({"kind": "step_end", "of": item}, _NO_READ, t)
        self._flush()
        self._tell_failure()
        return None

    # From items to frames.

    def _add(self, item: dict[str, Any], read: int, t: float) -> None:
        if self._is_ended:
            return
        if read != self._read:
            self._flush()
        self._tell_failure()
        self._items.append(item)
        self._read, self._t = read, t
        if not self._flushing:
            # What one network read brought is told in one turn of the loop.
            self._flushing = True
            self._loop.call_soon(self._turn_ends)

    def _turn_ends(self) -> None:
        self._flushing = False
        self._flush()

    def _flush(self, *, is_last: bool = False) -> None:
        """Hand over what there is. A failure, which a writer tells once, waits for ``_tell_failure``."""
        if not self._items:
            return
        told, self._items = self._items, []
        first, self._first = self._first, None
        self._number += 1
        frame = frame_of(self._number, self._t, told, is_last=is_last, first=first)
        try:
            self._writer.append([frame])
        except StoreError as error:
            self._untold = error

    def _tell_failure(self) -> None:
        if self._untold is not None:
            untold, self._untold = self._untold, None
            raise untold

    def _end(self, item: dict[str, Any]) -> Awaitable[None]:
        """Add the ending at once; what is returned waits until it is stored."""
        self._disconnection.end()
        self._flush()
        self._is_ended = True
        self._items.append(item)
        self._flush(is_last=True)
        self._stream = None
        return asyncio.shield(self._loop.create_task(self._stored(), name="lm_deluge relay"))

    async def _stored(self) -> None:
        await self._writer.finish()
        self._tell_failure()
