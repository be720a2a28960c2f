"""Beacons of browsers: true ones become lines of the timeline log, on every adapter and store; all others
are counted and harm nobody."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import pytest

from lm_deluge_plugins.file_logger import FileLogger
from lm_deluge_plugins.relay import MemoryStore, Relay, Sight, Store
from lm_deluge_plugins.relay.seen.claims import MOST_READERS, Claims
from support.relaying import (
    ADAPTERS,
    App,
    Event,
    RedisServer,
    events_in,
    serving,
    store_of,
)


async def read_whole(app: App) -> tuple[str, list[Event], float]:
    """Ask for a stream and read it; return its id, the events, and when the request came."""
    response = await app.ask()
    came, _ = response.headers["x-stream-clock"].split()
    return response.headers["x-stream-id"], events_in(await response.read()), float(came)


def times_of(events: list[Event]) -> list[float]:
    """When each piece of text was there, by its index."""
    found: list[float] = []
    for event in events:
        frame = json.loads(event.data)
        texts = [item for item in frame["items"] if item["kind"] == "text"]
        if texts:
            assert frame["i"] == len(found)
        found += [frame["t"]] * len(texts)
    return found


def beacon(said: list[float], first: int, last: int, **more: Any) -> bytes:
    """What a browser that sees each piece two milliseconds late tells."""
    arrived = [t + 0.002 for t in said[first : last + 1]]
    painted = [t + 0.008 for t in arrived]
    fields = {
        "r": "me", "i": [first, last], "arrived": arrived, "painted": painted,
        "hidden": False, "bound": 0.001,
    }  # fmt: skip
    return json.dumps({**fields, **more}).encode()


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_what_was_seen_is_in_the_log_once_for_each_reader(
    store: Store, adapter: str, tmp_path: Path
) -> None:
    log = FileLogger(tmp_path / "log.jsonl")
    async with serving(adapter, store, seen=log) as app:
        stream_id, events, _ = await read_whole(app)
        said = times_of(events)
        for first, last in ((0, 9), (10, 30), (40, 50)):
            status, answer = await app.tell(stream_id, beacon(said, first, last))
            assert status == 200
            came, went = answer["clock"]
            assert 0 <= went - came < 1
            assert abs(time.time() - went) < 10
        for first, last in ((0, 9), (5, 12), (30, 40), (50, 51), (20, 20)):
            status, answer = await app.tell(stream_id, beacon(said, first, last))
            assert status == 400, (first, last, answer)
        assert (await app.tell(stream_id, beacon(said, 0, 60, r="other")))[0] == 200
        assert app.relay.seen.refused == {"told before": 5}
        assert app.relay.seen.taken == 4
    log.close()
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().split("\n") if line]
    assert [(line["r"], line["i"]) for line in lines] == [
        (0, [0, 9]), (0, [10, 30]), (0, [40, 50]), (1, [0, 60])
    ]  # fmt: skip
    line = lines[1]
    assert list(line) == [
        "v", "e", "s", "t", "i", "arrived", "painted", "hidden", "bound", "r"
    ]  # fmt: skip
    assert (line["v"], line["e"], line["s"], line["hidden"]) == (1, "seen", stream_id, False)
    assert line["arrived"] == [round(t + 0.002, 4) for t in said[10:31]]
    assert line["painted"] == [round(t + 0.010, 4) for t in said[10:31]]
    assert said[-1] <= line["t"] < 10
    assert line["bound"] == 0.001


#: What strangers send instead of a beacon: bodies, headers, and what is answered and counted.
HOSTILE: list[tuple[bytes, dict[str, str], int, str]] = [
    (b'{"r":"a"}\n' * 1_000_000, {}, 413, "too large"),
    (b"\x00\xff" * 100, {}, 400, "no JSON"),
    (b"no gzip", {"Content-Encoding": "gzip"}, 400, ""),
    (b"[" * 60_000, {}, 400, ""),
    (b'{"i":[0,0],"arrived":[NaN],"painted":[null],"bound":0}', {}, 400, "no JSON"),
    (b'{"i":[0,0],"arrived":["0"],"painted":[null],"bound":0}', {}, 400, "wrong fields"),
    (b'{"i":[0,99999],"arrived":[],"painted":[],"bound":0}', {}, 400, "unknown pieces"),
    (b'{"i":[0,0],"arrived":[1e9],"painted":[null],"bound":0}', {}, 400, "wrong times"),
    (b'{"i":[0,0],"arrived":[],"painted":[],"bound":0}', {}, 400, "wrong length"),
    (b'{"s":"f","i":[0,0],"arrived":[1],"painted":[1],"bound":0}', {}, 400, "unknown stream"),
    (b"{}", {"Origin": "https://evil.example"}, 403, "other origin"),
    (b"{}", {"Origin": "http://[::1"}, 403, "other origin"),
    (b"{}", {"Origin": "null"}, 403, "other origin"),
    (b"{}", {"X-User": "somebody else"}, 403, "not allowed"),
]


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_what_strangers_send_is_counted_and_never_written(
    adapter: str, caplog: pytest.LogCaptureFixture
) -> None:
    sights: list[Sight] = []

    async def authorize(request: Any, stream_id: str) -> bool:
        return request.headers.get("X-User") is None

    options = {"seen": sights.append, "authorize": authorize}
    async with serving(adapter, MemoryStore(), **options) as app:
        stream_id, events, _ = await read_whole(app)
        expected: dict[str, int] = {}
        for body, headers, status, reason in HOSTILE:
            before = dict(app.relay.seen.refused)
            try:
                answered, _ = await app.tell(stream_id, body, **headers)
            except aiohttp.ClientError:  # it was closed while the client still wrote
                answered = status
            assert answered == status, body[:60]
            told = {
                name: count - before.get(name, 0)
                for name, count in app.relay.seen.refused.items()
                if count != before.get(name)
            }
            assert told == {reason: 1} or (not reason and sum(told.values()) == 1), body[:60]
            expected |= told
        for unknown in ("f" * 32, "%00", "x" * 300):
            assert (await app.tell(unknown, beacon(times_of(events), 0, 0)))[0] == 404
        assert sights == []
        assert (await app.tell(stream_id, beacon(times_of(events), 0, 0)))[0] == 200
        assert [sight.reader for sight in sights] == [0]
    warnings = [each for each in caplog.records if each.levelno >= logging.WARNING]
    assert len(warnings) == 1
    assert "beacons of browsers were refused" in warnings[0].getMessage()


async def test_a_beacon_may_come_to_another_machine_than_the_stream_s(redis: RedisServer) -> None:
    sights: list[Sight] = []
    async with (
        store_of("redis", redis) as here,
        store_of("redis", redis) as there,
        serving("aiohttp", here, seen=sights.append) as app,
        serving("asgi", there, seen=sights.append) as other,
    ):
        stream_id, events, _ = await read_whole(app)
        said = times_of(events)
        for turn, (first, last) in enumerate([(0, 9), (10, 19), (0, 9), (20, 29), (15, 15)]):
            machine = (app, other)[turn % 2]
            status, _ = await machine.tell(stream_id, beacon(said, first, last))
            assert status == (400 if turn in (2, 4) else 200)
        await other.tell(stream_id, beacon(said, 0, 0, r="second"))
        await app.tell(stream_id, beacon(said, 1, 1, r="second"))
    assert [(sight.reader, sight.first, sight.last) for sight in sights] == [
        (0, 0, 9), (0, 10, 19), (0, 20, 29), (1, 0, 0), (1, 1, 1)
    ]  # fmt: skip


async def test_all_stores_agree_on_what_was_told(redis: RedisServer) -> None:
    chance = Random(7)
    claims = Claims()
    async with store_of("redis", redis) as store:
        for _ in range(150):
            reader, first = chance.choice("abc"), chance.randrange(60)
            asked = (reader, chance.choice("xy"), first, first + chance.randrange(3))
            assert await store.claim("log", *asked) == claims.claim(*asked), asked
        many = [await store.claim("many", f"{n}", "x", 0, 0) for n in range(MOST_READERS + 2)]
    assert many == [*range(MOST_READERS), None, None]


async def test_a_handler_may_be_async_and_may_fail() -> None:
    heard: list[Sight] = []

    class Wants:
        async def on_seen(self, sight: Sight) -> None:
            heard.append(sight)
            if sight.first:
                raise OSError("no more")

    async with serving("aiohttp", MemoryStore(), seen=Wants()) as app:
        stream_id, events, _ = await read_whole(app)
        said = times_of(events)
        assert (await app.tell(stream_id, beacon(said, 0, 0)))[0] == 200
        assert (await app.tell(stream_id, beacon(said, 1, 1)))[0] == 400
        assert (app.relay.seen.taken, app.relay.seen.refused) == (1, {"handler failed": 1})
        assert len(heard) == 2


async def test_without_a_handler_no_browser_is_asked_and_none_is_heard() -> None:
    async with serving("aiohttp", MemoryStore()) as app:
        response = await app.ask()
        await response.read()
        assert "x-stream-clock" not in response.headers
        status, _ = await app.tell(response.headers["x-stream-id"], b"{}")
        assert status == 404


@pytest.mark.parametrize(
    "wrong", [1, "log.jsonl", [], object()], ids=["number", "path", "list", "object"]
)
def test_what_hears_must_be_able_to(wrong: Any) -> None:
    with pytest.raises(TypeError, match="seen must be a handler with on_seen"):
        Relay(seen=wrong)


async def test_the_steps_of_one_log_have_their_own_clocks_and_numbers() -> None:
    sights: list[Sight] = []
    async with serving("aiohttp", MemoryStore(), seen=sights.append) as app:
        async with app.relay.publication("steps") as publication:
            for _ in range(2):
                await app.client.stream("hi", handlers=[publication], printer=None)
        async with await app.read("steps") as response:
            events = events_in(await response.read())
        starts = [each for event in events for each in event.items if each["kind"] == "start"]
        assert starts[0]["at"] < starts[1]["at"]
        frames = [json.loads(event.data) for event in events]
        firsts = [frame["t"] for frame in frames if frame.get("i") == 0]
        for start, first in zip((*starts, *starts), (*firsts, *firsts), strict=True):
            await app.tell("steps", beacon([first], 0, 0, s=start["id"]))
        assert [sight.stream for sight in sights] == [start["id"] for start in starts]
        assert app.relay.seen.refused == {"told before": 2}
        assert (await app.tell("steps", beacon(firsts, 0, 0)))[0] == 400  # which of them?
