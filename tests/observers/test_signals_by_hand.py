"""Signals sent by hand: what a program says of a stream itself is heard as what the engine says."""

from __future__ import annotations

from typing import Any

import pytest

from lm_deluge import Stream, Token, attach
from lm_deluge.signals import on_token
from support.clients import client_for
from support.scripted import ScriptedServer, answer

MINE = Token(text="mine", index=99, arrived=0.0, read=0)


class Hearing:
    """A handler that keeps the texts it hears, and then fails if told to."""

    def __init__(self, *, fails: bool = False) -> None:
        self.texts: list[str] = []
        self._fails = fails

    def on_token(self, stream: Stream, token: Token) -> None:
        self.texts.append(token.text)
        if self._fails and token is MINE:
            raise RuntimeError("on purpose")


class HearingLater(Hearing):
    async def on_token(self, stream: Stream, token: Token) -> None:  # type: ignore[override]
        self.texts.append(token.text)


async def test_a_signal_sent_by_hand_is_heard_once_by_everyone_and_isolated() -> None:
    fails, process, stream_wide, later = Hearing(fails=True), Hearing(), Hearing(), HearingLater()
    plain: list[str] = []

    def receiver(sender: Any, token: Token) -> None:
        plain.append(token.text)

    async with ScriptedServer(answer("a", "b")) as server:
        client = client_for(server, handlers=[fails, stream_wide, later])
        with attach(process):
            async with client.open_stream("hi") as stream:
                on_token.connect(receiver, sender=stream)
                async for token in stream:
                    if token.text == "a":
                        on_token.send(stream, token=MINE)
                response = await stream
    for texts in (fails.texts, process.texts, stream_wide.texts, later.texts, plain):
        assert texts.count("mine") == 1
        assert texts.count("a") == texts.count("b") == 1
    assert response.completion == "ab"
    assert [failure.method for failure in response.handler_failures] == ["on_token"]


async def test_a_signal_sent_by_hand_after_the_end_is_heard_by_nobody() -> None:
    heard, process = Hearing(), Hearing()
    plain: list[str] = []

    def receiver(sender: Any, token: Token) -> None:
        plain.append(token.text)

    async with ScriptedServer(answer("a")) as server:
        with attach(process), on_token.connected_to(receiver):
            stream = client_for(server, handlers=[heard]).open_stream("hi")
            await stream
            on_token.send(stream, token=MINE)
    assert heard.texts == process.texts == plain == ["a"]


async def test_a_signal_sent_by_hand_has_its_own_payload_and_no_other() -> None:
    async with ScriptedServer(answer("a")) as server:
        async with client_for(server).open_stream("hi") as stream:
            for payload in ({}, {"delta": MINE}, {"token": MINE, "more": 1}):
                with pytest.raises(TypeError, match="on_token is sent with token alone"):
                    on_token.send(stream, **payload)
            await stream


def test_what_is_no_stream_sends_to_receivers_alone() -> None:
    told: list[Any] = []

    def receiver(sender: Any, token: Any) -> None:
        told.append((sender, token))

    with attach(Hearing()), on_token.connected_to(receiver):
        on_token.send("somebody", token=MINE)
    assert told == [("somebody", MINE)]


async def test_send_async_is_blinkers_own_and_reaches_connected_coroutines_alone() -> None:
    texts: list[str] = []

    async def receiver(sender: Any, token: Token) -> str:
        texts.append(token.text)
        raise LookupError("on purpose")

    handler = Hearing()
    async with ScriptedServer(answer("a")) as server:
        async with client_for(server).open_stream("hi") as stream:
            on_token.connect(receiver, sender=stream)
            with pytest.raises(LookupError):
                await on_token.send_async(stream, token=MINE)
            on_token.disconnect(receiver, sender=stream)
            with attach(handler, stream):
                with pytest.raises(RuntimeError, match="non-coroutine"):
                    await on_token.send_async(stream, token=MINE)
            response = await stream
    assert (texts, handler.texts, response.completion) == (["mine"], [], "a")
    assert response.handler_failures == []
