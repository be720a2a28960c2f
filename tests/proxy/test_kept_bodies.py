"""Bodies of requests are kept to be looked at, in bounded memory over all of them at once."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from lm_deluge.proxy import Proxy
from lm_deluge.proxy.keeping import MAX_BODY, MAX_KEPT, Keeping, KeptBody
from lm_deluge.proxy.planned import AppStream
from lm_deluge.proxy.telling import Note
from lm_deluge.recording import Recorder
from lm_deluge.simulator import Simulator
from support.raw_http import Asker, Side, Upstream

_STREAM = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 14\r\n\r\n"
    b"data: [DONE]\n\n"
)


class Heard:
    """Models of streams, and notes."""

    def __init__(self) -> None:
        self.models: list[str] = []
        self.notes: list[str] = []

    def on_start(self, stream: AppStream) -> None:
        self.models.append(stream.model)

    def on_note(self, note: Note) -> None:
        self.notes.append(note.what)


def test_room_is_taken_and_given_back_once() -> None:
    keeping = Keeping(10)
    one, two = KeptBody(keeping), KeptBody(keeping)
    assert one.add(b"123456")
    assert not two.add(b"12345")
    assert two.problem == "the request's body was not looked at: others took the room for them"
    assert not two.add(b"1")  # what is missing stays missing
    assert one.take() == b"123456"
    assert keeping.left == 4
    one.let_go()
    one.let_go()
    two.let_go()
    assert keeping.left == 10


def test_one_body_has_a_limit_of_its_own() -> None:
    body = KeptBody(Keeping())
    assert body.add(bytes(MAX_BODY))
    assert not body.add(b"x")
    assert "above 16 MiB" in str(body.problem)


def _asked(body: bytes, path: str = "/v1/chat/completions") -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer k\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _body(size: int, **fields: Any) -> bytes:
    asked = {"model": "gpt-4o", "stream": True, **fields}
    return json.dumps({**asked, "messages": [{"role": "user", "content": "x" * size}]}).encode()


async def _reading(side: Side) -> None:
    """A server that takes in every request whole, and answers it."""
    while True:
        head = (await side.head()).lower()
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        await side.exactly(length)
        await side.write(_STREAM)


@pytest.mark.parametrize("ask_usage", [False, True])
async def test_what_finds_no_room_passes_and_is_watched_without_its_prompt(ask_usage: bool) -> None:
    heard = Heard()
    held, late = _asked(_body(40_000)), _asked(_body(70_000))
    async with (
        Upstream(_reading) as upstream,
        Proxy(upstream.url, handlers=[heard], ask_usage=ask_usage) as proxy,
        Asker(proxy.url) as first,
        Asker(proxy.url) as second,
    ):
        keeping = proxy._watcher.keeping
        keeping.left = 100_000  # a body that is changed stands there twice for a moment
        await first.write(held[:-1])
        async with asyncio.timeout(5):
            while keeping.left > 65_000:
                await asyncio.sleep(0.001)
        await second.write(late)
        assert b"[DONE]" in (await second.answer())[1]
        assert heard.notes == [
            "the request's body was not looked at: others took the room for them"
        ]
        await first.write(held[-1:])
        assert b"[DONE]" in (await first.answer())[1]
        # Both got through as they were; the one that was looked at may have been asked for usage.
        passed = b"".join(side.raw for side in upstream.sides)
        assert passed.count(_body(40_000)[1:]) == passed.count(_body(70_000)) == 1
        assert passed.count(b"include_usage") == (1 if ask_usage else 0)
        assert sorted(heard.models) == ["gpt-4o", "unknown"]
    assert keeping.left == 100_000


@pytest.mark.parametrize("fault", [(), "status:500", "reset:1", "reset-before-headers", "eof:2"])
@pytest.mark.parametrize("records", [False, True])
async def test_all_room_is_given_back_however_requests_end(
    fault: Any, records: bool, tmp_path: Path
) -> None:
    record = Recorder(tmp_path / "r.rec") if records else None
    bodies = [
        _body(9_000),
        _body(9_000, stream=False),
        _body(9_000, stream="yes"),
        b"{nonsense" + bytes(9_000),
    ]
    asked = [_asked(body) for body in bodies]
    asked += [_asked(bodies[0], "/v1/embeddings"), _asked(bodies[0], "/v1/messages")]
    async with Simulator(text=["a", "b", "c"], gap=0.001) as simulator:
        for url in (simulator.url, "http://127.0.0.1:9"):
            async with Proxy(
                url, faults=fault, record=record, ask_usage=True, handlers=[Heard()]
            ) as proxy:
                keeping = proxy._watcher.keeping
                for data in asked:
                    for size in (len(data) // 2, len(data) - 1, len(data)):
                        async with Asker(proxy.url) as asker:
                            await asker.write(data[:size])
                            if size == len(data):
                                await asyncio.wait(
                                    [asyncio.create_task(asker.ending())], timeout=0.2
                                )
            assert keeping.left == MAX_KEPT
    if record is not None:
        record.close()
