"""A stream without async: its loops, its endings, its one run."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import pytest

import lm_deluge
from lm_deluge import Delta, Token, attach
from lm_deluge.errors import (
    AnswerCutError,
    RateLimitError,
    StreamCancelled,
    StreamError,
)
from lm_deluge.signals import on_token
from lm_deluge.simulator import Simulator
from lm_deluge.sync import LLMClient, Stream, stream_chat
from support.clients import KEY, Recorder

from .conftest import Serve

WORDS = [f"word{number} " for number in range(40)]


def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    """Wait for what another thread or the server does."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_stream_prints_and_returns(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    server, _ = serve(text=["Hel", "lo"])
    client = LLMClient("gpt-4o", base_url=server.base_url, api_key=KEY)
    response = client.stream("Hi", temperature=0.5)
    assert (response.completion, capsys.readouterr().out) == ("Hello", "Hello")
    assert server.requests[0].json["temperature"] == 0.5


def test_tokens_come_as_they_arrive(serve: Serve) -> None:
    _, client = serve(text=WORDS[:10], gap=0.03)
    stream = client.open_stream("Hi")
    late = [stream.elapsed - token.arrived for token in stream]
    assert len(late) == 10
    # The last arrives 0.27 s after the first: none waited for it.
    assert sorted(late)[5] < 0.1
    assert stream.response is not None
    assert stream.response.completion == "".join(WORDS[:10])


def test_pieces_are_tokens_and_deltas_in_order(serve: Serve) -> None:
    _, client = serve(
        text=["Hel", "lo"], reasoning="Well,", tool_calls=[("weather", {"city": "Rome"})]
    )
    stream = client.open_stream("Hi")
    pieces = list(stream.pieces())
    kinds = [piece.kind if isinstance(piece, Delta) else "token" for piece in pieces]
    assert kinds[0] == "reasoning"
    assert kinds.index("token") < kinds.index("tool_call")
    assert "".join(piece.text for piece in pieces if isinstance(piece, Token)) == "Hello"


def test_wait_returns_the_response_again_and_again(serve: Serve) -> None:
    _, client = serve(text="Hello")
    stream = client.open_stream("Hi")
    assert stream.wait() is stream.wait() is stream.response
    assert stream.state == "complete"
    assert list(client.open_stream("Hi").pieces())


def test_a_wait_that_took_too_long_leaves_the_stream_running(serve: Serve) -> None:
    _, client = serve(text=WORDS[:10], gap=0.03)
    stream = client.open_stream("Hi")
    with pytest.raises(TimeoutError, match=stream.id):
        stream.wait(timeout=0.05)
    assert stream.state == "running"
    assert stream.wait(timeout=10).completion == "".join(WORDS[:10])


@pytest.mark.parametrize(
    ("timeout", "error"),
    [
        ("1", TypeError),
        (True, TypeError),
        ([1], TypeError),
        (-1, ValueError),
        (float("nan"), ValueError),
    ],
)
def test_a_timeout_that_is_no_number_of_seconds_is_refused(
    serve: Serve, timeout: Any, error: type[Exception]
) -> None:
    server, client = serve()
    with pytest.raises(error, match="timeout must be a number of seconds, or None"):
        client.open_stream("Hi").wait(timeout)
    assert not server.requests


def test_a_started_stream_runs_without_being_consumed(serve: Serve) -> None:
    _, client = serve(text="Hello")
    heard = Recorder()
    stream = client.open_stream("Hi", handlers=[heard])
    assert stream.start() is None  # type: ignore[func-returns-value]
    stream.start()
    until(lambda: stream.state == "complete")
    assert heard.text == "Hello"
    assert [token.text for token in stream] == []  # it was over


LEAVING: dict[str, Callable[[Stream], object]] = {}


def leaving(function: Callable[[Stream], object]) -> Callable[[Stream], object]:
    LEAVING[function.__name__] = function
    return function


@leaving
def a_break(stream: Stream) -> None:
    for _ in stream:
        break


@leaving
def a_break_out_of_pieces(stream: Stream) -> None:
    for _ in stream.pieces():
        break


@leaving
def an_exception_in_the_loop(stream: Stream) -> None:
    with pytest.raises(ZeroDivisionError):
        for _ in stream:
            _ = 1 / 0


@leaving
def a_with_block(stream: Stream) -> None:
    with stream as same:
        next(iter(same.pieces()))


@leaving
def a_with_block_without_a_loop(stream: Stream) -> None:
    with stream:
        stream.start()
        until(lambda: stream.attempt == 1)


@leaving
def a_generator_that_is_closed(stream: Stream) -> None:
    tokens = iter(stream)
    next(tokens)
    tokens.close()  # type: ignore[attr-defined]


@leaving
def a_generator_that_is_deleted(stream: Stream) -> None:
    tokens = iter(stream)
    next(tokens)
    del tokens


@leaving
def a_generator_in_a_circle(stream: Stream) -> None:
    circle: list[Any] = [iter(stream)]
    circle.append(circle)
    next(circle[0])
    del circle
    gc.collect()


@leaving
def a_stop(stream: Stream) -> None:
    stream.start()
    stream.stop()


@leaving
def a_stop_in_the_loop(stream: Stream) -> None:
    with pytest.raises(StreamCancelled):
        for _ in stream:
            stream.stop()


@leaving
def a_stop_in_another_thread(stream: Stream) -> None:
    tokens = iter(stream)
    next(tokens)
    thread = threading.Thread(target=stream.stop)
    thread.start()
    with pytest.raises(StreamCancelled):
        list(tokens)
    thread.join()


@leaving
def a_cancel_in_the_loop(stream: Stream) -> None:
    with pytest.raises(StreamCancelled):
        for _ in stream:
            stream.cancel()


@pytest.mark.parametrize("leave", LEAVING)
def test_leaving_ends_the_stream_and_its_connection(serve: Serve, leave: str) -> None:
    server, client = serve(text=WORDS, gap=0.05)
    heard = Recorder()
    stream = client.open_stream("Hi", handlers=[heard])
    LEAVING[leave](stream)
    # At once, not later: whoever leaves waits for the ending.
    assert isinstance(stream.error, StreamCancelled)
    assert heard.heard[-1:] in (["error"], [])  # nobody hears the end of one that never began
    assert heard.heard.count("error") <= 1
    until(lambda: server.open_connections == 0)


def test_a_stream_is_iterated_once(serve: Serve) -> None:
    _, client = serve(text="Hello")
    stream = client.open_stream("Hi")
    list(stream)
    with pytest.raises(RuntimeError, match="iterated already"):
        list(stream)
    with pytest.raises(RuntimeError, match="iterated already"):
        stream.pieces()


def test_one_that_was_cancelled_before_its_start_sends_nothing(serve: Serve) -> None:
    server, client = serve()
    for stop in (Stream.cancel, Stream.stop):
        stream = client.open_stream("Hi")
        stop(stream)
        with pytest.raises(StreamCancelled):
            stream.wait()
    with pytest.raises(StreamCancelled), client.open_stream("Hi") as stream:
        stream.cancel()
        list(stream)
    with client.open_stream("Hi") as stream:
        pass
    assert stream.state == "error"
    assert not server.requests


FAILING = {"status:429": RateLimitError, "eof:2": AnswerCutError}


@pytest.mark.parametrize("fault", FAILING)
@pytest.mark.parametrize(
    "consume",
    [lambda s: s.wait(), list, lambda s: list(s.pieces())],
    ids=["wait", "tokens", "pieces"],
)
def test_errors_are_raised_where_the_stream_is_consumed(
    serve: Serve, fault: str, consume: Callable[[Stream], object]
) -> None:
    _, client = serve(
        text=WORDS, faults=[fault], settings={"retries": lm_deluge.RetryPolicy(max_attempts=1)}
    )
    with pytest.raises(FAILING[fault]) as caught:
        consume(client.open_stream("Hi"))
    frames = [entry.path for entry in caught.traceback]
    assert str(frames[0]) == __file__  # the line of the caller is in it


def test_what_had_arrived_is_yielded_before_the_error(serve: Serve) -> None:
    _, client = serve(text=WORDS, faults=["eof:5"])
    got = []
    with pytest.raises(AnswerCutError) as caught:
        for token in client.open_stream("Hi"):
            got.append(token.text)  # noqa: PERF401 - it ends by an error
    assert caught.value.partial is not None
    assert "".join(got) == caught.value.partial.text != ""


@pytest.mark.parametrize("consume", [Stream.wait, list], ids=["wait", "tokens"])
def test_a_kept_error_does_not_hold_the_stream(
    serve: Serve, consume: Callable[[Stream], object]
) -> None:
    _, client = serve(text=WORDS, faults=["eof:5"])
    held: list[weakref.ref[Stream]] = []

    def opened() -> Stream:
        stream = client.open_stream("Hi")
        held.append(weakref.ref(stream))
        return stream

    with pytest.raises(StreamError) as caught:
        consume(opened())
    until(lambda: held[0]() is None)
    assert caught.value.__traceback__ is not None


def test_handlers_and_signals_know_the_very_stream(serve: Serve) -> None:
    _, client = serve(text=["Hel", "lo"])
    stream = client.open_stream("Hi")
    seen: list[lm_deluge.Stream] = []
    told: list[str] = []

    def receive(sender: lm_deluge.Stream, token: Token) -> None:
        seen.append(sender)

    class Handler:
        def on_token(self, stream: lm_deluge.Stream, token: Token) -> None:
            told.append(token.text)

    on_token.connect(receiver := receive, sender=stream)
    attach(Handler(), stream)
    stream.wait()
    assert receiver is receive
    assert all(sender is stream for sender in seen)
    assert (len(seen), told) == (2, ["Hel", "lo"])


def test_stream_chat_yields_text_and_then_the_response(serve: Serve) -> None:
    server, client = serve(text=["Hel", "lo"])
    *texts, response = stream_chat("gpt-4o", "Hi", client=client)
    assert texts == ["Hel", "lo"]
    assert isinstance(response, lm_deluge.APIResponse)
    *texts, _ = stream_chat("gpt-4o", "Hi", base_url=server.base_url, api_key=KEY, temperature=0.1)
    assert texts == ["Hel", "lo"]
    with pytest.raises(TypeError, match="client must be"):
        next(stream_chat("gpt-4o", "Hi", client=lm_deluge.LLMClient("gpt-4o")))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="temprature"):
        next(stream_chat("gpt-4o", "Hi", temprature=1))  # type: ignore[call-arg]


def test_leaving_stream_chat_ends_its_stream(serve: Serve) -> None:
    _, client = serve(text=WORDS, gap=0.05)
    heard = Recorder()
    for _ in stream_chat("gpt-4o", "Hi", client=client, handlers=[heard]):
        break
    assert heard.heard[-1] == "error"


def test_closing_a_client_ends_its_streams_and_it_can_be_used_again(serve: Serve) -> None:
    _, client = serve(text=WORDS, gap=0.02)
    with client:
        stream = client.open_stream("Hi")
        tokens = iter(stream)
        next(tokens)
    with pytest.raises(StreamCancelled, match="its client was closed"):
        list(tokens)
    assert next(iter(client.open_stream("Hi"))).text == "word0 "


async def test_in_async_code_the_same_stream_can_be_awaited() -> None:
    async with Simulator(text="Hello") as server:
        client = LLMClient("gpt-4o", base_url=server.base_url, api_key=KEY)
        assert (await client.open_stream("Hi")).completion == "Hello"
        stream = client.open_stream("Hi")
        end = lm_deluge.Stream.start(stream)
        with pytest.raises(RuntimeError, match="another event loop"):
            stream.wait()
        await end
