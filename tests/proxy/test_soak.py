"""Thousands of streams, cut, left and read slowly at random: nothing is left behind, nothing is mixed."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
from collections import Counter
from pathlib import Path

import pytest

from lm_deluge import APIResponse, Stream, StreamHandler, Token
from lm_deluge.errors import StreamError
from lm_deluge.proxy import Proxy
from support.raw_http import Asker, Side, Upstream, reset

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
PIECES = 12


def _chunk(text: str, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    data = b"data: %b\n\n" % json.dumps({"id": "1", "choices": [choice]}).encode()
    return b"%x\r\n%b\r\n" % (len(data), data)


class Ledger(StreamHandler):
    """Counts endings, and keeps whose text each stream had."""

    def __init__(self) -> None:
        self.started = 0
        self.endings: Counter[str] = Counter()
        self.mixed: list[str] = []
        self._texts: dict[str, str] = {}

    def on_start(self, stream: Stream) -> None:
        self.started += 1

    def on_token(self, stream: Stream, token: Token) -> None:
        # Of the model's name, which every request has for itself, and every piece says.
        if token.text.strip() and token.text.strip() != stream.model:
            self.mixed.append(f"{stream.model}: {token.text}")

    def on_complete(self, stream: Stream, response: APIResponse) -> None:
        self.endings["complete"] += 1

    def on_error(self, stream: Stream, error: StreamError) -> None:
        self.endings[type(error).__name__] += 1


async def _play(side: Side, dice: random.Random) -> None:
    """Be an upstream: answer until something goes wrong."""
    while True:
        head = await side.head()
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
        model = json.loads(await side.exactly(length))["model"]
        side.raw = b""
        fate = dice.random()
        broken_at = dice.randrange(PIECES) if fate < 0.3 else PIECES
        data = HEAD
        for number in range(broken_at):
            data += _chunk(f"{model} ")
            if number % 3 == 2:
                cut = dice.randrange(len(data))
                await side.write(data[:cut])
                await asyncio.sleep(dice.random() * 0.004)
                data = data[cut:]
        await side.write(data)
        if fate < 0.15:
            await asyncio.sleep(0.002)
            reset(side.writer)
            return
        if fate < 0.3:
            return
        await side.write(_chunk("", "stop") + b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")


async def _ask(address: str, number: int, dice: random.Random, heard: Counter[str]) -> None:
    """Be an app: read all, slowly, or leave."""
    body = json.dumps({"model": f"m{number}", "stream": True, "messages": []}).encode()
    fate = dice.random()
    async with Asker(address) as asker:
        await asker.write(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: %b\r\n"
            b"Content-Length: %d\r\n\r\n%b"
            % (b"close" if dice.random() < 0.5 else b"keep-alive", len(body), body)
        )
        if fate < 0.1:
            heard["left at once"] += 1
            return
        if fate < 0.2:
            await asker.reader.read(dice.randrange(1, 2000))
            if fate < 0.15:
                reset(asker.writer)
            else:
                asker.close()
            heard["left"] += 1
            return
        got = b""
        try:
            while not got.endswith(b"0\r\n\r\n"):
                piece = await asker.reader.read(64 if fate < 0.3 else 1 << 16)
                if not piece:
                    heard["short"] += 1
                    return
                got += piece
                if fate < 0.3:
                    await asyncio.sleep(0)
        except ConnectionError:
            heard["reset"] += 1
            return
        heard["whole"] += 1
        assert got.count(b'"m%d ' % number) == PIECES
        assert got.count(b'"content": "m') == PIECES


def _memory() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts descriptors in /proc")
async def test_five_thousand_streams_leave_nothing_behind() -> None:
    dice = random.Random(17)
    ledger = Ledger()
    heard: Counter[str] = Counter()
    async with Upstream(lambda side: _play(side, dice)) as upstream:
        async with Proxy(upstream.url, handlers=[ledger]) as proxy:
            slots = asyncio.Semaphore(150)

            async def one(number: int) -> None:
                async with slots:
                    await _ask(proxy.url, number, dice, heard)

            async def settled() -> tuple[int, int]:
                async with asyncio.timeout(20):
                    while proxy.running or len(asyncio.all_tasks()) > len(before):
                        await asyncio.sleep(0.01)
                gc.collect()
                return sum(1 for _ in Path("/proc/self/fd").iterdir()), _memory()

            before = asyncio.all_tasks()
            await asyncio.gather(*map(one, range(1000)))
            descriptors, memory = await settled()
            for first in (1000, 2000, 3000, 4000):
                await asyncio.gather(*map(one, range(first, first + 1000)))
                upstream.sides.clear()
            now, grown = await settled()
            assert abs(now - descriptors) <= 5
            assert grown - memory < 12 << 20
    assert ledger.mixed == []
    assert ledger.started == sum(ledger.endings.values())
    assert heard.total() == 5000
    assert min(heard["whole"], heard["short"], heard["reset"], heard["left"]) > 200
    assert {"complete", "ConnectionLostError", "StreamCancelled"} <= set(ledger.endings)
