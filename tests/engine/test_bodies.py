"""A body is read as what it is; what the head of a reply said stands, whatever becomes of its body."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lm_deluge import RetryPolicy, Timeouts
from lm_deluge.errors import (
    AnswerCutError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    ConnectionLostError,
    InternalServerError,
    ProtocolError,
    ProviderError,
)
from support.clients import Recorder, client_for
from support.scripted import (
    CLOSE,
    DONE,
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
PAGE = b"<!doctype html><title>Please sign in</title>"


def head(status: str, kind: str | None) -> bytes:
    said = "" if kind is None else f"Content-Type: {kind}\r\n"
    return f"HTTP/1.1 {status}\r\n{said}Transfer-Encoding: chunked\r\n\r\n".encode()


@pytest.mark.parametrize("status", ["200 OK", "201 Created", "202 Accepted", "206 Partial"])
@pytest.mark.parametrize(
    "kind",
    [
        "text/event-stream",
        "text/plain; charset=utf-8",
        "application/octet-stream",
        "application/json",
        "application/x-ndjson",
        "text/html",
        "multipart/mixed",
        None,
    ],
)
@pytest.mark.parametrize("cut", [0, 1, 3], ids=["whole", "after a byte", "after three bytes"])
async def test_a_good_stream_is_read_under_any_type_and_any_status_of_success(
    status: str, kind: str | None, cut: int
) -> None:
    recorder = Recorder()
    body = b": hello\n\n" * (cut == 1) + events("a", "b") + ending()
    steps = [head(status, kind), *(http(data) for data in (body[:cut], body[cut:]) if data), END]
    async with ScriptedServer(steps) as server:
        response = await client_for(server, handlers=[recorder]).stream("hi")
    assert response.completion == "ab" == recorder.text
    assert response.usage is not None


async def test_a_stream_under_a_wrong_type_may_take_its_time_to_begin() -> None:
    steps = [head("200 OK", "text/plain"), 0.1, http(events("a") + ending()) + END]
    async with ScriptedServer(steps) as server:
        assert (await client_for(server).stream("hi")).completion == "a"


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "", "application/octet-stream"])
async def test_a_whole_answer_is_taken_under_any_type_but_a_page(kind: str) -> None:
    whole = {"choices": [{"message": {"content": "ab"}, "finish_reason": "stop"}]}
    async with ScriptedServer(reply("201 Created", json.dumps(whole), kind=kind)) as server:
        assert (await client_for(server).stream("hi")).completion == "ab"
    error = {"error": {"message": "overloaded"}}
    async with ScriptedServer(reply("200 OK", json.dumps(error), kind=kind)) as server:
        with pytest.raises(ProviderError, match="overloaded"):
            await client_for(server).stream("hi")


@pytest.mark.parametrize("end", [HANG, CLOSE, RESET], ids=repr)
async def test_a_whole_answer_is_taken_though_the_end_of_its_body_is_missing(end: Any) -> None:
    whole = json.dumps({"choices": [{"message": {"content": "ab"}, "finish_reason": "stop"}]})
    begun = head("200 OK", "application/json")
    timeouts = Timeouts(first_token=0.4 if end is HANG else 10)  # awaited by the one that hangs
    async with ScriptedServer([begun, http(whole.encode()), 0.02, end]) as server:
        response = await client_for(server, timeouts=timeouts).stream("hi")
    assert response.completion == "ab"
    async with ScriptedServer([begun, http(whole[:-1].encode()), 0.02, end]) as server:
        with pytest.raises(APITimeoutError if end is HANG else ConnectionLostError):
            await client_for(server, timeouts=timeouts).stream("hi")


@pytest.mark.parametrize("status", ["200 OK", "203 Other"])
@pytest.mark.parametrize("end", [END, HANG, CLOSE, RESET], ids=repr)
async def test_a_page_is_not_asked_again_and_the_next_model_is(status: str, end: Any) -> None:
    page = [head(status, "text/html"), http(PAGE), end]
    recorder = Recorder()
    timeouts = Timeouts(first_token=0.4 if end is HANG else 10)  # awaited by the one that hangs
    async with ScriptedServer(page) as server:
        with pytest.raises(ProtocolError, match="base_url") as caught:
            await client_for(server, retries=FAST, timeouts=timeouts).stream("hi")
        assert len(server.requests) == 1
    assert caught.value.content_type == "text/html"
    # A reset may throw away what the system had received before it.
    assert end is RESET or caught.value.evidence == PAGE
    async with ScriptedServer(page, answer("a")) as server:
        client = client_for(
            server,
            retries=FAST,
            timeouts=timeouts,
            fallback_models=["gpt-4o-mini"],
            handlers=[recorder],
        )
        assert (await client.stream("hi")).model_used == "gpt-4o-mini"
    assert recorder.heard == ["start", "retry", "token", "complete"]


async def test_a_page_of_which_nothing_comes_is_one_all_the_same() -> None:
    async with ScriptedServer([head("200 OK", "text/html"), HANG]) as server:
        with pytest.raises(ProtocolError, match="'text/html'"):
            await client_for(server, timeouts=Timeouts(first_token=0.1)).stream("hi")


async def test_an_empty_reply_of_another_success_keeps_its_status() -> None:
    async with ScriptedServer([b"HTTP/1.1 204 No Content\r\n\r\n"]) as server:
        with pytest.raises(APIStatusError, match="HTTP 204") as caught:
            await client_for(server, retries=FAST).stream("hi")
        assert len(server.requests) == 1
    assert caught.value.status_code == 204


@pytest.mark.parametrize("limits", [Timeouts(total=0.2), Timeouts(first_token=0.2)], ids=repr)
@pytest.mark.parametrize("sent", [0, 20, 40])
async def test_a_refusal_keeps_its_status_though_its_body_hangs(
    limits: Timeouts, sent: int
) -> None:
    refused = reply("401 Unauthorized", '{"error": {"message": "wrong key", "code": "no"}}')[0]
    at = refused.index(b"{") + sent
    async with ScriptedServer([refused[:at], HANG]) as server:
        with pytest.raises(AuthenticationError) as caught:
            await client_for(server, timeouts=limits, retries=FAST).stream("hi")
    assert caught.value.status_code == 401
    assert caught.value.phase == "first_token"
    assert caught.value.elapsed is not None
    assert 0.15 < caught.value.elapsed < 5
    assert (refused[at - sent : at].decode() in str(caught.value)) or sent == 0


async def test_a_retry_that_does_not_fit_into_the_total_limit_is_not_waited_for() -> None:
    busy = reply("503 Busy", '{"error": {"message": "busy"}}', headers="Retry-After: 30\r\n")
    recorder = Recorder()
    async with ScriptedServer(busy) as server:
        client = client_for(
            server, retries=RetryPolicy(), timeouts=Timeouts(total=10), handlers=[recorder]
        )
        with pytest.raises(
            APITimeoutError, match=r"Timeouts\.total.*InternalServerError"
        ) as caught:
            await client.stream("hi")
        assert len(server.requests) == 1
    error = caught.value
    assert (error.phase, error.limit, error.attempts) == ("total", 10, 1)
    assert error.elapsed is not None
    assert error.elapsed < 5
    assert isinstance(error.__cause__, InternalServerError)
    assert error.__cause__.retry_after == 30
    [failed] = error.failed_attempts
    assert (failed.model, failed.error, failed.delay) == ("gpt-4o", "InternalServerError", 0)
    assert recorder.heard == ["start", "error"]


def chunks(*choices: tuple[int, str | None]) -> bytes:
    return b"".join(
        sse(delta(None if reason else "a", index=index, finish=reason)) for index, reason in choices
    )


CUTS: list[tuple[int, bytes, str]] = [
    (1, b"", "no event at all"),
    (1, b": keep-alive\n\n", "no event at all"),
    (1, sse({"choices": [], "object": ""}), r"no \[DONE\] and nothing of an answer"),
    (1, chunks((0, None)), r"no \[DONE\] and no finish reason"),
    (2, chunks((0, None), (1, None)), r"no \[DONE\] and no finish reason"),
    (2, chunks((0, None), (1, None), (0, "stop")), "no finish reason for choice 1"),
    (2, chunks((0, None), (0, "stop")), r"nothing of choice 1 \(2 asked for\)"),
    (3, chunks((1, None), (1, "stop")), "nothing of choices 0, 2"),
    (
        3,
        chunks((0, None), (1, None), (1, "stop")),
        "no finish reason for choice 0 and nothing of choice 2",
    ),
]


@pytest.mark.parametrize(("asked", "body", "missing"), CUTS)
async def test_the_words_of_a_cut_name_what_is_missing(
    asked: int, body: bytes, missing: str
) -> None:
    async with ScriptedServer([HEADERS, *([http(body)] if body else []), END]) as server:
        with pytest.raises(AnswerCutError, match=missing) as caught:
            await client_for(server, extra_body={"n": asked}).stream("hi")
    # A reason that came is not missed.
    assert ("finish reason" in str(caught.value)) == ("finish reason" in missing)


STOPPING = [
    http(sse(delta("a", finish="stop"))),
    http(sse(delta("b", finish="stop"))),
    http(sse(delta("c", finish="stop"))),
]


@pytest.mark.parametrize("end", [END, http(DONE), HANG], ids=["EOF", "[DONE]", "silence"])
async def test_a_reason_in_every_chunk_is_no_end_and_the_answer_is_whole(end: Any) -> None:
    """The tail is shorter than the pauses: it must not begin at the first reason."""
    slowly = [step for part in STOPPING for step in (part, 0.15)]
    timeouts = Timeouts(first_token=5, between_tokens=0.6, tail=0.01)
    async with ScriptedServer([HEADERS, *slowly, end]) as server:
        response = await client_for(server, timeouts=timeouts).stream("hi")
    assert (response.completion, response.finish_reason) == ("abc", "stop")
    assert response.elapsed < 0.6


async def test_keep_alives_do_not_put_off_the_silence_that_ends_an_answer() -> None:
    forever = [step for _ in range(200) for step in (http(b": ping\n\n"), 0.02)]
    timeouts = Timeouts(first_token=5, between_tokens=0.3)
    async with ScriptedServer([HEADERS, *STOPPING, *forever]) as server:
        response = await client_for(server, timeouts=timeouts).stream("hi")
        assert (response.completion, response.finish_reason) == ("abc", "stop")


async def test_a_reset_is_no_end_for_a_reason_that_cannot_be_trusted() -> None:
    async with ScriptedServer([HEADERS, *STOPPING, 0.05, RESET]) as server:
        with pytest.raises(Exception, match="the connection broke") as caught:
            await client_for(server).stream("hi")
    assert caught.value.partial.text == "abc"  # type: ignore[attr-defined]


async def test_the_total_limit_stands_though_an_answer_may_be_over() -> None:
    timeouts = Timeouts(between_tokens=5, total=0.2)
    async with ScriptedServer([HEADERS, *STOPPING, HANG]) as server:
        with pytest.raises(APITimeoutError) as caught:
            await client_for(server, timeouts=timeouts).stream("hi")
    assert caught.value.phase == "total"


async def test_half_a_character_before_the_end_of_a_tail_is_kept() -> None:
    half = b'data: {"choices": [{"index": 0, "delta": {"content": "a\\ud83d"}}]}\n\n'
    body = half + sse(delta(finish="stop"))
    recorder = Recorder()
    async with ScriptedServer([HEADERS, http(body), HANG]) as server:
        client = client_for(server, timeouts=Timeouts(tail=0.05), handlers=[recorder])
        response = await client.stream("hi")
    assert response.completion == "a\N{REPLACEMENT CHARACTER}" == recorder.text
