"""What a fault puts in place of an answer: error frames, error statuses, and bodies of another kind."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from support.faulty import TEXT, THREE, simulator
from support.plain_client import Ask, Heard


def last_event(heard: Heard) -> dict[str, Any]:
    event: dict[str, Any] = heard.events[-1]
    return event


@pytest.mark.parametrize(
    "shape", ["object", "text", "flat", "choices", "finish", "event", "event-bare", "echo"]
)
async def test_error_frames_come_inside_a_200_and_end_it(ask: Ask, shape: str) -> None:
    async with simulator(f"error-frame:{shape}:2") as sim:
        heard = await ask(sim, key="sk-secret")
    assert (heard.status, heard.error, heard.done) == (200, None, False)
    assert heard.text() == "one two"
    frame = last_event(heard)
    named = (
        heard.body.rpartition(b"\n\ndata")[2].count(b"event: error")
        or b"event: error" in (heard.body.split(b"\n\n")[-2])
    )
    assert bool(named) == shape.startswith("event")
    if shape == "text":
        assert isinstance(frame["error"], str)
    elif shape == "flat":
        assert (frame["object"], "error" in frame) == ("error", False)
        assert frame["message"]
    elif shape == "event-bare":
        assert frame["message"]
    else:
        assert frame["error"]["message"]
    if shape == "choices":
        assert frame["choices"] == []
    if shape == "finish":
        assert frame["choices"][0]["finish_reason"] == "error"
    assert ("sk-secret" in heard.body.decode()) == (shape == "echo")


async def test_error_frames_have_defaults(ask: Ask) -> None:
    async with simulator("error-frame") as sim:
        heard = await ask(sim)
    assert heard.text() == THREE
    assert last_event(heard)["error"]["type"] == "server_error"


@pytest.mark.parametrize(
    ("spec", "status", "kind", "start"),
    [
        ("status:429", 429, "application/json", b'{"error"'),
        ("status:503:html", 503, "text/html", b"<html>"),
        ("status:500:text", 500, "text/plain", b"upstream"),
        ("status:502:empty", 502, None, b""),
        ("status:418", 418, "application/json", b'{"error"'),
        ("status:529:json", 529, "application/json", b'{"error"'),
    ],
)
async def test_error_statuses_come_with_and_without_json(
    ask: Ask, spec: str, status: int, kind: str | None, start: bytes
) -> None:
    async with simulator(spec, None) as sim:
        heard = await ask(sim)
        assert heard.status == status
        assert heard.headers.get("content-type") == kind or kind is None
        assert heard.body.startswith(start)
        assert (await ask(sim)).text() == TEXT
        assert sim.connections == 1


async def test_retry_after_has_three_forms_and_should_retry_a_header(ask: Ask) -> None:
    async with simulator(
        "status:429:retry-after=2",
        "status:429:html:retry-after-ms=150:should-retry=false",
        "status:503:retry-after-date=30:should-retry=true",
    ) as sim:
        seconds, millis, date = [(await ask(sim)).headers for _ in range(3)]
    assert seconds["retry-after"] == "2"
    assert "x-should-retry" not in seconds
    assert (millis["retry-after-ms"], millis["x-should-retry"]) == ("150", "false")
    ahead = parsedate_to_datetime(date["retry-after"]).timestamp() - time.time()
    assert 25 < ahead <= 31
    assert date["x-should-retry"] == "true"


async def test_an_echo_repeats_the_key(ask: Ask) -> None:
    async with simulator("status:401:echo") as sim:
        heard = await ask(sim, key="sk-secret")
    assert b"sk-secret" in heard.body
    assert heard.headers["x-echo"] == "Bearer sk-secret"


async def test_a_redirect_points_to_another_host(ask: Ask) -> None:
    async with simulator("redirect", "redirect:http://localhost:1/v1") as sim:
        heard = await ask(sim)
        assert heard.status == 307
        assert heard.headers["location"] == "http://another-host.invalid/v1/chat/completions"
        assert (await ask(sim)).headers["location"] == "http://localhost:1/v1"


async def test_a_wrong_content_type_is_a_200_with_a_page(ask: Ask) -> None:
    async with simulator("wrong-content-type", "wrong-content-type:text/plain") as sim:
        heard = await ask(sim)
        assert (heard.status, heard.body[:6]) == (200, b"<html>")
        assert heard.headers["content-type"].startswith("text/html")
        assert (await ask(sim)).headers["content-type"] == "text/plain"


async def test_json_in_place_of_a_stream_is_an_error_or_the_whole_answer(ask: Ask) -> None:
    async with simulator("json-error", "json-answer", ttft=0.01) as sim:
        heard = await ask(sim)
        assert (heard.status, "error" in heard.json) == (200, True)
        assert heard.headers["content-type"] == "application/json"
        heard = await ask(sim)
        assert heard.headers["content-type"] == "application/json"
        assert heard.json["choices"][0]["message"]["content"] == TEXT
