"""``lm-deluge proxy``: what it says, what it shows, how it ends."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from lm_deluge.errors import ConnectionLostError
from lm_deluge.recording import read_recording
from lm_deluge.simulator import Simulator
from support.clients import client_for
from support.programs import Call, clean_environment
from support.raw_http import Asker, Side, Upstream

HERE = ("proxy", "--listen", "0")

MEGA = 1 << 20
PIECE = bytes(range(256)) * 256  # 64 KiB


async def _address(running: Any) -> str:
    """Return its base URL, once all lines to paste are there."""
    await running.until("GoogleGenAI")
    found = re.search(r"export OPENAI_BASE_URL=(\S+)", running.out)
    assert found is not None
    return found[1]


def _events(log: Path) -> list[tuple[str, str]]:
    rows = [json.loads(line) for line in log.read_text().splitlines() if line]
    return [(row["s"], row["e"]) for row in rows]


async def test_it_leads_apps_here_and_writes_what_they_streamed(start, tmp_path: Path) -> None:
    log, recording = tmp_path / "log.jsonl", tmp_path / "run.rec"
    async with Simulator(text=["Hel", "lo"], models=["a-model"]) as simulator:
        running = await start(
            *HERE, "--upstream", simulator.url, "--upstream", f"again={simulator.base_url}",
            "--log", str(log), "--record", str(recording), "--tag", "variant=B",
            env=clean_environment(),
        )  # fmt: skip
        url = await _address(running)
        for base_url in (url, url.replace("/v1", "/again/v1")):
            async with client_for(base_url, "a-model") as client:
                assert (await client.stream("Hi")).completion == "Hello"
        running.interrupt()
        assert await running.ended() == 0
    for line in ("set -gx OPENAI_BASE_URL", '$env:ANTHROPIC_BASE_URL = "', "genai.Client(http_options",
                 "new Anthropic({ baseURL", f"# again: {simulator.base_url}"):  # fmt: skip
        assert line in running.out
    assert running.err.count("  2 pieces  ") == 2
    assert f"2 streams ended · lm-deluge report {log}" in running.err
    assert [event for _, event in _events(log)] == ["start", "token", "token", "complete"] * 2
    assert '"variant":"B"' in log.read_text()
    exchanges = read_recording(recording).exchanges
    assert [exchange.status for exchange in exchanges] == [200, 200]
    for text in (log.read_text(), recording.read_text(), running.out, running.err):
        assert "sk-test" not in text


async def test_content_free_and_quiet_say_no_more_than_is_asked(start, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    async with Simulator(text="Hello", models=["a-model"]) as simulator:
        running = await start(
            *HERE, "--upstream", simulator.url, "--log", str(log), "--content-free", "--quiet",
            env=clean_environment(),
        )  # fmt: skip
        await running.until("stops it")
        url = re.search(r"http://\S+", running.out)
        assert url is not None
        async with client_for(f"{url[0]}/v1", "a-model") as client:
            await client.stream("What is secret?")
        running.interrupt()
        assert await running.ended() == 0
    assert "Hello" not in log.read_text()
    assert "secret" not in log.read_text()
    assert len(running.out.splitlines()) == 1
    assert running.err.startswith("1 stream ended")


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_one_signal_lets_streams_end_and_another_cuts_them(
    start, tmp_path: Path, times: int, number: signal.Signals
) -> None:
    log = tmp_path / "log.jsonl"
    go = asyncio.Event()
    async with Simulator(reply=lambda _: _held(go)) as simulator:
        running = await start(
            *HERE, "--upstream", simulator.url, "--log", str(log), env=clean_environment()
        )
        url = await _address(running)
        async with client_for(url, "a-model") as client, asyncio.timeout(20):
            asking = asyncio.create_task(client.stream("Hi"))
            await simulator.wait_request(1)
            running.process.send_signal(number)
            await running.until("Ctrl-C once more cuts them")
            if times == 2:
                running.process.send_signal(number)
                with pytest.raises(ConnectionLostError):
                    await asking
            else:
                go.set()
                assert (await asking).completion == "Hello"
            assert await running.ended() == 0
        go.set()
    assert _events(log)[-1][1] == ("complete" if times == 1 else "error")
    assert len({stream for stream, _ in _events(log)}) == 1


def _held(go: asyncio.Event) -> list[Any]:
    chunk = {
        "id": "1",
        "choices": [{"index": 0, "delta": {"content": "Hello"}, "finish_reason": None}],
    }
    end = {"id": "1", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    first = f"data: {json.dumps(chunk)}\n\n".encode()
    return [first, go, f"data: {json.dumps(end)}\n\ndata: [DONE]\n\n".encode()]


async def test_a_terminal_shows_the_streams_that_run_in_their_place(start) -> None:
    go = asyncio.Event()
    terminal = {**clean_environment(COLUMNS="100", LINES="24"), "TERM": "xterm-256color"}
    del terminal["NO_COLOR"]
    async with Simulator(reply=lambda _: _held(go)) as simulator:
        running = await start(*HERE, "--upstream", simulator.url, env=terminal, terminal=True)
        url = await _address(running)
        async with client_for(url, "evil\x1b[31m-model") as client, asyncio.timeout(20):
            asking = asyncio.create_task(client.stream("Hi"))
            await running.until("1 running")
            await running.until("longest gap")
            await running.until("-model")
            go.set()
            await asking
            await running.until("1 stream ended")
        running.interrupt()
        assert await running.ended() == 0
    shown = re.sub(r"\x1b\[[?\d;]*[A-Za-z]", "", running.out)
    assert "evil\x1b[31m" not in running.out
    last = shown[shown.rindex("0 running") :]
    assert re.search(r"model +waited +pieces +longest gap +ending", last)
    assert re.search(r"evil.*-model +\d\.\d\d s +1 +\d\.\d\d s +stop", last)


async def test_no_escapes_and_a_line_for_each_where_they_are_not_wanted(start) -> None:
    async with Simulator(text="Hello", faults="status:503") as simulator:
        env = {**clean_environment(), "TERM": "xterm-256color", "NO_COLOR": "1"}
        running = await start(*HERE, "--upstream", simulator.url, env=env, terminal=True)
        url = await _address(running)
        async with client_for(url, "a-model") as client:
            with pytest.raises(Exception, match="503"):
                await client.stream("Hi")
        await running.until("a-model  waited")
        running.interrupt()
        assert await running.ended() == 0
    assert "\x1b" not in running.out
    assert "InternalServerError" in running.out


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--listen", "x"], "--listen: HOST:PORT"),
        (["--listen", "127.0.0.1:70000"], "--listen: HOST:PORT"),
        (["--listen", "0.0.0.0:0"], "--allow-remote"),
        (["--upstream", "api.openai.com"], "must begin with http"),
        (["--upstream", "http://a", "--upstream", "http://b"], "twice without a name"),
        (["--upstream", "x=http://a", "--upstream", "x=http://b"], "x= is given twice"),
        (["--upstream", "v1=http://a"], "a name is letters"),
        (["--upstream", "http://user:secret@a"], "credentials"),
        (["--tag", "variant"], "KEY=VALUE"),
        (["--tag", "a=1", "--tag", "a=2"], "--tag a is given twice"),
        (["--allow-host", "http://x"], "allow_hosts"),
        (["--fault", "nosuch"], "no fault is called"),
        (["--fault", "eof@60%", "--fault", "reset@60%"], "add up to 120%"),
        (["--content-free"], "--log"),
        (["--log", "LOG", "--record", "LOG"], "same file"),
        (["--log", "LOG", "--record", "REC", "--content-free"], "recording holds all"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_line(
    call: Call, tmp_path: Path, args: list[str], says: str
) -> None:
    paths = {"LOG": str(tmp_path / "log.jsonl"), "REC": str(tmp_path / "run.rec")}
    done = call("proxy", *(paths.get(arg, arg) for arg in args))
    assert (done.code, done.out) == (2, "")
    assert says in done.err
    assert "secret" not in done.err
    assert len(done.err.splitlines()) == 1


def test_an_address_that_is_taken_is_told_in_a_line(call: Call) -> None:
    with Simulator() as simulator:
        done = call("proxy", "--listen", simulator.url.removeprefix("http://"))
    assert done.code == 1
    assert "in use" in done.err


@pytest.mark.slow
async def test_100_megabytes_up_and_down_take_little_memory(start, tmp_path: Path) -> None:
    size = 100 * MEGA

    async def script(side: Side) -> None:
        await side.head()
        for _ in range(size // len(PIECE)):
            await side.reader.readexactly(len(PIECE))
        await side.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size // len(PIECE)):
            await side.write(PIECE)

    async with Upstream(script) as upstream:
        running = await start(
            "proxy", "--listen", "0", "--upstream", upstream.url, "--log", str(tmp_path / "log"),
            env=clean_environment(),
        )  # fmt: skip
        await running.until("GoogleGenAI")
        url = re.search(r"OPENAI_BASE_URL=(\S+)/v1", running.out)
        assert url is not None
        status = Path(f"/proc/{running.process.pid}/status")
        before = _peak(status)
        async with Asker(url[1]) as asker:
            # The path of a dialect: its body is looked at, too.
            await asker.write(
                b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
                % size
            )
            for _ in range(size // len(PIECE)):
                await asker.write(PIECE)
            await asker.head()
            for _ in range(size // len(PIECE)):
                await asker.reader.readexactly(len(PIECE))
        assert _peak(status) - before < 48 * MEGA
        running.interrupt()
        assert await running.ended() == 0


def _peak(status: Path) -> int:
    """Return the most memory that a process had, in bytes."""
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
    assert found is not None
    return int(found[1]) * 1024
