"""What handlers hear of a stream, and what becomes of those that fail, hang or come late."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from lm_deluge import Stream, attach
from lm_deluge.errors import (
    HandlerError,
)
from support.clients import Recorder, client_for
from support.scripted import (
    END,
    HANG,
    HEADERS,
    ScriptedServer,
    answer,
    ending,
    events,
    http,
)


async def test_a_failing_handler_hurts_nobody_and_is_listed(caplog: Any) -> None:
    class Broken:
        def on_token(self, stream: Stream, token: Any) -> None:
            raise ValueError("oh")

    recorder = Recorder()
    async with ScriptedServer(answer("a", "b")) as server:
        with caplog.at_level(logging.ERROR, "lm_deluge"):
            response = await client_for(server, handlers=[Broken(), recorder]).stream("hi")
    assert recorder.text == "ab"
    (failure,) = response.handler_failures
    assert (failure.handler, failure.method, failure.type, failure.message, failure.count) == (
        "Broken",
        "on_token",
        "ValueError",
        "oh",
        2,
    )
    assert len(caplog.records) == 1


async def test_a_handler_that_raises_cancelled_error_does_not_cancel_the_stream() -> None:
    class Odd:
        def on_token(self, stream: Stream, token: Any) -> None:
            raise asyncio.CancelledError

        async def on_complete(self, stream: Stream, response: Any) -> None:
            raise asyncio.CancelledError

    async with ScriptedServer(answer("a")) as server:
        response = await client_for(server, handlers=[Odd()]).stream("hi")
    assert {failure.method for failure in response.handler_failures} == {"on_token", "on_complete"}


async def test_a_strict_client_ends_the_stream_with_the_handlers_failure() -> None:
    class Broken:
        def on_token(self, stream: Stream, token: Any) -> None:
            raise ValueError("oh")

    recorder = Recorder()
    async with ScriptedServer([HEADERS, http(events("a")), HANG]) as server:
        with pytest.raises(HandlerError, match="Broken failed in on_token: ValueError: oh"):
            await client_for(server, strict=True, handlers=[recorder, Broken()]).stream("hi")
        await server.all_gone()
    assert recorder.heard == ["start", "token", "error"]


async def test_a_strict_failure_in_the_ending_is_raised_after_everyone_heard_it() -> None:
    class Broken:
        async def on_complete(self, stream: Stream, response: Any) -> None:
            raise ValueError("late")

    recorder = Recorder()
    async with ScriptedServer(answer("a")) as server:
        with pytest.raises(HandlerError, match="late"):
            await client_for(server, strict=True, handlers=[Broken(), recorder]).stream("hi")
    assert recorder.heard == ["start", "token", "complete"]


async def test_async_methods_hear_everything_in_order_before_stream_returns() -> None:
    class Slow:
        def __init__(self) -> None:
            self.heard: list[str] = []

        async def on_start(self, stream: Stream) -> None:
            self.heard.append("start")

        async def on_token(self, stream: Stream, token: Any) -> None:
            await asyncio.sleep(0.01)
            self.heard.append(token.text)

        async def on_complete(self, stream: Stream, response: Any) -> None:
            self.heard.append("complete")

    slow = Slow()
    async with ScriptedServer(answer("a", "b", "c")) as server:
        await client_for(server, handlers=[slow]).stream("hi")
    assert slow.heard == ["start", "a", "b", "c", "complete"]


async def test_a_hanging_async_handler_is_reported_as_lagging() -> None:
    class Hanging:
        async def on_token(self, stream: Stream, token: Any) -> None:
            await asyncio.Event().wait()

    async with ScriptedServer(answer("a", "b")) as server:
        response = await client_for(server, handlers=[Hanging()], handler_wait=0.1).stream("hi")
    (failure,) = response.handler_failures
    assert (failure.handler, failure.type) == ("Hanging", "HandlerLagging")
    assert len(asyncio.all_tasks()) == 1


async def test_a_handler_attached_in_the_middle_hears_the_rest() -> None:
    late = Recorder()

    class Inviter:
        def on_token(self, stream: Stream, token: Any) -> None:
            if token.index == 0:
                attach(late, stream)

    steps = [HEADERS, http(events("a", "b") + ending()) + END]
    async with ScriptedServer(steps) as server:
        await client_for(server, handlers=[Inviter()]).stream("hi")
    assert late.text == "b"
    assert late.heard[-1] == "complete"
