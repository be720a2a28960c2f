"""A watched stream is a stream: it begins, its pieces are told as they came, and it ends once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from time import perf_counter
from typing import Any

import pytest

from lm_deluge import APIResponse, Stream, StreamHandler, Token, attach
from lm_deluge.errors import (
    AnswerCutError,
    APIConnectionError,
    AuthenticationError,
    ConnectionLostError,
    ProtocolError,
    ProviderError,
    StreamCancelled,
    StreamError,
)
from lm_deluge.proxy.exchange import Ending
from lm_deluge.proxy.routes import Routes
from lm_deluge.proxy.watcher import Watcher
from support.exchanges import EVENTS, WatchingEar, asks, by_our_client, opened, told, watched
from support.promises import KEY, check_error, check_hidden, check_one_ending, check_response
from support.scripted import DONE, ending, events, sse
from support.wires import BEGUN, ENDED, WIRES, frame

JSON = (("Content-Type", "application/json"),)
WHOLE_JSON = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "gpt-4o-2024-08-06",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Yes"},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }
).encode()


@pytest.mark.parametrize("wire", WIRES)
async def test_a_whole_answer_is_told_as_our_own_client_tells_it(wire: str) -> None:
    reads = [BEGUN[wire], ENDED[wire]]
    ear = await watched(reads, wire=wire)
    assert told(ear) == told(await by_our_client(reads, wire=wire))
    check_one_ending(ear)
    assert isinstance(ear.ending, APIResponse)
    check_response(ear.ending, ear)
    assert ear.ending.completion == "Good"


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(
    ("tail", "how", "error"),
    [
        ("", "whole", AnswerCutError),
        ("", "short", ConnectionLostError),
        ("", "reset", ConnectionLostError),
        ("", "reader left", StreamCancelled),
        ("", "cut by us", StreamCancelled),
        ("error", "whole", ProviderError),
        ("error", "reset", ProviderError),
        ("end", "reset", None),
        ("end", "reader left", None),
    ],
)
async def test_every_ending_is_told_once(
    wire: str, tail: str, how: Ending, error: type[StreamError] | None
) -> None:
    more = {"": b"", "error": frame(wire, {"message": "no", "type": "x"}), "end": ENDED[wire]}[tail]
    ear = await watched([BEGUN[wire], more], how, wire=wire)
    check_one_ending(ear)
    if error is None and (wire, how) == ("gemini", "reset"):
        # That it looks whole is not to be trusted: there is no word for the end.
        error = ConnectionLostError
    if error is None:
        assert isinstance(ear.ending, APIResponse)
        return
    assert type(ear.ending) is error
    check_error(ear.ending, ear)
    assert ear.ending.attempts == 1
    assert ear.ending.partial is not None
    assert ear.ending.partial.text == "Good"


REPLIES: list[tuple[int, Sequence[tuple[str, str]], list[bytes]]] = [
    (401, JSON, [b'{"error": {"message": "wrong key"', b', "code": "no"}}']),
    (429, (*JSON, ("Retry-After", "3"), ("x-request-id", "r1")), [b"{}"]),
    (503, (("Content-Type", "text/html"),), [b"<html>busy</html>"]),
    (302, (("Location", "https://elsewhere.example/v1"),), []),
    (204, (), []),
    (200, (("Content-Type", "text/html"),), [b"<html>log in</html>"]),
    (200, JSON, [WHOLE_JSON[:30], WHOLE_JSON[30:]]),
    (200, JSON, [b'{"error": {"message": "no"}}']),
    (200, JSON, [WHOLE_JSON[:30]]),
    (200, JSON, []),
    (200, (("Content-Type", "text/plain"),), [b"da", BEGUN["chat"][2:], ENDED["chat"]]),
    (200, (), [b"  ", BEGUN["chat"], ENDED["chat"]]),
    (200, EVENTS, [b": keep-alive\n\n"]),
    (200, EVENTS, []),
    (200, EVENTS, [b"data: {nonsense\n\n"]),
    (200, EVENTS, [BEGUN["chat"], b"data: {nonsense\n\n", ENDED["chat"]]),
]


@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize(("status", "headers", "reads"), REPLIES)
async def test_every_reply_comes_to_what_our_own_client_says_of_it(
    status: int, headers: Sequence[tuple[str, str]], reads: list[bytes], lost: bool
) -> None:
    options: Any = {"status": status, "answered": headers}
    how: Ending = "reset" if lost else "whole"
    ear = await watched(reads, how, cause=ConnectionResetError("so") if lost else None, **options)
    ours = await by_our_client(reads, lost=lost, **options)
    assert told(ear) == told(ours)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("unreachable", "no connection to http://127.0.0.1:9/v1"),
        ("short", "closed the connection without an answer"),
        ("reset", "the request to http://127.0.0.1:9/v1 failed"),
    ],
)
async def test_a_server_that_does_not_answer_is_a_connection_error(how: Ending, words: str) -> None:
    ear = WatchingEar()
    watcher = Watcher([ear])
    opened(watcher, asks()).ended(how, OSError("nobody there"))
    await watcher.aclose()
    assert ear.calls == ["start", "error"]
    assert type(ear.ending) is APIConnectionError
    assert words in str(ear.ending)
    assert ear.ending.phase == "connect"


async def test_a_reader_who_leaves_before_an_answer_began_has_cancelled() -> None:
    ear = WatchingEar()
    watcher = Watcher([ear])
    opened(watcher, asks()).ended("reader left")
    await watcher.aclose()
    assert str(ear.ending) == "the stream was cancelled: its consumer walked away"
    assert isinstance(ear.ending, StreamCancelled)
    assert ear.ending.phase == "connect"


async def test_the_end_is_told_when_the_server_says_so_and_not_when_the_body_ends() -> None:
    ear = WatchingEar()
    watcher = Watcher([ear])
    exchange = opened(watcher, asks())
    exchange.head(200, EVENTS)
    exchange.read(events("Once") + ending(), perf_counter())
    assert ear.calls == ["start", "token", "complete"]
    exchange.read(events("more"), perf_counter())
    exchange.ended("reset")
    await watcher.aclose()
    assert ear.calls == ["start", "token", "complete"]


async def test_a_piece_carries_the_moment_at_which_its_bytes_were_read() -> None:
    ear = WatchingEar()
    watcher = Watcher([ear])
    before = perf_counter()
    exchange = opened(watcher, asks())
    exchange.head(200, EVENTS)
    for at in (1.0, 2.5):
        exchange.read(events("a"), before + at)
    exchange.ended("short", None, before + 4.0)
    await watcher.aclose()
    first, second = ear.tokens
    assert first.arrived == pytest.approx(1.0, abs=0.05)
    assert second.arrived - first.arrived == pytest.approx(1.5)
    assert isinstance(ear.ending, StreamError)
    assert ear.ending.elapsed is not None
    assert ear.ending.elapsed - first.arrived == pytest.approx(3.0)


async def test_t0_is_before_the_connection_that_was_made_for_a_request() -> None:
    ear = WatchingEar()
    watcher = Watcher([ear])
    exchange = opened(watcher)
    assert not ear.calls  # nothing that streams was asked for
    exchange = opened(watcher, asks())
    exchange.ended("reader left")
    late = WatchingEar()
    second = Watcher([late])
    body = json.dumps(asks()).encode()
    exchange = second.open(_head(len(body)))
    exchange.sent(body)
    assert not late.calls
    exchange.asked(0.75)
    exchange.head(200, EVENTS)
    exchange.read(events("a"), perf_counter())
    exchange.ended("reader left")
    await second.aclose()
    await watcher.aclose()
    assert late.tokens[0].arrived == pytest.approx(0.75, abs=0.05)
    assert ear.calls == ["start", "error"]


def _head(length: int) -> Any:
    from lm_deluge.proxy.exchange import RequestHead

    return RequestHead(
        method="POST",
        target="/v1/chat/completions",
        headers=(("Content-Length", str(length)),),
        base_url="http://127.0.0.1:9/v1",
        path="/chat/completions",
        dialect="chat",
    )


async def test_what_a_stream_shows_is_what_the_app_asked_for() -> None:
    class Shows(StreamHandler):
        def on_start(self, stream: Stream) -> None:
            self.shown = (stream.model, stream.base_url, stream.prompt, stream.prompt_chars)

    shows = Shows()
    watcher = Watcher([shows])
    opened(watcher, asks()).ended("reader left")
    await watcher.aclose()
    assert shows.shown == ("a-model", "http://127.0.0.1:9/v1", "hi", 2)


async def test_usage_and_cost_are_those_of_a_model_that_is_known() -> None:
    ear = await watched([events("Once") + ending()], body=asks(model="gpt-4o"))
    assert isinstance(ear.ending, APIResponse)
    assert (ear.ending.model, ear.ending.model_used) == ("gpt-4o", "gpt-4o")
    assert ear.ending.usage is not None
    assert ear.ending.usage.total_tokens == 11
    assert ear.ending.cost == pytest.approx((9 * 2.5 + 2 * 10) / 1e6)


async def test_choices_that_were_asked_for_and_did_not_come_are_told() -> None:
    ear = await watched([events("Once") + ending()], body=asks(n=2))
    assert isinstance(ear.ending, AnswerCutError | APIResponse)
    ours = await by_our_client([events("Once") + ending()], n=2)
    assert told(ear) == told(ours)


async def test_a_key_is_shown_nowhere_though_the_server_says_it() -> None:
    reads = [json.dumps({"error": {"message": f"wrong key {KEY}"}}).encode()]
    ear = await watched(reads, status=401, answered=(*JSON, ("x-request-id", KEY)))
    assert isinstance(ear.ending, AuthenticationError)
    check_hidden(f"{ear.ending} {ear.ending!r} {vars(ear.ending)!r}", KEY)


async def test_a_key_in_the_query_is_shown_nowhere() -> None:
    key = "AIzaSecretOfATest0123456789"
    ear = await watched(
        [json.dumps({"error": {"message": f"API key {key} is not valid"}}).encode()],
        status=400,
        answered=JSON,
        wire="gemini",
        target=f"/models/a-model:streamGenerateContent?alt=sse&key={key}",
    )
    check_hidden(f"{ear.ending!r} {vars(ear.ending)!r}", key)


async def test_a_cause_that_shows_a_key_is_not_chained() -> None:
    ear = await watched([BEGUN["chat"]], "reset", cause=OSError(f"Bearer {KEY}"))
    assert isinstance(ear.ending, ConnectionLostError)
    assert ear.ending.__cause__ is None
    check_hidden(repr(ear.ending), KEY)


async def test_a_stream_that_a_handler_cancels_is_watched_no_longer() -> None:
    class Cancels(StreamHandler):
        def on_token(self, stream: Stream, token: Token) -> None:
            stream.cancel("enough")

    ear = WatchingEar()
    watcher = Watcher([Cancels(), ear])
    exchange = opened(watcher, asks())
    exchange.head(200, EVENTS)
    exchange.read(events("a"), perf_counter())
    exchange.read(events("b"), perf_counter())
    exchange.ended("whole")
    await watcher.aclose()
    assert ear.calls == ["start", "token", "error"]
    assert str(ear.ending) == "the stream was cancelled: enough"


async def test_a_stream_can_be_cancelled_from_outside_while_nothing_comes() -> None:
    class Keeps(StreamHandler):
        def on_start(self, stream: Stream) -> None:
            self.stream = stream

    ear, keeps = WatchingEar(), Keeps()
    watcher = Watcher([keeps, ear])
    exchange = opened(watcher, asks())
    await asyncio.to_thread(keeps.stream.cancel, "from a thread")
    await watcher.aclose()
    assert ear.calls == ["start", "error"]
    exchange.ended("whole")
    assert ear.calls == ["start", "error"]


async def test_a_handler_of_the_process_hears_a_watched_stream() -> None:
    ear = WatchingEar()
    with attach(ear):
        await watched([BEGUN["chat"], ENDED["chat"]])
    assert ear.calls == ["start", "token", "complete"]


async def test_a_handler_that_raises_is_listed_and_hurts_nobody() -> None:
    class Raises(StreamHandler):
        def on_token(self, stream: Stream, token: Token) -> None:
            raise ValueError("mine")

    ear = WatchingEar()
    watcher = Watcher([Raises(), ear])
    exchange = opened(watcher, asks())
    exchange.head(200, EVENTS)
    exchange.read(BEGUN["chat"] + ENDED["chat"], perf_counter())
    exchange.ended("whole")
    await watcher.aclose()
    assert ear.calls == ["start", "token", "complete"]
    (failure,) = ear.ending.handler_failures
    assert (failure.type, failure.message) == ("ValueError", "mine")


async def test_async_handlers_have_heard_all_of_it_when_the_watcher_is_closed() -> None:
    class Slow:
        def __init__(self) -> None:
            self.heard: list[str] = []

        async def on_token(self, stream: Stream, token: Token) -> None:
            await asyncio.sleep(0.01)
            self.heard.append(token.text)

        async def on_complete(self, stream: Stream, response: APIResponse) -> None:
            self.heard.append("complete")

    slow = Slow()
    watcher = Watcher([slow])
    exchange = opened(watcher, asks())
    exchange.head(200, EVENTS)
    exchange.read(events("a", "b") + ending(), perf_counter())
    exchange.ended("whole")
    assert slow.heard == []
    await watcher.aclose()
    assert slow.heard == ["a", "b", "complete"]


async def test_an_answer_that_is_no_protocol_is_noted_with_where_it_was() -> None:
    strange = sse({"what": "is this"})
    ear = await watched([strange, BEGUN["chat"], ENDED["chat"]])
    assert [(note.offset, note.what) for note in ear.notes] == [
        (len(strange), "an event of the answer was not understood")
    ]
    assert isinstance(ear.ending, APIResponse)
    assert ear.notes[0].id == ear.stream_id


async def test_what_is_no_protocol_at_all_ends_in_a_protocol_error() -> None:
    ear = await watched([b"data: {nonsense\n\n"])
    assert isinstance(ear.ending, ProtocolError)


async def test_completions_from_before_chat_are_streams_too() -> None:
    def chunk(text: str, finish: str | None) -> bytes:
        choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": finish}
        return sse({"id": "cmpl-1", "object": "text_completion", "choices": [choice]})

    route = Routes("http://h/v1").find(b"/v1/completions")
    assert route is not None
    assert (route.dialect, route.path) == ("chat", "/completions")
    ear = await watched(
        [chunk("Once", None), chunk("", "stop") + DONE],
        body={"model": "m", "prompt": "hi", "stream": True},
        target="/completions",
    )
    assert ear.calls == ["start", "token", "complete"]
    assert isinstance(ear.ending, APIResponse)
    assert ear.ending.completion == "Once"
