"""``FileLogger`` and its file: when a line is written, which paths will do, disks that fail or are slow."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import threading
import time
import weakref
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lm_deluge.errors import InternalServerError
from lm_deluge_plugins import FileLogger
from lm_deluge_plugins.file_logger import _BATCH
from support.clients import client_for
from support.logs import fake_stream, kinds_of, lines_of, token
from support.scripted import (
    END,
    HANG,
    HEADERS,
    ScriptedServer,
    answer,
    ending,
    events,
    http,
    reply,
)

# The end is on disk when the stream has ended


async def test_the_last_line_is_on_disk_when_the_stream_returns(path: Path) -> None:
    logger = FileLogger(path)
    async with ScriptedServer(answer("a")) as server:
        client = client_for(server, handlers=[logger])
        for turn in range(5):
            await client.stream("hi")
            assert kinds_of(path).count("complete") == turn + 1


async def test_the_lines_of_an_open_stream_are_on_disk_within_half_a_second(path: Path) -> None:
    go_on = asyncio.Event()
    steps = [HEADERS, http(events("a")), go_on, http(ending()) + END]
    async with ScriptedServer(steps) as server:
        task = asyncio.ensure_future(client_for(server, handlers=[FileLogger(path)]).stream("hi"))
        await server.until(lambda: server.requests)
        begun = time.monotonic()
        while not (path.exists() and "token" in kinds_of(path)):
            assert time.monotonic() - begun < 0.5 + 0.5  # the second is for a busy machine
            await asyncio.sleep(0.01)
        go_on.set()
        await task


def test_the_end_of_asyncio_run_is_logged(path: Path) -> None:
    async def main() -> None:
        server = ScriptedServer([HEADERS, http(events("a")), HANG])
        await server.__aenter__()
        stream = client_for(server, handlers=[FileLogger(path)]).open_stream("hi")
        async with asyncio.timeout(5):
            async for _ in stream:
                break
        server._server.close()

    asyncio.run(main())
    assert kinds_of(path) == ["start", "token", "error"]
    assert lines_of(path)[-1]["error"] == "StreamCancelled"


async def test_it_can_be_closed_and_used_again(path: Path) -> None:
    path = path.with_name("closed.jsonl")  # a name of its own: threads of other tests may linger

    def threads() -> int:
        return sum(thread.name == f"FileLogger {path.name}" for thread in threading.enumerate())

    async with ScriptedServer(answer("a")) as server:
        with FileLogger(path) as logger:
            client = client_for(server, handlers=[logger])
            await client.stream("hi")
            assert threads() == 1
        assert threads() == 0
        logger.close()
        await client.stream("hi")
        assert threads() == 1
        logger.close()
    assert kinds_of(path).count("complete") == 2


async def test_a_logger_that_is_gone_leaves_no_thread(path: Path) -> None:
    path = path.with_name("gone.jsonl")

    async with ScriptedServer(answer("a")) as server:
        client = client_for(server, handlers=[FileLogger(path)])
        await client.stream("hi")
        del client
    gc.collect()
    assert not any(thread.name == f"FileLogger {path.name}" for thread in threading.enumerate())


def test_flush_writes_what_waits(path: Path) -> None:
    logger = FileLogger(path)
    logger.on_start(fake_stream())
    logger.on_token(fake_stream(), token(0))
    logger.flush()
    assert kinds_of(path) == ["start", "token"]
    logger.flush()
    assert kinds_of(path) == ["start", "token"]
    logger.close()


def test_more_lines_than_a_batch_are_written_without_waiting(path: Path) -> None:
    stream, count = fake_stream(), 3 * _BATCH
    with FileLogger(path) as logger:
        for index in range(count):
            logger.on_token(stream, token(index))
    assert [line["i"] for line in lines_of(path)] == list(range(count))


def test_lines_of_many_threads_are_all_written(path: Path) -> None:
    def work(name: str) -> None:
        for index in range(2000):
            logger.on_token(fake_stream(name), token(index))
            if index % 500 == 0:
                logger.close() if index % 1000 == 0 else logger.flush()

    logger = FileLogger(path)
    threads = [threading.Thread(target=work, args=(f"t{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    logger.close()
    written = Counter((line["s"], line["i"]) for line in lines_of(path))
    assert written == Counter((f"t{n}", index) for n in range(4) for index in range(2000))


# Paths


def test_a_directory_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match=str(tmp_path)):
        FileLogger(tmp_path)


def test_a_directory_that_does_not_exist_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        FileLogger(tmp_path / "nowhere" / "log")
    (tmp_path / "file").touch()
    with pytest.raises(FileNotFoundError):
        FileLogger(tmp_path / "file" / "log")


def test_nothing_is_created_before_the_first_line(path: Path) -> None:
    FileLogger(path).close()
    assert not path.exists()


@pytest.mark.parametrize("kind", [str, Path, lambda p: SimpleNamespace(__fspath__=lambda: str(p))])
def test_a_path_may_be_text_or_a_path(path: Path, kind: Any) -> None:
    if kind not in (str, Path):

        class PathLike:
            def __fspath__(self) -> str:
                return str(path)

        given: Any = PathLike()
    else:
        given = kind(path)
    with FileLogger(given) as logger:
        logger.on_start(fake_stream())
    assert kinds_of(path) == ["start"]


async def test_a_log_that_is_there_already_is_appended_to(path: Path) -> None:
    path.write_text('{"half": ')
    with FileLogger(path) as logger:
        logger.on_start(fake_stream())
    half, *rest = path.read_text().splitlines()
    assert half == '{"half": '
    assert json.loads(rest[0])["e"] == "start"


async def test_a_file_that_was_moved_away_is_opened_anew(path: Path, tmp_path: Path) -> None:
    logger = FileLogger(path)
    async with ScriptedServer(answer("a")) as server:
        client = client_for(server, handlers=[logger])
        await client.stream("hi")
        path.rename(tmp_path / "log.1")
        await client.stream("hi")
        path.unlink()
        await client.stream("hi")
    assert kinds_of(tmp_path / "log.1") == ["start", "token", "complete"]
    assert kinds_of(path) == ["start", "token", "complete"]


# Disks that fail


async def test_a_removed_directory_is_a_failure_of_the_handler_and_heals(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    path = folder / "log"
    async with ScriptedServer(answer("a")) as server:
        client = client_for(server, handlers=[FileLogger(path)])
        await client.stream("hi")
        path.unlink()
        folder.rmdir()
        response = await client.stream("hi")
        folder.mkdir()
        after = await client.stream("hi")
    assert response.completion == "a"
    (failure,) = response.handler_failures
    assert (failure.handler, failure.method, failure.type) == (
        "FileLogger",
        "on_complete",
        "FileNotFoundError",
    )
    assert str(path) in failure.message
    assert after.handler_failures == []
    assert kinds_of(path) == ["start", "token", "complete"]


async def test_lines_lost_in_the_middle_are_told_though_the_last_one_was_written(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    path = folder / "log"
    logger, go_on = FileLogger(path), asyncio.Event()
    steps = [HEADERS, http(events("a")), go_on, http(ending()) + END]
    async with ScriptedServer(steps) as server:
        client = client_for(server, handlers=[logger])
        folder.rmdir()
        task = asyncio.ensure_future(client.stream("hi"))
        async with asyncio.timeout(5):
            while logger._writer.failures == 0 or logger._writer._items:
                await asyncio.sleep(0.01)
        folder.mkdir()
        go_on.set()
        response = await task
    assert kinds_of(path)[-1] == "complete"
    (failure,) = response.handler_failures
    assert (failure.method, failure.type) == ("on_complete", "FileNotFoundError")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
async def test_a_full_disk_is_a_failure_of_the_handler_and_the_answer_is_whole() -> None:
    logger = FileLogger("/dev/full")
    held = []

    class Holder:
        def on_start(self, stream: Any) -> None:
            held.append(weakref.ref(stream))

    async with ScriptedServer(answer("a"), reply("500 Oops", "{}")) as server:
        client = client_for(server, handlers=[logger, Holder()])
        response = await client.stream("hi")
        with pytest.raises(InternalServerError) as caught:
            await client.stream("hi")
        with pytest.raises(OSError, match="No space left"):
            logger.on_start(fake_stream())
            logger.flush()
        await client.close()
    assert response.completion == "a"
    for failures, method in (
        (response.handler_failures, "on_complete"),
        (caught.value.handler_failures, "on_error"),
    ):
        (failure,) = failures
        assert (failure.method, failure.type) == (method, "OSError")
        assert "No space left on device: '/dev/full'" in failure.message
    gc.collect()
    # The logger keeps why it failed, and that keeps no stream.
    assert [ref() for ref in held] == [None, None]
    logger.close()


async def test_a_slow_disk_holds_up_neither_the_event_loop_nor_the_answer(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)  # opening it waits for a reader
    logger = FileLogger(path)
    longest = 0.0

    async def beat() -> None:
        nonlocal longest
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.01)
            longest = max(longest, time.perf_counter() - before)

    async with ScriptedServer(answer(*["word "] * 50)) as server:
        client = client_for(server, handlers=[logger], handler_wait=0.2)
        heart = asyncio.ensure_future(beat())
        response = await client.stream("hi")
        heart.cancel()
        assert response.completion == "word " * 50
        (failure,) = response.handler_failures
        assert (failure.handler, failure.type) == ("FileLogger", "HandlerLagging")
        assert longest < 0.5  # blocked, it would not beat at all

        # Once the disk answers, everything is written: what waited, and what comes after.
        reader = await asyncio.to_thread(path.open, "rb")
        again = await client.stream("hi")
        assert again.handler_failures == []
    await asyncio.to_thread(logger.close)
    with reader:
        lines = [json.loads(line) for line in reader.read().split(b"\n") if line]
    assert Counter(line["e"] for line in lines) == {"start": 2, "token": 100, "complete": 2}
