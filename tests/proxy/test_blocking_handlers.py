"""A handler that blocks holds up the loop for its own turn: bytes go first, and the log has its length."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lm_deluge import Stream, Token
from lm_deluge.proxy import Proxy
from lm_deluge.simulator import Simulator
from lm_deluge.timeline import read_timelines
from lm_deluge_plugins import FileLogger
from support.raw_http import Asker

#: Seconds of one turn.
BLOCKS = 0.25
COUNT = 5
STREAMS = 6
WORDS = [f" word-{number}" for number in range(COUNT)]


class Blocking:
    """Holds up the loop at each piece of one stream; ``turns``: when each began and ended, by its text."""

    def __init__(self) -> None:
        self.chosen = ""
        self.turns: dict[str, tuple[float, float]] = {}

    def on_start(self, stream: Stream) -> None:
        self.chosen = self.chosen or stream.id

    def on_token(self, stream: Stream, token: Token) -> None:
        if stream.id == self.chosen:
            began = time.perf_counter()
            threading.Event().wait(BLOCKS)
            self.turns[token.text] = (began, time.perf_counter())


def _asked() -> bytes:
    body = json.dumps(
        {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
    )
    return (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer k\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


@contextmanager
def _running(log: Path, blocking: Blocking) -> Iterator[Proxy]:
    """A proxy and a server on threads of their own, so that only the proxy is held up."""
    logger = FileLogger(log)
    with Simulator(text=WORDS, gap=0.02) as simulator:
        with Proxy(simulator.url, handlers=[blocking, logger]) as proxy:
            yield proxy
            proxy.run(proxy.finish())
    logger.close()


async def _arrivals(proxy: Proxy) -> tuple[dict[str, float], bytes]:
    """When each piece was there, and all bytes."""
    found: dict[str, float] = {}
    async with Asker(proxy.url) as asker:
        await asker.write(_asked())
        while not asker.raw.endswith(b"0\r\n\r\n"):
            asker.raw += await asker.reader.read(1 << 16)
            now = time.perf_counter()
            for word in WORDS:
                if word.encode() in asker.raw:
                    found.setdefault(word, now)
        return found, asker.raw


async def test_bytes_go_before_the_handler_and_other_streams_wait_for_its_turn_alone(
    tmp_path: Path,
) -> None:
    log, blocking = tmp_path / "log.jsonl", Blocking()
    began = time.perf_counter()
    with _running(log, blocking) as proxy:
        answers = await asyncio.gather(*(_arrivals(proxy) for _ in range(STREAMS)))
        whole = time.perf_counter() - began
    for arrived, raw in answers:
        assert list(arrived) == WORDS
        assert raw.count(b"[DONE]") == 1
    # Whoever's stream it was had each of its pieces before the handler was through with it.
    assert any(
        all(arrived[word] < blocking.turns[word][1] for word in WORDS) for arrived, _ in answers
    )
    turns = sum(end - start for start, end in blocking.turns.values())
    assert len(blocking.turns) == COUNT
    # Nobody waits for more than the turns there were: not once for each stream, or each read.
    assert whole < turns + STREAMS * BLOCKS + 5

    *others, own = sorted(read_timelines(log), key=lambda timeline: timeline.handlers or 0.0)
    assert own.handlers is not None
    assert own.handlers >= BLOCKS * 0.9
    assert len(others) == STREAMS - 1
    for other in others:
        # Their own handlers were quick: what something else held the loop for is not theirs.
        assert (other.handlers or 0.0) < BLOCKS / 2
