"""``record=``: what a recording holds, and what it must not hold."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import stat
from pathlib import Path
from typing import Any

import pytest

from lm_deluge import LLMClient, RetryPolicy, SamplingParams, Timeouts
from lm_deluge.errors import StreamError
from lm_deluge.recording import Recorder, read_recording, request_hash
from lm_deluge.recording.read_redactor import ReadRedactor
from lm_deluge.simulator import Simulator
from lm_deluge.timeline import read_timelines
from lm_deluge.values.redaction import Redactor
from lm_deluge_plugins import FileLogger
from support.clients import KEY, client_for
from support.programs import Run, clean_environment, simulated
from support.scripted import (
    CLOSE,
    DONE,
    END,
    HANG,
    HEADERS,
    RESET,
    ScriptedServer,
    answer,
    delta,
    ending,
    events,
    http,
    reply,
    sse,
)

WHOLE_JSON = b'{"choices": [{"message": {"content": "a"}, "finish_reason": "stop"}]}'


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().split(b"\n") if line]


async def test_every_read_is_kept_with_its_moment_and_its_cut(tmp_path: Path) -> None:
    path = tmp_path / "a.rec"
    parts = [events("Hello "), events("wörld")[:-8], events("wörld")[-8:] + ending()]
    script = [HEADERS, http(parts[0]), 0.05, http(parts[1]), 0.05, http(parts[2]) + END]
    async with ScriptedServer(script) as server:
        client = client_for(server, record=path)
        response = await client.stream("Hi")
        await client.close()
    (exchange,) = read_recording(path)
    assert [read.data for read in exchange.reads] == parts
    assert exchange.status == 200
    assert exchange.headers["content-type"] == "text/event-stream; charset=utf-8"
    moments = [exchange.sent, exchange.head_at, *(read.t for read in exchange.reads)]
    assert moments == sorted(moments)
    gaps = [
        after.t - before.t
        for before, after in zip(exchange.reads, exchange.reads[1:], strict=False)
    ]
    assert all(0.04 < gap < 0.5 for gap in gaps)
    assert exchange.how == "whole"
    assert exchange.closed_at == pytest.approx(response.elapsed, abs=1e-6)
    sent = json.loads(exchange.body or "")
    assert sent["messages"] == [{"role": "user", "content": "Hi"}]
    assert exchange.hash == request_hash(sent)


async def test_bytes_that_are_no_text_are_kept_exactly(tmp_path: Path) -> None:
    path = tmp_path / "a.rec"
    whole = sse(delta("x")).replace(b'"x"', '"é"'.encode())
    at = whole.index("é".encode()) + 1  # inside the character
    script = [HEADERS, http(whole[:at]), 0.03, http(whole[at:]), http(ending()) + END]
    async with ScriptedServer(script) as server:
        assert (await client_for(server, record=path).stream("Hi")).completion == "é"
    (exchange,) = read_recording(path)
    assert exchange.data == whole + ending()
    assert exchange.reads[0].data == whole[:at]


@pytest.mark.parametrize("cut", [0, 1, 7, len(KEY) - 1])
async def test_a_key_that_the_server_echoes_is_not_in_the_file(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "a.rec"
    said = sse(delta(f"your key is {KEY}, is it not?"))
    at = said.index(KEY.encode()) + cut
    script = [
        HEADERS.replace(b"\r\n\r\n", b"\r\nx-request-id: " + KEY.encode() + b"\r\nSet-Cookie: a=b\r\n\r\n"),
        http(said[:at]), 0.02, http(said[at:]), 0.02, http(ending()) + END,
    ]  # fmt: skip
    async with ScriptedServer(script) as server:
        response = await client_for(server, record=path).stream(f"my key is {KEY}")
        assert KEY in response.completion
    text = path.read_text("utf-8")
    assert KEY not in text
    (exchange,) = read_recording(path)
    assert KEY.encode() not in exchange.data
    assert exchange.data == said.replace(KEY.encode(), b"[redacted]") + ending()
    assert len(exchange.reads) == 3 if cut else len(exchange.reads) >= 2
    assert exchange.headers["x-request-id"] == "[redacted]"
    assert "set-cookie" not in exchange.headers
    assert "authorization" not in text.lower()


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_the_read_redactor_passes_everything_else_whatever_the_cuts(size: int) -> None:
    text = b"secret-1 secret- secret-12 secrsecret-12et se"
    redactor = ReadRedactor(Redactor(["secret-1", "secret-12"]))
    reads = [text[at : at + size] for at in range(0, len(text), size)]
    passed = [one for number, read in enumerate(reads) for one in redactor.feed((number, read))]
    passed += redactor.close()
    assert [number for number, _ in passed] == list(range(len(reads)))
    joined = b"".join(data for _, data in passed)
    assert b"secret-1" not in joined
    assert joined.startswith(b"[redacted] secret- [redacted]")
    assert joined.endswith((b"secr[redacted]et se", b"secr[redacted]2et se"))


async def test_the_body_can_be_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.rec"
    async with Simulator(text="hi") as simulator:
        client = LLMClient(
            "gpt-4o", base_url=simulator.base_url, api_key="any", printer=None,
            record=Recorder(path, body=False),
        )  # fmt: skip
        await client.stream("My secret diary")
        assert "diary" not in path.read_text("utf-8")
        (exchange,) = read_recording(path)
        assert (exchange.body, exchange.hash) == (None, request_hash(simulator.requests[0].body))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_hash_is_of_what_is_asked_not_of_how_it_is_written() -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "é"}], "stream": True}
    other = {"messages": body["messages"], "model": "m", "stream_options": {"include_usage": True}}
    assert request_hash(json.dumps(body, indent=1).encode()) == request_hash(other)
    assert request_hash(other) != request_hash({**other, "seed": 1})
    assert request_hash(b"no json") != request_hash(b"other")


@pytest.mark.parametrize(
    ("script", "how", "status", "reads"),
    [
        ([HEADERS, http(events("a")), RESET], "lost", 200, 1),
        ([HEADERS, http(events("a")), END], "ended", 200, 1),
        ([HEADERS, http(events("a")), HANG], "silent", 200, 1),
        ([CLOSE], "lost", None, 0),
        (reply("503 Busy", b'{"error": {"message": "busy"}}'), "whole", 503, 1),
        (reply("200 OK", WHOLE_JSON), "whole", 200, 1),
        ([HEADERS, http(events("a") + DONE) + END], "whole", 200, 1),
    ],
    ids=["reset", "eof", "hang", "no head", "503", "json", "done"],
)  # fmt: skip
async def test_every_way_to_end_is_recorded(
    tmp_path: Path, script: list[Any], how: str, status: int | None, reads: int
) -> None:
    path = tmp_path / "a.rec"
    failed = None
    async with ScriptedServer(script) as server:
        times = Timeouts(between_tokens=0.1)
        try:
            await client_for(server, record=path, timeouts=times).stream("Hi")
        except StreamError as error:
            failed = type(error).__name__
    (exchange,) = read_recording(path)
    assert (exchange.how, exchange.status, len(exchange.reads)) == (how, status, reads)
    (timeline,) = read_timelines(path)
    assert timeline.ending is not None
    assert timeline.ending.error == failed
    assert len(timeline) == (1 if status == 200 else 0)


async def test_what_the_caller_leaves_is_recorded_so_far(tmp_path: Path) -> None:
    path = tmp_path / "a.rec"
    async with ScriptedServer([HEADERS, http(events("a")), HANG]) as server:
        async with client_for(server, record=path).open_stream("Hi") as stream:
            async for _ in stream:
                break
    (exchange,) = read_recording(path)
    assert (exchange.how, exchange.data) == ("left", events("a"))
    assert lines(path)[-1]["error"] == "StreamCancelled"


async def test_attempts_are_recorded_apart(tmp_path: Path) -> None:
    path = tmp_path / "a.rec"
    async with Simulator(text="hi", faults=["status:503:retry-after-ms=10", None]) as simulator:
        client = LLMClient(
            "gpt-4o", base_url=simulator.base_url, api_key="any", printer=None, record=path
        )
        await client.stream("Hi")
    assert [(e.attempt, e.status, e.how) for e in read_recording(path)] == [
        (1, 503, "whole"),
        (2, 200, "whole"),
    ]
    (timeline,) = read_timelines(path)
    assert (timeline.attempts, timeline.texts) == (2, {0: "hi"})


async def test_a_recording_is_read_as_the_log_of_its_streams(tmp_path: Path) -> None:
    path = tmp_path / "a.rec"
    async with Simulator(tokens=30, gap=0.002, reasoning=3, seed=4) as simulator:
        client = LLMClient(
            "o3", base_url=simulator.base_url, api_key="any", printer=None, record=path,
            tags={"variant": "B"},
        )  # fmt: skip
        responses = await asyncio.gather(*(client.stream(f"p{n}") for n in range(5)))
    reader = read_timelines(path)
    found = {timeline.stream: timeline for timeline in reader}
    assert reader.skipped_lines == 0
    assert len(found) == 5
    for response in responses:
        own = response.timeline
        assert own is not None
        read = found[own.stream]
        assert read.arrivals == pytest.approx(own.arrivals, abs=2e-6)
        assert read.texts == own.texts
        assert list(read.reads) == list(own.reads)
        assert (read.model, read.usage is not None, read.cost) == ("o3", True, response.cost)
        assert read.ttft == pytest.approx(own.ttft, abs=2e-6)
        assert dict(read.tags) == {"variant": "B"}


@pytest.mark.parametrize("last", [answer("Once"), reply("400 Bad", b"{}")], ids=["whole", "error"])
async def test_a_recording_and_a_timeline_log_tell_the_same_of_a_stream(
    tmp_path: Path, last: Any
) -> None:
    record, log = tmp_path / "a.rec", tmp_path / "log"
    async with ScriptedServer(reply("503 Busy", b"{}"), last) as server:
        client = client_for(
            server,
            record=record,
            handlers=[FileLogger(log)],
            retries=RetryPolicy(initial_delay=0.0),
            tags={"variant": "B"},
        )
        with contextlib.suppress(StreamError):
            await client.stream("Hi", sampling_params=SamplingParams(n=2))
    told = [
        [
            # What the loop was held for differs with the moment at which each was called.
            {key: value for key, value in line.items() if key != "busy"}
            for line in lines(path)
            if line["e"] in ("start", "retry", "complete", "error")
        ]
        for path in (record, log)
    ]
    assert told[0] == told[1]
    assert [line["e"] for line in told[0]][:2] == ["start", "retry"]
    assert len(told[0]) == 3


async def test_report_takes_a_recording(
    run: Run, command_name: tuple[str, ...], tmp_path: Path
) -> None:
    path = tmp_path / "a.rec"
    async with Simulator(tokens=20, ttft=0.05) as simulator:
        client = LLMClient(
            "gpt-4o", base_url=simulator.base_url, api_key="any", printer=None, record=path
        )
        await client.stream("Hi")
    done = await run(*command_name, "report", str(path), "--json", env=clean_environment())
    assert (done.code, done.complaints) == (0, "")
    group = json.loads(done.out)["groups"]["gpt-4o"]
    assert (group["completed"], group["gap"]["n"]) == (1, 19)
    assert group["ttft"]["p50"] >= 0.05


@pytest.mark.slow
async def test_several_processes_record_into_one_file_and_a_kill_harms_none(
    tmp_path: Path, python: tuple[str, ...]
) -> None:
    path = tmp_path / "a.rec"
    program = """
import asyncio, sys
from lm_deluge import LLMClient
async def main():
    client = LLMClient("gpt-4o", printer=None, record=sys.argv[1])
    for n in range(int(sys.argv[2])):
        await asyncio.gather(*(client.stream(f"p{m}") for m in range(5)))
asyncio.run(main())
"""
    async with Simulator(tokens=50, gap=0.001) as simulator:
        env = simulated(simulator)

        async def start(count: int) -> asyncio.subprocess.Process:
            return await asyncio.create_subprocess_exec(
                *python, "-c", program, str(path), str(count), env=env
            )

        short = [await start(4), await start(4)]
        victim = await start(10_000)
        assert [await process.wait() for process in short] == [0, 0]
        victim.send_signal(signal.SIGKILL)
        await victim.wait()
    with path.open("ab") as file:
        file.write(b'\n{"v":1,"e":"read","s":"half')
    reader = read_timelines(path)
    complete = [timeline for timeline in reader if timeline.completed]
    assert len(complete) >= 40
    assert all(len(timeline) == 50 for timeline in complete)
    recording = read_recording(path)
    assert recording.skipped_lines <= 2
    assert sum(exchange.how == "whole" for exchange in recording) >= 40


async def test_odd_headers_and_tags_harm_no_other_stream(tmp_path: Path) -> None:
    path = tmp_path / "a.rec"
    odd = HEADERS.replace(b"\r\n\r\n", b"\r\nx-request-id: \xff\xfe\r\n\r\n")
    held: dict[str, Any] = {}
    held["itself"] = held
    async with ScriptedServer([odd, http(events("a") + ending()) + END]) as server:
        client = client_for(server, record=path)
        first, second = await asyncio.gather(client.stream("Hi", tags=held), client.stream("Hi"))
    assert [failure.handler for failure in first.handler_failures] == ["StreamRecorder"]
    assert second.handler_failures == []
    assert [exchange.how for exchange in read_recording(path)] == ["whole", "whole"]


async def test_a_disk_that_takes_nothing_hurts_no_stream(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    recorder = Recorder(folder / "a.rec")
    folder.rmdir()
    async with Simulator(text="hi") as simulator:
        client = LLMClient(
            "gpt-4o", base_url=simulator.base_url, api_key="any", printer=None, record=recorder
        )
        response = await client.stream("Hi")
    assert response.completion == "hi"
    assert [failure.handler for failure in response.handler_failures] == ["StreamRecorder"]


def test_a_path_that_cannot_be_a_file_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        LLMClient("gpt-4o", record=tmp_path)
    with pytest.raises(FileNotFoundError):
        LLMClient("gpt-4o", record=tmp_path / "no" / "a.rec")


def test_a_file_that_is_no_recording_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.rec"
    path.write_text('{"v":1,"e":"start"}\n[]\n', "utf-8")
    with pytest.raises(ValueError, match="no recording"):
        read_recording(path)


@pytest.mark.parametrize("command", ["stream", "chat", "run"])
async def test_the_commands_record(
    run: Run, command_name: tuple[str, ...], tmp_path: Path, command: str
) -> None:
    path, prompts = tmp_path / "a.rec", tmp_path / "p.txt"
    prompts.write_text("Hi\n", "utf-8")
    args = {"stream": ["Hi"], "chat": [], "run": [str(prompts)]}[command]
    async with Simulator(text="hi") as simulator:
        env = simulated(simulator)
        done = await run(
            *command_name, command, *args, "--record", str(path), env=env, stdin="Hi\n"
        )
    assert done.code == 0
    (exchange,) = read_recording(path)
    assert exchange.how == "whole"


async def test_a_half_line_of_a_killed_process_harms_none_after_it(tmp_path: Path) -> None:
    path = tmp_path / "a.rec"
    path.write_bytes(b'{"v":1,"e":"read","s":"half')
    async with ScriptedServer([HEADERS, http(events("a") + ending()) + END]) as server:
        await client_for(server, record=path).stream("Hi")
    recording = read_recording(path)
    assert ([exchange.how for exchange in recording], recording.skipped_lines) == (["whole"], 1)
    (timeline,) = read_timelines(path)
    assert timeline.completed
    assert timeline.model == "gpt-4o"


async def test_each_attempt_of_a_recording_is_read_from_its_own_beginning(tmp_path: Path) -> None:
    path = tmp_path / "raw.jsonl"
    failed = [HEADERS, http(b'data: {"error": {"message": "Busy", "code": 503}}\n\n') + END]
    async with ScriptedServer(failed, answer("good", " day")) as server:
        retries = RetryPolicy(initial_delay=0.0, max_delay=0.0)
        response = await client_for(server, retries=retries, record=path).stream("hi")
    assert response.attempts == 2
    (timeline,) = read_timelines(path)
    assert timeline.texts == {0: "good day"}
