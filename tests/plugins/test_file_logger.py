"""``FileLogger``: the timeline log, whole whatever happens to the disk, the process or the stream."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import subprocess
import sys
import threading
import time
import weakref
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lm_deluge import Delta, LLMClient, RetryPolicy, SamplingParams, Token, attach
from lm_deluge.errors import ConnectionLostError, InternalServerError, RateLimitError
from lm_deluge_plugins import FileLogger
from lm_deluge_plugins.file_logger import _BATCH
from scripted import (
    DONE,
    END,
    HANG,
    HEADERS,
    RESET,
    USAGE,
    ScriptedServer,
    answer,
    delta,
    ending,
    events,
    http,
    reply,
    sse,
)

RETRIES = RetryPolicy(initial_delay=0.0)


def client_for(server: ScriptedServer, **kwargs: Any) -> LLMClient:
    kwargs.setdefault("retries", RetryPolicy.none())
    return LLMClient(
        "gpt-4o", base_url=server.base_url, api_key="sk-test-key-123456", printer=None, **kwargs
    )


def lines_of(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a log; every one that is not blank has to be whole."""
    return [json.loads(line) for line in path.read_bytes().split(b"\n") if line]


def kinds_of(path: Path) -> list[str]:
    return [line["e"] for line in lines_of(path)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.jsonl"


# What is in it

CALL = {"index": 0, "id": "call_1", "function": {"name": "weather", "arguments": '{"a": 1}'}}


def everything() -> list[Any]:
    first = sse(delta(reasoning="hm")) + events("Once", " upon") + sse(delta("other", index=1))
    second = sse(delta(refusal="no")) + sse(delta(tool_calls=[CALL])) + events(" a")
    return [HEADERS, http(first), 0.02, http(second), http(ending()) + END]


async def test_each_line_has_the_fields_of_the_table(path: Path) -> None:
    begun = datetime.now(UTC)
    body = '{"error": {"message": "busy"}}'
    async with ScriptedServer(reply("503 Busy", body), everything()) as server:
        client = client_for(
            server, retries=RETRIES, handlers=[FileLogger(path)], tags={"variant": "B"}
        )
        asked = SamplingParams(n=2)
        response = await client.stream("What is it?", sampling_params=asked, tags={"run": 7})
    assert path.read_bytes().startswith(b"\n{")
    assert path.read_bytes().endswith(b"}\n")
    lines = lines_of(path)
    (id_,) = {line.pop("s") for line in lines}
    assert len(id_) >= 16
    assert {line.pop("v") for line in lines} == {1}
    times = [line.pop("t") for line in lines]
    assert times == sorted(times)
    assert times[0] == 0.0
    assert times[-1] == pytest.approx(response.elapsed, abs=1e-6)
    start, retry, reasoning, once, upon, other, refusal, call, last, complete = lines

    at = datetime.fromisoformat(start.pop("at"))
    assert at.utcoffset() == timedelta(0)
    assert begun - timedelta(seconds=1) <= at <= datetime.now(UTC)
    assert start.pop("queued") >= 0
    assert start == {
        "e": "start",
        "model": "gpt-4o",
        "base_url": server.base_url,
        "tags": {"variant": "B", "run": 7},
        "prompt_chars": len("What is it?"),
    }
    assert retry == {"e": "retry", "error": "InternalServerError", "attempt": 1, "delay": 0.0}

    first_read = reasoning["read"]
    for line in (reasoning, once, upon, other, refusal, last):
        assert 0 <= line.pop("d") < 1
        assert line.pop("read") == (first_read if line in (reasoning, once, upon, other) else 1)
    # Once per read, with its first piece.
    assert 0 <= reasoning.pop("busy") < 1
    assert 0 <= refusal.pop("busy") < 1
    assert reasoning == {"e": "reasoning", "i": 0, "text": "hm"}
    assert once == {"e": "token", "i": 0, "text": "Once"}
    assert upon == {"e": "token", "i": 1, "text": " upon"}
    assert other == {"e": "token", "i": 2, "text": "other", "choice": 1}
    assert refusal == {"e": "refusal", "i": 0, "text": "no"}
    assert call == {"e": "tool_call", "index": 0, "name": "weather", "len": 8}
    assert last == {"e": "token", "i": 3, "text": " a"}
    assert 0 <= complete.pop("busy", 0) < 1  # only where it was long
    assert complete == {
        "e": "complete",
        "model": "gpt-4o",
        "finish_reason": "stop",
        "usage": {
            "input_tokens": USAGE["prompt_tokens"],
            "output_tokens": USAGE["completion_tokens"],
            "total_tokens": USAGE["total_tokens"],
            "cache_read_tokens": None,
            "reasoning_tokens": None,
        },
        "cost": response.cost,
        "response_id": "chatcmpl-1",
        "attempts": 2,
    }
    assert response.cost is not None


async def test_times_are_those_of_the_arrival_and_not_of_the_handler(path: Path) -> None:
    class Slow:
        def on_token(self, stream: Any, token: Token) -> None:
            time.sleep(0.03)

    tokens: list[Token] = []
    steps = [HEADERS, http(events("a", "b")), 0.02, http(events("c") + ending()) + END]
    async with ScriptedServer(steps) as server:
        keep = SimpleNamespace(on_token=lambda stream, token: tokens.append(token))
        await client_for(server, handlers=[keep, Slow(), FileLogger(path)]).stream("hi")
    logged = [line for line in lines_of(path) if line["e"] == "token"]
    assert [line["t"] for line in logged] == pytest.approx([t.arrived for t in tokens], abs=1e-6)
    a, b, c = logged
    assert a["d"] >= 0.03
    assert b["d"] >= 0.06  # held up by the slow handler twice
    assert "busy" not in b
    assert a["busy"] < 0.03
    assert c["busy"] >= 0.06  # what the read before cost


async def test_without_usage_it_is_null_and_not_zero(path: Path) -> None:
    steps = [HEADERS, http(events("a") + ending(usage=False)) + END]
    async with ScriptedServer(steps) as server:
        await client_for(server, handlers=[FileLogger(path)]).stream("hi")
    complete = lines_of(path)[-1]
    assert (complete["usage"], complete["cost"]) == (None, None)


async def test_an_error_says_what_was_waited_for_and_how_much_came(path: Path) -> None:
    chunks = [delta(reasoning="hm"), delta(tool_calls=[CALL]), delta("Once")]
    body = b"".join(sse(chunk) for chunk in chunks)
    async with ScriptedServer([HEADERS, http(body), RESET]) as server:
        with pytest.raises(ConnectionLostError) as caught:
            await client_for(server, handlers=[FileLogger(path)]).stream("hi")
    error = lines_of(path)[-1]
    assert error.pop("t") == pytest.approx(caught.value.elapsed, abs=1e-6)
    del error["s"]
    assert error == {
        "v": 1,
        "e": "error",
        "error": "ConnectionLostError",
        "phase": "between_tokens",
        "tokens": 2,
        "attempts": 1,
        "message": str(caught.value),
    }


async def test_a_retry_is_logged_at_the_time_its_attempt_failed(path: Path) -> None:
    class Slow:
        def on_retry(self, stream: Any, retry: Any) -> None:
            time.sleep(0.05)
            times.append(retry.error.elapsed)

    times: list[float] = []
    async with ScriptedServer(reply("429 Slow", "{}"), answer("a")) as server:
        client = client_for(server, retries=RETRIES, handlers=[Slow(), FileLogger(path)])
        await client.stream("hi")
    (retry,) = [line for line in lines_of(path) if line["e"] == "retry"]
    assert retry["t"] == pytest.approx(times[0], abs=1e-6)


async def test_a_log_without_content_holds_no_piece_of_prompt_or_answer(path: Path) -> None:
    secret = "Xylophon"
    call = {"index": 0, "id": secret, "function": {"name": secret, "arguments": f'"{secret}"'}}
    chunks = [
        delta(secret),
        delta(reasoning=secret),
        delta(refusal=secret),
        delta(tool_calls=[call]),
        delta(function_call={"name": secret, "arguments": secret}),
        {"error": {"message": f"bad prompt: {secret}"}},
    ]
    body = b"".join(sse(chunk) for chunk in chunks)
    rejected = reply("503 Busy", json.dumps({"error": {"message": secret}}))
    async with ScriptedServer(rejected, [HEADERS, http(body), HANG], everything()) as server:
        logger = FileLogger(path, text=False, tags={"variant": "B"})
        client = client_for(server, retries=RETRIES, handlers=[logger])
        with pytest.raises(Exception, match=secret):
            await client.stream(f"Tell me of the {secret}")
        await client.stream("What is it?")
    written = path.read_text()
    for word in (secret, "Once", "upon", "hm", "weather", "What is it"):
        assert word not in written
    lines = lines_of(path)
    assert Counter(line["e"] for line in lines) == {
        "start": 2,
        "retry": 1,
        "token": 5,
        "reasoning": 2,
        "refusal": 2,
        "tool_call": 3,
        "error": 1,
        "complete": 1,
    }
    assert [line["len"] for line in lines if line["e"] == "token"] == [8, 4, 5, 5, 2]
    assert [line["len"] for line in lines if line["e"] == "tool_call"] == [10, 8, 8]
    assert not any("text" in line or "message" in line or "name" in line for line in lines)
    assert [line["tags"] for line in lines if line["e"] == "start"] == [{"variant": "B"}] * 2


async def test_tags_of_the_logger_the_client_and_the_stream_add_up(path: Path) -> None:
    async with ScriptedServer(answer("a")) as server:
        logger = FileLogger(path, tags={"host": "h", "run": 1})
        client = client_for(server, tags={"run": 1, "variant": "A"}, handlers=[logger])
        await client.stream("hi", tags={"variant": "B"})
    assert lines_of(path)[0]["tags"] == {"run": 1, "variant": "B", "host": "h"}


async def test_text_of_any_kind_comes_back(path: Path) -> None:
    texts = ["a\nb", "\u2028", '"\\', "🤖", "\x00\x1b", "é\r\n"]
    async with ScriptedServer(answer(*texts)) as server:
        await client_for(server, handlers=[FileLogger(path)]).stream("hi")
    assert [line["text"] for line in lines_of(path) if line["e"] == "token"] == texts


# Where it is attached


async def test_it_logs_one_stream_one_client_or_the_whole_process(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("stream", "client", "process")]
    own, client_wide, process = map(FileLogger, paths)
    async with ScriptedServer(answer("a")) as server:
        client, other = client_for(server, handlers=[client_wide]), client_for(server)
        with attach(process):
            await client.stream("hi", handlers=[own])
            await client.stream("hi")
            await other.stream("hi")
        await other.stream("hi")
    streams = [{line["s"] for line in lines_of(path)} for path in paths]
    assert [len(ids) for ids in streams] == [1, 2, 3]
    assert streams[0] < streams[1] < streams[2]
    for path in paths:
        kinds = Counter(kinds_of(path))
        assert kinds["start"] == kinds["token"] == kinds["complete"]


async def test_streams_interleave_and_each_is_whole(path: Path) -> None:
    async with ScriptedServer(*(answer(*f"w{n} x y z".split()) for n in range(50))) as server:
        client = client_for(server, handlers=[FileLogger(path)])
        responses = await asyncio.gather(*(client.stream("hi") for _ in range(50)))
    by_stream: dict[str, list[dict[str, Any]]] = {}
    for line in lines_of(path):
        by_stream.setdefault(line["s"], []).append(line)
    texts = []
    for lines in by_stream.values():
        assert [line["e"] for line in lines] == ["start", *["token"] * 4, "complete"]
        assert [line["i"] for line in lines[1:-1]] == [0, 1, 2, 3]
        texts.append("".join(line["text"] for line in lines[1:-1]))
    assert sorted(texts) == sorted(response.completion for response in responses)


async def test_attached_in_the_middle_it_logs_the_rest(path: Path) -> None:
    logger = FileLogger(path)

    class Inviter:
        def on_token(self, stream: Any, token: Token) -> None:
            if token.index == 0:
                attach(logger, stream)

    async with ScriptedServer(answer("a", "b", "c")) as server:
        response = await client_for(server, handlers=[Inviter()]).stream("hi")
    assert kinds_of(path) == ["token", "token", "complete"]
    assert response.handler_failures == []


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


# A stream that a test writes itself: nothing but what a handler may look at


def fake_stream(id_: str = "s1", **fields: Any) -> Any:
    return SimpleNamespace(
        id=id_,
        model="m",
        base_url="http://user:secret@h/v1?secret#secret",
        tags={},
        started_at=None,
        queued=0.0,
        prompt_chars=0,
        busy=0.0,
        elapsed=0.0,
        **fields,
    )


def token(index: int, text: str = "x") -> Token:
    return Token(text, index, 0.5, index)


def test_credentials_of_the_url_are_not_logged(path: Path) -> None:
    with FileLogger(path) as logger:
        logger.on_start(fake_stream())
    assert lines_of(path)[0]["base_url"] == "http://h/v1"
    assert lines_of(path)[0]["at"] == ""


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


def test_one_stream_with_tags_that_no_json_can_hold_harms_no_other(path: Path, caplog: Any) -> None:
    looped: dict[str, Any] = {}
    looped["self"] = looped

    class Broken:
        def __str__(self) -> str:
            raise KeyError("no text")

    with FileLogger(path) as logger:
        for tags in (looped, {"x": Broken()}):
            stream = fake_stream("bad")
            stream.tags = tags
            with pytest.raises((ValueError, KeyError)):
                logger.on_start(stream)
        changed = fake_stream("changed")
        changed.tags = {"x": {}}
        logger.on_start(changed)
        changed.tags["x"]["y"] = Broken()  # after the check, before the thread wrote it
        logger.on_start(fake_stream("good"))
        logger.on_token(fake_stream("good"), token(0))
    assert [line["s"] for line in lines_of(path)] == ["good", "good"]
    assert "could not be written" in caplog.text


async def test_tags_that_no_json_can_hold_are_a_failure_of_on_start_alone(path: Path) -> None:
    looped: dict[str, Any] = {}
    looped["self"] = looped
    async with ScriptedServer(answer("a"), answer("b")) as server:
        client = client_for(server, handlers=[FileLogger(path)])
        bad = await client.stream("hi", tags={"x": looped})
        good = await client.stream("hi")
    (failure,) = bad.handler_failures
    assert (failure.method, failure.type) == ("on_start", "ValueError")
    assert good.handler_failures == []
    assert kinds_of(path) == ["token", "complete", "start", "token", "complete"]


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


# Processes


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
                         prompt_chars=0, busy=0.0, elapsed=0.0)
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
        impatient = "from lm_deluge_plugins import file_logger; file_logger._EXIT = 0.3\n"
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


QUOTA = """
import asyncio, resource, sys
from lm_deluge import LLMClient
from lm_deluge_plugins import FileLogger

async def main(url, path):
    client = LLMClient("gpt-4o", base_url=url, api_key="sk-test-123456", printer=None,
                       handlers=[FileLogger(path)])
    await client.stream("hi")
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
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


async def test_a_rate_limit_that_ends_a_stream_is_an_error_line(path: Path) -> None:
    async with ScriptedServer(reply("429 Slow", '{"error": {"message": "slow"}}')) as server:
        with pytest.raises(RateLimitError):
            await client_for(server, handlers=[FileLogger(path)]).stream("hi")
    error = lines_of(path)[-1]
    assert (error["error"], error["phase"], error["tokens"]) == ("RateLimitError", "first_token", 0)


async def test_a_delta_of_reasoning_counts_its_own_pieces(path: Path) -> None:
    body = b"".join(sse(delta(reasoning=text)) for text in ("a", "b")) + events("c") + DONE
    async with ScriptedServer([HEADERS, http(body) + END]) as server:
        await client_for(server, handlers=[FileLogger(path)]).stream("hi")
    pieces = [(line["e"], line["i"]) for line in lines_of(path)[1:-1]]
    assert pieces == [("reasoning", 0), ("reasoning", 1), ("token", 0)]


def test_a_delta_is_logged_without_a_start(path: Path) -> None:
    with FileLogger(path) as logger:
        logger.on_delta(
            fake_stream(), Delta(kind="refusal", index=0, text="no", arrived=0.5, read=3, choice=1)
        )
    (line,) = lines_of(path)
    assert (line["e"], line["choice"], line["read"]) == ("refusal", 1, 3)


async def test_what_did_not_come_is_in_the_line_of_a_whole_answer(tmp_path: Path) -> None:
    path = tmp_path / "log"
    async with ScriptedServer(answer("Once")) as server:
        client = client_for(server, handlers=[FileLogger(path)])
        await client.stream("hi", sampling_params=SamplingParams(n=2))
        await client.stream("hi")
    missing = [line.get("missing") for line in lines_of(path) if line["e"] == "complete"]
    assert missing == [["2 choices were asked for and 1 choice came"], None]
