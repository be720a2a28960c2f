"""The logs that a process reads from Redis, each once however many readers it has."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from typing import Any, Final
from uuid import uuid4

from attrs import define, field

from lm_deluge_plugins.relay.frames import Frame, frame_of
from lm_deluge_plugins.relay.stores import scripts
from lm_deluge_plugins.relay.stores.keys import Keys, as_bytes
from lm_deluge_plugins.relay.stores.log import FrameLog, Reading
from lm_deluge_plugins.relay.stores.redis_link import Link, ms
from lm_deluge_plugins.relay.stores.store import StoreError, UnknownStreamError

__all__ = ["Replica", "Replicas"]

logger = logging.getLogger("lm_deluge")

#: What a log says whose producer is gone.
_LOST: Final = frame_of(
    1,
    0.0,
    [
        {
            "kind": "error",
            "error": "ProducerLost",
            "message": "The process that made this answer is gone. Please try again.",
            "retryable": True,
        }
    ],
).data

#: Entries of a log that are fetched at a time.
_PAGE: Final = 500


@define(eq=False)
class Replica:
    """A log that this process reads, and what it has of it."""

    stream_id: str
    keys: Keys
    log: FrameLog = field(factory=FrameLog)
    readings: int = 0
    catching_up: asyncio.Task[None] | None = None
    missed: bool = False


class Replicas:
    """Keeps logs up with Redis.

    ``follow(replica)`` and ``leave(replica)`` are called when its news is to be heard, and no more;
    ``is_written(stream_id)``: whether this process writes that log.
    """

    def __init__(
        self,
        link: Link,
        *,
        follow: Callable[[Replica], None],
        leave: Callable[[Replica], None],
        is_written: Callable[[str], bool],
    ) -> None:
        self._link = link
        self._follow = follow
        self._leave = leave
        self._is_written = is_written
        self._process = uuid4().hex
        self._replicas: dict[str, Replica] = {}
        self._out_of_reach_since: float | None = None

    def __len__(self) -> int:
        return len(self._replicas)

    def is_read(self, stream_id: str) -> bool:
        """Whether somebody reads a stream in this process."""
        replica = self._replicas.get(stream_id)
        return replica is not None and replica.readings > 0

    async def open(self, stream_id: str, after: int) -> Reading:
        """Begin to read; see ``Store``."""
        replica = self._replicas.get(stream_id)
        if replica is None or replica.log.failure is not None:
            replica = await self._new(stream_id)
        replica.readings += 1
        reading = Reading(replica.log, after)
        if replica.readings == 1 and not replica.log.is_ended:
            pipe = self._link.pipeline()
            self._mark(pipe, replica)
            pipe.publish(replica.keys.ask, "joined")
            try:
                await self._link.try_to(pipe.execute())
            except asyncio.CancelledError:
                self._link.spawn(self.close_reading(stream_id, reading))
                raise
        return reading

    async def _new(self, stream_id: str) -> Replica:
        keys = self._link.keys(stream_id)
        replica = Replica(stream_id, keys)
        if not self._is_written(stream_id):
            pipe = self._link.pipeline()
            pipe.exists(keys.log)
            pipe.exists(keys.alive)
            if not any(await self._link.ask(pipe.execute())):
                raise UnknownStreamError(stream_id)
        await self._link.ask(self._fetch(replica))
        there = self._replicas.get(stream_id)
        if there is not None and there.log.failure is None:
            return there
        self._replicas[stream_id] = replica
        if not replica.log.is_ended:
            self._follow(replica)
        return replica

    async def close_reading(self, stream_id: str, reading: Reading) -> None:
        """End what ``open`` began."""
        replica = self._replicas.get(stream_id)
        if replica is None or not reading.reads(replica.log):
            return
        replica.readings -= 1
        if not replica.readings:
            await self._forget(replica)

    async def _forget(self, replica: Replica) -> None:
        if self._replicas.get(replica.stream_id) is replica:
            del self._replicas[replica.stream_id]
        self._leave(replica)
        if self._is_written(replica.stream_id) or not replica.log.is_ended:
            await self._say_left(replica)

    async def _say_left(self, replica: Replica) -> None:
        pipe = self._link.pipeline()
        pipe.zrem(replica.keys.readers, self._process)
        pipe.publish(replica.keys.ask, "left")
        await self._link.try_to(pipe.execute())

    def _mark(self, pipe: Any, replica: Replica) -> None:
        liveness = self._link.liveness
        pipe.zadd(replica.keys.readers, {self._process: ms(time.time() + liveness)})
        pipe.pexpire(replica.keys.readers, ms(2 * liveness))

    def stored(self, stream_id: str, frames: list[Frame]) -> None:
        """Frames of this process were stored."""
        replica = self._replicas.get(stream_id)
        if replica is not None:
            self.extend(replica, frames)

    def extend(self, replica: Replica, frames: list[Frame]) -> None:
        """Frames were heard; where some before them were missed, they are fetched."""
        try:
            replica.log.extend(frames)
        except ValueError:
            self.catch_up(replica)
        if replica.log.is_ended:
            self._leave(replica)

    def catch_up(self, replica: Replica) -> None:
        """Fetch what was missed; once more if something is missed meanwhile."""
        replica.missed = True
        if replica.catching_up is None:
            replica.catching_up = self._link.spawn(self._catching_up(replica))

    def catch_up_with(self, stream_id: str) -> None:
        """Fetch what was missed of a stream, if it is read here."""
        replica = self._replicas.get(stream_id)
        if replica is not None:
            self.catch_up(replica)

    async def _catching_up(self, replica: Replica) -> None:
        try:
            while replica.missed:
                replica.missed = False
                await self._fetch(replica)
        except Exception as error:  # noqa: BLE001 - it is looked after again
            logger.debug("relay: Redis cannot be read: %s", error)
        finally:
            replica.catching_up = None

    async def _fetch(self, replica: Replica) -> None:
        """Read what the log has beyond what is here."""
        while not replica.log.is_ended:
            entries = await self._link.redis.xrange(
                replica.keys.log, min=f"{replica.log.last + 1}-0", max="+", count=_PAGE
            )
            self.extend(replica, [_frame_of_entry(*entry) for entry in entries])
            if len(entries) < _PAGE:
                return

    async def peek(self, stream_id: str, after: int) -> list[Frame]:
        """Return what a log has after a frame; whoever asks is no reader of it."""
        found: list[Frame] = []
        while True:
            entries = await self._link.redis.xrange(
                self._link.keys(stream_id).log,
                min=f"{after + len(found) + 1}-0",
                max="+",
                count=_PAGE,
            )
            found += [_frame_of_entry(*entry) for entry in entries]
            if len(entries) < _PAGE:
                return found

    async def look_after(self) -> None:
        """Say that they are read, and end those whose producer is gone. Raises what Redis raises."""
        replicas = [each for each in self._replicas.values() if not each.log.is_ended]
        if not replicas:
            return
        pipe = self._link.pipeline()
        for replica in replicas:
            self._mark(pipe, replica)
        await pipe.execute()
        for replica in replicas:
            if self._replicas.get(replica.stream_id) is not replica:  # it was left meanwhile
                await self._say_left(replica)
        replies = await self._link.scripts.run(scripts.BURY, map(self._burial, replicas))
        for replica, reply in zip(replicas, replies, strict=True):
            if int(reply) > replica.log.last:
                self.catch_up(replica)
            elif int(reply) < 0 and not self._is_written(replica.stream_id):
                replica.log.fail(StoreError("Redis lost what it held of this stream"))
        self._out_of_reach_since = None

    def _burial(self, replica: Replica) -> scripts.Call:
        keys = replica.keys
        values = (ms(self._link.keep), keys.news, replica.log.last, _LOST)
        return (keys.log, keys.alive), values

    def out_of_reach(self, error: Exception) -> None:
        """Redis cannot be reached: let readers know, if that lasts longer than the patience."""
        now = time.monotonic()
        if self._out_of_reach_since is None:
            self._out_of_reach_since = now
            logger.warning("relay: Redis cannot be reached: %s", type(error).__name__)
        elif now - self._out_of_reach_since > self._link.patience:
            self._fail(self._running(), "Redis cannot be reached")

    async def close(self) -> None:
        """Read nothing more."""
        self._fail(self._running(), "the store was closed")
        for replica in tuple(self._replicas.values()):
            await self._forget(replica)

    def _running(self) -> list[Replica]:
        return [each for each in self._replicas.values() if not each.log.is_ended]

    def _fail(self, replicas: Iterable[Replica], message: str) -> None:
        for replica in replicas:
            if replica.log.failure is None:
                replica.log.fail(StoreError(message))


def _frame_of_entry(entry_id: bytes | str, fields: dict[Any, Any]) -> Frame:
    values = {as_bytes(name): value for name, value in fields.items()}
    number = int(as_bytes(entry_id).partition(b"-")[0])
    return Frame(number, as_bytes(values[b"f"]), b"e" in values)
