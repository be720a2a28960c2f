"""Connections, raw replies, starting and stopping."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import subprocess
import sys
import time
from typing import Any

import aiohttp
import pytest

from lm_deluge.simulator import (
    ABORT,
    EOF,
    HALF_CLOSE,
    HANG,
    RESET,
    Overhead,
    ReceivedRequest,
    Reply,
    Simulator,
    Step,
    Verbatim,
)
from support.plain_client import Ask, hang_up
from support.programs import Finished


async def test_a_request_is_recorded_as_it_came(ask: Ask) -> None:
    async with Simulator(text="Hi there") as sim:
        await ask(sim, path="/v1/chat/completions?a=1", headers={"X-Own": "é"})
        (request,) = sim.requests
    assert (request.method, request.path) == ("POST", "/v1/chat/completions")
    assert request.query == {"a": "1"}
    assert request.headers["x-own"] == "é"
    assert request.headers["AUTHORIZATION"] == "Bearer sk-test"
    assert request.json["model"] == "gpt-4o"
    assert request.body.startswith(b"{")
    assert request.finished.is_set()
    assert (request.sent, len(request.sent_at), request.status) == (2, 2, 200)
    assert request.at <= request.sent_at[0]
    assert not request.disconnected


async def test_a_connection_is_used_again_and_counted_once(ask: Ask) -> None:
    async with Simulator() as sim:
        await ask(sim)
        await ask(sim)
        assert (sim.connections, sim.open_connections, sim.request_count) == (1, 1, 2)


@pytest.mark.parametrize("fault", ["stall", "hang-before-headers", "endless-stream:0.01", None])
async def test_a_client_that_goes_is_noticed_at_once(
    session: aiohttp.ClientSession, fault: str | None
) -> None:
    async with Simulator(tokens=50, gap=0.5, faults=[fault]) as sim:
        body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "x"}], "stream": True}
        headers = {"Authorization": "Bearer x"}
        asking = asyncio.create_task(
            session.post(sim.base_url + "/chat/completions", json=body, headers=headers)
        )
        request = await sim.wait_request()
        done, _ = await asyncio.wait([asking], timeout=0.05)
        left = time.perf_counter()
        if done:
            asking.result().close()
        else:
            asking.cancel()
        async with asyncio.timeout(1):
            await request.finished.wait()
        assert request.disconnected
        assert request.gone_at is not None
        assert request.gone_at - left < 0.05
        await sim.wait_closed_connections()
        assert sim.open_connections == 0


async def test_raw_steps_arrive_as_separate_reads(ask: Ask) -> None:
    steps: list[Step] = [b"da", b"ta: \xe6", b"\x9d\xb1\r", b"\n\r\n", 0.01, b"", b"data: [DONE]"]
    async with Simulator(raw=steps) as sim:
        for _ in range(2):
            heard = await ask(sim)
            assert heard.reads == [step for step in steps if isinstance(step, bytes) and step]
            assert heard.error is None
        assert sim.requests[0].sent == 5
        assert sim.connections == 1


async def test_an_event_step_holds_the_reply_until_the_test_says_go(ask: Ask) -> None:
    go = asyncio.Event()
    async with Simulator(raw=[b"a", go, b"b"]) as sim:
        asking = asyncio.create_task(ask(sim))
        request = await sim.wait_request()
        async with asyncio.timeout(10):
            while request.sent == 0:
                await asyncio.sleep(0.001)
        await asyncio.sleep(0.02)
        assert request.sent == 1
        go.set()
        assert (await asking).body == b"ab"


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (RESET, aiohttp.ClientPayloadError),
        (ABORT, aiohttp.ClientPayloadError),
        (HALF_CLOSE, aiohttp.ClientPayloadError),
        (EOF, type(None)),
        (HANG, TimeoutError),
    ],
)
async def test_acts_end_a_raw_reply(ask: Ask, act: Any, error: type[Any]) -> None:
    async with Simulator(raw=[b"abc", act, b"never"]) as sim:
        heard = await ask(sim, patience=0.1)
        assert isinstance(heard.error, error)
        assert heard.body == b"abc"


async def test_a_verbatim_start_replaces_the_head(ask: Ask) -> None:
    start = Verbatim(b"HTTP/1.1 200 Fine\r\nContent-Length: 2\r\nX-A: b\r\n\r\nok")
    async with Simulator(raw=[start, ABORT]) as sim:
        heard = await ask(sim)
    assert (heard.body, heard.headers["x-a"]) == (b"ok", "b")


async def test_a_reply_may_be_anything_and_depend_on_the_request(ask: Ask) -> None:
    def reply(request: ReceivedRequest) -> Any:
        if request.json["messages"][0]["content"] == "steps":
            return [b"x", Overhead(b"y")]
        return Reply(status=299, headers={"X-A": "1"}, content_type="text/odd")

    async with Simulator(reply=reply) as sim:
        heard = await ask(sim, key=None)
        assert (heard.status, heard.headers["x-a"], heard.body) == (299, "1", b"")
        assert heard.headers["content-type"] == "text/odd"
        heard = await ask(sim, messages=[{"content": "steps"}])
        assert heard.body == b"xy"
        assert sim.requests[1].sent == 1


async def test_a_body_without_length_or_chunks_ends_with_the_connection(ask: Ask) -> None:
    async with Simulator(reply=lambda _: Reply(steps=[b"abc"], chunked=False)) as sim:
        assert (await ask(sim)).body == b"abc"
        await sim.wait_closed_connections()


async def test_a_slow_client_is_waited_for_and_gets_everything(
    session: aiohttp.ClientSession,
) -> None:
    pieces = ["x" * 50_000] * 600
    async with Simulator(text=pieces) as sim:
        body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "x"}], "stream": True}
        headers = {"Authorization": "Bearer x"}
        url = sim.base_url + "/chat/completions"
        async with session.post(url, json=body, headers=headers) as response:
            await asyncio.sleep(0.1)
            assert sim.requests[0].sent < 600
            whole = await response.read()
        assert whole.count(b"x" * 50_000) == 600


async def test_only_the_latest_requests_are_kept_when_asked(ask: Ask) -> None:
    async with Simulator(tokens=1, keep_requests=2) as sim:
        for _ in range(5):
            await ask(sim)
        assert [request.index for request in sim.requests] == [3, 4]
        assert sim.request_count == 5
    async with Simulator(tokens=1, keep_requests=0) as sim:
        await ask(sim)
        assert sim.requests == []


async def test_waits_say_what_they_waited_for() -> None:
    sim = Simulator()
    with pytest.raises(RuntimeError, match="not been started"):
        _ = sim.url
    with pytest.raises(RuntimeError, match="not been started"):
        await sim.listen()
    assert (sim.connections, sim.open_connections) == (0, 0)
    await sim.wait_closed_connections()
    async with sim:
        with pytest.raises(TimeoutError, match="0 of 2 requests"):
            await sim.wait_request(2, timeout=0.01)
        _, writer = await asyncio.open_connection(sim.host, sim.port)
        async with asyncio.timeout(10):
            while sim.open_connections == 0:
                await asyncio.sleep(0.001)
        with pytest.raises(TimeoutError, match="1 connections still open"):
            await sim.wait_closed_connections(0.01)
        await hang_up(writer)
        await sim.wait_closed_connections()
        with pytest.raises(RuntimeError, match="already"):
            await sim.start()


async def test_a_taken_port_is_an_os_error() -> None:
    async with Simulator() as sim:
        with pytest.raises(OSError, match=r"[Aa]ddress already in use"):
            await Simulator(port=sim.port).start()


async def test_it_can_be_started_again_after_a_stop(ask: Ask) -> None:
    sim = Simulator()
    for _ in range(2):
        await sim.start()
        assert (await ask(sim)).done
        await sim.stop()
        await sim.stop()


async def test_it_listens_on_ipv6_too(ask: Ask) -> None:
    sim = Simulator(host="::1")
    try:
        await sim.start()
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    assert sim.url.startswith("http://[::1]:")
    assert (await ask(sim)).done
    await sim.stop()


@pytest.mark.parametrize(
    "fault", ["hang-before-headers", "stall", "half-close", "endless-line", "endless-stream:0"]
)
async def test_stop_takes_less_than_a_second_and_leaves_nothing(
    caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    caplog.set_level(logging.INFO)
    before = asyncio.all_tasks()
    sim = Simulator(faults=fault)
    await sim.start()
    body = b'{"model":"gpt-4o","messages":[{"role":"user","content":"x"}],"stream":true}'
    writers = []
    for _ in range(20):
        _, writer = await asyncio.open_connection(sim.host, sim.port)
        writer.write(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        )
        writers.append(writer)
    _, idle = await asyncio.open_connection(sim.host, sim.port)
    _, unfinished = await asyncio.open_connection(sim.host, sim.port)
    unfinished.write(
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc"
    )
    await sim.wait_request(20)
    await asyncio.sleep(0.05)
    start = time.perf_counter()
    await sim.stop()
    assert time.perf_counter() - start < 1
    assert asyncio.all_tasks() == before
    assert caplog.records == []
    for writer in [*writers, idle, unfinished]:
        await hang_up(writer)
    assert sim.open_connections == 0
    assert all(request.finished.is_set() for request in sim.requests)
    assert not any(request.disconnected for request in sim.requests)


async def test_a_client_that_goes_before_its_request_is_whole_disturbs_nobody(
    ask: Ask, caplog: pytest.LogCaptureFixture
) -> None:
    async with Simulator() as sim:
        _, writer = await asyncio.open_connection(sim.host, sim.port)
        writer.write(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc"
        )
        await asyncio.sleep(0.02)
        await hang_up(writer)
        await sim.wait_closed_connections()
        assert (await ask(sim)).done
        assert sim.request_count == 1
    assert caplog.records == []


async def test_many_clients_that_go_in_the_middle_leave_no_trace_in_the_log(
    ask: Ask, caplog: pytest.LogCaptureFixture
) -> None:
    async with Simulator(tokens=2000, keep_requests=0) as sim:
        await asyncio.gather(*(ask(sim, enough=20_000) for _ in range(30)))
        await sim.wait_closed_connections()
    assert caplog.records == []


async def test_run_forever_serves_until_it_is_cancelled(ask: Ask) -> None:
    sim = Simulator()
    await sim.start()
    task = asyncio.create_task(sim.run_forever())
    assert (await ask(sim)).done
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sim.open_connections == 0


async def test_nothing_is_left_of_requests_that_are_over(ask: Ask) -> None:
    def alive() -> int:
        gc.collect()
        return sum(isinstance(thing, ReceivedRequest) for thing in gc.get_objects())

    gc.collect()
    gc.freeze()  # what other tests left is not looked at again and again
    try:
        assert alive() == 0
        async with Simulator(tokens=2, keep_requests=0, faults={"reset": 0.3, "eof": 0.3}) as sim:
            await asyncio.gather(*(ask(sim) for _ in range(40)))
            async with asyncio.timeout(10):
                while alive() > 1:
                    await asyncio.sleep(0.01)
        assert alive() == 0
    finally:
        gc.unfreeze()


PROGRAM = """
import asyncio, aiohttp
from lm_deluge.simulator import Simulator

async def main():
    async with Simulator(tokens=5, faults=[None, "stall", "reset", "drop"]) as sim:
        async with aiohttp.ClientSession(headers={"Authorization": "Bearer x"}) as session:
            body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "x"}],
                    "stream": True}
            for _ in range(5):
                try:
                    async with asyncio.timeout(0.1):
                        url = sim.base_url + "/chat/completions"
                        async with session.post(url, json=body) as response:
                            await response.read()
                except (TimeoutError, aiohttp.ClientError):
                    pass

RUN
"""


@pytest.mark.parametrize("runner", ["asyncio.run(main())", "import uvloop; uvloop.run(main())"])
def test_it_is_clean_in_development_mode_and_under_uvloop(runner: str) -> None:
    if "uvloop" in runner:
        pytest.importorskip("uvloop")
    # Traced by coverage, CPython 3.11 loses the TimeoutError of a timeout() around an `async with`.
    untraced = {k: v for k, v in os.environ.items() if not k.startswith("COV")}
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", PROGRAM.replace("RUN", runner)],
        env=untraced,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    finished = Finished(done.returncode, done.stdout, done.stderr)
    assert (finished.code, finished.out, finished.complaints) == (0, "", "")


def test_it_imports_nothing_else_of_the_library_but_what_servers_share() -> None:
    program = (
        "import sys, types, pathlib\n"
        "package = types.ModuleType('lm_deluge')\n"
        "package.__path__ = [str(pathlib.Path('lm_deluge').resolve())]\n"
        "sys.modules['lm_deluge'] = package\n"
        "import lm_deluge.simulator\n"
        "print(sorted(m for m in sys.modules if m.startswith('lm_deluge.')"
        " and not m.startswith(('lm_deluge.simulator', 'lm_deluge.servers'))), 'blinker' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.stdout.strip() == "[] False", done.stderr
