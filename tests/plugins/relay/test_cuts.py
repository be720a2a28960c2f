"""Connections that break after any byte, of readers that join at any moment: hypothesis chooses both."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from lm_deluge import Token
from lm_deluge_plugins.relay import FORMATS, Publication, Relay, Store, aiohttp_web
from support.relay_readers import Reader, check_bodies
from support.relaying import RedisServer, by_aiohttp, store_of, text_of

#: What a network read may bring: letters of one to four bytes, and lines.
_PIECES = st.text("aé→👋\n", min_size=1, max_size=3)

_WIRES = tuple(FORMATS)

#: What happens: pieces are told (a frame), or the reader of a format connects and reads so many bytes.
_STEPS = st.lists(
    st.one_of(
        st.lists(_PIECES, min_size=1, max_size=3),
        st.tuples(st.sampled_from(_WIRES), st.integers(0, 400)),
    ),
    max_size=12,
)


@contextlib.asynccontextmanager
async def _served(store: Store) -> AsyncIterator[tuple[Relay, int]]:
    relay = Relay(store, on_disconnect="continue")
    app = web.Application()
    aiohttp_web.add_routes(app, relay)
    async with by_aiohttp(app) as base_url:
        yield relay, int(base_url.rpartition(":")[2])


async def _read(port: int, reader: Reader, most: int | None) -> None:
    """Read ``most`` bytes of a body and let the connection go, wherever that is in an event."""
    incoming, outgoing = await asyncio.open_connection("127.0.0.1", port)
    try:
        asked = f"GET /streams/{reader.stream_id}?format={reader.wire} HTTP/1.0\r\nHost: x\r\n"
        if reader.after:
            asked += f"Last-Event-ID: {reader.after}\r\n"
        outgoing.write(asked.encode() + b"\r\n")
        head = await incoming.readuntil(b"\r\n\r\n")
        assert b" 200 " in head.partition(b"\r\n")[0], head
        data = b""
        with contextlib.suppress(TimeoutError):
            # While the log is not over, there may be less to read than is asked for.
            async with asyncio.timeout(None if most is None else 0.003):
                while most is None or len(data) < most:
                    more = await incoming.read(-1 if most is None else most - len(data))
                    if not more:
                        break
                    data += more
    finally:
        outgoing.transport.abort()
    reader.take(data)


async def _hold(relay: Relay, port: int, steps: list[Any]) -> None:
    """Let it all happen to one log, and every reader come back once it is over."""
    stream_id = uuid4().hex
    stream: Any = SimpleNamespace(id=stream_id, model="m", elapsed=0.0)
    those = {wire: Reader(wire, stream_id) for wire in _WIRES}
    told = ""
    async with relay.publication(stream_id) as publication:
        publication.on_start(stream)
        for number, step in enumerate(steps):
            if isinstance(step, list):
                _tell(publication, stream, number, step)
                told += "".join(step)
                await asyncio.sleep(0)
            else:
                wire, most = step
                await _read(port, those[wire], most)
    for reader in those.values():
        if not reader.is_over:
            await _read(port, reader, None)
    events = check_bodies({wire: reader.body for wire, reader in those.items()})
    assert text_of(events) == told


def _tell(publication: Publication, stream: Any, read: int, pieces: list[str]) -> None:
    for piece in pieces:
        publication.on_token(stream, Token(piece, 0, 0.1, read))


async def _hold_all(store: Store, examples: int) -> None:
    async with _served(store) as (relay, port):
        loop = asyncio.get_running_loop()

        @settings(max_examples=examples, deadline=None)
        @given(_STEPS)
        def hold(steps: list[Any]) -> None:
            # Hypothesis calls plain functions: in a thread, while the loop serves.
            asyncio.run_coroutine_threadsafe(_hold(relay, port, steps), loop).result(20)

        await asyncio.to_thread(hold)


async def test_readers_cut_off_after_any_byte_come_back_to_the_same_frames() -> None:
    async with store_of("memory", None) as store:
        await _hold_all(store, 12)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["memory", "redis"])
async def test_the_same_for_many_more_cuts_and_with_redis(kind: str, redis: RedisServer) -> None:
    async with store_of(kind, redis) as store:
        await _hold_all(store, 100)
