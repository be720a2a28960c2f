"""``MemoryStore``: the logs of one process."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from attrs import define, field

from lm_deluge.config import checked_number
from lm_deluge_plugins.relay.frames import Frame
from lm_deluge_plugins.relay.seen.claims import Claims
from lm_deluge_plugins.relay.stores.log import FrameLog, Reading
from lm_deluge_plugins.relay.stores.store import Producer, UnknownStreamError, checked_id

__all__ = ["MemoryStore"]


@define(eq=False)
class _KeptLog:
    log: FrameLog = field(factory=FrameLog)
    producer: Producer | None = None
    readings: int = 0
    keys: set[str] = field(factory=set[str])
    expiry: asyncio.TimerHandle | None = None
    claims: Claims = field(factory=Claims)


class MemoryStore:
    """Keeps frames in this process: for an app that is one process, and for tests.

    ``keep``: seconds that a stream can still be read after its ending.
    """

    def __init__(self, *, keep: float = 300.0) -> None:
        self.keep = float(checked_number("keep", keep, 0, unit="a number of seconds,"))
        self._streams: dict[str, _KeptLog] = {}
        self._keys: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._streams)

    def write(self, stream_id: str, producer: Producer) -> _MemoryWriter:
        """Begin a log; see ``Store``."""
        if checked_id("stream_id", stream_id) in self._streams:
            raise ValueError(f"stream {stream_id} is in this store already")
        kept = self._streams[stream_id] = _KeptLog(producer=producer)
        return _MemoryWriter(self, stream_id, kept)

    async def open(self, stream_id: str, after: int = 0) -> Reading:
        """Begin to read; see ``Store``."""
        kept = self._streams.get(stream_id)
        if kept is None:
            raise UnknownStreamError(stream_id)
        kept.readings += 1
        if kept.readings == 1 and kept.producer is not None:
            kept.producer.unread(nobody=False)
        return Reading(kept.log, after)

    async def close_reading(self, stream_id: str, reading: Reading) -> None:
        """End what ``open`` began."""
        kept = self._streams.get(stream_id)
        if kept is None or not reading.reads(kept.log):
            return
        kept.readings -= 1
        if not kept.readings and kept.producer is not None:
            kept.producer.unread(nobody=True)

    async def stop(self, stream_id: str, reason: str) -> bool:
        """Ask the producer to end the stream; see ``Store``."""
        kept = self._streams.get(stream_id)
        if kept is None or kept.producer is None:
            return False
        kept.producer.stop(reason)
        return True

    async def name(self, key: str, stream_id: str) -> None:
        """Let ``key`` stand for a stream."""
        kept = self._streams.get(stream_id)
        if kept is None:
            raise UnknownStreamError(stream_id)
        before = self._streams.get(self._keys.get(checked_id("key", key), ""))
        if before is not None:
            before.keys.discard(key)
        self._keys[key] = stream_id
        kept.keys.add(key)

    async def named(self, key: str) -> str | None:
        """Return the id of the stream that ``key`` stands for."""
        return self._keys.get(key)

    async def frames(self, stream_id: str, after: int = 0) -> list[Frame]:
        """Return what the log has; see ``Store``."""
        return self._known(stream_id).log.frames[after:]

    async def claim(
        self, log_id: str, reader: str, stream_id: str, first: int, last: int
    ) -> int | None:
        """Note what a reader told of; see ``Store``."""
        return self._known(log_id).claims.claim(reader, stream_id, first, last)

    def _known(self, stream_id: str) -> _KeptLog:
        kept = self._streams.get(stream_id)
        if kept is None:
            raise UnknownStreamError(stream_id)
        return kept

    async def close(self) -> None:
        """Forget everything; whoever reads gets what there is, then an error."""
        from lm_deluge_plugins.relay.stores.store import StoreError

        for stream_id, kept in tuple(self._streams.items()):
            if not kept.log.is_ended:
                kept.log.fail(StoreError("the store was closed"))
            self._forget(stream_id, kept)

    def ended(self, stream_id: str, kept: _KeptLog) -> None:
        """Its writer is done: forget the stream after a while."""
        kept.producer = None
        kept.expiry = asyncio.get_running_loop().call_later(
            self.keep, self._forget, stream_id, kept
        )

    def _forget(self, stream_id: str, kept: _KeptLog) -> None:
        if kept.expiry is not None:
            kept.expiry.cancel()
        for key in kept.keys:
            if self._keys.get(key) == stream_id:
                del self._keys[key]
        if self._streams.get(stream_id) is kept:
            del self._streams[stream_id]


class _MemoryWriter:
    def __init__(self, store: MemoryStore, stream_id: str, kept: _KeptLog) -> None:
        self._store = store
        self._stream_id = stream_id
        self._kept: _KeptLog | None = kept

    async def begin(self) -> None:
        """It is there as soon as it is made."""

    def append(self, frames: Sequence[Frame]) -> None:
        if self._kept is not None:
            self._kept.log.extend(frames)

    async def is_read(self) -> bool:
        return self._kept is not None and self._kept.readings > 0

    async def finish(self) -> None:
        kept, self._kept = self._kept, None
        if kept is not None:
            self._store.ended(self._stream_id, kept)

    async def leave(self) -> None:
        await self.finish()
