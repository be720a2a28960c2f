"""Attempts that fail before any output are followed by others; after output there is none."""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lm_deluge import (
    LLMClient,
    Retry,
    RetryPolicy,
    SamplingParams,
    Stream,
    StreamHandler,
    Timeouts,
    register_model,
)
from lm_deluge.errors import (
    AnswerCutError,
    APIConnectionError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ConnectionLostError,
    InternalServerError,
    NotFoundError,
    RateLimitError,
    StreamCancelled,
    StreamError,
)
from lm_deluge.models.registry import unregister_model
from support.clients import KEY, Recorder, client_for
from support.scripted import (
    CLOSE,
    END,
    HANG,
    HEADERS,
    RESET,
    ScriptedServer,
    answer,
    delta,
    ending,
    events,
    http,
    reply,
    sse,
)

FAST = RetryPolicy(initial_delay=0.01, max_delay=0.02)
OVERLOADED = reply("503 Service Unavailable", '{"error": {"message": "overloaded"}}')


@pytest.mark.parametrize(
    "failing",
    [
        [RESET],
        [CLOSE],
        [HEADERS, RESET],
        [HEADERS, END],
        OVERLOADED,
        reply("429 Too Many Requests", '{"error": {"message": "slow down"}}'),
        reply("408 Request Timeout", ""),
        reply("409 Conflict", ""),
        reply("500 Internal Server Error", "<html>oops</html>", kind="text/html"),
        [HEADERS, http(sse({"error": {"message": "x", "type": "overloaded_error"}})), HANG],
        [HEADERS, HANG],
        [HANG],
    ],
    ids=lambda steps: str(steps[-1])[:40],
)
async def test_what_may_pass_is_tried_again_and_the_answer_comes_once(failing: Any) -> None:
    recorder = Recorder()
    async with ScriptedServer(failing, answer("Once", " upon")) as server:
        client = client_for(
            server, retries=FAST, timeouts=Timeouts(first_token=0.2), handlers=[recorder]
        )
        response = await client.stream("hi")
        assert len(server.requests) == 2
    assert response.completion == "Once upon" == recorder.text
    assert response.attempts == 2
    assert recorder.heard == ["start", "retry", "token", "token", "complete"]
    (retry,) = recorder.retries
    assert (retry.attempt, retry.next_model) == (1, "gpt-4o")
    (failed,) = response.failed_attempts
    assert (failed.model, failed.error) == ("gpt-4o", type(retry.error).__name__)


@pytest.mark.parametrize(
    ("failing", "error"),
    [
        (reply("400 Bad Request", '{"error": {"message": "no"}}'), BadRequestError),
        (reply("401 Unauthorized", '{"error": {"message": "no"}}'), AuthenticationError),
        (reply("404 Not Found", '{"error": {"message": "no"}}'), NotFoundError),
        (
            reply(
                "429 Too Many Requests",
                '{"error": {"message": "no", "code": "insufficient_quota"}}',
            ),
            RateLimitError,
        ),
        (reply("503 Busy", "{}", headers="x-should-retry: false\r\n"), InternalServerError),
        (reply("503 Busy", "{}", headers="Retry-After: 3600\r\n"), InternalServerError),
    ],
)
async def test_what_will_not_pass_is_not_tried_again(failing: Any, error: Any) -> None:
    recorder = Recorder()
    async with ScriptedServer(failing, answer("a")) as server:
        with pytest.raises(error) as caught:
            await client_for(server, retries=FAST, handlers=[recorder]).stream("hi")
        assert len(server.requests) == 1
    assert caught.value.attempts == 1
    assert recorder.heard == ["start", "error"]


async def test_x_should_retry_true_makes_a_400_worth_another_attempt() -> None:
    refused = reply("400 Bad Request", "{}", headers="x-should-retry: true\r\n")
    async with ScriptedServer(refused, answer("a")) as server:
        response = await client_for(server, retries=FAST).stream("hi")
    assert response.attempts == 2


async def test_the_attempts_end_with_the_policy() -> None:
    async with ScriptedServer(OVERLOADED) as server:
        with pytest.raises(InternalServerError) as caught:
            await client_for(server, retries=FAST).stream("hi")
        assert len(server.requests) == 3 == caught.value.attempts


async def test_after_the_first_output_there_is_no_retry() -> None:
    recorder = Recorder()
    cut = [HEADERS, http(sse({"choices": [{"index": 0, "delta": {"reasoning": "Hm"}}]})), RESET]
    async with ScriptedServer(cut, answer("a")) as server:
        with pytest.raises(ConnectionLostError) as caught:
            await client_for(server, retries=FAST, handlers=[recorder]).stream("hi")
        assert len(server.requests) == 1
    assert recorder.heard == ["start", "delta", "error"]
    assert caught.value.partial is not None
    assert caught.value.partial.reasoning == "Hm"


@pytest.mark.parametrize(
    "form",
    [
        "milliseconds",
        pytest.param("seconds", marks=pytest.mark.slow),
        pytest.param("date", marks=pytest.mark.slow),
    ],
)
async def test_retry_after_is_waited_for_in_its_three_forms(form: str) -> None:
    headers = {
        "seconds": "Retry-After: 1\r\n",
        "milliseconds": "retry-after-ms: 500\r\n",
        "date": f"Retry-After: {email.utils.formatdate(time.time() + 1.5, usegmt=True)}\r\n",
    }[form]
    recorder = Recorder()
    busy = reply("429 Too Many Requests", "{}", headers=headers)
    async with ScriptedServer(busy, answer("a")) as server:
        client = client_for(server, retries=FAST, handlers=[recorder])
        begun = time.perf_counter()
        await client.stream("hi")
    assert 0.4 <= recorder.retries[0].delay <= 1.5
    assert time.perf_counter() - begun >= recorder.retries[0].delay


async def test_total_covers_all_attempts_and_the_waits_between_them() -> None:
    slow = RetryPolicy(max_attempts=50, initial_delay=5, max_delay=5)
    async with ScriptedServer(OVERLOADED) as server:
        client = client_for(server, retries=slow, timeouts=Timeouts(total=0.3))
        with pytest.raises(APITimeoutError) as caught:
            await client.stream("hi")
    assert (caught.value.phase, caught.value.limit) == ("total", 0.3)


@contextlib.contextmanager
def deaf() -> Iterator[str]:
    """A base URL at which nobody takes a connection: those that may wait for it are there already."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere such connections are refused")
@pytest.mark.parametrize(
    ("timeouts", "phase", "limit", "attempts"),
    [
        (Timeouts(connect=0.15), "connect", 0.15, 3),
        (Timeouts(connect=5, first_token=0.15), "first_token", 0.15, 3),
        (Timeouts(connect=0.25, total=0.45), "total", 0.45, 2),
        (Timeouts(total=0.15), "total", 0.15, 1),
    ],
    ids=["connect", "first_token", "total, second attempt", "total"],
)
async def test_a_server_that_takes_no_connection_is_a_timeout_however_often(
    timeouts: Timeouts, phase: str, limit: float, attempts: int
) -> None:
    recorder = Recorder()
    with deaf() as url:
        client = LLMClient(
            "gpt-4o",
            base_url=url,
            api_key=KEY,
            timeouts=timeouts,
            retries=RetryPolicy(initial_delay=0.001),
            handlers=[recorder],
            printer=None,
        )
        with pytest.raises(APITimeoutError) as caught:
            await client.stream("hi")
        await client.close()
    error = caught.value
    assert (error.phase, error.limit, error.attempts) == (phase, limit, attempts)
    assert [failed.error for failed in error.failed_attempts] == ["APITimeoutError"] * (
        attempts - 1
    )
    assert recorder.heard == ["start", *["retry"] * (attempts - 1), "error"]


async def test_a_stream_cancelled_between_attempts_ends_at_once() -> None:
    recorder = Recorder()
    slow = RetryPolicy(initial_delay=5, max_delay=5)
    async with ScriptedServer(OVERLOADED) as server:
        soon = asyncio.get_running_loop().call_soon

        class AtRetry(StreamHandler):
            def on_retry(self, stream: Stream, retry: Retry) -> None:
                soon(stream.cancel)

        client = client_for(server, retries=slow, handlers=[recorder, AtRetry()])
        async with asyncio.timeout(4):
            with pytest.raises(StreamCancelled):
                await client.stream("hi")
    assert recorder.heard == ["start", "retry", "error"]


@pytest.mark.parametrize(
    "failing",
    [
        reply("404 Not Found", '{"error": {"message": "no such model"}}'),
        OVERLOADED,
        [RESET],
        [HEADERS, HANG],
    ],
    ids=["not found", "overloaded", "reset", "silent"],
)
async def test_the_fallback_answers_where_the_first_model_cannot(failing: Any) -> None:
    recorder = Recorder()
    async with ScriptedServer(failing, answer("a")) as server:
        client = client_for(
            server,
            fallback_models=["gpt-4o-mini"],
            timeouts=Timeouts(first_token=0.2),
            handlers=[recorder],
        )
        response = await client.stream("hi")
        asked = [request.json["model"] for request in server.requests]
    assert asked == ["gpt-4o", "gpt-4o-mini"]
    assert (response.model, response.model_used) == ("gpt-4o", "gpt-4o-mini")
    assert response.failed_attempts[0].model == "gpt-4o"
    assert recorder.retries[0].next_model == "gpt-4o-mini"
    assert recorder.heard == ["start", "retry", "token", "complete"]


@pytest.fixture
def of_one_answer() -> Iterator[str]:
    """A model that takes neither ``n`` nor ``logprobs``."""
    name = "of-one-answer"
    register_model(name, accepts=["max_new_tokens"])
    yield name
    unregister_model(name)


async def test_a_fallback_that_takes_no_n_takes_no_answer_from_the_first_model(
    of_one_answer: str,
) -> None:
    two = SamplingParams(n=2, logprobs=True)
    both = sse(delta("a")) + sse(delta("b", index=1))
    stops = sse(delta(index=1, finish="stop")) + ending()
    async with ScriptedServer([HEADERS, http(both + stops), END]) as server:
        client = client_for(server, fallback_models=[of_one_answer], sampling_params=two)
        response = await client.stream("hi")
    assert [choice.completion for choice in response.choices] == ["a", "b"]
    assert response.missing == ["log probabilities were asked for and none came"]


async def test_an_answer_of_two_that_is_cut_is_not_whole_because_of_a_fallback(
    of_one_answer: str,
) -> None:
    two = SamplingParams(n=2)
    first = sse(delta("a")) + sse(delta(finish="stop")) + sse(delta("b", index=1))
    async with ScriptedServer([HEADERS, http(first), END]) as server:
        client = client_for(server, fallback_models=[of_one_answer], sampling_params=two)
        with pytest.raises(AnswerCutError):
            await client.stream("hi")


async def test_of_a_fallback_that_takes_no_n_nothing_more_is_awaited(of_one_answer: str) -> None:
    two = SamplingParams(n=2, logprobs=True)
    async with ScriptedServer(OVERLOADED, answer("a")) as server:
        client = client_for(server, fallback_models=[of_one_answer], sampling_params=two)
        response = await client.stream("hi")
        assert "n" not in server.requests[1].json
    assert (response.completion, response.missing) == ("a", [])


async def test_a_bad_request_is_no_reason_to_ask_another_model() -> None:
    refused = reply("400 Bad Request", '{"error": {"message": "no"}}')
    async with ScriptedServer(refused, answer("a")) as server:
        with pytest.raises(BadRequestError):
            await client_for(server, fallback_models=["gpt-4o-mini"]).stream("hi")
        assert len(server.requests) == 1


async def test_the_fallback_is_not_asked_after_output() -> None:
    async with ScriptedServer([HEADERS, http(events("a")), RESET], answer("b")) as server:
        with pytest.raises(StreamError):
            await client_for(server, fallback_models=["gpt-4o-mini"]).stream("hi")
        assert len(server.requests) == 1


async def test_a_new_connection_that_is_closed_at_once_is_a_failed_attempt() -> None:
    async with ScriptedServer([CLOSE]) as server:
        with pytest.raises(APIConnectionError, match="without an answer"):
            await client_for(server).stream("hi")


async def test_the_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with ScriptedServer(answer("a")) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.base_url.removesuffix("/v1"))
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        client = LLMClient("gpt-4o", base_url="http://api.invalid/v1", api_key=KEY, printer=None)
        response = await client.stream("hi")
        assert proxy.requests[0].line.startswith("POST http://api.invalid/v1/chat/completions")
        monkeypatch.setenv("NO_PROXY", "api.invalid")
        with pytest.raises(APIConnectionError):
            await LLMClient(
                "gpt-4o", base_url="http://api.invalid/v1", api_key=KEY, retries=RetryPolicy.none()
            ).stream("hi")
    assert response.completion == "a"


async def test_an_entry_in_netrc_does_not_get_in_the_way(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login me password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    async with ScriptedServer(answer("a")) as server:
        response = await client_for(server).stream("hi")
        assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert response.completion == "a"
