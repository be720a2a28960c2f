"""Beacons of browsers: true ones become lines of the timeline log, on every adapter and store; all others
are counted and harm nobody."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from lm_deluge_plugins.file_logger import FileLogger
from lm_deluge_plugins.relay import Store
from support.relaying import ADAPTERS, App, Event, events_in, serving


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
