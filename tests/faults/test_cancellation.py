"""A stream that is cancelled in any way at any moment ends exactly once and leaves nothing.

The sweeps are deterministic: they act before the k-th callback that the event loop runs, for every k
until the stream is over by itself. Nothing depends on the time.
"""

from __future__ import annotations

import asyncio
import gc
from asyncio import events
from collections.abc import Callable
from typing import Any

import pytest

from lm_deluge import LLMClient, Stream, StreamHandler
from lm_deluge.api_requests.openai import stream_chat
from lm_deluge.errors import StreamCancelled, StreamError
from support.aftermath import Aftermath
from support.bare_server import BareServer
from support.cancelling import SCRIPTS, SCRIPTS_OF, SILENT, WHOLE, impatient
from support.consumers import CONSUMERS, Slow
from support.promises import KEY, Consumed, Ear, check_one_ending, check_tokens, consumed_check
from support.wires import WIRES

pytestmark = pytest.mark.usefixtures("quiet")


class Before:
    """Calls ``act`` before the k-th callback of the loop, counted from the entry. ``ran``: how many ran."""

    def __init__(self, k: int, act: Callable[[], object]) -> None:
        self.ran = 0
        self._k = k
        self._act = act

    def __enter__(self) -> Before:
        run = self._run = events.Handle._run

        def counted(handle: events.Handle) -> None:
            if self.ran == self._k:
                self._act()
            self.ran += 1
            run(handle)

        events.Handle._run = counted  # type: ignore[method-assign]
        return self

    def __exit__(self, *exc_info: object) -> None:
        events.Handle._run = self._run  # type: ignore[method-assign]


class Subject:
    """One consumed stream in its own task, and the ways to disturb it."""

    def __init__(self, how: str, client: LLMClient, handler: object | None) -> None:
        self.client = client
        self.seen: Consumed | None = None
        self.caught: BaseException | None = None
        self.found: list[Stream] = []
        self.limit = asyncio.timeout(None)
        self.task = asyncio.create_task(self._run(how, handler))

    async def _run(self, how: str, handler: object | None) -> None:
        async with self.limit:
            await self._consume(how, handler)

    async def _consume(self, how: str, handler: object | None) -> None:
        self.seen = seen = Consumed(name=how, ears=[Ear(), Ear()])
        finder = _Finder(self.found)
        handlers = [seen.ears[0], finder, *([handler] if handler else []), seen.ears[1]]
        try:
            await CONSUMERS[how](self.client, "hi", handlers, seen)
        except asyncio.CancelledError as error:
            self.caught = error
            raise

    def cancel_task(self) -> None:
        self.task.cancel()

    def cancel_task_twice(self) -> None:
        """Two impatient callers."""
        self.task.cancel()
        self.task.get_loop().call_soon(self.task.cancel)

    def cancel_stream(self) -> None:
        for stream in self.found or self.client._running.all():
            stream.cancel()

    def cancel_engine(self) -> None:
        """As a loop that cancels all its tasks does; in no particular order."""
        for task in asyncio.all_tasks(self.task.get_loop()):
            if task.get_name().startswith("lm_deluge stream"):
                task.cancel()

    def cancel_both(self) -> None:
        self.cancel_stream()
        self.cancel_task()

    def cancel_every_task(self) -> None:
        """Consumer, engine and queues, but for the test and the accepting side of asyncio's server."""
        for task in asyncio.all_tasks(self.task.get_loop()):
            if task.get_name() != "the test" and "_accept_connection2" not in repr(task):
                task.cancel()

    def pass_the_limit(self) -> None:
        """``async with asyncio.timeout(…)`` around the consumer."""
        if self.seen is not None and not self.task.done():
            self.limit.reschedule(self.task.get_loop().time())

    def close_client(self) -> None:
        self.closing = asyncio.ensure_future(self.client.close())


class _Finder(StreamHandler):
    """Tells which stream it is."""

    def __init__(self, found: list[Stream]) -> None:
        self._found = found

    def on_start(self, stream: Stream) -> None:
        self._found.append(stream)


ACTS = {
    "cancel the task": Subject.cancel_task,
    "cancel the task twice": Subject.cancel_task_twice,
    "stream.cancel()": Subject.cancel_stream,
    "cancel the engine": Subject.cancel_engine,
    "cancel stream and task": Subject.cancel_both,
    "cancel every task": Subject.cancel_every_task,
    "asyncio.timeout": Subject.pass_the_limit,
    "client.close()": Subject.close_client,
}


async def disturbed(
    how: str, scripts: list[list[Any]], act: Any, k: int, handler: object | None, wire: str
) -> tuple[Subject, bool]:
    """Disturb one stream before the k-th callback; return whether there were so many."""
    asyncio.current_task().set_name("the test")  # type: ignore[union-attr]
    async with BareServer(*scripts) as server:
        client = impatient(server, dialect=wire)
        subject = Subject(how, client, handler)
        with Before(k, lambda: act(subject)) as before:
            async with asyncio.timeout(3):
                await asyncio.wait([subject.task])
        closing = getattr(subject, "closing", None)
        if closing is not None:
            await closing
        # A consumer that was cancelled twice may be gone before its stream is.
        async with asyncio.timeout(3):
            while any(
                task.get_name().startswith("lm_deluge stream") for task in asyncio.all_tasks()
            ):
                await asyncio.sleep(0)
        await client.close()
        await server.all_gone()
    return subject, before.ran > k


def check_subject(subject: Subject, act: str, handler: object | None) -> None:
    seen = subject.seen
    if seen is None:  # cancelled before its first step
        if act == "asyncio.timeout":
            assert isinstance(subject.task.exception(), TimeoutError)
        else:
            assert subject.task.cancelled()
        return
    ear = seen.ears[0]
    cancelled = subject.task.cancelled()
    if act == "asyncio.timeout" and not cancelled and subject.task.exception() is not None:
        # The timeout that cancelled it comes out as what it is.
        assert isinstance(subject.task.exception(), TimeoutError)
        assert subject.caught is not None
        cancelled = True
    if not cancelled:
        subject.task.result()  # nothing but what the consumer caught
        assert (seen.response is None) is not (seen.error is None), seen
    if ear.calls:
        if cancelled:
            # Whoever is cancelled gets no outcome; everyone else heard it.
            for one in seen.ears:
                check_one_ending(one)
                check_tokens(one.tokens)
            assert isinstance(ear.endings[0], StreamError) is (ear.calls[-1] == "error")
            if isinstance(ear.endings[0], StreamError):
                assert ear.endings[0].partial is not None
                assert ear.endings[0].partial.text.startswith(ear.text())
                assert ear.endings[0].stream_id == ear.stream_id
        else:
            consumed_check(seen)
        if isinstance(handler, Slow) and act not in ("cancel every task", "cancel the task twice"):
            # An async handler hears the ending, too, unless its own task was cancelled.
            assert handler.calls == ear.calls or act in ("cancel the engine",), handler.calls
    else:
        # It never began: whoever waits is told, nobody else.
        assert cancelled or isinstance(seen.error, StreamCancelled), seen.error
    if act in ("stream.cancel()", "client.close()"):
        assert not cancelled, "a bare CancelledError came out"


def sweeps() -> list[Any]:
    """Every consumer × act × script, wires in turn; the default run takes each consumer × act once, scripts
    in turn, too. A body that stays open is waited for at every step, which takes a second and more.
    """
    quick = [script for script in SCRIPTS if script != "body stays open"]
    cells = []
    for row, how in enumerate(CONSUMERS):
        for column, act in enumerate(ACTS):
            for place, script in enumerate(SCRIPTS):
                default = script == quick[(row + column) % len(quick)]
                marks = () if default else pytest.mark.slow
                wire = WIRES[(place + column // 2) % len(WIRES)]
                name = f"{how}-{script}-{act}-{wire}"
                cells.append(pytest.param(how, script, act, wire, marks=marks, id=name))
    return cells


@pytest.mark.parametrize(("how", "script", "act", "wire"), sweeps())
async def test_cancelled_at_any_step_it_ends_once(
    how: str, script: str, act: str, wire: str
) -> None:
    scripts = SCRIPTS_OF[wire][script]
    wrong: list[str] = []
    step = 0
    async with Aftermath() as after:
        goes_on = True
        while goes_on:
            handler = Slow() if step % 2 else None
            subject, goes_on = await disturbed(how, scripts, ACTS[act], step, handler, wire)
            try:
                check_subject(subject, act, handler)
            except Exception as error:
                wrong.append(f"step {step}: {type(error).__name__}: {error}")
            subject.found.clear()
            if subject.seen is not None:
                after.watch(subject.seen)
            del subject
            step += 1
            assert step < 2000
        print(f"{how}, {script}, {act}: {step} steps")
        assert not wrong, f"{len(wrong)} of {step} steps:\n" + "\n".join(wrong[:20])


def tokens_of(how: str, client: LLMClient, ear: Ear) -> Any:
    if how == "stream_chat":
        return stream_chat("gpt-4o", "hi", client=client, handlers=[ear])
    return aiter(client.open_stream("hi", handlers=[ear]))


LEAVINGS = ("break", "aclose", "collected", "raises", "aclose from another task", "athrow")


@pytest.mark.parametrize("script", ["whole", "silent until the timeout", "reset"])
@pytest.mark.parametrize("leaving", LEAVINGS)
@pytest.mark.parametrize("how", ["stream_chat", "open_stream"])
async def test_a_consumer_that_leaves_ends_its_stream(how: str, leaving: str, script: str) -> None:
    for taken in range(5):
        await leave(how, leaving, SCRIPTS[script], taken)


async def leave(how: str, leaving: str, script: list[list[Any]], taken: int) -> None:
    async with Aftermath() as after:
        ear = Ear()
        async with BareServer(*script) as server:
            client = impatient(server)
            items: list[Any] = []

            async def consumer() -> None:
                tokens = tokens_of(how, client, ear)
                while len(items) < taken:
                    items.append(await anext(tokens))
                if leaving == "raises":
                    raise KeyError("mine")
                if leaving == "aclose":
                    await tokens.aclose()
                elif leaving == "athrow":
                    with pytest.raises(KeyError):
                        await tokens.athrow(KeyError("mine"))
                elif leaving == "aclose from another task":
                    await asyncio.create_task(tokens.aclose())

            try:
                await consumer()
            except (StreamError, StopAsyncIteration, KeyError) as error:
                error.__traceback__ = None  # it holds our own frame, and that the generator
            gc.collect()
            async with asyncio.timeout(1):
                while ear.calls and not ear.endings:
                    await asyncio.sleep(0)
            if not taken:
                assert not ear.calls, "a stream begins at the first step"
            else:
                check_one_ending(ear)
                (end,) = ear.endings
                if isinstance(end, StreamError):
                    assert end.partial is not None
                    assert end.partial.text.startswith(ear.text())
                if any(not isinstance(item, str) and not hasattr(item, "text") for item in items):
                    assert ear.calls[-1] == "complete", (
                        "leaving with the response is no abandonment"
                    )
            await client.close()
            await server.all_gone()
        after.streams.append(ear.stream)


async def test_streams_cancelled_while_they_wait_for_a_slot_are_told_and_leave_nothing() -> None:
    async with Aftermath() as after:
        async with BareServer(SILENT) as server:
            client = LLMClient(
                "gpt-4o", base_url=server.base_url, api_key=KEY, max_concurrent_streams=1
            )
            ears = [Ear() for _ in range(6)]
            streams = [client.open_stream("hi", handlers=[ear]) for ear in ears]
            tasks = [asyncio.ensure_future(_awaited(stream)) for stream in streams]
            while "token" not in ears[0].calls:
                await asyncio.sleep(0)
            streams[1].cancel("not wanted")
            tasks[2].cancel()
            tasks[3].cancel()
            streams[3].cancel()
            await asyncio.wait(tasks[1:4])
            with pytest.raises(StreamCancelled, match="not wanted"):
                tasks[1].result()
            assert tasks[2].cancelled()
            for ear, stream in zip(ears[1:4], streams[1:4], strict=True):
                assert not ear.calls, "nobody has heard of it"
                assert not stream.roster.attachments, "its receivers are still there"
                assert stream.state == "error"
            assert tasks[4].done() is False
            streams[0].cancel()  # the next in line begins
            while "token" not in ears[4].calls:
                await asyncio.sleep(0)
            await client.close()
            await asyncio.wait(tasks)
            await server.all_gone()
        check_one_ending(ears[0])
        check_one_ending(ears[4])
        for task in tasks:
            if not task.cancelled():
                assert isinstance(task.exception(), StreamCancelled)
        after.streams += [ear.stream for ear in ears]
        task = stream = None
        tasks.clear()
        streams.clear()


async def _awaited(stream: Stream) -> object:
    try:
        return await stream
    finally:
        del stream


async def test_a_stream_cancelled_before_its_start_never_begins() -> None:
    ear = Ear()
    async with BareServer(WHOLE) as server:
        client = impatient(server)
        stream = client.open_stream("hi", handlers=[ear])
        stream.cancel("changed my mind")
        with pytest.raises(StreamCancelled, match="changed my mind"):
            await stream
        assert not stream.roster.attachments
        assert server.requests == 0
    assert not ear.calls
