"""What a proxy records of an app's stream is a recording as any other: it is read, and it can be replayed."""

from __future__ import annotations

import gzip
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest

from lm_deluge import APIResponse, LLMClient
from lm_deluge.errors import StreamError
from lm_deluge.proxy.exchange import Ending
from lm_deluge.proxy.watcher import Watcher
from lm_deluge.recording import Recorder
from lm_deluge.simulator import Simulator
from lm_deluge.timeline import read_timelines
from support.exchanges import EVENTS, WatchingEar, asks, opened, told
from support.promises import KEY, check_hidden
from support.wires import BEGUN, ENDED, WIRES


async def _recorded(
    path: Path, reads: list[bytes], how: Ending = "whole", wire: str = "chat", *more: Any
) -> WatchingEar:
    ear = WatchingEar()
    with Recorder(path) as recorder:
        watcher = Watcher([ear], record=recorder)
        exchange = opened(watcher, asks(wire), wire=wire)
        exchange.head(200, (*EVENTS, *more))
        for data in reads:
            exchange.read(data, perf_counter())
        exchange.ended(how)
        await watcher.aclose()
    return ear


@pytest.mark.parametrize("wire", WIRES)
async def test_a_recording_gives_the_timeline_that_was_heard(wire: str, tmp_path: Path) -> None:
    path = tmp_path / "run.rec"
    ear = await _recorded(path, [BEGUN[wire], ENDED[wire]], "whole", wire)
    (timeline,) = read_timelines(path)
    assert timeline.stream == ear.stream_id
    assert timeline.completed
    assert list(timeline.times) == pytest.approx([token.arrived for token in ear.tokens], abs=1e-6)
    check_hidden(path.read_text("utf-8"), KEY)


async def test_a_recorded_stream_is_replayed_to_our_own_client(tmp_path: Path) -> None:
    path = tmp_path / "run.rec"
    await _recorded(path, [BEGUN["chat"], ENDED["chat"]])
    async with Simulator(replay=path) as sim:
        client = LLMClient("a-model", base_url=sim.base_url, api_key=KEY, printer=None)
        response = await client.stream("hi")
        await client.close()
    assert response.completion == "Good"


async def test_a_compressed_answer_is_recorded_as_it_was_read(tmp_path: Path) -> None:
    path = tmp_path / "run.rec"
    body = gzip.compress(BEGUN["chat"] + ENDED["chat"])
    encoding = ("Content-Encoding", "gzip")
    ear = await _recorded(path, [body], "whole", "chat", encoding)
    assert isinstance(ear.ending, APIResponse)
    assert "content-encoding" not in path.read_text("utf-8")
    async with Simulator(replay=path) as sim:
        client = LLMClient("a-model", base_url=sim.base_url, api_key=KEY, printer=None)
        assert (await client.stream("hi")).completion == "Good"
        await client.close()


@pytest.mark.parametrize(("how", "close"), [("reset", "lost"), ("reader left", "left")])
async def test_how_it_ended_is_recorded(how: Ending, close: str, tmp_path: Path) -> None:
    path = tmp_path / "run.rec"
    ear = await _recorded(path, [BEGUN["chat"]], how)
    assert isinstance(ear.ending, StreamError)
    assert told(ear)["calls"] == ["start", "token", "error"]
    assert f'"how":"{close}"' in path.read_text("utf-8")
