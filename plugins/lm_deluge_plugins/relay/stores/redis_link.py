"""What a ``RedisStore`` asks Redis with: within its patience, and as tasks that are not forgotten."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Coroutine
from typing import TYPE_CHECKING, Any

from lm_deluge_plugins.relay.stores.cancelling import cancelled
from lm_deluge_plugins.relay.stores.keys import Keys
from lm_deluge_plugins.relay.stores.scripts import Scripts
from lm_deluge_plugins.relay.stores.store import StoreError

if TYPE_CHECKING:
    from redis.asyncio import Redis

__all__ = ["Link", "ms"]

logger = logging.getLogger("lm_deluge")


class Link:
    """The connection to Redis that all parts of a store share, and its settings, in seconds."""

    def __init__(
        self, redis: Redis, *, keep: float, liveness: float, patience: float, prefix: str
    ) -> None:
        self.redis: Any = redis
        self.scripts = Scripts(redis)
        self.keep = keep
        self.liveness = liveness
        self.patience = patience
        self.prefix = prefix
        self._tasks: set[asyncio.Task[None]] = set()

    def keys(self, stream_id: str) -> Keys:
        """Return the keys of a stream."""
        return Keys.of(self.prefix, stream_id)

    def pipeline(self) -> Any:
        """Return commands to be sent together."""
        return self.redis.pipeline(transaction=False)

    async def ask(self, work: Awaitable[Any]) -> Any:
        """Return what Redis says; ``StoreError`` where it says nothing within the patience."""
        try:
            async with asyncio.timeout(self.patience):
                return await work
        except Exception as error:
            raise StoreError(f"Redis cannot be asked: {type(error).__name__}") from error

    async def try_to(self, work: Awaitable[Any]) -> Any:
        """Ask for what can also be had later; ``None`` where it failed."""
        try:
            return await self.ask(work)
        except StoreError as error:
            logger.debug("relay: %s", error)
            return None

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run something beside; it is cancelled by ``close``."""
        task = asyncio.get_running_loop().create_task(work, name="lm_deluge relay")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        """Cancel what runs beside."""
        await cancelled(self._tasks)


def ms(seconds: float) -> int:
    """Return whole milliseconds, as Redis takes them."""
    return int(seconds * 1000)
