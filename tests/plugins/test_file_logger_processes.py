"""``FileLogger`` in processes that share a file, fork, are killed, end, or may write no more."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from lm_deluge_plugins import FileLogger
from support.logs import fake_stream, lines_of
from support.scripted import (
    HEADERS,
    ScriptedServer,
    answer,
    events,
    http,
)

pytestmark = pytest.mark.program


def start(program: str, *arguments: object, **options: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **options,
    )


async def finish(*processes: subprocess.Popen[bytes]) -> None:
    for process in processes:
        output, errors = await asyncio.to_thread(process.communicate, timeout=60)
        assert (process.returncode, output, errors) == (0, b"", b"")


STREAMS = """
import asyncio, sys
from lm_deluge import LLMClient
from lm_deluge_plugins import FileLogger

async def main(url, path, count):
    client = LLMClient("gpt-4o", base_url=url, api_key="sk-test-123456", printer=None,
                       handlers=[FileLogger(path)])
    for response in await asyncio.gather(*(client.stream("hi") for _ in range(count))):
        assert not response.handler_failures

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


@pytest.mark.slow
async def test_several_processes_append_to_one_file(path: Path) -> None:
    texts = [f"{n} {'x' * 500}" for n in range(40)]
    async with ScriptedServer(answer(*texts)) as server:
        await finish(*(start(STREAMS, server.base_url, path, 10) for _ in range(4)))
    by_stream: dict[str, list[dict[str, Any]]] = {}
    for line in lines_of(path):
        by_stream.setdefault(line["s"], []).append(line)
    assert len(by_stream) == 40
    for lines in by_stream.values():
        assert [line["e"] for line in lines] == ["start", *["token"] * 40, "complete"]
        assert [line["text"] for line in lines[1:-1]] == texts


KILLED = """
import asyncio, sys
from lm_deluge import LLMClient
from lm_deluge_plugins import FileLogger
client = LLMClient("gpt-4o", base_url=sys.argv[1], api_key="sk-test-123456",
                   handlers=[FileLogger(sys.argv[2])])
asyncio.run(client.stream("hi"))
"""


@pytest.mark.slow
async def test_a_killed_process_loses_at_most_half_a_second(path: Path) -> None:
    steps: list[Any] = [HEADERS]
    for n in range(2000):
        steps += [http(events(f"{n}\n")), 0.002]
    async with ScriptedServer(steps) as server:
        process = start(KILLED, server.base_url, path)
        assert process.stdout is not None
        printed_at: list[float] = []

        def watch() -> None:
            assert process.stdout is not None
            for _ in process.stdout:  # the printer writes each token at once
                printed_at.append(time.monotonic())
                if printed_at[-1] - printed_at[0] > 1.2:
                    break
            process.kill()

        await asyncio.to_thread(watch)
        killed_at = time.monotonic()
        process.wait(timeout=10)
        process.stdout.close()
        assert process.stderr is not None
        process.stderr.close()
    *lines, last = path.read_bytes().split(b"\n")
    logged = [json.loads(line) for line in lines if line]  # at most the last one is cut
    assert last == b"" or len(last) < 200
    tokens = [line["i"] for line in logged if line["e"] == "token"]
    assert tokens == list(range(len(tokens)))
    due = sum(at < killed_at - 0.5 for at in printed_at)
    assert due > 50
    assert len(tokens) >= due

    # Whoever writes next begins a new line.
    with FileLogger(path) as logger:
        logger.on_start(fake_stream("next"))
    assert json.loads(path.read_bytes().rstrip().split(b"\n")[-1])["s"] == "next"


EXIT = """
import sys
from types import SimpleNamespace
from lm_deluge import Token
from lm_deluge_plugins import FileLogger
stream = SimpleNamespace(id="s", model="m", base_url="", tags={}, started_at=None, queued=0.0,
                         prompt_chars=0, prompt="", prompt_hash="", busy=0.0, elapsed=0.0)
logger = FileLogger(sys.argv[1])
logger.on_start(stream)
for index in range(1000):
    logger.on_token(stream, Token("x", index, 0.5, index))
"""


@pytest.mark.parametrize(
    "how", ["", "sys.exit(0)", "del logger", "logger.flush()", "logger.close()"]
)
async def test_nothing_is_lost_at_the_end_of_the_program(path: Path, how: str) -> None:
    await finish(start(EXIT + how, path))
    assert [line["i"] for line in lines_of(path)[1:]] == list(range(1000))


async def test_a_disk_that_hangs_does_not_keep_a_program_from_ending(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    async with asyncio.timeout(10):
        impatient = "from lm_deluge import appending; appending._EXIT = 0.3\n"
        await finish(start(impatient + EXIT, path))


FORK = (
    EXIT
    + """
import os
other = SimpleNamespace(**{**vars(stream), "id": "child"})
if sys.argv[2] == "flushed":
    logger.flush()
child = os.fork()
if child == 0:
    logger.on_start(other)
    logger.on_token(other, Token("y", 0, 0.5, 0))
    if sys.argv[3] == "flush":
        logger.flush()
    sys.exit(0)
logger.on_token(stream, Token("x", 1000, 0.5, 1000))
assert os.waitpid(child, 0)[1] == 0
"""
)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("before", ["flushed", "waiting"])
@pytest.mark.parametrize("after", ["flush", "exit"])
async def test_after_a_fork_parent_and_child_each_write_their_own_lines_once(
    path: Path, before: str, after: str
) -> None:
    await finish(
        start("import warnings; warnings.simplefilter('ignore')" + FORK, path, before, after)
    )
    by_stream: dict[str, list[Any]] = {}
    for line in lines_of(path):
        by_stream.setdefault(line["s"], []).append(line.get("i"))
    assert by_stream == {"s": [None, *range(1001)], "child": [None, 0]}


# The limit ends after the logger and before what was there earlier: a tracer's data has to fit, too.
QUOTA = """
import asyncio, atexit, resource, sys
from lm_deluge import LLMClient
from lm_deluge_plugins import FileLogger

usual = resource.getrlimit(resource.RLIMIT_FSIZE)
atexit.register(resource.setrlimit, resource.RLIMIT_FSIZE, usual)

async def main(url, path):
    client = LLMClient("gpt-4o", base_url=url, api_key="sk-test-123456", printer=None,
                       handlers=[FileLogger(path)])
    await client.stream("hi")
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, usual[1]))
    response = await client.stream("hi")
    assert response.completion == "word " * 100, response
    (failure,) = response.handler_failures
    assert (failure.handler, failure.type) == ("FileLogger", "OSError"), failure
    assert "File too large" in failure.message and path in failure.message, failure

asyncio.run(main(sys.argv[1], sys.argv[2]))
"""


async def test_a_file_that_may_grow_no_further_keeps_what_fits(path: Path) -> None:
    async with ScriptedServer(answer("a"), answer(*["word "] * 100)) as server:
        process = start(QUOTA, server.base_url, path)
        output, errors = await asyncio.to_thread(process.communicate, timeout=60)
    assert process.returncode == 0, errors.decode()
    assert output == b""
    assert b"handler FileLogger failed" in errors  # logged, and that is all
    assert path.stat().st_size <= 2000
    *whole, _half = path.read_bytes().split(b"\n")
    assert [json.loads(line)["e"] for line in whole if line][:3] == ["start", "token", "complete"]
