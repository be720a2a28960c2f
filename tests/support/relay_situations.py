"""What happens to readers of a relay in one piece; each function is a row of the matrix.

``here`` and ``there`` are two machines with one Redis, or one app where the store is its memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from attrs import define

from lm_deluge.simulator import Simulator
from lm_deluge_plugins.relay import FORMATS
from support.relay_readers import Reader, check_bodies, readers, until_over
from support.relaying import App, RedisServer, check_log, events_in, serving, store_of, text_of

__all__ = [
    "Place",
    "comes_back_at_every_frame",
    "joins_late",
    "never_reads",
    "reads_slowly",
    "stopped_from_there",
    "time_has_passed",
    "two_readers",
]

WORDS = "Grüße 👋 " + " ".join(f"word{n}" for n in range(12))


@define
class Place:
    """Where a row is tried: ``store`` and ``adapter`` of the cell."""

    store: str
    adapter: str
    redis: RedisServer | None

    @contextlib.asynccontextmanager
    async def two(
        self, simulator: Simulator, *, keep: float = 300, **options: Any
    ) -> AsyncIterator[tuple[App, App]]:
        """Two machines, of which the first one is asked."""
        options = {"on_disconnect": "continue", **options}
        async with (
            store_of(self.store, self.redis, keep=keep) as one,
            serving(self.adapter, one, simulator=simulator, **options) as here,
        ):
            if self.store == "memory":
                yield here, here
                return
            async with (
                store_of(self.store, self.redis, keep=keep) as other,
                serving(self.adapter, other, **options) as there,
            ):
                yield here, there


def descriptors() -> int:
    """How many descriptors this process has open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def _waiting_to_be_sent() -> int:
    """Bytes in the fullest buffer of a connection of this process."""
    kind = asyncio.selector_events._SelectorSocketTransport  # type: ignore[attr-defined]
    connections = [each for each in gc.get_objects() if isinstance(each, kind)]
    return max(each.get_write_buffer_size() for each in connections if not each.is_closing())


def _words(gap: float = 0.002) -> Simulator:
    return Simulator(text=WORDS, gap=gap)


async def _asked(app: App, wire: str = "events") -> tuple[str, Any]:
    response = await app.ask(wire)
    return response.headers["x-stream-id"], response


async def joins_late(place: Place) -> None:
    """At the first moment, in the middle and after the end; the asker reads in each format, too."""
    async with place.two(_words()) as (here, there):
        for wire in FORMATS:
            stream_id, response = await _asked(here, wire)
            late = [asyncio.ensure_future(_late(here, there, stream_id, n)) for n in (0, 4, 99)]
            whole = await response.read()
            for bodies in await asyncio.gather(*late):
                assert bodies[wire] == whole
                assert text_of(check_bodies(bodies)) == WORDS


async def _late(here: App, there: App, stream_id: str, pieces: int) -> dict[str, bytes]:
    stream = next(each for each in here.streams if each.id == stream_id)
    while stream.state == "running" and len(stream.partial.completion) < pieces * 5:
        await asyncio.sleep(0)
    those = readers(stream_id)
    await asyncio.gather(*(reader.connect(there) for reader in those))
    return {reader.wire: reader.body for reader in those}


async def comes_back_at_every_frame(place: Place) -> None:
    """Each connection takes one event more, on the other machine each time."""
    async with place.two(_words()) as (here, there):
        stream_id, response = await _asked(here)
        response.close()
        those = readers(stream_id)
        await asyncio.gather(*(_step_by_step(reader, here, there) for reader in those))
        check_bodies({reader.wire: reader.body for reader in those})
        ended = Reader("events", stream_id, those[0].body)
        await ended.connect(there)
        assert ended.nothing == 1  # an EventSource does not come back then


async def _step_by_step(reader: Reader, here: App, there: App) -> None:
    count = 0
    while not reader.is_over:
        count += 1
        more = 1 if reader.wire == "events" else count
        await reader.connect(here if count % 2 else there, events=more)
        assert not reader.nothing
        assert not reader.unavailable


async def two_readers(place: Place) -> None:
    """Of the same stream at once, in every format, on both machines; one more leaves in the middle."""
    async with place.two(_words()) as (here, there):
        stream_id, response = await _asked(here)
        leaver = Reader("events", stream_id)
        bodies = await asyncio.gather(
            until_over(stream_id, here),
            until_over(stream_id, there),
            leaver.connect(here, events=3),
        )
        assert bodies[0] == bodies[1] == events_in(await response.read())


#: More than sockets hold on the way: a frame is some kilobytes, so that a few hundred of them are megabytes.
_LONG = ["x" * 20_000 for _ in range(700)]


async def reads_slowly(place: Place) -> None:
    """It gets everything, in its own time; the quick one has the ending long before."""
    async with place.two(Simulator(text=_LONG)) as (here, there):
        stream_id, response = await _asked(here)
        async with await there.read(stream_id) as slow:
            body = await slow.content.read(1000)
            quick = await response.read()
            check_log(events_in(quick))
            async with await there.read(stream_id) as late:
                head = await late.content.read(1000)
                # All of it is there to be had: what waits for one who takes nothing is bounded.
                assert _waiting_to_be_sent() < len(quick) / 20
                assert await _slowly(late, head) == await _slowly(slow, body) == quick


async def _slowly(response: Any, body: bytes) -> bytes:
    while more := await response.content.read(200_000):
        body += more
        await asyncio.sleep(0)
    return body


async def never_reads(place: Place) -> None:
    """Its connection is closed after the send timeout, in every format; others get everything."""
    async with place.two(Simulator(text=_LONG), send_timeout=2.0) as (here, there):
        stream_id, response = await _asked(here)
        stuck = [await _stuck(there, stream_id, wire) for wire in FORMATS]
        async with asyncio.timeout(15):
            while len(there.relay.readers) < len(stuck):
                await asyncio.sleep(0.001)
            before = descriptors()
            check_log(events_in(await response.read()))
            while len(there.relay.readers) or len(here.relay.readers):
                await asyncio.sleep(0.01)
            # Not only forgotten: the server's end of each connection is closed, though nobody took the bytes.
            while descriptors() > before - len(stuck):
                await asyncio.sleep(0.01)
        for _, writer in stuck:
            writer.transport.abort()


async def _stuck(app: App, stream_id: str, wire: str) -> Any:
    host, _, port = app.base_url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    writer.write(
        f"GET /streams/{stream_id}?format={wire} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    )
    return reader, writer


async def stopped_from_there(place: Place) -> None:
    """The other machine is told to stop it: once, and what came is kept."""
    async with place.two(_words(0.05)) as (here, there):
        stream_id, response = await _asked(here)
        reading = asyncio.ensure_future(until_over(stream_id, here, there, ending="cancelled"))
        begun = await response.content.readany()
        assert await there.stop(stream_id)
        events = await reading
        assert events == events_in(begun + await response.read())
        assert here.streams[0].error.partial.text == text_of(events)
        assert not await there.stop(stream_id)


async def time_has_passed(place: Place) -> None:
    """After the time to live there is nothing, under no name; until then there is all of it."""
    keep = 0.3 if place.store == "memory" else 1.0
    async with place.two(_words(0), keep=keep) as (here, there):
        response = await here.ask("events", key="chat")
        stream_id = response.headers["x-stream-id"]
        whole = events_in(await response.read())
        assert await until_over("chat", there) == whole
        await asyncio.sleep(keep)
        async with asyncio.timeout(20):  # a loaded machine's last write may have been late
            for wire in (reader.wire for reader in readers(stream_id)):
                while True:
                    reader = Reader(wire, stream_id)
                    await reader.connect(there)
                    if reader.nothing == 1:
                        break
                    await asyncio.sleep(0.1)
        by_name = Reader("events", "chat")
        await by_name.connect(there)
        assert by_name.nothing == 1
        assert not await there.stop(stream_id)
