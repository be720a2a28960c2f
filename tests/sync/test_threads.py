"""The one background thread: who runs in it, who waits for it, who is woken how often."""

from __future__ import annotations

import asyncio
import contextvars
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import lm_deluge
from lm_deluge import APIResponse, StreamHandler, Token, attach
from lm_deluge.simulator import Gap
from lm_deluge.sync import Stream, stream_chat
from lm_deluge.sync.inbox import Inbox
from support.clients import KEY, Recorder

from .conftest import Serve

REQUEST = contextvars.ContextVar("REQUEST", default="nobody's")


class Where(StreamHandler):
    """Keeps in which thread and for whom it was called."""

    def __init__(self) -> None:
        self.threads: set[str] = set()
        self.requests: set[str] = set()

    def on_start(self, stream: lm_deluge.Stream) -> None:
        self.note()

    async def on_token(self, stream: lm_deluge.Stream, token: Token) -> None:
        self.note()

    def on_complete(self, stream: lm_deluge.Stream, response: APIResponse) -> None:
        self.note()

    def note(self) -> None:
        self.threads.add(threading.current_thread().name)
        self.requests.add(REQUEST.get())


def test_handlers_run_in_the_background_with_the_variables_of_each_call(serve: Serve) -> None:
    _, client = serve(text="Hello there")

    def ask(number: int) -> tuple[set[str], set[str]]:
        REQUEST.set(str(number))
        where = Where()
        client.stream("Hi", handlers=[where])
        list(client.open_stream("Hi", handlers=[where]))
        list(stream_chat("gpt-4o", "Hi", client=client, handlers=[where]))
        list(client.stream_many(["Hi"], handlers=[where]))
        return where.threads, where.requests

    with ThreadPoolExecutor(8) as pool:
        for number, (threads, requests) in enumerate(pool.map(ask, range(16))):
            assert threads == {"lm_deluge.sync"}
            assert requests == {str(number)}
    assert REQUEST.get() == "nobody's"


def test_many_threads_share_one_client_and_no_stream_mixes(serve: Serve) -> None:
    server, client = serve(text=lambda body: [body["messages"][0]["content"] + " "] * 20)

    def ask(number: int) -> str:
        kind = number % 3
        if kind == 0:
            return client.stream(str(number)).completion
        if kind == 1:
            return "".join(token.text for token in client.open_stream(str(number)))
        ((_, outcome),) = client.stream_many([str(number)])
        assert isinstance(outcome, APIResponse)
        return outcome.completion

    with ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(ask, range(120)))
    assert answers == [f"{number} " * 20 for number in range(120)]
    assert [t.name for t in threading.enumerate()].count("lm_deluge.sync") == 1
    assert server.connections <= 24


class Misled(StreamHandler):
    """Calls lm_deluge.sync where it cannot wait."""

    def __init__(self, call: Any) -> None:
        self.call = call

    def on_complete(self, stream: lm_deluge.Stream, response: APIResponse) -> None:
        self.call()


@pytest.mark.parametrize(
    "kind", ["stream", "loop", "pieces", "wait", "start", "chat", "many", "close"]
)
def test_a_handler_that_would_wait_for_itself_gets_a_clear_error(serve: Serve, kind: str) -> None:
    server, client = serve(text="Hello")
    calls = {
        "stream": lambda: client.stream("Hi"),
        "loop": lambda: list(client.open_stream("Hi")),
        "pieces": lambda: list(client.open_stream("Hi").pieces()),
        "wait": lambda: client.open_stream("Hi").wait(),
        "start": lambda: client.open_stream("Hi").start(),
        "chat": lambda: list(stream_chat("gpt-4o", "Hi", client=client)),
        "many": lambda: list(client.stream_many(["Hi"])),
        "close": client.close,
    }
    response = client.stream("Hi", handlers=[Misled(calls[kind])])
    (failure,) = response.handler_failures
    assert failure.type == "RuntimeError"
    for words in ("background thread", "would wait for itself", "cancel()", "async"):
        assert words in failure.message
    assert server.request_count == 1


def test_a_handler_that_stops_its_own_stream_is_told_to_cancel_it(serve: Serve) -> None:
    _, client = serve(text=["a"] * 50, gap=0.01)

    class Stopping(StreamHandler):
        def on_token(self, stream: lm_deluge.Stream, token: Token) -> None:
            assert isinstance(stream, Stream)
            stream.stop()

    response = client.stream("Hi", handlers=[Stopping()])
    assert "cancel()" in response.handler_failures[0].message


def test_a_handler_may_use_the_async_client(serve: Serve) -> None:
    server, client = serve(text="Hello")
    other = lm_deluge.LLMClient("gpt-4o", base_url=server.base_url, api_key=KEY, printer=None)
    asked: list[str] = []

    class Asking(StreamHandler):
        async def on_complete(self, stream: lm_deluge.Stream, response: APIResponse) -> None:
            asked.append((await other.stream("And?")).completion)

    assert client.stream("Hi", handlers=[Asking()]).handler_failures == []
    assert asked == ["Hello"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_a_handler_ends_the_program_with_reaches_the_caller_alone(
    serve: Serve, error: type[BaseException]
) -> None:
    _, client = serve(text=["a"] * 50, gap=0.01)

    class Ending(StreamHandler):
        def on_token(self, stream: lm_deluge.Stream, token: Token) -> None:
            raise error

    heard = Recorder()
    for consume in (Stream.wait, list):
        with pytest.raises(error):
            consume(client.open_stream("Hi", handlers=[Ending(), heard]))  # type: ignore[arg-type]
    with pytest.raises(error):
        list(client.stream_many(["Hi"], handlers=[Ending(), heard]))
    assert heard.heard.count("error") == 3
    client.open_stream("Hi", handlers=[Ending()]).start()  # nobody waits for this one
    assert next(iter(client.open_stream("Hi"))).text == "a"  # the thread lives on


async def test_it_works_where_a_loop_runs(serve: Serve) -> None:
    _, client = serve(text=["Hel", "lo"])
    assert client.stream("Hi").completion == "Hello"
    assert [token.text for token in client.open_stream("Hi")] == ["Hel", "lo"]
    assert [index for index, _ in client.stream_many(["Hi"])] == [0]
    assert (await asyncio.to_thread(client.stream, "Hi")).completion == "Hello"


def test_one_network_read_wakes_a_thread_once(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 1,000 tokens, a hundred in each write of the server."""
    woken = 0
    original = Inbox.wait

    class Signal:
        """The lock of an inbox, counted."""

        def __init__(self, lock: Any) -> None:
            self.lock, self.locked, self.acquire = lock, lock.locked, lock.acquire

        def release(self) -> None:
            nonlocal woken
            woken += 1
            self.lock.release()

    def wait(inbox: Inbox, deadline: float | None = None) -> bool:
        if not isinstance(inbox._signal, Signal):
            inbox._signal = Signal(inbox._signal)  # type: ignore[assignment]
        return original(inbox, deadline)

    monkeypatch.setattr(Inbox, "wait", wait)
    _, client = serve(text=["word "] * 1000, gap=Gap.bursty(100, 0.03))
    tokens = list(client.open_stream("Hi"))
    reads = len({token.read for token in tokens})
    assert len(tokens) == 1000
    assert reads < 200
    assert 1 <= woken <= reads + 1  # and one for the end


def test_a_slow_consumer_delays_no_arrival_and_loses_nothing(serve: Serve) -> None:
    _, client = serve(text=[f"{n} " for n in range(30)], gap=0.005)
    arrived = []
    for token in client.open_stream("Hi"):
        arrived.append(token.arrived)
        time.sleep(0.02)
    assert len(arrived) == 30
    assert arrived[-1] - arrived[0] < 0.45  # 30 × 20 ms is 0.6 s


def test_a_printer_of_the_process_and_capture_work(serve: Serve) -> None:
    _, client = serve(text="Hello")
    heard = Recorder()
    with attach(heard):
        client.stream("Hi")
    assert (heard.text, heard.heard[-1]) == ("Hello", "complete")


def test_waiting_uses_no_processor(serve: Serve) -> None:
    _, client = serve(text=["a", "b"], gap=0.5)
    client.stream("Hi")
    begun = time.process_time()
    list(client.open_stream("Hi"))
    used = time.process_time() - begun
    assert used < 0.2, sys.version
