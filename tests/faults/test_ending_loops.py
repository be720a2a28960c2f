"""A stream whose event loop ends, or is closed, ends at most once and costs nobody the next loop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import sys
import warnings
from collections.abc import Iterator

import pytest

from lm_deluge import APIResponse, LLMClient
from lm_deluge.errors import APITimeoutError, StreamCancelled
from support.aftermath import check_no_receivers, open_files
from support.bare_server import ThreadedServer
from support.cancelling import SCRIPTS, SILENT, WHOLE, impatient
from support.clients import client_for
from support.consumers import CONSUMERS, Slow, consume
from support.promises import KEY, Consumed, Ear, check_one_ending, consumed_check

pytestmark = pytest.mark.usefixtures("quiet")


@pytest.mark.parametrize("script", ["whole", "silent until the timeout", "retried"])
@pytest.mark.parametrize("how", CONSUMERS)
@pytest.mark.parametrize("loop_kind", ["asyncio", "uvloop"])
def test_the_end_of_asyncio_run_at_any_step_ends_the_stream(
    how: str, script: str, loop_kind: str
) -> None:
    factory = None
    if loop_kind == "uvloop":
        factory = pytest.importorskip("uvloop").new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(asyncio.sleep(0))  # the first loop of its kind opens files for ever
    over = False
    step = 0
    files = open_files()
    with ThreadedServer(*SCRIPTS[script]) as server:
        while not over:
            ear, slow = Ear(), Slow()

            with asyncio.Runner(loop_factory=factory) as runner:
                over = runner.run(left_after(step, how, impatient(server), [ear, slow]))
            if ear.calls:
                check_one_ending(ear)
                (end,) = ear.endings
                # What was not cut off had its own end, and was still being told of it.
                own_end = APITimeoutError if script.startswith("silent") else APIResponse
                assert isinstance(end, own_end if over else (own_end, StreamCancelled)), end
                # An async handler hears what the closing loop lets it hear, in order, and nothing else.
                assert slow.calls == ear.calls[: len(slow.calls)] or slow.calls == ear.calls
            step = step + 1 if step < 40 else int(step * 1.3)
            assert step < 2_000_000
        server.all_gone()
    gc.collect()
    check_no_receivers()
    assert open_files() <= files


async def left_after(steps: int, how: str, client: LLMClient, handlers: list[object]) -> bool:
    """Leave a stream behind after so many turns of the loop; return whether it was over."""
    task = asyncio.ensure_future(consume_quietly(how, client, handlers))
    for _ in range(steps):
        if task.done():
            return True
        await asyncio.sleep(0)
    return False


async def consume_quietly(how: str, client: LLMClient, handlers: list[object]) -> None:
    await CONSUMERS[how](client, "hi", handlers, Consumed(name=how, ears=[]))


@pytest.mark.parametrize("loop_kind", ["asyncio", "uvloop"])
def test_one_client_works_in_one_loop_after_another(loop_kind: str) -> None:
    factory = None
    if loop_kind == "uvloop":
        factory = pytest.importorskip("uvloop").new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(asyncio.sleep(0))  # the first loop of its kind opens files for ever
    files = open_files()
    with ThreadedServer(WHOLE) as server:
        client = client_for(server, api_key=KEY)
        for _ in range(10):
            for how in CONSUMERS:
                with asyncio.Runner(loop_factory=factory) as runner:
                    seen = runner.run(consume(how, client, "hi", Slow(), how))
                consumed_check(seen)
                assert seen.response is not None
        assert not client._transport._sessions.entries
        server.all_gone()
    assert open_files() <= files


@contextlib.contextmanager
def loop_without_ceremony() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop that is closed without ``shutdown_asyncgens`` and without cancelling its tasks.

    Python and aiohttp complain of what was left open, and are right.
    """
    loop = asyncio.new_event_loop()
    logging.getLogger("asyncio").disabled = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield loop
            loop.close()
            del loop
            gc.collect()
    finally:
        logging.getLogger("asyncio").disabled = False


def test_a_loop_closed_without_ceremony_costs_nobody_the_next_one() -> None:
    with ThreadedServer(WHOLE) as server:
        client = client_for(server, api_key=KEY)
        counts = []
        for _ in range(6):
            with loop_without_ceremony() as loop:
                seen = loop.run_until_complete(consume("stream", client, "hi", None, "stream"))
                counts.append(open_files())
                del loop
            consumed_check(seen)
            assert seen.response is not None
        assert counts[1] == counts[-1], f"file descriptors: {counts}"
        with (
            loop_without_ceremony() as loop
        ):  # ours; it also hears what the old sessions complain of
            loop.run_until_complete(client.close())
            assert not client._transport._sessions.entries
            del loop
        seen = asyncio.run(consume("stream_chat", client, "hi", None, "stream_chat"))
        consumed_check(seen)
        assert seen.response is not None


def test_a_loop_closed_in_the_middle_of_a_stream_ends_it_at_most_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: None)
    ear = Ear()
    kept: list[object] = []

    async def main(client: LLMClient) -> None:
        stream = client.open_stream("hi", handlers=[ear])
        kept.append(stream)
        stream.start()
        while "token" not in ear.calls:
            await asyncio.sleep(0.001)

    with ThreadedServer(SILENT) as server:
        with loop_without_ceremony() as loop:
            loop.run_until_complete(main(impatient(server)))
            kept.clear()
            del loop
        server.all_gone()
    assert ear.calls[:2] == ["start", "token"]
    assert len(ear.endings) <= 1
    assert "start" not in ear.calls[1:]
