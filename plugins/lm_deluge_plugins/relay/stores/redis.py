"""``RedisStore``: the logs of many processes, in Redis Streams."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from attrs import define, field

from lm_deluge.config import checked_number
from lm_deluge_plugins.relay.frames import Frame, frame_of
from lm_deluge_plugins.relay.stores import scripts
from lm_deluge_plugins.relay.stores.keys import Keys, as_bytes, key_of_name
from lm_deluge_plugins.relay.stores.log import Log, Reading
from lm_deluge_plugins.relay.stores.news import News
from lm_deluge_plugins.relay.stores.redis_writer import Pump, RedisWriter
from lm_deluge_plugins.relay.stores.scripts import Call, Scripts
from lm_deluge_plugins.relay.stores.store import (
    Producer,
    StoreError,
    UnknownStreamError,
    checked_id,
)

if TYPE_CHECKING:
    from redis.asyncio import Redis

__all__ = ["RedisStore"]

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

#: Seconds that a name outlives what it stands for, at most.
_NAME: Final = 3600.0


@define(eq=False)
class _Replica:
    """A log that this process reads, and what it has of it."""

    stream_id: str
    keys: Keys
    log: Log = field(factory=Log)
    readings: int = 0
    catching_up: asyncio.Task[None] | None = None
    missed: bool = False


class RedisStore:
    """Keeps frames in Redis: readers and producers may be on different machines.

    ``redis``: a ``redis.asyncio.Redis`` of your own, which you close; Redis 6.2 or newer. ``keep``: seconds
    that a log can be read after its ending. ``liveness``: seconds within which readers of a producer that
    died are told so. ``patience``: seconds that Redis may be gone before writers give up and readers get
    an error. ``prefix``: of all keys. A process needs one connection for what it hears, and one or two
    for what it says, however many streams and readers there are.
    """

    def __init__(
        self,
        redis: Redis,
        *,
        keep: float = 300.0,
        liveness: float = 10.0,
        patience: float = 5.0,
        prefix: str = "lm_deluge:",
    ) -> None:
        self._redis: Any = redis
        self.keep = float(checked_number("keep", keep, 1, unit="a number of seconds,"))
        self.liveness = float(
            checked_number("liveness", liveness, 0, above=True, unit="a number of seconds,")
        )
        self.patience = float(checked_number("patience", patience, 0, unit="a number of seconds,"))
        self._prefix = prefix
        self._process = uuid4().hex
        self._replicas: dict[str, _Replica] = {}
        self._by_channel: dict[str, _Replica | RedisWriter] = {}
        self._writers: dict[str, RedisWriter] = {}
        self._pump = Pump(self._send, self.patience, self._gone)
        self._news = News(redis, prefix, heard=self._heard, joined=self._joined)
        self._scripts = Scripts(redis)
        self._tending: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._out_of_reach_since: float | None = None

    # Writing.

    def write(self, stream_id: str, producer: Producer) -> RedisWriter:
        """Begin a log; see ``Store``."""
        if checked_id("stream_id", stream_id) in self._writers:
            raise ValueError(f"stream {stream_id} is written by this process already")
        keys = Keys.of(self._prefix, stream_id)
        writer = RedisWriter(self._pump, stream_id, keys, producer, self._is_read)
        self._writers[stream_id] = writer
        self._by_channel[keys.ask] = writer
        self._news.follow(keys.ask)
        self._tend()
        return writer

    async def _send(self, writers: list[RedisWriter]) -> None:
        due = [(writer, writer.due()) for writer in writers]
        replies = await self._scripts.run(
            scripts.APPEND, [self._appending(writer, frames) for writer, frames in due]
        )
        for (writer, frames), reply in zip(due, replies, strict=True):
            added, last, is_buried = (int(each) for each in reply)
            if added:
                self._tell_replica(writer.stream_id, frames)
                writer.accepted(last)
            else:
                writer.refused(last, is_buried=bool(is_buried))

    def _appending(self, writer: RedisWriter, frames: list[Frame]) -> Call:
        keys = writer.keys
        last = int(frames[-1].is_last)
        data = (frame.data for frame in frames)
        head = (frames[0].number, _ms(self.keep), _ms(self.liveness / 2), keys.news, last)
        return (keys.log, keys.alive), (*head, *data)

    def _gone(self, writer: RedisWriter) -> None:
        """A writer is done."""
        self._writers.pop(writer.stream_id, None)
        self._by_channel.pop(writer.keys.ask, None)
        self._news.leave(writer.keys.ask)

    def _tell_replica(self, stream_id: str, frames: list[Frame]) -> None:
        replica = self._replicas.get(stream_id)
        if replica is not None:
            self._extend(replica, frames)

    # Reading.

    async def open(self, stream_id: str, after: int = 0) -> Reading:
        """Begin to read; see ``Store``."""
        replica = self._replicas.get(checked_id("stream_id", stream_id))
        if replica is None or replica.log.failure is not None:
            replica = await self._new_replica(stream_id)
        replica.readings += 1
        if replica.readings == 1:
            await self._say_reading(replica)
        return Reading(replica.log, after)

    async def _new_replica(self, stream_id: str) -> _Replica:
        keys = Keys.of(self._prefix, stream_id)
        replica = _Replica(stream_id, keys)
        if stream_id not in self._writers:
            pipe = self._redis.pipeline(transaction=False)
            pipe.exists(keys.log)
            pipe.exists(keys.alive)
            if not any(await self._asked(pipe.execute())):
                raise UnknownStreamError(stream_id)
        await self._asked(self._fetch(replica))
        there = self._replicas.get(stream_id)
        if there is not None and there.log.failure is None:
            return there
        self._replicas[stream_id] = replica
        if not replica.log.is_ended:
            self._by_channel[keys.news] = replica
            self._news.follow(keys.news)
            self._tend()
        return replica

    async def close_reading(self, stream_id: str, reading: Reading) -> None:
        """End what ``open`` began."""
        replica = self._replicas.get(stream_id)
        if replica is None or not reading.reads(replica.log):
            return
        replica.readings -= 1
        if not replica.readings:
            await self._forget(replica)

    async def _forget(self, replica: _Replica) -> None:
        if self._replicas.get(replica.stream_id) is replica:
            del self._replicas[replica.stream_id]
        self._by_channel.pop(replica.keys.news, None)
        self._news.leave(replica.keys.news)
        writer = self._writers.get(replica.stream_id)
        if writer is not None or not replica.log.is_ended:
            pipe = self._redis.pipeline(transaction=False)
            pipe.zrem(replica.keys.readers, self._process)
            pipe.publish(replica.keys.ask, "left")
            await self._tried(pipe.execute())

    async def _say_reading(self, replica: _Replica) -> None:
        writer = self._writers.get(replica.stream_id)
        if writer is not None:
            writer.producer.unread(nobody=False)
        if not replica.log.is_ended:
            pipe = self._redis.pipeline(transaction=False)
            self._mark_reading(pipe, replica)
            pipe.publish(replica.keys.ask, "joined")
            await self._tried(pipe.execute())

    def _mark_reading(self, pipe: Any, replica: _Replica) -> None:
        until = time.time() + self.liveness
        pipe.zadd(replica.keys.readers, {self._process: _ms(until)})
        pipe.pexpire(replica.keys.readers, _ms(2 * self.liveness))

    async def _fetch(self, replica: _Replica) -> None:
        """Read what the log has beyond what is here."""
        while not replica.log.is_ended:
            last = replica.log.last
            entries = await self._redis.xrange(
                replica.keys.log, min=f"{last + 1}-0", max="+", count=_PAGE
            )
            frames = [_frame_of_entry(*entry) for entry in entries]
            self._extend(replica, frames)
            if len(frames) < _PAGE:
                return

    def _extend(self, replica: _Replica, frames: list[Frame]) -> None:
        try:
            replica.log.extend(frames)
        except ValueError:  # some were missed
            self._catch_up(replica)
        if replica.log.is_ended:
            self._by_channel.pop(replica.keys.news, None)
            self._news.leave(replica.keys.news)

    def _catch_up(self, replica: _Replica) -> None:
        """Fetch what was missed; once more if something is missed meanwhile."""
        replica.missed = True
        if replica.catching_up is None:
            replica.catching_up = self._spawn(self._catching_up(replica))

    async def _catching_up(self, replica: _Replica) -> None:
        try:
            while replica.missed:
                replica.missed = False
                await self._fetch(replica)
        except Exception as error:  # noqa: BLE001 - the next turn of tending tries again
            logger.debug("relay: Redis cannot be read: %s", error)
        finally:
            replica.catching_up = None

    # What is heard.

    def _heard(self, channel: str, data: bytes) -> None:
        found = self._by_channel.get(channel)
        if isinstance(found, _Replica):
            head, *lines = data.split(b"\n")
            first, is_last = (int(each) for each in head.split())
            numbered = enumerate(lines, first)
            end = first + len(lines) - 1 if is_last else 0
            self._extend(found, [Frame(n, line, n == end) for n, line in numbered])
        elif isinstance(found, RedisWriter):
            word, _, reason = data.decode("utf-8", "replace").partition(" ")
            if word == "stop":
                found.producer.stop(reason)
            elif word == "joined":
                found.producer.unread(nobody=False)
            elif word == "left":
                self._spawn(self._count_readers(found))

    def _joined(self, channel: str) -> None:
        found = self._by_channel.get(channel)
        if isinstance(found, _Replica):
            self._catch_up(found)
        elif isinstance(found, RedisWriter):
            self._spawn(self._hear_stop(found))

    async def _hear_stop(self, writer: RedisWriter) -> None:
        reason = await self._tried(self._redis.get(writer.keys.stop))
        if reason is not None and not writer.is_done:
            writer.producer.stop(as_bytes(reason).decode("utf-8", "replace"))

    async def _count_readers(self, writer: RedisWriter) -> None:
        if not await self._is_read(writer) and not writer.is_done:
            writer.producer.unread(nobody=True)

    async def _is_read(self, writer: RedisWriter) -> bool:
        if self._is_read_here(writer):
            return True
        count = await self._tried(self._redis.zcount(writer.keys.readers, _ms(time.time()), "+inf"))
        return count is None or count > 0 or self._is_read_here(writer)

    def _is_read_here(self, writer: RedisWriter) -> bool:
        replica = self._replicas.get(writer.stream_id)
        return replica is not None and replica.readings > 0

    # What is said.

    async def stop(self, stream_id: str, reason: str) -> bool:
        """Ask the producer to end the stream; see ``Store``."""
        writer = self._writers.get(checked_id("stream_id", stream_id))
        if writer is not None:
            writer.producer.stop(reason)
            return True
        keys = Keys.of(self._prefix, stream_id)
        if not await self._asked(self._redis.exists(keys.alive)):
            return False
        pipe = self._redis.pipeline(transaction=False)
        pipe.set(keys.stop, reason, px=_ms(self.keep))
        pipe.publish(keys.ask, f"stop {reason}")
        await self._asked(pipe.execute())
        return True

    async def name(self, key: str, stream_id: str) -> None:
        """Let ``key`` stand for a stream; for an hour beyond ``keep``."""
        where = key_of_name(self._prefix, checked_id("key", key))
        await self._asked(self._redis.set(where, stream_id, px=_ms(self.keep + _NAME)))

    async def named(self, key: str) -> str | None:
        """Return the id of the stream that ``key`` stands for."""
        where = key_of_name(self._prefix, checked_id("key", key))
        found = await self._asked(self._redis.get(where))
        return None if found is None else as_bytes(found).decode()

    async def close(self) -> None:
        """Let go of tasks; what is stored stays. Streams still written here count as lost."""
        for writer in tuple(self._writers.values()):
            writer.fail(StoreError("the store was closed"))
        for replica in tuple(self._replicas.values()):
            if not replica.log.is_ended:
                replica.log.fail(StoreError("the store was closed"))
            await self._forget(replica)
        tasks = [*self._tasks, *([self._tending] if self._tending is not None else [])]
        self._tending = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._pump.close()
        await self._news.close()

    # What is looked after, as long as there is anything.

    def _tend(self) -> None:
        if self._tending is None:
            self._tending = asyncio.get_running_loop().create_task(
                self._tending_all(), name="lm_deluge relay liveness"
            )

    async def _tending_all(self) -> None:
        while self._writers or self._replicas:
            try:
                async with asyncio.timeout(self.patience or None):
                    await self._say_alive()
                    await self._look_for_dead()
                self._out_of_reach_since = None
            except Exception as error:  # noqa: BLE001 - whatever it is, it is tried again
                self._out_of_reach(error)
            await asyncio.sleep(self.liveness / 6)
        self._tending = None

    async def _say_alive(self) -> None:
        writers = list(self._writers.values())
        if not writers:
            return
        times = (_ms(self.keep), _ms(self.liveness / 2), _ms(time.time()))
        keys = [(each.keys.log, each.keys.alive, each.keys.readers) for each in writers]
        replies = await self._scripts.run(scripts.ALIVE, [(each, times) for each in keys])
        for writer, reply in zip(writers, replies, strict=True):
            is_buried, readers = (int(each) for each in reply)
            if is_buried:
                writer.refused(writer.stored, is_buried=True)
                self._catch_up_by_id(writer.stream_id)
            elif not writer.is_done:
                writer.producer.unread(nobody=not readers and not self._is_read_here(writer))

    async def _look_for_dead(self) -> None:
        replicas = [each for each in self._replicas.values() if not each.log.is_ended]
        if not replicas:
            return
        pipe = self._redis.pipeline(transaction=False)
        for replica in replicas:
            self._mark_reading(pipe, replica)
        await pipe.execute()
        replies = await self._scripts.run(
            scripts.BURY,
            [
                (
                    (each.keys.log, each.keys.alive),
                    (_ms(self.keep), each.keys.news, each.log.last, _LOST),
                )
                for each in replicas
            ],
        )
        for replica, reply in zip(replicas, replies, strict=True):
            if int(reply) > replica.log.last:
                self._catch_up(replica)
            elif int(reply) < 0 and replica.stream_id not in self._writers:
                replica.log.fail(StoreError("Redis lost what it held of this stream"))

    def _catch_up_by_id(self, stream_id: str) -> None:
        replica = self._replicas.get(stream_id)
        if replica is not None:
            self._catch_up(replica)

    def _out_of_reach(self, error: Exception) -> None:
        now = time.monotonic()
        if self._out_of_reach_since is None:
            self._out_of_reach_since = now
            logger.warning("relay: Redis cannot be reached: %s", type(error).__name__)
        elif now - self._out_of_reach_since > self.patience:
            for replica in self._replicas.values():
                if not replica.log.is_ended and replica.log.failure is None:
                    replica.log.fail(StoreError("Redis cannot be reached"))

    # Asking.

    async def _asked(self, work: Any) -> Any:
        try:
            async with asyncio.timeout(self.patience or None):
                return await work
        except Exception as error:
            raise StoreError(f"Redis cannot be asked: {type(error).__name__}") from error

    async def _tried(self, work: Any) -> Any:
        """Ask for what can also be had later; ``None`` where it failed."""
        try:
            return await self._asked(work)
        except StoreError as error:
            logger.debug("relay: %s", error)
            return None

    def _spawn(self, work: Any) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work, name="lm_deluge relay")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _ms(seconds: float) -> int:
    return int(seconds * 1000)


def _frame_of_entry(entry_id: bytes | str, fields: dict[Any, Any]) -> Frame:
    values = {as_bytes(name): value for name, value in fields.items()}
    number = int(as_bytes(entry_id).partition(b"-")[0])
    return Frame(number, as_bytes(values[b"f"]), b"e" in values)
