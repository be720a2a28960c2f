"""``RedisStore``: the logs of many processes, in Redis Streams."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final, cast

from lm_deluge.config import checked_number
from lm_deluge_plugins.relay.frames import Frame
from lm_deluge_plugins.relay.seen.claims import MOST_READERS, MOST_RUNS
from lm_deluge_plugins.relay.stores import scripts
from lm_deluge_plugins.relay.stores.cancelling import cancelled
from lm_deluge_plugins.relay.stores.keys import as_bytes, key_of_name
from lm_deluge_plugins.relay.stores.log import Reading
from lm_deluge_plugins.relay.stores.news import News
from lm_deluge_plugins.relay.stores.redis_link import Link, ms
from lm_deluge_plugins.relay.stores.redis_replicas import Replica, Replicas
from lm_deluge_plugins.relay.stores.redis_writer import RedisPump, RedisWriter
from lm_deluge_plugins.relay.stores.store import (
    Producer,
    StoreError,
    UnknownStreamError,
    checked_id,
)

if TYPE_CHECKING:
    from redis.asyncio import Redis

__all__ = ["RedisStore"]

#: Seconds that a name outlives what it stands for, at most.
_NAME: Final = 3600.0


class RedisStore:
    """Keeps frames in Redis: readers and producers may be on different machines.

    ``redis``: a ``redis.asyncio.Redis`` of your own, which you close; Redis 6.2 or newer. ``keep``: seconds
    that a log can be read after its ending. ``liveness``: seconds within which readers of a producer that
    died are told so. ``patience``: seconds that Redis may be gone before writers give up and readers get
    an error. ``prefix``: of all keys. A process needs one connection for what it hears, one or two
    for what it says, and more in moments in which many readers join or leave at once.

    Raises ``TypeError`` or ``ValueError`` naming the argument that makes no sense.
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
        if not isinstance(cast("object", prefix), str):
            raise TypeError(f"prefix must be a string, not {type(prefix).__name__}")
        for method in ("pipeline", "pubsub", "xrange"):
            if not hasattr(redis, method):
                raise TypeError(f"redis must be a redis.asyncio.Redis, not {type(redis).__name__}")
        seconds = "a number of seconds,"
        self._link = Link(
            redis,
            keep=float(checked_number("keep", keep, 1, unit=seconds)),
            liveness=float(checked_number("liveness", liveness, 0, above=True, unit=seconds)),
            patience=float(checked_number("patience", patience, 0, above=True, unit=seconds)),
            prefix=prefix,
        )
        self._by_channel: dict[str, Replica | RedisWriter] = {}
        self._writers: dict[str, RedisWriter] = {}
        self._pump = RedisPump(self._send, self._link.patience, self._gone)
        self._news = News(redis, prefix, heard=self._heard, joined=self._joined)
        self._replicas = Replicas(
            self._link,
            follow=self._follow,
            leave=self._leave,
            is_written=self._writers.__contains__,
        )
        self._tending: asyncio.Task[None] | None = None

    # Writing.

    def write(self, stream_id: str, producer: Producer) -> RedisWriter:
        """Begin a log; see ``Store``."""
        if checked_id("stream_id", stream_id) in self._writers:
            raise ValueError(f"stream {stream_id} is written by this process already")
        keys = self._link.keys(stream_id)
        writer = RedisWriter(self._pump, stream_id, keys, producer, self._begin, self._is_read)
        self._writers[stream_id] = writer
        self._by_channel[keys.ask] = writer
        self._news.follow(keys.ask)
        self._tend()
        return writer

    async def _begin(self, writer: RedisWriter) -> None:
        """Say that it lives, ahead of the next round of those who say so."""
        link = self._link
        alive = link.redis.set(writer.keys.alive, "1", px=ms(link.liveness / 2), nx=True)
        await link.try_to(alive)

    async def _send(self, writers: list[RedisWriter]) -> None:
        due = [(writer, writer.due()) for writer in writers]
        calls = [self._appending(writer, frames) for writer, frames in due]
        replies = await self._link.scripts.run(scripts.APPEND, calls)
        for (writer, frames), reply in zip(due, replies, strict=True):
            added, last, is_buried = (int(each) for each in reply)
            if added:
                self._replicas.stored(writer.stream_id, frames)
                writer.accepted(last)
            else:
                writer.refused(last, is_buried=bool(is_buried))

    def _appending(self, writer: RedisWriter, frames: list[Frame]) -> scripts.Call:
        keys, link = writer.keys, self._link
        times = (ms(link.keep), ms(link.liveness / 2))
        head = (frames[0].number, *times, keys.news, int(frames[-1].is_last))
        return (keys.log, keys.alive, keys.readers), (*head, *(frame.data for frame in frames))

    def _gone(self, writer: RedisWriter) -> None:
        """A writer is done."""
        self._writers.pop(writer.stream_id, None)
        self._by_channel.pop(writer.keys.ask, None)
        self._news.leave(writer.keys.ask)

    # Reading.

    async def open(self, stream_id: str, after: int = 0) -> Reading:
        """Begin to read; see ``Store``."""
        reading = await self._replicas.open(checked_id("stream_id", stream_id), after)
        writer = self._writers.get(stream_id)
        if writer is not None:
            writer.producer.unread(nobody=False)
        return reading

    async def close_reading(self, stream_id: str, reading: Reading) -> None:
        """End what ``open`` began."""
        await self._replicas.close_reading(stream_id, reading)
        writer = self._writers.get(stream_id)
        if writer is not None and not await self._is_read(writer) and not writer.is_done:
            writer.producer.unread(nobody=True)

    def _follow(self, replica: Replica) -> None:
        self._by_channel[replica.keys.news] = replica
        self._news.follow(replica.keys.news)
        self._tend()

    def _leave(self, replica: Replica) -> None:
        if self._by_channel.get(replica.keys.news) is replica:
            del self._by_channel[replica.keys.news]
            self._news.leave(replica.keys.news)

    # What is heard.

    def _heard(self, channel: str, data: bytes) -> None:
        found = self._by_channel.get(channel)
        if isinstance(found, Replica):
            self._replicas.extend(found, _frames_in(data))
        elif isinstance(found, RedisWriter):
            word, _, reason = data.decode("utf-8", "replace").partition(" ")
            if word == "stop":
                found.producer.stop(reason)
            elif word == "joined":
                found.producer.unread(nobody=False)
            elif word == "left":
                self._link.spawn(self._count_readers(found))

    def _joined(self, channel: str) -> None:
        """A channel is heard, for the first time or again: something may have been missed before."""
        found = self._by_channel.get(channel)
        if isinstance(found, Replica):
            self._replicas.catch_up(found)
        elif isinstance(found, RedisWriter):
            self._link.spawn(self._hear_stop(found))

    async def _hear_stop(self, writer: RedisWriter) -> None:
        reason = await self._link.try_to(self._link.redis.get(writer.keys.stop))
        if reason is not None and not writer.is_done:
            writer.producer.stop(as_bytes(reason).decode("utf-8", "replace"))

    async def _count_readers(self, writer: RedisWriter) -> None:
        if not await self._is_read(writer) and not writer.is_done:
            writer.producer.unread(nobody=True)

    async def _is_read(self, writer: RedisWriter) -> bool:
        if self._replicas.is_read(writer.stream_id):
            return True
        redis, keys = self._link.redis, writer.keys
        count = await self._link.try_to(redis.zcount(keys.readers, ms(time.time()), "+inf"))
        return count is None or count > 0 or self._replicas.is_read(writer.stream_id)

    # What is said.

    async def stop(self, stream_id: str, reason: str) -> bool:
        """Ask the producer to end the stream; see ``Store``."""
        writer = self._writers.get(checked_id("stream_id", stream_id))
        if writer is not None:
            writer.producer.stop(reason)
            return True
        keys = self._link.keys(stream_id)
        if not await self._link.ask(self._link.redis.exists(keys.alive)):
            return False
        pipe = self._link.pipeline()
        pipe.set(keys.stop, reason, px=ms(self._link.keep))
        pipe.publish(keys.ask, f"stop {reason}")
        await self._link.ask(pipe.execute())
        return True

    async def name(self, key: str, stream_id: str) -> None:
        """Let ``key`` stand for a stream; for an hour beyond ``keep``."""
        where = key_of_name(self._link.prefix, checked_id("key", key))
        lasting = ms(self._link.keep + _NAME)
        await self._link.ask(self._link.redis.set(where, stream_id, px=lasting))

    async def named(self, key: str) -> str | None:
        """Return the id of the stream that ``key`` stands for."""
        where = key_of_name(self._link.prefix, checked_id("key", key))
        found = await self._link.ask(self._link.redis.get(where))
        return None if found is None else as_bytes(found).decode()

    # What readers saw.

    async def frames(self, stream_id: str, after: int = 0) -> list[Frame]:
        """Return what the log has; see ``Store``."""
        found = await self._link.ask(self._replicas.peek(checked_id("stream_id", stream_id), after))
        if not found and not after:
            raise UnknownStreamError(stream_id)
        return cast("list[Frame]", found)

    async def claim(
        self, log_id: str, reader: str, stream_id: str, first: int, last: int
    ) -> int | None:
        """Note what a reader told of, for all processes; see ``Store``."""
        limits = (MOST_READERS, MOST_RUNS, ms(self._link.keep))
        call = ((self._link.keys(log_id).seen,), (reader, stream_id, first, last, *limits))
        (number,) = await self._link.ask(self._link.scripts.run(scripts.CLAIM, [call]))
        return None if int(number) < 0 else int(number)

    async def close(self) -> None:
        """Let go of tasks; what is stored stays. Streams still written here count as lost."""
        for writer in tuple(self._writers.values()):
            writer.fail(StoreError("the store was closed"))
        tending, self._tending = self._tending, None
        if tending is not None:
            await cancelled([tending])
        await self._replicas.close()
        await self._link.close()
        await self._pump.close()
        await self._news.close()

    # What is looked after, as long as there is anything.

    def _tend(self) -> None:
        if self._tending is None:
            self._tending = asyncio.get_running_loop().create_task(
                self._tending_all(), name="lm_deluge relay liveness"
            )

    async def _tending_all(self) -> None:
        while self._writers or len(self._replicas):
            try:
                async with asyncio.timeout(self._link.patience):
                    await self._say_alive()
                    await self._replicas.look_after()
            except Exception as error:  # noqa: BLE001 - whatever it is, it is tried again
                self._replicas.out_of_reach(error)
            await asyncio.sleep(self._link.liveness / 6)
        self._tending = None

    async def _say_alive(self) -> None:
        writers = list(self._writers.values())
        if not writers:
            return
        link = self._link
        times = (ms(link.keep), ms(link.liveness / 2), ms(time.time()))
        keys = [(each.keys.log, each.keys.alive, each.keys.readers) for each in writers]
        replies = await link.scripts.run(scripts.ALIVE, [(each, times) for each in keys])
        for writer, reply in zip(writers, replies, strict=True):
            is_buried, readers = (int(each) for each in reply)
            if is_buried:
                writer.refused(writer.stored, is_buried=True)
                self._replicas.catch_up_with(writer.stream_id)
            elif not writer.is_done:
                nobody = not readers and not self._replicas.is_read(writer.stream_id)
                writer.producer.unread(nobody=nobody)


def _frames_in(data: bytes) -> list[Frame]:
    """Return the frames of a piece of news: ``first is_last``, then a line for each."""
    head, *lines = data.split(b"\n")
    first, is_last = (int(each) for each in head.split())
    end = first + len(lines) - 1 if is_last else 0
    return [Frame(number, line, number == end) for number, line in enumerate(lines, first)]
