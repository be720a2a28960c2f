"""How long an ending waits for handlers, what it tells of them, and what goes on after it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any
from unittest.mock import Mock

import pytest

from lm_deluge import LLMClient, Stream, StreamHandler
from lm_deluge.api_requests.openai import stream_chat
from lm_deluge.errors import StreamCancelled
from lm_deluge.signals import on_token
from support.clients import Recorder, client_for
from support.programs import Run
from support.scripted import END, HANG, HEADERS, ScriptedServer, ending, events, http

Consumer = Callable[..., Awaitable[Any]]


async def by_stream(client: LLMClient, **kwargs: Any) -> Any:
    return await client.stream("hi", **kwargs)


async def by_chat(client: LLMClient, **kwargs: Any) -> Any:
    items = [item async for item in stream_chat("gpt-4o", "hi", client=client, **kwargs)]
    return items[-1]


async def by_iteration(client: LLMClient, **kwargs: Any) -> Any:
    async with client.open_stream("hi", **kwargs) as stream:
        async for _ in stream:
            pass
    return stream.response


async def by_waiting(client: LLMClient, **kwargs: Any) -> Any:
    return await client.open_stream("hi", **kwargs)


async def by_many(client: LLMClient, **kwargs: Any) -> Any:
    outcomes = [outcome async for _, outcome in client.stream_many(["hi"], **kwargs)]
    return outcomes[-1]


CONSUMERS = [by_stream, by_chat, by_iteration, by_waiting, by_many]
METHODS = ["on_start", "on_token", "on_complete"]
STEPS = [HEADERS, http(events("Once")), http(events(" upon")), http(ending()) + END]


def doing(call: Callable[[], object], method: str, kind: str) -> object:
    def plain(self: object, stream: Stream, *payload: object) -> Any:
        return call()

    async def later(self: object, stream: Stream, *payload: object) -> Any:
        result = call()
        return await result if asyncio.iscoroutine(result) else result

    return type("Mine", (StreamHandler,), {method: later if kind == "async" else plain})()


def raising(error: BaseException) -> Callable[[], object]:
    def call() -> object:
        raise error

    return call


@pytest.mark.parametrize("consume", CONSUMERS)
@pytest.mark.parametrize("kind", ["plain", "async"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "make",
    [
        lambda: SystemExit(3),
        KeyboardInterrupt,
        lambda: BaseExceptionGroup("both", [SystemExit(3), ValueError()]),
    ],
    ids=["SystemExit", "KeyboardInterrupt", "BaseExceptionGroup"],
)
def test_what_ends_the_program_is_raised_after_the_one_ending(
    make: Callable[[], BaseException], method: str, kind: str, consume: Consumer
) -> None:
    error = make()
    recorder = Recorder()
    seen: list[BaseException | None] = []
    running: list[str] = []

    async def main() -> None:
        async with ScriptedServer(STEPS) as server:
            handlers = [doing(raising(error), method, kind), recorder]
            try:
                await consume(client_for(server), handlers=handlers)
            finally:
                seen.append(sys.exc_info()[1])
                running.extend(task.get_name() for task in asyncio.all_tasks())

    with pytest.raises(type(error)):
        asyncio.run(main())
    assert seen == [error]
    assert not [name for name in running if "lm_deluge" in name]
    assert len(recorder.endings) == 1
    assert recorder.heard[-1] == ("complete" if method == "on_complete" else "error")
    if method != "on_complete":
        assert str(recorder.endings[0]).endswith(f": {type(error).__name__} was raised")


def test_what_ends_the_program_leaves_the_loop_where_nobody_waits() -> None:
    async def main() -> None:
        async with ScriptedServer(STEPS) as server:
            client = client_for(
                server, handlers=[doing(raising(SystemExit(3)), "on_token", "plain")]
            )
            stream = client.open_stream("hi")
            stream.start()
            await asyncio.Event().wait()

    with pytest.raises(SystemExit):
        asyncio.run(main())


EXITING = """
import asyncio, sys
from lm_deluge import LLMClient, StreamHandler
class Exit(StreamHandler):
    def on_token(self, stream, token):
        sys.exit(3)
    async def on_error(self, stream, error):
        print("told", type(error).__name__)
async def main():
    client = LLMClient("gpt-4o", base_url=sys.argv[1], api_key="sk-test-123456", printer=None)
    await client.stream("hi", handlers=[Exit()])
asyncio.run(main())
"""


async def test_a_program_that_exits_in_a_handler_ends_in_silence(
    run: Run, python: tuple[str, ...]
) -> None:
    async with ScriptedServer(STEPS) as server:
        done = await run(*python, "-c", EXITING, server.base_url)
    assert (done.code, done.out, done.complaints) == (3, "told StreamCancelled\n", "")


class Own(BaseException):
    """No ``Exception``."""


@pytest.mark.parametrize("kind", ["plain", "async"])
@pytest.mark.parametrize(
    "error", [Own("mine"), asyncio.CancelledError("mine"), GeneratorExit("mine")], ids=repr
)
async def test_any_other_base_exception_is_a_failure(
    error: BaseException, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with ScriptedServer(STEPS) as server:
        handlers = [doing(raising(error), "on_token", kind)]
        response = await client_for(server).stream("hi", handlers=handlers)
    (failure,) = response.handler_failures
    assert (failure.type, failure.message, failure.count) == (type(error).__name__, "mine", 2)
    assert [record.levelname for record in caplog.records] == ["ERROR"]


@pytest.mark.parametrize("kind", ["plain", "async"])
async def test_a_failure_is_complete_and_logged_before_stream_returns(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with ScriptedServer(STEPS) as server:
        handlers = [doing(raising(ValueError("x" * 5_000 + "\ud83d")), "on_complete", kind)]
        response = await client_for(server).stream("hi", handlers=handlers)
        (failure,) = response.handler_failures
        assert "handler Mine failed in on_complete" in caplog.records[0].getMessage()
        assert len(failure.message) < 2_100
        assert failure.message.endswith("… (5,001 characters)")


class Late(StreamHandler):
    """Hangs, and answers its cancellation late, with an error of its own."""

    def __init__(self, *, for_good: bool = False) -> None:
        self.for_good = for_good
        self.release = asyncio.Event()

    async def on_token(self, stream: Stream, token: object) -> None:
        while True:
            try:
                await self.release.wait()
            except asyncio.CancelledError:
                if self.for_good and not self.release.is_set():
                    continue
            raise ValueError("too late")


@pytest.mark.slow
async def test_a_lagging_handler_is_told_and_logged_before_stream_returns(
    caplog: pytest.LogCaptureFixture,
) -> None:
    late = Late()
    async with ScriptedServer(STEPS) as server:
        client = client_for(server, handlers=[late], handler_wait=0.05)
        response = await client.stream("hi")
    assert [failure.type for failure in response.handler_failures] == [
        "HandlerLagging",
        "ValueError",
    ]
    assert "is lagging in on_token" in caplog.records[0].getMessage()
    assert "too late" in caplog.records[1].getMessage()


@pytest.mark.slow
async def test_what_a_handler_raises_after_it_was_given_up_is_told_to_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    late = Late(for_good=True)
    async with ScriptedServer(STEPS) as server:
        response = await client_for(server, handlers=[late], handler_wait=0.05).stream("hi")
        told, logged = list(response.handler_failures), len(caplog.records)
        late.release.set()
        async with asyncio.timeout(1):
            while any("lm_deluge" in task.get_name() for task in asyncio.all_tasks()):
                await asyncio.sleep(0)
    assert [failure.type for failure in told] == ["HandlerLagging"]
    assert response.handler_failures == told
    assert len(caplog.records) == logged == 1


class Hanging(StreamHandler):
    """Never comes back."""

    async def on_start(self, stream: Stream) -> None:
        await asyncio.Event().wait()


@pytest.mark.parametrize("consume", CONSUMERS)
@pytest.mark.parametrize("when", ["while it streams", "while it waits for handlers"])
async def test_a_cancelled_waiter_waits_for_handlers_at_most_a_second(
    when: str, consume: Consumer
) -> None:
    steps = [HEADERS, http(events("a")), HANG] if when == "while it streams" else STEPS
    recorder = Recorder()
    async with ScriptedServer(steps) as server:
        client = client_for(server, handlers=[Hanging(), recorder])
        begun = time.perf_counter()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await consume(client)
        assert time.perf_counter() - begun < 0.2 + 1.05
    assert len(recorder.endings) == 1


async def test_a_closed_generator_of_a_cancelled_task_waits_at_most_a_second() -> None:
    async with ScriptedServer([HEADERS, http(events("a", "b")), HANG]) as server:
        client = client_for(server, handlers=[Hanging()])
        begun = time.perf_counter()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                async with client.open_stream("hi") as stream:
                    async for _ in stream:
                        await asyncio.Event().wait()
        assert time.perf_counter() - begun < 0.2 + 1.05


async def closing(client: LLMClient, stream: Stream) -> object:
    return await client.close()


WAITS: dict[str, Callable[[LLMClient, Stream], Awaitable[object]]] = {
    "await stream": lambda client, stream: stream,
    "wait_for": lambda client, stream: asyncio.wait_for(stream, 5),
    "start": lambda client, stream: stream.start(),
    "aclose": lambda client, stream: stream.aclose(),
    "a task": lambda client, stream: asyncio.ensure_future(stream.aclose()),
    "client.close": closing,
}


@pytest.mark.parametrize("wait", WAITS)
@pytest.mark.parametrize("method", METHODS)
async def test_a_handler_that_waits_for_its_own_stream_waits_for_its_ending_alone(
    wait: str, method: str
) -> None:
    async with ScriptedServer(STEPS) as server:
        client = client_for(server)

        class Waits(StreamHandler):
            pass

        async def later(self: object, stream: Stream, *payload: object) -> None:
            await WAITS[wait](client, stream)

        setattr(Waits, method, later)
        begun = time.perf_counter()
        # Whoever closes a stream cancels it, unless its ending is decided.
        closes = wait in ("aclose", "a task", "client.close") and method != "on_complete"
        with pytest.raises(StreamCancelled) if closes else contextlib.nullcontext():
            await client.stream("hi", handlers=[Waits()])
        assert time.perf_counter() - begun < 1


async def test_a_stream_opened_by_a_handler_of_another_is_no_stream_of_its_own() -> None:
    class Follows(StreamHandler):
        async def on_complete(self, stream: Stream, response: object) -> None:
            self.second = await client.stream("and?", handlers=[recorder])

    recorder, follows = Recorder(), Follows()
    async with ScriptedServer(STEPS) as server:
        client = client_for(server)
        first = await client.stream("hi", handlers=[follows])
    assert str(first) == str(follows.second) == recorder.text == "Once upon"
    assert first.handler_failures == follows.second.handler_failures == []


async def test_a_handler_that_cancels_its_own_task_hears_the_rest() -> None:
    class Stubborn(Recorder):
        async def on_token(self, stream: Stream, token: Any) -> None:  # type: ignore[override]
            super().on_token(stream, token)
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.sleep(0)

    handler = Stubborn()
    async with ScriptedServer(STEPS) as server:
        response = await client_for(server, handlers=[handler]).stream("hi")
    assert handler.heard == ["start", "token", "token", "complete"]
    assert [(f.type, f.count) for f in response.handler_failures] == [("CancelledError", 2)]


class BadLogging(logging.Handler):
    """Lets out what its ``emit`` raises."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def emit(self, record: logging.LogRecord) -> None:
        raise self.error


@pytest.mark.parametrize("kind", ["plain", "async"])
@pytest.mark.parametrize("error", [ValueError("full"), Own(), asyncio.CancelledError()], ids=repr)
async def test_logging_that_fails_changes_nothing(error: BaseException, kind: str) -> None:
    logger, bad, recorder = logging.getLogger("lm_deluge"), BadLogging(error), Recorder()
    logger.addHandler(bad)
    try:
        async with ScriptedServer(STEPS) as server:
            handlers = [doing(raising(ValueError("oh")), "on_token", kind), recorder]
            response = await client_for(server).stream("hi", handlers=handlers)
    finally:
        logger.removeHandler(bad)
    assert recorder.heard == ["start", "token", "token", "complete"]
    assert [(f.message, f.count) for f in response.handler_failures] == [("oh", 2)]


@pytest.mark.parametrize("odd", ["yields", "returns it", "fails", "is a Mock"])
async def test_raw_receivers_are_isolated_as_well(odd: str) -> None:
    # blinker keeps a receiver of one stream as long as it lives.
    receivers: dict[str, Any] = {
        "yields": lambda stream, token: (yield),
        "returns it": lambda stream, token: stream,
        "fails": lambda stream, token: raising(Own())(),
        "is a Mock": Mock(),
    }
    async with ScriptedServer(STEPS) as server:
        stream = client_for(server).open_stream("hi")
        on_token.connect(receivers[odd], stream)
        response = await stream
    assert str(response) == "Once upon"
    assert len(response.handler_failures) == (odd in ("yields", "fails"))


async def test_failures_of_ever_new_kinds_are_bounded() -> None:
    def fail() -> object:
        raise type(f"Error{next(count)}", (Exception,), {})

    count = iter(range(1000))
    words = [f"{n} " for n in range(150)]
    async with ScriptedServer([HEADERS, http(events(*words) + ending()) + END]) as server:
        response = await client_for(server, handlers=[doing(fail, "on_token", "plain")]).stream(
            "hi"
        )
    assert len(response.handler_failures) == 101
    assert sum(failure.count for failure in response.handler_failures) == 150
