"""Recorded answers through the proxy: the app gets the same bytes, and the log is what our own client's is.

Our own client is the app here: both write the timeline of one and the same stream, each from what it read.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from lm_deluge import LLMClient, RetryPolicy
from lm_deluge.errors import StreamError
from lm_deluge.proxy import Proxy
from lm_deluge_plugins import FileLogger
from support.dialects import FOLDERS, OWN, recorded
from support.logs import lines_of
from support.raw_http import Asker, Side, Upstream, reset
from support.wires import WIRES

HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nx-request-id: req_1\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
LAST = b"0\r\n\r\n"
KEY = "sk-proxied-0123456789abcdef"

#: Bytes of a body up to which it is also sent in single ones; longer ones in cuts of 2 to 7,
#: and those of over so many in larger ones.
_SINGLE, _SMALL = 2_000, 20_000

_FOLDERS = {"responses": "openai_responses", "messages": "anthropic", "gemini": "gemini"}


def _recordings() -> Iterator[Any]:
    """Yield wire, file and count of choices; those that are not ours are slow."""
    chats = {
        root / name: max(1, len(expected["choices"]))
        for root in FOLDERS
        for name, expected in json.loads((root / "expected.json").read_text("utf-8")).items()
    }
    files = [("chat", file, choices) for file, choices in chats.items()]
    for wire, folder in _FOLDERS.items():
        files += [(wire, file, 1) for file in recorded(folder)]
    for place, (wire, file, choices) in enumerate(files):
        quick = file.is_relative_to(OWN) and place % 7 == 0
        marks = [] if quick else [pytest.mark.slow]
        yield pytest.param(wire, file, choices, marks=marks, id=f"{wire}-{file.stem}")


def _cuts(file: Path) -> list[list[bytes]]:
    """A recording of our own whole, in small pieces and in larger ones; one of others in one way."""
    ways = list(_ways(file.read_bytes()))
    return ways if file.is_relative_to(OWN) else [ways[sum(file.name.encode()) % len(ways)]]


def _ways(body: bytes) -> Iterator[list[bytes]]:
    dice = random.Random(len(body))
    more = 1 + len(body) // _SMALL  # some thousand pieces are enough of the small ones
    yield [body]
    for sizes in (
        (1,) if len(body) <= _SINGLE else (2 * more, 3 * more, 5 * more, 7 * more),
        (1, 2, 3, 50, 700, 4096),
    ):
        pieces, at = [], 0
        while at < len(body):
            pieces.append(body[at : (at := at + dice.choice(sizes))])
        yield pieces


class Playing:
    """An upstream that answers each request with the same reads, and then ends as it is told."""

    def __init__(self) -> None:
        self.reads: list[bytes] = []
        self.ending = "whole"

    async def __call__(self, side: Side) -> None:
        while True:
            head = await side.head()
            await side.exactly(
                int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
            )
            await side.write(HEAD)
            for data in self.reads:
                await side.write(data)
                # The turns that a byte takes to the app: what is written next is another read.
                for _ in range(4):
                    await asyncio.sleep(0)
            if self.ending == "reset":
                await asyncio.sleep(0.002)
                reset(side.writer)
                return
            if self.ending == "short":
                return
            await side.write(LAST)

    @property
    def sent(self) -> bytes:
        return HEAD + b"".join(self.reads) + (LAST if self.ending == "whole" else b"")


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


@asynccontextmanager
async def _between(tmp_path: Path) -> AsyncIterator[tuple[Playing, Proxy, Path]]:
    playing, log = Playing(), tmp_path / "proxy.jsonl"
    with FileLogger(log) as logger:
        async with Upstream(playing) as upstream:
            async with Proxy(upstream.url, handlers=[logger]) as proxy:
                yield playing, proxy, log
                await proxy.finish()


async def _ask(proxy: Proxy, wire: str, choices: int) -> tuple[bytes, str]:
    """Return what a plain client gets, and how it ends."""
    body = {"model": "a-model", "stream": True, "n": choices, "messages": [], "input": ""}
    path = {
        "chat": "/v1/chat/completions",
        "responses": "/v1/responses",
        "messages": "/v1/messages",
        "gemini": "/v1/models/a-model:streamGenerateContent?alt=sse",
    }[wire]
    data = json.dumps(body).encode()
    async with Asker(proxy.url) as asker, asyncio.timeout(60):
        await asker.write(
            b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b"
            % (path.encode(), len(data), data)
        )
        got = bytearray()
        while not got.endswith(LAST):
            try:
                piece = await asker.reader.read(1 << 16)
            except ConnectionError:
                return bytes(got), "reset"
            if not piece:
                return bytes(got), "end"
            got += piece
    return bytes(got), "whole"


async def _stream(proxy: Proxy, wire: str, choices: int, log: Path) -> None:
    """Let our own client be the app, which writes a log of its own."""
    with FileLogger(log) as logger:
        client = LLMClient(
            "a-model",
            base_url=proxy.base_url,
            dialect=wire,
            api_key=KEY,
            printer=None,
            retries=RetryPolicy.none(),
            handlers=[logger],
            extra_body={"n": choices} if choices > 1 else {},
        )
        # The second one finds a connection: of the first, the two measure unlike ways.
        for _ in range(2):
            try:
                await client.stream("Hi")
            except StreamError:
                pass
        await client.close()


#: What two who watch one stream know differently: who they are, whom they asked, when, and in how many reads
#: each took what the other had in one.
_THEIRS = frozenset(
    {"s", "t", "at", "base_url", "queued", "busy", "d", "connected", "tags", "read"}
)
_PROMPTS = frozenset({"prompt", "prompt_chars", "prompt_hash"})


def _streams(log: Path) -> list[list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for line in lines_of(log):
        found.setdefault(line["s"], []).append(line)
    return list(found.values())


def _same(lines: list[dict[str, Any]], without: frozenset[str] = frozenset()) -> list[Any]:
    return [{k: v for k, v in line.items() if k not in _THEIRS | without} for line in lines]


@pytest.mark.parametrize(("wire", "file", "choices"), list(_recordings()))
async def test_a_recording_passes_and_is_told_as_our_own_client_tells_it(
    wire: str, file: Path, choices: int, tmp_path: Path
) -> None:
    for number, pieces in enumerate(_cuts(file)):
        folder = tmp_path / str(number)
        folder.mkdir()
        async with _between(folder) as (playing, proxy, log):
            playing.reads = [_chunk(piece) for piece in pieces]
            got, ending = await _ask(proxy, wire, choices)
            assert (ending, got == playing.sent) == ("whole", True)
            await _stream(proxy, wire, choices, folder / "client.jsonl")
        plain, *by_proxy = _streams(log)
        by_client = _streams(folder / "client.jsonl")
        assert len(by_proxy) == len(by_client) == 2
        for one, other in zip(by_proxy, by_client, strict=True):
            assert _same(one) == _same(other)
        prompted = _PROMPTS | {"client"}
        assert _same(plain, prompted) == _same(by_proxy[0], prompted)
        for seen, heard in zip(by_proxy, by_client, strict=True):
            # It begins before the proxy's stream, and hears of nothing before the proxy does.
            late = [b["t"] - a["t"] for a, b in zip(seen, heard, strict=True)]
            assert min(late) >= -2e-6


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("ending", ["short", "reset"])
async def test_a_recording_that_breaks_off_is_told_as_our_own_client_tells_it(
    wire: str, ending: str, tmp_path: Path
) -> None:
    body = next(OWN.glob(f"{_FOLDERS.get(wire, 'openai_chat')}/text*.sse")).read_bytes()
    dice = random.Random(17)
    for place in dice.sample(range(1, len(body)), 4):
        folder = tmp_path / str(place)
        folder.mkdir()
        async with _between(folder) as (playing, proxy, log):
            playing.reads = [_chunk(body[: place // 2]), _chunk(body[place // 2 : place])]
            playing.ending = ending
            got, how = await _ask(proxy, wire, 1)
            assert (how, got == playing.sent) == ({"short": "end"}.get(ending, ending), True)
            await _stream(proxy, wire, 1, folder / "client.jsonl")
        plain, *by_proxy = _streams(log)
        by_client = _streams(folder / "client.jsonl")
        for one, other in zip(by_proxy, by_client, strict=True):
            # The words in which a connection's end is told are those of whoever reads it.
            assert _same(one, frozenset({"message"})) == _same(other, frozenset({"message"}))
        assert by_client[0][-1]["e"] == plain[-1]["e"] == "error"
