"""stream_many without async: bounded, in the order of finishing, with prompts of the caller's thread."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from lm_deluge import APIResponse, RetryPolicy
from lm_deluge.errors import PromptError, RateLimitError, StreamCancelled
from support.clients import Recorder

from .conftest import Serve


def test_outcomes_come_as_they_finish_with_failures_among_them(serve: Serve) -> None:
    _, client = serve(
        text="Hello", faults=[None, "status:429"], settings={"retries": RetryPolicy.none()}
    )
    outcomes = dict(client.stream_many(["a", 7, "b"], concurrency=1))  # type: ignore[list-item]
    assert isinstance(outcomes[0], APIResponse)
    assert isinstance(outcomes[1], PromptError)
    assert isinstance(outcomes[2], RateLimitError)


def test_no_more_run_at_a_time_than_asked_for(serve: Serve) -> None:
    server, client = serve(text=["a", "b", "c"], gap=0.01)
    running, most = 0, 0

    class Counting:
        def on_start(self, stream: Any) -> None:
            nonlocal running, most
            running += 1
            most = max(most, running)

        def on_complete(self, stream: Any, response: APIResponse) -> None:
            nonlocal running
            running -= 1

    taken = [
        index
        for index, _ in client.stream_many(
            map(str, range(20)), concurrency=3, handlers=[Counting()]
        )
    ]
    assert sorted(taken) == list(range(20))
    assert most == 3
    assert server.connections <= 3


def test_prompts_are_taken_in_the_thread_that_loops_and_lazily(serve: Serve) -> None:
    _, client = serve(text="Hello")
    threads: set[int] = set()
    taken = 0

    def prompts() -> Iterator[str]:
        nonlocal taken
        for number in range(1000):
            threads.add(threading.get_ident())
            taken += 1
            yield str(number)

    for _ in client.stream_many(prompts(), concurrency=2):
        break
    assert threads == {threading.get_ident()}
    assert taken < 30


def test_prompts_may_ask_the_client_themselves(serve: Serve) -> None:
    server, client = serve(text=lambda body: "more " + body["messages"][0]["content"])
    prompts = (client.stream(f"{number}").completion for number in range(5))
    found = sorted(outcome.completion for _, outcome in client.stream_many(prompts))  # type: ignore[union-attr]
    assert found == [f"more more {number}" for number in range(5)]
    assert server.request_count == 10


def test_async_prompts_are_taken_too(serve: Serve) -> None:
    _, client = serve(text="Hello")

    async def prompts() -> AsyncIterator[str]:
        for number in range(3):
            yield str(number)

    assert sorted(index for index, _ in client.stream_many(prompts())) == [0, 1, 2]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_what_prompts_raise_is_raised_with_its_line(
    serve: Serve, error: type[BaseException]
) -> None:
    _, client = serve(text=["a"] * 5, gap=0.01)
    heard = Recorder()

    def prompts() -> Iterator[str]:
        yield "one"
        raise error("no more")

    seen = []
    with pytest.raises(error, match="no more") as caught:
        for index, outcome in client.stream_many(prompts(), handlers=[heard]):
            seen.append((index, type(outcome)))
    # An error lets those that run end first, an exit does not.
    assert seen == ([(0, APIResponse)] if error is ValueError else [])
    assert heard.heard[-1] == ("complete" if error is ValueError else "error")
    assert "prompts" in [entry.name for entry in caught.traceback]


def test_leaving_the_loop_ends_all(serve: Serve) -> None:
    server, client = serve(text=lambda body: ["a"] * (2 if "short" in str(body) else 500), gap=0.01)
    heard = Recorder()
    for index, _ in client.stream_many(["long", "short", "long"], handlers=[heard]):
        assert index == 1
        break
    assert sorted(heard.heard[-2:]) == ["error", "error"]
    assert heard.heard.count("start") == len(heard.endings) == 3
    assert server.request_count == 3


def test_a_client_that_is_closed_meanwhile_gives_the_outcomes(serve: Serve) -> None:
    _, client = serve(text=["a"] * 500, gap=0.01)
    closing = threading.Timer(0.2, client.close)
    closing.start()
    got = list(client.stream_many(["a"] * 3))
    closing.join()
    assert [type(outcome) for _, outcome in got] == [StreamCancelled] * 3


@pytest.mark.parametrize("prompts", ["text", b"bytes", {"a": 1}, 7, None])
def test_what_holds_no_prompts_is_refused_at_the_first_step(serve: Serve, prompts: Any) -> None:
    server, client = serve()
    outcomes = client.stream_many(prompts)
    with pytest.raises(TypeError, match="prompts must be an iterable of prompts"):
        next(outcomes)
    assert not server.requests


def test_settings_that_make_no_sense_are_raised_before_a_prompt_is_taken(serve: Serve) -> None:
    _, client = serve()
    taken: list[int] = []
    prompts = (str(taken.append(1)) for _ in range(3))  # type: ignore[func-returns-value]
    with pytest.raises(ValueError, match="concurrency"):
        list(client.stream_many(prompts, concurrency=0))
    with pytest.raises(TypeError, match="tools must be"):
        list(client.stream_many(prompts, tools=7))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="temprature"):
        client.stream_many(prompts, temprature=7)  # type: ignore[call-arg]
    assert taken == []


def test_a_slow_consumer_bounds_what_is_asked(serve: Serve) -> None:
    server, client = serve(text="Hello")
    outcomes = client.stream_many(map(str, range(1000)), concurrency=2)
    next(outcomes)
    time.sleep(0.2)
    assert server.request_count < 25
    outcomes.close()
