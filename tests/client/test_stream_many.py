"""``client.stream_many``: many prompts, some at a time, whatever becomes of each."""

from __future__ import annotations

import asyncio
import gc
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from lm_deluge import APIResponse, LLMClient
from lm_deluge.errors import (
    AuthenticationError,
    ConnectionLostError,
    PromptError,
    StreamCancelled,
    StreamError,
    UnsupportedModelError,
)
from lm_deluge.simulator import Simulator
from support.clients import Recorder, client_for


def echo(body: Any) -> str:
    return f"re: {body['messages'][-1]['content']}"


def stream_tasks() -> list[str]:
    return [task.get_name() for task in asyncio.all_tasks() if "lm_deluge" in task.get_name()]


@pytest.mark.parametrize("kind", ["list", "generator", "async generator"])
async def test_every_prompt_gets_its_answer(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    texts = [f"prompt {n}" for n in range(20)]

    async def later() -> AsyncIterator[str]:
        for text in texts:
            await asyncio.sleep(0)
            yield text

    prompts = {"list": texts, "generator": iter(texts), "async generator": later()}[kind]
    async with Simulator(text=echo) as simulator:
        found = {i: r async for i, r in client_for(simulator).stream_many(prompts, concurrency=4)}
    assert {i: str(r) for i, r in found.items()} == {i: f"re: {t}" for i, t in enumerate(texts)}
    assert capsys.readouterr().out == ""


async def test_one_failure_stops_nothing() -> None:
    async with Simulator(text=echo, faults=[None, "reset:1", None, "status:500"]) as simulator:
        client = client_for(simulator)
        found = {i: r async for i, r in client.stream_many(list("abcdef"), concurrency=1)}
    kinds = [type(found[i]).__name__ for i in range(6)]
    assert kinds == [
        "APIResponse", "ConnectionLostError", "APIResponse", "InternalServerError",
        "APIResponse", "APIResponse",
    ]  # fmt: skip
    assert isinstance(found[1], ConnectionLostError)
    assert found[1].partial is not None
    assert found[1].partial.text == "re"


async def test_a_prompt_that_makes_no_sense_is_an_outcome_like_any_other() -> None:
    prompts: list[Any] = ["one", "", 7, [{"role": "clown", "content": "x"}], "two"]
    recorder = Recorder()
    async with Simulator(text=echo) as simulator:
        client = client_for(simulator)
        found = {i: r async for i, r in client.stream_many(prompts, handlers=[recorder])}
        assert simulator.request_count == 2
    assert [isinstance(found[i], APIResponse) for i in range(5)] == [
        True,
        False,
        False,
        False,
        True,
    ]
    for index, cause in ((1, ValueError), (2, TypeError), (3, ValueError)):
        error = found[index]
        assert isinstance(error, PromptError)
        assert isinstance(error, StreamError)
        assert isinstance(error.__cause__, cause)
        assert f"prompt {index}" in str(error)
    assert recorder.heard.count("start") == 2


async def test_settings_that_make_no_sense_are_raised_before_a_prompt_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    taken = []

    def prompts() -> Iterator[str]:
        taken.append(1)
        yield "hi"

    keyless, unknown = LLMClient("gpt-4o"), LLMClient("nobody-knows-this")
    with_key = LLMClient("gpt-4o", api_key="sk-any")
    wrong: list[tuple[Any, type[Exception]]] = [
        (keyless.stream_many(prompts()), AuthenticationError),
        (unknown.stream_many(prompts()), UnsupportedModelError),
        (with_key.stream_many(prompts(), concurrency=0), ValueError),
        (with_key.stream_many(prompts(), tool_choice="auto"), ValueError),
        (with_key.stream_many("a text"), TypeError),  # type: ignore[arg-type]
    ]
    for outcomes, kind in wrong:
        with pytest.raises(kind):
            await anext(outcomes)
    assert taken == []
    assert stream_tasks() == []


async def test_what_the_prompts_raise_is_raised_after_what_ran_by_then() -> None:
    def prompts() -> Iterator[str]:
        yield from ("a", "b")
        raise OSError("the file is gone")

    seen = []
    async with Simulator(text=echo) as simulator:
        with pytest.raises(OSError, match="gone"):
            async for _, outcome in client_for(simulator).stream_many(prompts(), concurrency=8):
                seen.append(str(outcome))
    assert sorted(seen) == ["re: a", "re: b"]


@pytest.mark.parametrize("how", ["break", "close", "cancel"])
async def test_leaving_ends_every_stream_within_a_second(how: str) -> None:
    recorder = Recorder()
    faults = [None] + ["stall:1"] * 50  # the first answers, the others never end
    async with Simulator(text="a b c", faults=faults) as simulator:
        client = client_for(simulator, handlers=[recorder])

        async def consume() -> None:
            async for _ in client.stream_many((f"p{n}" for n in range(50)), concurrency=10):
                await simulator.wait_request(11)
                if how == "break":
                    break

        if how == "close":
            outcomes = client.stream_many((f"p{n}" for n in range(50)), concurrency=10)
            await anext(outcomes)
            await simulator.wait_request(11)
            left = time.perf_counter()
            await outcomes.aclose()
        else:
            consumer = asyncio.create_task(consume())
            await simulator.wait_request(11)
            left = time.perf_counter()
            if how == "cancel":
                consumer.cancel()
            await asyncio.wait([consumer])
            assert consumer.cancelled() == (how == "cancel")
        took = time.perf_counter() - left
        gc.collect()  # break leaves the generator to be collected; what that takes is the heap's
        left = time.perf_counter()
        await simulator.wait_closed_connections(1.0)
        async with asyncio.timeout(1.0):
            while stream_tasks():
                await asyncio.sleep(0.005)
        assert took + time.perf_counter() - left < 1.0
    starts = recorder.heard.count("start")
    assert starts == len(recorder.endings) == 11
    assert Counter(type(ending) for ending in recorder.endings)[StreamCancelled] == 10


async def test_tags_may_be_a_function_of_index_and_prompt() -> None:
    async with Simulator(text="hi") as simulator:
        client = client_for(simulator, tags={"run": 1})
        found = [
            response.tags
            async for _, response in client.stream_many(
                ["a", "b"], tags=lambda index, prompt: {"id": f"{prompt}{index}"}, concurrency=1
            )
            if isinstance(response, APIResponse)
        ]
    assert found == [{"run": 1, "id": "a0"}, {"run": 1, "id": "b1"}]


class Own(BaseException):
    """No ``Exception``."""


def breaking(error: BaseException) -> dict[str, Any]:
    """Return prompts of every kind that give one and then raise ``error``."""

    def generator() -> Iterator[str]:
        yield "one"
        raise error

    async def later() -> AsyncIterator[str]:
        yield "one"
        raise error

    class Iterable:
        def __init__(self) -> None:
            self.given = False

        def __iter__(self) -> Any:
            return self

        def __next__(self) -> str:
            if self.given:
                raise error
            self.given = True
            return "one"

    class AsyncIterable(Iterable):
        __iter__ = None

        def __aiter__(self) -> Any:
            return self

        async def __anext__(self) -> str:
            return self.__next__()

    class AtOnce:
        def __iter__(self) -> Any:
            raise error

    class LaterAtOnce:
        def __aiter__(self) -> Any:
            raise error

    return {
        "generator": generator(),
        "async generator": later(),
        "iterator": Iterable(),
        "async iterator": AsyncIterable(),
        "__iter__": AtOnce(),
        "__aiter__": LaterAtOnce(),
    }


#: Made anew in each test: one that is kept would keep the frames of a test, and its streams.
ERRORS: dict[str, Callable[[], BaseException]] = {
    "OSError": lambda: OSError("gone"),
    "Own": lambda: Own("gone"),
    "CancelledError": lambda: asyncio.CancelledError("gone"),
    "GeneratorExit": lambda: GeneratorExit("gone"),
    "KeyboardInterrupt": lambda: KeyboardInterrupt("gone"),
    "SystemExit": lambda: SystemExit("gone"),
    "StopIteration": lambda: StopIteration("gone"),
    "StopAsyncIteration": lambda: StopAsyncIteration("gone"),
    "ExceptionGroup": lambda: ExceptionGroup("gone", [OSError()]),
}


@pytest.mark.parametrize("kind", breaking(OSError()))
@pytest.mark.parametrize("name", ERRORS)
async def test_whatever_the_prompts_raise_is_raised_to_the_caller(name: str, kind: str) -> None:
    error = ERRORS[name]()
    prompts = breaking(error)[kind]
    ends = {"iterator": StopIteration, "async iterator": StopAsyncIteration}
    over = isinstance(error, ends.get(kind, ()))
    recorder = Recorder()
    seen: list[str] = []
    async with Simulator(text=echo) as simulator:
        client = client_for(simulator, handlers=[recorder])
        raised: BaseException | None = None
        try:
            async for _, outcome in client.stream_many(prompts, concurrency=4):
                seen.append(str(outcome))
        except BaseException as caught:
            raised = caught
    # Python makes a RuntimeError of what would look like the end of a generator.
    cause = raised.__cause__ if isinstance(raised, RuntimeError) else raised
    while isinstance(cause, RuntimeError):
        cause = cause.__cause__
    assert cause is (None if over else error)
    assert recorder.heard.count("start") == len(recorder.endings)
    if not kind.startswith("__") and not isinstance(error, (KeyboardInterrupt, SystemExit)):
        assert seen == ["re: one"]
    assert stream_tasks() == []


@pytest.mark.parametrize("name", ERRORS)
async def test_what_a_function_for_tags_raises_is_raised_to_the_caller(name: str) -> None:
    error = ERRORS[name]()

    def tags(index: int, prompt: Any) -> dict[str, Any]:
        raise error

    async with Simulator(text=echo) as simulator:
        raised: BaseException | None = None
        try:
            async for _ in client_for(simulator).stream_many(["a"], tags=tags):
                pass
        except BaseException as caught:
            raised = caught
    # Python makes a RuntimeError of what would look like the end of a generator.
    ends = isinstance(error, (StopIteration, StopAsyncIteration))
    assert (raised.__cause__ if raised is not None and ends else raised) is error
    assert stream_tasks() == []


async def test_a_prompt_that_cannot_even_be_looked_at_is_an_outcome_like_any_other() -> None:
    class Odd(list[Any]):
        def __iter__(self) -> Any:
            raise RuntimeError("no \ud83d way")

    nested: list[Any] = [{"role": "user", "content": "x"}]
    nested[0]["content"] = nested
    async with Simulator(text=echo) as simulator:
        client = client_for(simulator)
        found = {i: r async for i, r in client.stream_many([Odd([1]), nested, "b"])}
    assert isinstance(found[0], PromptError)
    assert "no \N{REPLACEMENT CHARACTER} way" in str(found[0])
    assert isinstance(found[1], PromptError)
    assert str(found[2]) == "re: b"
