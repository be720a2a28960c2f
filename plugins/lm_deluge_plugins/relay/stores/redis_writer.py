"""Writers of logs in Redis, and the one pump that sends what all of them have."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from typing import Any

from lm_deluge_plugins.relay.frames import Frame
from lm_deluge_plugins.relay.stores.cancelling import cancelled
from lm_deluge_plugins.relay.stores.keys import Keys
from lm_deluge_plugins.relay.stores.store import Producer, StoreError

__all__ = ["RedisPump", "RedisWriter"]

logger = logging.getLogger("lm_deluge")

#: Frames of one stream that one command takes.
_MOST_FRAMES = 500

_FIRST_WAIT, _LAST_WAIT = 0.05, 1.0


class RedisWriter:
    """Writes one log.

    It keeps all frames until the ending is stored: where Redis lost what it held, they are sent again.
    """

    def __init__(
        self,
        pump: RedisPump,
        stream_id: str,
        keys: Keys,
        producer: Producer,
        begin: Callable[[RedisWriter], Awaitable[None]],
        is_read: Callable[[RedisWriter], Awaitable[bool]],
    ) -> None:
        self.stream_id = stream_id
        self.keys = keys
        self.producer = producer
        self.stored = 0
        self.failing_since: float | None = None
        self._pump = pump
        self._begin = begin
        self._is_read = is_read
        self._frames: list[Frame] = []
        self._failure: StoreError | None = None
        self._is_told = False
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def is_done(self) -> bool:
        """Whether there will be nothing more to store."""
        return self._done.done()

    def append(self, frames: Sequence[Frame]) -> None:
        """Take frames; see ``LogWriter``."""
        if self._failure is not None:
            if not self._is_told:
                self._is_told = True
                raise self._failure
            return
        self._frames.extend(frames)
        self._pump.wake(self)

    async def begin(self) -> None:
        """Wait until others see that it is written; see ``LogWriter``."""
        await self._begin(self)

    async def is_read(self) -> bool:
        """Whether anybody reads it; see ``LogWriter``."""
        return await self._is_read(self)

    async def finish(self) -> None:
        """Wait until all is stored; see ``LogWriter``."""
        await asyncio.shield(self._done)
        if self._failure is not None and not self._is_told:
            self._is_told = True
            raise self._failure

    async def leave(self) -> None:
        """Let go without an ending."""
        self.fail(StoreError("it was let go"))

    def due(self) -> list[Frame]:
        """Return the frames that are to be stored next; ``[]`` for none."""
        if self.is_done:
            return []
        return self._frames[self.stored : self.stored + _MOST_FRAMES]

    def accepted(self, last: int) -> None:
        """All up to number ``last`` is stored."""
        self.failing_since = None
        self.stored = last
        if self._frames and self.stored >= len(self._frames) and self._frames[-1].is_last:
            self._settle()

    def refused(self, last: int, *, is_buried: bool) -> None:
        """The log has ``last`` frames, not those expected."""
        if is_buried:
            self.fail(
                StoreError("another process took this one for dead and ended the stream's log")
            )
        elif last > len(self._frames):
            self.fail(StoreError("another process writes a log of the same id"))
        else:
            self.accepted(last)

    def fail(self, error: StoreError) -> None:
        """Give up."""
        if self._failure is None and not self.is_done:
            self._failure = error
            self._settle()

    def _settle(self) -> None:
        self._frames = []
        self.stored = 0
        if not self._done.done():
            self._done.set_result(None)
        self._pump.gone(self)


class RedisPump:
    """Sends what writers have. While one round is on its way, the next gathers.

    ``send(writers)`` stores what each has due and tells it. ``patience``: seconds that a store may be gone
    before a writer gives up. ``gone`` is called once a writer is done.
    """

    def __init__(
        self,
        send: Callable[[list[RedisWriter]], Any],
        patience: float,
        gone: Callable[[RedisWriter], None],
    ) -> None:
        self.gone = gone
        self._send = send
        self._patience = patience
        self._waiting: dict[RedisWriter, None] = {}
        self._task: asyncio.Task[None] | None = None

    def wake(self, writer: RedisWriter) -> None:
        """It has something due."""
        self._waiting[writer] = None
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(
                self._run(), name="lm_deluge relay pump"
            )

    async def close(self) -> None:
        """Send nothing more."""
        task, self._task = self._task, None
        if task is not None:
            await cancelled([task])

    async def _run(self) -> None:
        wait = _FIRST_WAIT
        while self._waiting:
            writers = [writer for writer in self._waiting if writer.due()]
            self._waiting.clear()
            if not writers:
                continue
            try:
                async with asyncio.timeout(self._patience):
                    await self._send(writers)
                wait = _FIRST_WAIT
            except Exception as error:  # noqa: BLE001 - whatever it is, it is tried again for a while
                self._failed(writers, error)
                await asyncio.sleep(wait)
                wait = min(2 * wait, _LAST_WAIT)
            for writer in writers:
                if writer.due():
                    self._waiting[writer] = None
        self._task = None

    def _failed(self, writers: list[RedisWriter], error: Exception) -> None:
        now = monotonic()
        for writer in writers:
            if writer.failing_since is None:
                writer.failing_since = now
            elif now - writer.failing_since > self._patience:
                said = (
                    f"Redis could not be written for {self._patience:g} s: {type(error).__name__}"
                )
                failure = StoreError(said)
                failure.__cause__ = error
                writer.fail(failure)
