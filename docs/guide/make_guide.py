"""Makes the numbers and the pictures of docs/from-a-log-to-a-decision.md. Usage: make_guide.py [--quick] [FOLDER]

It streams three variants of one service from the simulator, logs them, and asks `lm-deluge report`:

* A: today's service. It begins late and then flows evenly.
* B: a new service that begins sooner, behind a proxy that buffers, stalls now and then, and loses a few streams.
* B again, with the buffering turned off.

What the commands said goes between the `<!-- made: NAME -->` and `<!-- end -->` lines of the guide. All is seeded;
times differ by milliseconds from one machine to the next. FOLDER gets the guide and its pictures in place of docs/.
--quick streams fewer answers and makes no picture; without chromium there are no new pictures either.
"""

import asyncio
import contextlib
import io
import itertools
import os
import random
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

from lm_deluge import LLMClient, RetryPolicy, Timeouts
from lm_deluge.simulator import Gap, Simulator
from lm_deluge.timeline import Timeline, read_timelines
from lm_deluge_plugins import FileLogger

DOCS = Path(__file__).resolve().parent.parent
GUIDE = "from-a-log-to-a-decision.md"

MODEL = "gpt-4o-mini"
PACE = Gap.lognormal(median=0.04, sigma=0.3)  # 24 tokens a second, the same for all
LATE, SOON = Gap.lognormal(median=0.9, sigma=0.15), Gap.lognormal(median=0.25, sigma=0.3)

REPORT = "lm-deluge report a.jsonl b.jsonl --by variant --html report.html"
RULES = "--fail-if 'ttft.p95>0.9' --fail-if 'stalls.streams>5%' --max-regression 'gap.p95=50%'"
GATE = f"lm-deluge report b.jsonl --baseline a.jsonl {RULES}"
GATE_FIXED = GATE.replace("b.jsonl", "b-fixed.jsonl")


# -- the streams


class BufferingProxy:
    """Passes bytes on about twice a second, whatever came by then; every 45th time it dozes off."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._releases = itertools.count(1)
        self._holds = random.Random(1)  # noqa: S311 - seeded on purpose

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, requests = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pass_on(reader, requests, hold=False))
                both.create_task(self._pass_on(answers, writer, hold=True))
        except* ConnectionError:
            pass
        finally:
            requests.transport.abort()
            writer.transport.abort()

    async def _pass_on(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, hold: bool
    ) -> None:
        while data := await source.read(1 << 16):
            sink.write(data)
            if hold:
                dozes = next(self._releases) % 45 == 0
                await asyncio.sleep(2.0 if dozes else self._holds.uniform(0.35, 0.65))
        raise ConnectionResetError("one side has gone: let go of the other")

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """Listen; yield the base URL."""
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        finally:
            server.close()


async def ask(base_url: str, log: Path, variant: str, streams: int) -> None:
    """Stream some answers, twenty at a time, with the log that the guide is about."""
    with FileLogger(log, tags={"variant": variant}) as logger:
        client = LLMClient(
            MODEL,
            base_url=base_url,
            api_key="sk-simulated",
            handlers=[logger],
            printer=None,
            timeouts=Timeouts(between_tokens=3),
            retries=RetryPolicy.none(),
        )
        prompts = [f"Explain river number {number}." for number in range(streams)]
        async with client:
            async for _ in client.stream_many(prompts, concurrency=20):
                pass


def faults(*specs: str) -> list[str | None]:
    """Put faults on every fifth request, from the fourth one on."""
    listed: list[str | None] = [None] * (5 * len(specs))
    listed[3::5] = specs
    return listed


async def stream_all(folder: Path, streams: int) -> None:
    """A and B side by side, as in an experiment; then B without its proxy's buffer."""
    async with (
        Simulator(seed=1, ttft=LATE, gap=PACE, faults=faults("reset:40")) as a,
        Simulator(seed=2, ttft=SOON, gap=PACE, faults=faults("reset:30", "stall:25", "reset:45")) as b,
        BufferingProxy(b.port).running() as b_url,
    ):
        await asyncio.gather(
            ask(a.base_url, folder / "a.jsonl", "A", streams),
            ask(b_url, folder / "b.jsonl", "B", streams),
        )
    async with Simulator(seed=3, ttft=SOON, gap=PACE, faults=faults("reset:30")) as b:
        await ask(b.base_url, folder / "b-fixed.jsonl", "B", streams)
