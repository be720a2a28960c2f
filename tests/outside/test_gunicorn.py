"""lm_deluge.sync behind gunicorn: a client of the master's, used by the workers that are forked from it."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

import aiohttp
import pytest

from lm_deluge.simulator import Simulator
from support.outside import pip_program, serving
from support.programs import simulated

pytestmark = pytest.mark.slow

WORDS = " ".join(f"word{n}" for n in range(20))

APP = """
import os
from lm_deluge.sync import LLMClient

client = LLMClient("gpt-4.1-mini", printer=None)
master = os.getpid()
warm = client.stream("hi").completion  # the master has a loop, a thread and a connection by then

def app(environ, start_response):
    assert os.getpid() != master
    start_response("200 OK", [("X-Worker", str(os.getpid())), ("X-Warm", warm)])
    with client.open_stream("hi") as stream:
        for token in stream:
            yield token.text.encode()
"""


@pytest.mark.parametrize("threads", [1, 4])
async def test_workers_of_a_preloaded_app_stream_each_with_a_loop_of_its_own(
    tmp_path: Path, threads: int
) -> None:
    gunicorn = pip_program("gunicorn==23.0.0", "gunicorn")
    (packages,) = gunicorn.parent.parent.glob("lib/python*/site-packages")
    (tmp_path / "preloaded.py").write_text(APP)
    # On a thread: the loop waits until the server has begun, and that asks the simulator.
    with Simulator(text=WORDS, gap=0.05) as simulator:
        env = simulated(simulator)
        path = os.pathsep.join([str(tmp_path), env["PYTHONPATH"], str(packages)])

        def command(port: int) -> list[str]:
            return [
                sys.executable, "-m", "gunicorn", "--preload", "--workers", "2", "--threads",
                str(threads), "--bind", f"127.0.0.1:{port}", "preloaded:app",
            ]  # fmt: skip

        with serving(command, **{**env, "PYTHONPATH": path}) as url:
            async with aiohttp.ClientSession() as session:

                async def ask() -> tuple[str, str, float]:
                    async with session.get(url) as answer:
                        assert answer.headers["X-Warm"] == WORDS
                        first = await answer.content.readany()
                        begun = time.monotonic()
                        rest = await answer.content.read()
                        text = (first + rest).decode()
                        return answer.headers["X-Worker"], text, time.monotonic() - begun

                answers = await asyncio.gather(*(ask() for _ in range(8)))
                answers += await asyncio.gather(*(ask() for _ in range(8)))
    assert {text for _, text, _ in answers} == {WORDS}
    # A worker with threads may take all connections before the other one has looked.
    assert len({worker for worker, _, _ in answers}) == 2 or threads > 1
    # Word by word: nineteen gaps of 0.05 s lie behind the first.
    assert min(seconds for _, _, seconds in answers) > 0.5
