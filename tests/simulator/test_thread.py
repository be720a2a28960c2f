"""``with Simulator()``: a simulator on a thread of its own, for callers with and without an event loop."""

from __future__ import annotations

import asyncio
import gc
import http.client
import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import aiohttp
import pytest

from lm_deluge import LLMClient, RetryPolicy
from lm_deluge.errors import InternalServerError
from lm_deluge.simulator import Simulator
from lm_deluge.simulator.serving.flag import Flag


def post(sim: Simulator, prompt: str = "Hi", **body: Any) -> tuple[int, bytes]:
    """Ask with a client that blocks."""
    connection = http.client.HTTPConnection(sim.host, sim.port, timeout=10)
    try:
        asked = {
            "model": "gpt-4o",
            "messages": [{"role": "user", "content": prompt}],
            "stream": True,
        } | body
        headers = {"Content-Type": "application/json", "Authorization": "Bearer x"}
        connection.request("POST", "/v1/chat/completions", json.dumps(asked), headers)
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()


def text_of(body: bytes) -> str:
    events = [json.loads(line[6:]) for line in body.split(b"\n") if line.startswith(b"data: {")]
    return "".join(
        choice["delta"].get("content") or "" for event in events for choice in event["choices"]
    )


def test_a_client_that_blocks_is_served() -> None:
    with Simulator(text="The sea is blue.") as sim:
        status, body = post(sim)
        assert (status, text_of(body)) == (200, "The sea is blue.")
        (request,) = sim.requests
        assert request.json["model"] == "gpt-4o"
        assert request.finished.wait_blocking(5)
        assert request.sent == 5


def test_sixteen_threads_ask_at_once() -> None:
    with Simulator(text=lambda body: [body["messages"][0]["content"]]) as sim:
        with ThreadPoolExecutor(16) as pool:
            prompts = [f"prompt {number}" for number in range(64)]
            answers = list(pool.map(lambda prompt: text_of(post(sim, prompt)[1]), prompts))
        assert answers == prompts
        assert sim.request_count == 64


def test_its_methods_are_awaited_without_a_loop_by_run() -> None:
    with Simulator() as sim:
        post(sim)
        assert sim.run(sim.wait_request()).path == "/v1/chat/completions"
        sim.run(sim.wait_closed_connections())
        with pytest.raises(TimeoutError, match="1 of 5 requests"):
            sim.run(sim.wait_request(5, timeout=0.01))
        sim.run(sim.refuse())
        with pytest.raises(ConnectionRefusedError):
            post(sim)
        sim.run(sim.listen())
        assert post(sim)[0] == 200


def test_run_is_refused_where_there_is_no_thread() -> None:
    sim = Simulator()
    with pytest.raises(RuntimeError, match="with Simulator"):
        sim.run(sim.wait_closed_connections())


async def test_within_a_running_loop_it_serves_that_loop_too() -> None:
    with Simulator(text="Hi there", faults=["status:500", None]) as sim:
        client = LLMClient("gpt-4o", base_url=sim.base_url, api_key="x", printer=None,
                           retries=RetryPolicy.none())  # fmt: skip
        with pytest.raises(InternalServerError):
            await client.stream("1")
        assert (await client.stream("2")).completion == "Hi there"
        request = await sim.wait_request(2)
        async with asyncio.timeout(5):
            await request.finished.wait()
        await client.close()
        await sim.wait_closed_connections()


async def test_a_client_that_goes_is_noticed_across_threads() -> None:
    with Simulator(faults="stall:1") as sim:
        async with aiohttp.ClientSession() as session:
            body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "x"}]}
            reply = await session.post(
                sim.base_url + "/chat/completions", json={**body, "stream": True},
                headers={"Authorization": "Bearer x"},
            )  # fmt: skip
            await reply.content.readany()
            reply.close()
        async with asyncio.timeout(5):
            await sim.requests[0].finished.wait()
        assert sim.requests[0].disconnected


def test_an_event_of_another_thread_holds_a_reply() -> None:
    go = threading.Event()
    with Simulator(raw=[b"a", go, b"b"]) as sim, ThreadPoolExecutor(1) as pool:
        asking = pool.submit(post, sim)
        request = sim.run(sim.wait_request())
        assert not request.finished.wait_blocking(0.02)
        go.set()
        assert asking.result(5)[1] == b"ab"


def test_it_ends_within_a_second_and_leaves_no_thread() -> None:
    before = threading.active_count()
    with Simulator(faults="hang-before-headers") as sim:
        sleeper = threading.Thread(target=lambda: _ignore(lambda: post(sim)))
        sleeper.start()
        sim.run(sim.wait_request())
        begun = time.perf_counter()
    assert time.perf_counter() - begun < 1
    sleeper.join(5)
    assert threading.active_count() == before
    with pytest.raises(OSError, match=r"."):
        post(sim)
    gc.collect()  # what was left open would be a ResourceWarning, and so an error


def _ignore(call: Callable[[], object]) -> None:
    try:
        call()
    except (OSError, http.client.HTTPException):
        pass


def test_a_taken_port_is_raised_where_it_is_opened() -> None:
    with Simulator() as sim:
        other = Simulator(sim.port)
        with pytest.raises(OSError, match="in use"), other:
            raise AssertionError("it started")


def test_it_can_be_entered_again_after_its_end_but_not_before() -> None:
    sim = Simulator(text="again")
    for _ in range(2):
        with sim:
            assert text_of(post(sim)[1]) == "again"
            with pytest.raises(RuntimeError, match="started already"):
                sim.__enter__()


def test_what_a_function_raises_is_a_500_and_the_next_request_is_served(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def reply(request: Any) -> str:
        if request.index == 0:
            raise ValueError("a bug in the test")
        return "fine"

    with Simulator(reply=reply) as sim:
        assert post(sim)[0] == 500
        assert text_of(post(sim)[1]) == "fine"
    assert "a bug in the test" in caplog.text


async def test_start_returns_the_simulator_and_no_faults_may_be_none() -> None:
    sim = await Simulator(text="Hi", faults=None).start()
    try:
        assert isinstance(sim, Simulator)
        client = LLMClient("gpt-4o", base_url=sim.base_url, api_key="x", printer=None)
        assert (await client.stream("?")).completion == "Hi"
    finally:
        await sim.stop()


def test_a_flag_wakes_who_waits_in_whichever_loop_even_a_closed_one() -> None:
    flag = Flag()
    left = asyncio.new_event_loop()
    waiting = left.create_task(flag.wait())
    left.run_until_complete(asyncio.sleep(0))
    heard = threading.Event()

    def other() -> None:
        asyncio.run(flag.wait())
        heard.set()

    thread = threading.Thread(target=other)
    thread.start()
    waiting.cancel()
    left.run_until_complete(asyncio.wait([waiting]))
    left.close()
    assert not flag.is_set()
    flag.set()
    thread.join(5)
    assert heard.is_set()
    asyncio.run(flag.wait())
