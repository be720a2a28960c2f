"""One subscription of a process to all channels that it hears, over one connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from lm_deluge_plugins.relay.stores.cancelling import cancelled
from lm_deluge_plugins.relay.stores.keys import as_bytes

if TYPE_CHECKING:
    from redis.asyncio import Redis

__all__ = ["News"]

#: Seconds before a lost connection is made again: doubled each time, up to the last.
_FIRST_WAIT, _LAST_WAIT = 0.05, 1.0


class News:
    """Hears channels. What was said while the connection was gone is lost: ``joined`` is told each time
    that a channel is heard (again), so that whoever cares can catch up.

    ``heard(channel, data)`` and ``joined(channel)`` are called in the event loop and must not raise.
    """

    def __init__(
        self,
        redis: Redis,
        prefix: str,
        *,
        heard: Callable[[str, bytes], None],
        joined: Callable[[str], None],
    ) -> None:
        self._redis: Any = redis
        self._heard = heard
        self._joined = joined
        # Something is always subscribed to: redis-py cannot listen to nothing.
        self._own = f"{prefix}process:{uuid4().hex}"
        self._channels: set[str] = set()
        self._pubsub: Any = None
        self._task: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._closed = asyncio.Event()

    def follow(self, channel: str) -> None:
        """Hear a channel from now on; ``joined`` tells when that is so."""
        self._channels.add(channel)
        self._change()

    def leave(self, channel: str) -> None:
        """Hear a channel no more."""
        self._channels.discard(channel)
        self._change()

    async def close(self) -> None:
        """Hear nothing more."""
        self._closed.set()
        task = self._task
        if task is not None:
            await cancelled([task])

    def _change(self) -> None:
        self._changed.set()
        if self._task is None and not self._closed.is_set():
            self._task = asyncio.get_running_loop().create_task(
                self._run(), name="lm_deluge relay news"
            )

    async def _run(self) -> None:
        wait = _FIRST_WAIT
        while not self._closed.is_set():
            try:
                async with self._redis.pubsub() as pubsub:
                    await pubsub.subscribe(self._own)
                    wait = _FIRST_WAIT
                    if self._closed.is_set():
                        return
                    await self._both(self._follow_changes(pubsub), self._listen(pubsub))
            except Exception:  # noqa: BLE001 - whatever it is, the connection is made again
                if not self._closed.is_set():
                    await asyncio.sleep(wait)
                wait = min(2 * wait, _LAST_WAIT)

    async def _both(self, *works: Coroutine[Any, Any, None]) -> None:
        loop = asyncio.get_running_loop()
        tasks = [loop.create_task(work, name="lm_deluge relay news") for work in works]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            await cancelled(tasks)

    async def _follow_changes(self, pubsub: Any) -> None:
        followed: set[str] = set()
        while True:
            self._changed.clear()
            new, old = self._channels - followed, followed - self._channels
            if new:
                await pubsub.subscribe(*new)
            if old:
                await pubsub.unsubscribe(*old)
            followed = (followed | new) - old
            await self._changed.wait()

    async def _listen(self, pubsub: Any) -> None:
        while True:
            message = await pubsub.get_message(timeout=None)
            if message is None:
                continue
            channel = as_bytes(message["channel"]).decode()
            if message["type"] == "subscribe":
                if channel in self._channels:
                    self._joined(channel)
            elif message["type"] == "message":
                self._heard(channel, as_bytes(message["data"]))
