"""``stream.pieces()``: all that arrives, in its order, for whoever loops."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from lm_deluge import Delta, RetryPolicy, Stream, StreamHandler, Token
from lm_deluge.errors import ConnectionLostError, StreamCancelled
from support.clients import AtToken, Recorder, client_for
from support.scripted import (
    CLOSE,
    END,
    HANG,
    HEADERS,
    ScriptedServer,
    answer,
    delta,
    ending,
    events,
    http,
    sse,
)

THOUGHT = sse(delta(reasoning_content="hm"))
CALL = sse(
    delta(
        tool_calls=[{"index": 0, "id": "c1", "function": {"name": "look", "arguments": '{"a": 1}'}}]
    )
)
MIXED = THOUGHT + events("a") + THOUGHT + events("b", "c") + CALL + events("d")
WORDS = ["reasoning", "a", "reasoning", "b", "c", "tool_call", "d"]


class Order(StreamHandler):
    """Keeps every piece as it was heard."""

    def __init__(self) -> None:
        self.pieces: list[Token | Delta] = []

    def on_token(self, stream: Stream, token: Token) -> None:
        self.pieces.append(token)

    def on_delta(self, stream: Stream, delta: Delta) -> None:
        self.pieces.append(delta)


def word(piece: Token | Delta) -> str:
    return piece.kind if isinstance(piece, Delta) else piece.text


@pytest.mark.parametrize("cut", [1, 7, 10_000])
@pytest.mark.parametrize("slow", [False, True])
async def test_tokens_and_deltas_come_in_the_order_in_which_handlers_hear_them(
    cut: int, slow: bool
) -> None:
    data = MIXED + ending()
    reads = [http(data[at : at + cut]) for at in range(0, len(data), cut)]
    order, pieces = Order(), []
    async with ScriptedServer([HEADERS, *reads, END]) as server:
        async with client_for(server, handlers=[order]).open_stream("hi") as stream:
            async for piece in stream.pieces():
                if slow:  # everything is there before the second is taken
                    await stream.start()
                pieces.append(piece)
    assert [word(piece) for piece in pieces] == WORDS
    assert all(mine is heard for mine, heard in zip(pieces, order.pieces, strict=True))
    assert stream.response is not None
    assert stream.response.completion == "abcd"


async def test_an_answer_without_text_has_pieces_too() -> None:
    async with ScriptedServer([HEADERS, http(CALL + ending()) + END]) as server:
        pieces = [piece async for piece in client_for(server).open_stream("hi").pieces()]
    assert [(type(piece), word(piece)) for piece in pieces] == [(Delta, "tool_call")]


async def test_a_broken_answer_gives_all_its_pieces_and_then_its_error() -> None:
    pieces: list[Any] = []
    async with ScriptedServer([HEADERS, http(MIXED), CLOSE]) as server:
        stream = client_for(server).open_stream("hi")
        with pytest.raises(ConnectionLostError) as caught:
            async for piece in stream.pieces():
                await asyncio.wait([stream.start()])
                pieces.append(piece)
    assert [word(piece) for piece in pieces] == WORDS
    assert caught.value is stream.error


async def test_an_attempt_that_is_tried_again_leaves_no_piece_behind() -> None:
    refused = b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"
    async with ScriptedServer([refused], [HEADERS, http(MIXED + ending()) + END]) as server:
        client = client_for(server, retries=RetryPolicy(initial_delay=0))
        pieces = [word(piece) async for piece in client.open_stream("hi").pieces()]
    assert pieces == WORDS


Loop = Callable[[Stream], AsyncIterator[Any]]
LOOPS: list[Loop] = [aiter, Stream.pieces]


@pytest.mark.parametrize("second", LOOPS)
@pytest.mark.parametrize("first", LOOPS)
async def test_a_stream_has_one_loop(first: Loop, second: Loop) -> None:
    async with ScriptedServer(answer("a", "b")) as server:
        stream = client_for(server).open_stream("hi")
        loop = first(stream)
        assert (await anext(loop)).text == "a"
        with pytest.raises(RuntimeError, match="iterated already"):
            second(stream)
        assert [item.text async for item in loop] == ["b"]
        with pytest.raises(RuntimeError, match="iterated already"):
            second(stream)


@pytest.mark.parametrize("loop", LOOPS)
async def test_a_late_loop_yields_what_is_still_to_come(loop: Loop) -> None:
    go_on = asyncio.Event()
    async with ScriptedServer(
        [HEADERS, http(events("a")), go_on, http(events("b") + ending()) + END]
    ) as server:
        first = asyncio.Event()
        stream = client_for(server, handlers=[AtToken(first.set)]).open_stream("hi")
        stream.start()
        await first.wait()
        items = loop(stream)
        following = asyncio.ensure_future(anext(items))
        await asyncio.sleep(0)
        go_on.set()
        assert (await following).text == "b"
        assert [item async for item in items] == []
    assert stream.state == "complete"


@pytest.mark.parametrize("loop", LOOPS)
async def test_a_loop_over_a_stream_that_has_ended_yields_nothing_and_raises_its_error(
    loop: Loop,
) -> None:
    async with ScriptedServer(answer("a"), [HEADERS, http(events("a")), CLOSE]) as server:
        client = client_for(server)
        whole, broken = client.open_stream("hi"), client.open_stream("hi")
        await whole
        await broken.start()
        assert [item async for item in loop(whole)] == []
        with pytest.raises(ConnectionLostError):
            await anext(loop(broken))


async def test_breaking_out_and_a_collected_loop_end_the_stream() -> None:
    recorder = Recorder()
    hangs = [HEADERS, http(MIXED), HANG]
    async with ScriptedServer(hangs, hangs, hangs) as server:
        client = client_for(server, handlers=[recorder])
        async with client.open_stream("hi") as stream:
            async for piece in stream.pieces():
                assert word(piece) == "reasoning"
                break
        await server.all_gone()
        pieces = client.open_stream("hi").pieces()
        await anext(pieces)
        await pieces.aclose()
        await server.all_gone()
        pieces = client.open_stream("hi").pieces()
        await anext(pieces)
        del pieces
        gc.collect()
        await server.all_gone()
    assert [type(one) for one in recorder.endings] == [StreamCancelled] * 3


async def test_a_cancelled_loop_cancels_the_stream() -> None:
    first = asyncio.Event()
    async with ScriptedServer([HEADERS, http(events("a")), HANG]) as server:
        stream = client_for(server, handlers=[AtToken(first.set)]).open_stream("hi")

        async def consume() -> None:
            async for _ in stream.pieces():
                pass

        task = asyncio.create_task(consume())
        await first.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await server.all_gone()
    assert isinstance(stream.error, StreamCancelled)


async def test_stopping_it_from_elsewhere_ends_the_loop_with_what_had_come() -> None:
    async with ScriptedServer([HEADERS, http(MIXED), HANG]) as server:
        stream = client_for(server).open_stream("hi")
        pieces = []
        with pytest.raises(StreamCancelled, match="enough"):
            async for piece in stream.pieces():
                pieces.append(word(piece))
                if piece is not None and len(pieces) == 2:
                    stream.cancel("enough")
    assert pieces == WORDS
