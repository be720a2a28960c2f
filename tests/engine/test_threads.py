"""One client serves many threads, each with event loops of its own, opened and closed in any order."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lm_deluge import LLMClient, RetryPolicy, Stream, attach, register_model
from lm_deluge.api_requests.openai import stream_chat
from lm_deluge.engine.plan import Slots
from lm_deluge.errors import StreamCancelled, StreamError
from lm_deluge.models.registry import known_models, unregister_model
from support.bare_server import ThreadedServer
from support.clients import KEY, client_for
from support.scripted import HANG, HEADERS, answer, events, http

THREADS = 16

NewLoop = Callable[[], asyncio.AbstractEventLoop]


@pytest.fixture(params=["asyncio", "uvloop"])
def new_loop(request: pytest.FixtureRequest) -> NewLoop:
    """Makes an event loop of one of the two kinds."""
    return pytest.importorskip(request.param).new_event_loop  # type: ignore[no-any-return]


@pytest.fixture(autouse=True)
def tiny_switch_interval() -> Iterator[None]:
    """Let threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.fixture(autouse=True)
def no_complaint_of_uvloop(request: pytest.FixtureRequest) -> Iterator[None]:
    """uvloop complains of every connection that is open when its loop is closed, ours or not."""
    with warnings.catch_warnings():
        if "uvloop" in str(request.node.callspec.id if hasattr(request.node, "callspec") else ""):
            warnings.filterwarnings("ignore", "unclosed resource", ResourceWarning)
        yield


def in_threads(work: Callable[[int], None], count: int = THREADS) -> None:
    """Run ``work(number)`` in so many threads that begin together; raise what they raised."""
    failures: list[BaseException] = []
    together = threading.Barrier(count)

    def run(number: int) -> None:
        together.wait(10)
        try:
            work(number)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "a thread hangs"
    if failures:
        raise ExceptionGroup("threads failed", [*map(_as_exception, failures)])


def _as_exception(error: BaseException) -> Exception:
    return error if isinstance(error, Exception) else RuntimeError(repr(error))


def test_threads_with_short_lived_loops_share_one_client(new_loop: NewLoop) -> None:
    """Loops are closed without ``shutdown_asyncgens``, as a script that makes its own does it."""
    with ThreadedServer(answer("a", "b")) as server:
        client = client_for(server)  # type: ignore[arg-type]

        def work(number: int) -> None:
            for _ in range(12):
                loop = new_loop()
                try:
                    for _ in range(2):
                        response = loop.run_until_complete(client.stream("hi"))
                        assert (response.completion, response.attempts) == ("ab", 1)
                finally:
                    loop.close()

        in_threads(work)
        asyncio.run(client.close())
        assert not client._transport._sessions.entries
        server.all_gone()


def test_threads_with_limits_and_handlers_share_one_client(new_loop: NewLoop) -> None:
    """``max_concurrent_streams`` counts per event loop."""
    most = {}

    class Watching:
        def __init__(self, number: int) -> None:
            self.number, self.now = number, 0

        def on_start(self, stream: Stream) -> None:
            self.now += 1
            most[self.number] = max(most.get(self.number, 0), self.now)

        def on_complete(self, stream: Stream, response: object) -> None:
            self.now -= 1

    with ThreadedServer(answer("a")) as server:
        client = client_for(server, max_concurrent_streams=2)  # type: ignore[arg-type]

        def work(number: int) -> None:
            watching = Watching(number)

            async def main() -> None:
                many = [client.stream("hi", handlers=[watching]) for _ in range(6)]
                await asyncio.gather(*many)

            for _ in range(4):
                loop = new_loop()
                try:
                    loop.run_until_complete(main())
                    loop.run_until_complete(loop.shutdown_asyncgens())
                finally:
                    loop.close()

        in_threads(work)
        asyncio.run(client.close())
    assert most == dict.fromkeys(range(THREADS), 2)


def test_stream_chat_without_a_client_is_shared_by_threads(new_loop: NewLoop) -> None:
    with ThreadedServer(answer("a")) as server:

        async def main() -> list[Any]:
            chat = stream_chat("gpt-4o", "hi", base_url=server.base_url, api_key=KEY)
            return [piece async for piece in chat]

        def work(number: int) -> None:
            for _ in range(6):
                loop = new_loop()
                try:
                    text, response = loop.run_until_complete(main())
                    assert text == response.completion == "a"
                finally:
                    loop.close()

        in_threads(work)


def test_closing_a_client_in_one_loop_leaves_the_streams_of_others_alone(new_loop: NewLoop) -> None:
    script = [HEADERS, *(http(events(str(number))) for number in range(20)), *answer("x")[1:]]
    with ThreadedServer(script) as server:
        client = client_for(server)  # type: ignore[arg-type]
        stopped = threading.Event()

        def close_again_and_again() -> None:
            while not stopped.is_set():
                loop = new_loop()
                loop.run_until_complete(client.close())
                loop.close()

        def work(number: int) -> None:
            if number == 0:
                close_again_and_again()
                return
            try:
                for _ in range(4):
                    loop = new_loop()
                    response = loop.run_until_complete(client.stream("hi"))
                    assert response.completion.endswith("19x")
                    loop.close()
            finally:
                if number == 1:
                    stopped.set()

        in_threads(work, 8)
        asyncio.run(client.close())


def test_close_ends_what_belongs_to_the_loop_and_to_closed_ones(new_loop: NewLoop) -> None:
    with ThreadedServer([HEADERS, http(events("a")), HANG]) as server:
        client = client_for(server)  # type: ignore[arg-type]
        heard: list[str] = []

        class Ear:
            def on_error(self, stream: Stream, error: StreamError) -> None:
                assert error.partial is not None
                heard.append(f"{stream.tags['where']} {type(error).__name__} {error.partial.text}")

        async def begin(where: str) -> Stream:
            begun = asyncio.Event()

            class Begun:
                def on_token(self, stream: Stream, token: object) -> None:
                    begun.set()

            stream = client.open_stream("hi", handlers=[Ear(), Begun()], tags={"where": where})
            stream.start()
            await begun.wait()
            return stream

        closed, asleep = new_loop(), new_loop()
        gone = closed.run_until_complete(begin("closed"))
        other = asleep.run_until_complete(begin("asleep"))
        closed.close()

        async def main() -> Stream:
            here = await begin("here")
            await client.close()
            return here

        here = new_loop()
        mine = here.run_until_complete(main())
        assert sorted(heard) == ["closed StreamCancelled a", "here StreamCancelled a"]
        assert (gone.state, mine.state, other.state) == ("error", "error", "running")
        asleep.run_until_complete(client.close())
        assert other.state == "error"
        assert len(heard) == 3
        assert here.run_until_complete(begin("again")).state == "running"  # still usable
        here.run_until_complete(client.close())
        for loop in (here, asleep):
            loop.close()
        server.all_gone()


@pytest.mark.parametrize("when", ["at once", "after the end", "when its loop is closed"])
def test_cancel_from_another_thread_never_raises(new_loop: NewLoop, when: str) -> None:
    with ThreadedServer(answer("a")) as server:
        client = client_for(server)  # type: ignore[arg-type]

        def work(number: int) -> None:
            for _ in range(6):
                loop = new_loop()
                streams: list[Stream] = []
                opened = threading.Event()
                failures: list[BaseException] = []

                def cancel(
                    streams: list[Stream] = streams,
                    opened: threading.Event = opened,
                    failures: list[BaseException] = failures,
                ) -> None:
                    opened.wait(5)
                    try:
                        for _ in range(200 if when == "at once" else 3):
                            streams[0].cancel()
                    except BaseException as error:
                        failures.append(error)

                async def main(
                    streams: list[Stream] = streams, opened: threading.Event = opened
                ) -> None:
                    streams.append(client.open_stream("hi"))
                    if when == "when its loop is closed":
                        streams[0].start()
                        return
                    if when == "at once":
                        opened.set()
                    try:
                        await streams[0]
                    except StreamCancelled:
                        pass

                canceller = threading.Thread(target=cancel)
                canceller.start()
                loop.run_until_complete(main())
                if when == "after the end":
                    opened.set()
                    canceller.join(5)
                loop.close()
                opened.set()
                canceller.join(5)
                assert not failures, failures
                assert streams[0].state in ("complete", "error")

        in_threads(work, 4)
        asyncio.run(client.close())


def test_attaching_from_many_threads_misses_nothing(new_loop: NewLoop) -> None:
    with ThreadedServer(answer("a")) as server:
        client = client_for(server)  # type: ignore[arg-type]
        missed: list[str] = []

        class Ear:
            def __init__(self) -> None:
                self.heard: set[str] = set()

            def on_start(self, stream: Stream) -> None:
                self.heard.add(f"start {stream.id}")

            def on_token(self, stream: Stream, token: object) -> None:
                self.heard.add(f"token {stream.id}")

            def on_complete(self, stream: Stream, response: object) -> None:
                self.heard.add(f"complete {stream.id}")

        def work(number: int) -> None:
            loop = new_loop()
            for _ in range(10):
                ear = Ear()
                with attach(ear):
                    stream = client.open_stream("hi")
                    loop.run_until_complete(asyncio.wait_for(stream, 10))
                    identity = stream.id
                missed.extend(
                    what
                    for what in ("start", "token", "complete")
                    if f"{what} {identity}" not in ear.heard
                )
            loop.run_until_complete(client.close())
            loop.close()

        in_threads(work)
        assert not missed


def test_a_client_that_goes_with_its_loop_leaves_no_socket(new_loop: NewLoop) -> None:
    with ThreadedServer(answer("a")) as server:
        for closed_first in (False, True):
            client = LLMClient(
                "gpt-4o",
                base_url=server.base_url,
                api_key=KEY,
                printer=None,
                retries=RetryPolicy.none(),
            )
            loop = new_loop()
            loop.run_until_complete(client.stream("hi"))
            if closed_first:
                loop.close()
            del client
            gc.collect()
            loop.close()
            del loop
            # Whoever comes next tidies up.
            asyncio.run(client_for(server).stream("hi"))  # type: ignore[arg-type]
            gc.collect()
        server.all_gone()


def test_slots_of_loops_that_are_closed_are_dropped(new_loop: NewLoop) -> None:
    slots = Slots(1)
    for _ in range(5):
        loop = new_loop()
        loop.run_until_complete(slots.acquire())
        slots.release(loop)
        loop.close()
    assert len(slots._semaphores) == 1


def test_models_may_be_registered_while_others_are_looked_up() -> None:
    def work(number: int) -> None:
        names = [f"mine-{number}-{turn}" for turn in range(100)]
        for _ in range(5):
            if number % 2:
                for name in names:
                    register_model(name, base_url="http://127.0.0.1:9/v1")
                for name in names:
                    unregister_model(name)
            else:
                for _ in range(20):
                    assert "gpt-4o" in known_models()

    in_threads(work, 6)
