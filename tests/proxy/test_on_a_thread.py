"""``with Proxy()``: a proxy on a thread of its own, for callers with and without an event loop."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
from collections.abc import Callable

import pytest

from lm_deluge.proxy import Proxy
from lm_deluge.simulator import Simulator
from support.clients import Recorder

_BODY = json.dumps(
    {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
)


def _post(proxy: Proxy) -> bytes:
    connection = http.client.HTTPConnection(
        "127.0.0.1", int(proxy.url.rpartition(":")[2]), timeout=10
    )
    try:
        headers = {"Content-Type": "application/json", "Authorization": "Bearer x"}
        connection.request("POST", "/v1/chat/completions", _BODY, headers)
        return connection.getresponse().read()
    finally:
        connection.close()


@pytest.mark.parametrize("make", [Proxy, Simulator])
def test_the_thread_has_the_name_of_what_runs_on_it(make: Callable[[], Proxy | Simulator]) -> None:
    before = set(threading.enumerate())
    with make():
        (thread,) = set(threading.enumerate()) - before
        assert thread.name == f"lm_deluge {make.__name__.lower()}"  # type: ignore[attr-defined]
    assert not thread.is_alive()


def test_its_methods_are_awaited_without_a_loop_by_run() -> None:
    heard = Recorder()
    with Simulator(text="Hi there") as simulator, Proxy(simulator.url, handlers=[heard]) as proxy:
        assert b"[DONE]" in _post(proxy)
        proxy.run(proxy.finish())
        assert heard.heard[-1] == "complete"
        with pytest.raises(ConnectionRefusedError):
            _post(proxy)
    with pytest.raises(RuntimeError, match=r"with Proxy\(\)"):
        proxy.run(proxy.finish())


async def test_they_are_awaited_in_any_loop() -> None:
    with Simulator(text="Hi there", gap=0.05) as simulator, Proxy(simulator.url) as proxy:
        answered = asyncio.create_task(asyncio.to_thread(_post, proxy))
        await simulator.wait_request()
        await proxy.finish()
        assert b"[DONE]" in await answered
        await proxy.close()


def test_it_is_entered_once() -> None:
    with Proxy("http://127.0.0.1:9") as proxy:
        with pytest.raises(RuntimeError, match="the proxy has been started already"), proxy:
            raise AssertionError
        assert proxy.url
    with proxy:  # and again when it was left
        assert proxy.running == 0
