"""Requests that do not stream are told of once, and are in the log as ``request`` lines."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest

from lm_deluge import StreamHandler
from lm_deluge.proxy import Note, PassedRequest
from lm_deluge.proxy.exchange import Ending
from lm_deluge.proxy.watcher import Watcher
from lm_deluge_plugins import FileLogger
from support.exchanges import EVENTS, WatchingEar, asks, opened
from support.promises import KEY, check_hidden
from support.wires import BEGUN, ENDED

JSON = (("content-type", "application/json"),)


async def _passed(
    body: Any, how: Ending = "whole", *, status: int | None = 200, **options: Any
) -> WatchingEar:
    ear = WatchingEar()
    watcher = Watcher([ear])
    exchange = opened(watcher, body, **options)
    if status is not None:
        exchange.head(status, JSON)
        exchange.read(b"{}", perf_counter())
    exchange.ended(how)
    await watcher.aclose()
    assert not ear.calls
    return ear


@pytest.mark.parametrize(
    ("body", "options", "model"),
    [
        (asks(stream=False), {}, "a-model"),
        ({"model": "embed", "input": "x"}, {"wire": None, "target": "/embeddings"}, "embed"),
        (b"", {"wire": None, "target": "/models", "method": "GET"}, None),
        (b"--x", {"wire": None, "target": "/files"}, None),
    ],
)
async def test_a_request_that_does_not_stream_is_told_once(
    body: Any, options: Any, model: str | None
) -> None:
    ear = await _passed(body, **options)
    (request,) = ear.requests
    assert (request.model, request.status, request.bytes) == (model, 200, 2)
    assert request.wait is not None
    assert 0 <= request.wait <= request.elapsed


@pytest.mark.parametrize("how", ["unreachable", "reader left"])
async def test_a_request_without_an_answer_has_no_status(how: Ending) -> None:
    (request,) = (await _passed(asks(stream=False), how, status=None)).requests
    assert (request.status, request.wait, request.bytes) == (None, None, 0)


async def test_a_key_that_stands_for_a_model_is_not_told() -> None:
    (request,) = (await _passed(asks(stream=False, model=KEY))).requests
    check_hidden(str(request), KEY)


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line]


async def _logged(path: Path, headers: Sequence[tuple[str, str]] = (), **options: Any) -> Any:
    with FileLogger(path, **options) as log:
        watcher = Watcher([log])
        exchange = opened(watcher, asks(stream=False))
        exchange.head(200, JSON)
        exchange.read(b"{}", perf_counter())
        exchange.ended("whole")
        exchange = opened(watcher, asks(), headers=headers, fault="pause:1")
        exchange.head(200, EVENTS)
        exchange.read(BEGUN["chat"] + ENDED["chat"], perf_counter())
        exchange.ended("whole")
        await watcher.aclose()
    return _lines(path)


async def test_the_log_has_a_line_for_a_request_and_marks_a_fault_and_a_retry(
    tmp_path: Path,
) -> None:
    headers = (("x-stainless-retry-count", "2"), ("X-LM-Deluge-Tags", "oops,variant=B"))
    request, note, start, *rest = await _logged(tmp_path / "log", headers)
    assert {**request, "s": "", "t": 0.0, "wait": 0.0} == {
        "v": 1, "e": "request", "s": "", "t": 0.0, "model": "a-model", "status": 200,
        "wait": 0.0, "bytes": 2,
    }  # fmt: skip
    assert (note["e"], note["s"], note["offset"]) == ("note", start["s"], 0)
    assert "x-lm-deluge-tags" in note["what"]
    assert (start["fault"], start["app_retry"]) == ("pause:1", 2)
    assert start["tags"] == {"variant": "B"}
    assert start["prompt"] == "hi"
    assert len(start["prompt_hash"]) == 16
    assert [line["e"] for line in rest] == ["token", "complete"]
    check_hidden((tmp_path / "log").read_text("utf-8"), KEY)


async def test_a_log_without_content_has_lengths_alone(tmp_path: Path) -> None:
    start = (await _logged(tmp_path / "log", text=False))[1]
    assert "prompt" not in start
    assert "prompt_hash" not in start
    assert "Good" not in (tmp_path / "log").read_text("utf-8")


async def test_a_handler_that_raises_stops_nobody_and_is_told_of_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Raises(StreamHandler):
        def on_request(self, request: PassedRequest) -> None:
            raise ValueError("mine")

    class Waits(StreamHandler):
        async def on_note(self, note: Note) -> None: ...

    ear = WatchingEar()
    watcher = Watcher([Raises(), Waits(), ear])
    for _ in range(2):
        opened(watcher, asks(stream=False)).ended("reader left")
        opened(watcher, b"{nonsense").ended("reader left")
    await watcher.aclose()
    assert len(ear.requests) == 4
    assert len(ear.notes) == 2
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert [line.partition(" failed")[0] for line in told] == ["handler Raises", "handler Waits"]
