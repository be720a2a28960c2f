"""Tasks whose first step is taken at once (``asyncio.eager_task_factory``, Python 3.12) are tasks like
any others."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from lm_deluge import LLMClient, RetryPolicy, Stream, StreamHandler, Timeouts
from lm_deluge.errors import APITimeoutError, StreamCancelled, StreamError
from support.aftermath import Aftermath
from support.bare_server import BareServer
from support.clients import KEY, AtToken, Recorder, client_for
from support.consumers import CONSUMERS, HANDLERS, consume
from support.promises import consumed_check
from support.scripted import HANG, HEADERS, RESET, answer, ending, events, http, reply

factory = getattr(asyncio, "eager_task_factory", None)

pytestmark = pytest.mark.skipif(factory is None, reason="needs Python 3.12")

Run = Callable[[Coroutine[Any, Any, None]], None]

SCRIPTS = {
    "whole": answer("Once", " upon"),
    "lost": [HEADERS, http(events("Once")), RESET],
    "refused": reply("401 Unauthorized", '{"error": {"message": "no"}}'),
    "busy": reply("503 Service Unavailable", "{}"),
    "silent": [HANG],
    "stalled": [HEADERS, http(events("Once")), HANG],
    "open": [HEADERS, http(events("Once") + ending()), HANG],
}


def eager(loop: Any, work: Any, *, eager_start: object = None, **named: Any) -> Any:
    """The factory; uvloop gives it ``eager_start``, which not every version takes, and may say no."""
    assert factory is not None
    return factory(loop, work, **named)


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a coroutine in a loop whose tasks are eager."""
    new_loop = pytest.importorskip(request.param).new_event_loop

    def run(work: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.get_loop().set_task_factory(eager)
            runner.run(work)

    return run


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("how", CONSUMERS)
def test_every_consumer_and_handler_hears_the_same(run: Run, how: str, script: str) -> None:
    async def main() -> None:
        async with BareServer(SCRIPTS[script]):
            pass  # uvloop keeps a file from its first server on
        async with Aftermath() as after:
            async with BareServer(SCRIPTS[script]) as server:
                client = LLMClient(
                    "gpt-4o",
                    base_url=server.base_url,
                    api_key=KEY,
                    timeouts=Timeouts(first_token=0.05, between_tokens=0.05, tail=0.05),
                    retries=RetryPolicy(max_attempts=2, initial_delay=0.001),
                )
                jobs = [
                    consume(how, client, "hi", make() if make is not None else None, name)
                    for name, (make, strict) in HANDLERS.items()
                    if not strict and name != "hanging"
                ]
                for seen in await asyncio.gather(*jobs):
                    consumed_check(seen)
                    after.watch(seen)
                del seen
                await client.close()

    run(main())


def test_streams_wait_for_their_slots_and_may_be_cancelled_there(run: Run) -> None:
    async def main() -> None:
        async with BareServer(answer("a")) as server:
            client = client_for(server, max_concurrent_streams=1)  # type: ignore[arg-type]
            streams = [client.open_stream("hi") for _ in range(5)]
            tasks = [asyncio.ensure_future(_outcome(stream)) for stream in streams]
            streams[2].cancel("not wanted")
            outcomes = await asyncio.gather(*tasks)
            kinds = [getattr(outcome, "completion", type(outcome).__name__) for outcome in outcomes]
            assert kinds == ["a", "a", "StreamCancelled", "a", "a"]
            await client.close()

    run(main())


@pytest.mark.parametrize("method", ["on_start", "on_token", "on_complete"])
def test_a_handler_may_cancel_its_stream(run: Run, method: str) -> None:
    async def main() -> None:
        def cancel(stream: Stream, *payload: object) -> None:
            stream.cancel("enough")

        handler = type("Cancelling", (StreamHandler,), {method: staticmethod(cancel)})()
        async with BareServer(answer("a", "b")) as server:
            client = client_for(server, handlers=[handler])  # type: ignore[arg-type]
            stream = client.open_stream("hi")
            if method == "on_complete":
                assert (await stream).completion == "ab"
            else:
                with pytest.raises(StreamCancelled, match="enough"):
                    await stream
            await client.close()

    run(main())


def test_many_at_once_and_many_after_another(run: Run) -> None:
    async def main() -> None:
        async with BareServer(answer("a"), [RESET], answer("b")) as server:
            recorder = Recorder()
            client = client_for(
                server,  # type: ignore[arg-type]
                retries=RetryPolicy(initial_delay=0.001),
                handlers=[recorder],
            )
            outcomes = [item async for item in client.stream_many(["hi"] * 50, concurrency=7)]
            assert sorted(index for index, _ in outcomes) == list(range(50))
            assert not [outcome for _, outcome in outcomes if isinstance(outcome, StreamError)]
            assert len(recorder.endings) == 50
            assert len(recorder.retries) == 1
            await client.close()

    run(main())


def test_limits_hold_from_the_first_step(run: Run) -> None:
    async def main() -> None:
        async with BareServer([HANG]) as server:
            client = client_for(server, timeouts=Timeouts(total=0.05))  # type: ignore[arg-type]
            with pytest.raises(APITimeoutError) as caught:
                await client.stream("hi")
            assert caught.value.phase == "total"
            await client.close()

    run(main())


def test_async_handlers_hear_everything_in_order(run: Run) -> None:
    async def main() -> None:
        heard: list[str] = []

        class Listening:
            async def on_start(self, stream: Stream) -> None:
                heard.append("start")

            async def on_token(self, stream: Stream, token: Any) -> None:
                await asyncio.sleep(0)
                heard.append(token.text)

            def on_complete(self, stream: Stream, response: object) -> Any:
                async def late() -> None:
                    heard.append("complete")

                return late()

        async with BareServer(answer("a", "b", "c")) as server:
            client = client_for(server, handlers=[Listening(), AtToken(lambda: None)])  # type: ignore[arg-type]
            response = await client.stream("hi")
            assert heard == ["start", "a", "b", "c", "complete"]
            assert not response.handler_failures
            await client.close()

    run(main())


async def _outcome(stream: Stream) -> Any:
    try:
        return await stream
    except StreamError as error:
        return error


def test_the_factory_is_what_the_name_says(run: Run) -> None:
    """A guard: these tests would prove nothing with tasks that wait for their turn."""

    async def main() -> None:
        began: list[int] = []

        async def note() -> None:
            began.append(1)

        coroutine = note()
        task = asyncio.ensure_future(coroutine)
        assert began
        assert inspect.getcoroutinestate(coroutine) == "CORO_CLOSED"
        await task

    run(main())
