"""What a turn of the loop brings passes on before any of it is told, and all of it is told, in order."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from typing import Any

import pytest

from lm_deluge import APIResponse, Stream, StreamHandler, Token
from lm_deluge.proxy import Proxy
from lm_deluge.proxy.afterwards import Afterwards
from support.raw_http import Side, Upstream

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
BODY = json.dumps({"model": "m", "stream": True, "messages": []}).encode()
REQUEST = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b"
    % (len(BODY), BODY)
)
APPS = 6


def _chunk(text: str, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    data = b"data: %b\n\n" % json.dumps({"id": "1", "choices": [choice]}).encode()
    return b"%x\r\n%b\r\n" % (len(data), data)


END = _chunk("", "stop") + b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"


async def _begun(side: Side) -> None:
    head = await side.head()
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
    await side.exactly(length)
    await side.write(HEAD)
    await side.reader.read()


def _there(app: socket.socket) -> bytes:
    """What an app could read by now."""
    try:
        return app.recv(1 << 16, socket.MSG_DONTWAIT | socket.MSG_PEEK)
    except BlockingIOError:
        return b""


class Looking(StreamHandler):
    """Notes, when it hears the first piece and the first ending, what every app has by then."""

    def __init__(self, apps: list[socket.socket]) -> None:
        self._apps = apps
        self.seen: dict[str, list[bytes]] = {}
        self.order: list[str] = []

    def _note(self, what: str) -> None:
        self.order.append(what)
        self.seen.setdefault(what, [_there(app) for app in self._apps])

    def on_token(self, stream: Stream, token: Token) -> None:
        self._note(token.text)

    def on_complete(self, stream: Stream, response: APIResponse) -> None:
        self._note("complete")


async def test_pieces_and_ends_of_all_apps_pass_before_a_handler_hears_of_the_first() -> None:
    apps: list[socket.socket] = []
    looking = Looking(apps)
    async with (
        Upstream(_begun) as upstream,
        Proxy(upstream.url, handlers=[looking]) as proxy,
    ):
        address = ("127.0.0.1", int(proxy.url.rpartition(":")[2]))
        for number in range(APPS):
            app = socket.create_connection(address)
            apps.append(app)
            app.send(REQUEST)
            await upstream.side(number)
        async with asyncio.timeout(10):
            while not all(map(_there, apps)):
                await asyncio.sleep(0.001)
        # All of it is there before the loop looks again.
        for side in upstream.sides:
            side.writer.write(_chunk("piece"))
        async with asyncio.timeout(10):
            while looking.order.count("piece") < APPS:
                await asyncio.sleep(0.001)
        for side in upstream.sides:
            side.writer.write(END)
        async with asyncio.timeout(10):
            while looking.order.count("complete") < APPS:
                await asyncio.sleep(0.001)
        for app in apps:
            app.close()
    assert looking.order == ["piece"] * APPS + ["complete"] * APPS
    assert [b"piece" in there for there in looking.seen["piece"]] == [True] * APPS
    assert [there[-5:] for there in looking.seen["complete"]] == [b"0\r\n\r\n"] * APPS


async def test_all_is_told_in_order_whatever_is_raised() -> None:
    afterwards, heard = Afterwards(), []

    def hear(what: Any) -> None:
        heard.append(what)
        if what == 1:
            raise ValueError("a mistake of ours")
        if what == 2:
            afterwards.tell(hear, "told meanwhile")
            afterwards.all()  # as one who closes the proxy may

    for what in range(4):
        afterwards.tell(hear, what)
    assert (heard, afterwards.is_behind) == ([], True)
    async with asyncio.timeout(5):
        while afterwards.is_behind:
            await asyncio.sleep(0)
    assert (heard, afterwards.is_behind) == ([0, 1, 2, 3, "told meanwhile"], False)


async def test_what_takes_long_to_tell_lets_others_have_their_turn() -> None:
    afterwards, order = Afterwards(), []

    def slow(number: int) -> None:
        time.sleep(0.002)
        order.append(f"told {number}")

    def other() -> None:
        order.append("other")
        if afterwards.is_behind:
            asyncio.get_running_loop().call_soon(other)

    for number in range(3):
        afterwards.tell(slow, number)
    other()
    async with asyncio.timeout(5):
        while afterwards.is_behind or len(order) < 6:
            await asyncio.sleep(0)
    assert order[:6] == ["other", "told 0", "other", "told 1", "other", "told 2"]


@pytest.mark.parametrize("kind", ["calls", "bytes"])
async def test_who_is_far_behind_is_told_at_once(kind: str) -> None:
    """Or what waits to be told would grow with what passes."""
    afterwards = Afterwards()
    most = told = 0

    def hear(data: bytes = b"") -> None:
        nonlocal told
        told += 1

    for number in range(10_000):
        if kind == "calls":
            afterwards.tell(hear)
        else:
            afterwards.tell_bytes(hear, b"x" * 65_536)
        most = max(most, number + 1 - told)
    assert most <= (4096 if kind == "calls" else 64)
