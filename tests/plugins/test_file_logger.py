"""``FileLogger``: what is in the timeline log, and where it is attached."""

from __future__ import annotations

import asyncio
import json
import re
import stat
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lm_deluge import Delta, RetryPolicy, SamplingParams, Token, attach
from lm_deluge.errors import ConnectionLostError, RateLimitError
from lm_deluge_plugins import FileLogger
from support import messages
from support.clients import client_for
from support.logs import fake_stream, kinds_of, lines_of, token
from support.scripted import (
    DONE,
    END,
    HANG,
    HEADERS,
    RESET,
    USAGE,
    ScriptedServer,
    answer,
    delta,
    ending,
    events,
    http,
    reply,
    sse,
)
from support.wires import WHOLE, client_of, steps

RETRIES = RetryPolicy(initial_delay=0.0)
CALL = {"index": 0, "id": "call_1", "function": {"name": "weather", "arguments": '{"a": 1}'}}


def everything() -> list[Any]:
    first = sse(delta(reasoning="hm")) + events("Once", " upon") + sse(delta("other", index=1))
    second = sse(delta(refusal="no")) + sse(delta(tool_calls=[CALL])) + events(" a")
    return [HEADERS, http(first), 0.02, http(second), http(ending()) + END]


async def test_each_line_has_the_fields_of_the_table(path: Path) -> None:
    begun = datetime.now(UTC)
    body = '{"error": {"message": "busy"}}'
    async with ScriptedServer(reply("503 Busy", body), everything()) as server:
        client = client_for(
            server, retries=RETRIES, handlers=[FileLogger(path)], tags={"variant": "B"}
        )
        asked = SamplingParams(n=2)
        response = await client.stream("What is it?", sampling_params=asked, tags={"run": 7})
    assert path.read_bytes().startswith(b"\n{")
    assert path.read_bytes().endswith(b"}\n")
    lines = lines_of(path)
    (id_,) = {line.pop("s") for line in lines}
    assert len(id_) >= 16
    assert {line.pop("v") for line in lines} == {1}
    times = [line.pop("t") for line in lines]
    assert times == sorted(times)
    assert times[0] == 0.0
    assert times[-1] == pytest.approx(response.elapsed, abs=1e-6)
    start, retry, reasoning, once, upon, other, refusal, call, last, complete = lines

    at = datetime.fromisoformat(start.pop("at"))
    assert at.utcoffset() == timedelta(0)
    assert begun - timedelta(seconds=1) <= at <= datetime.now(UTC)
    assert start.pop("queued") >= 0
    assert re.fullmatch("[0-9a-f]{16}", start.pop("prompt_hash"))
    assert start == {
        "e": "start",
        "model": "gpt-4o",
        "base_url": server.base_url,
        "tags": {"variant": "B", "run": 7},
        "prompt_chars": len("What is it?"),
        "prompt": "What is it?",
    }
    assert retry == {"e": "retry", "error": "InternalServerError", "attempt": 1, "delay": 0.0}

    first_read = reasoning["read"]
    for line in (reasoning, once, upon, other, refusal, last):
        assert 0 <= line.pop("d") < 1
        assert line.pop("read") == (first_read if line in (reasoning, once, upon, other) else 1)
    # Once per read, with its first piece.
    assert 0 <= reasoning.pop("busy") < 1
    assert 0 <= refusal.pop("busy") < 1
    assert reasoning == {"e": "reasoning", "i": 0, "text": "hm"}
    assert once == {"e": "token", "i": 0, "text": "Once"}
    assert upon == {"e": "token", "i": 1, "text": " upon"}
    assert other == {"e": "token", "i": 2, "text": "other", "choice": 1}
    assert refusal == {"e": "refusal", "i": 0, "text": "no"}
    assert call == {"e": "tool_call", "index": 0, "name": "weather", "len": 8}
    assert last == {"e": "token", "i": 3, "text": " a"}
    assert 0 <= complete.pop("busy", 0) < 1  # only where it was long
    assert complete == {
        "e": "complete",
        "model": "gpt-4o",
        "finish_reason": "stop",
        "usage": {
            "input_tokens": USAGE["prompt_tokens"],
            "output_tokens": USAGE["completion_tokens"],
            "total_tokens": USAGE["total_tokens"],
            "cache_read_tokens": None,
            "cache_write_tokens": None,
            "reasoning_tokens": None,
        },
        "cost": response.cost,
        "response_id": "chatcmpl-1",
        "attempts": 2,
    }
    assert response.cost is not None


async def test_times_are_those_of_the_arrival_and_not_of_the_handler(path: Path) -> None:
    class Slow:
        def on_token(self, stream: Any, token: Token) -> None:
            time.sleep(0.03)

    tokens: list[Token] = []
    steps = [HEADERS, http(events("a", "b")), 0.02, http(events("c") + ending()) + END]
    async with ScriptedServer(steps) as server:
        keep = SimpleNamespace(on_token=lambda stream, token: tokens.append(token))
        await client_for(server, handlers=[keep, Slow(), FileLogger(path)]).stream("hi")
    logged = [line for line in lines_of(path) if line["e"] == "token"]
    assert [line["t"] for line in logged] == pytest.approx([t.arrived for t in tokens], abs=1e-6)
    a, b, c = logged
    assert a["d"] >= 0.03
    assert b["d"] >= 0.06  # held up by the slow handler twice
    assert "busy" not in b
    assert a["busy"] < 0.03
    assert c["busy"] >= 0.06  # what the read before cost


async def test_without_usage_it_is_null_and_not_zero(path: Path) -> None:
    steps = [HEADERS, http(events("a") + ending(usage=False)) + END]
    async with ScriptedServer(steps) as server:
        await client_for(server, handlers=[FileLogger(path)]).stream("hi")
    complete = lines_of(path)[-1]
    assert (complete["usage"], complete["cost"]) == (None, None)


async def test_an_error_says_what_was_waited_for_and_how_much_came(path: Path) -> None:
    chunks = [delta(reasoning="hm"), delta(tool_calls=[CALL]), delta("Once")]
    body = b"".join(sse(chunk) for chunk in chunks)
    async with ScriptedServer([HEADERS, http(body), RESET]) as server:
        with pytest.raises(ConnectionLostError) as caught:
            await client_for(server, handlers=[FileLogger(path)]).stream("hi")
    error = lines_of(path)[-1]
    assert error.pop("t") == pytest.approx(caught.value.elapsed, abs=1e-6)
    del error["s"]
    error.pop("busy", None)  # of a loaded machine
    assert error == {
        "v": 1,
        "e": "error",
        "error": "ConnectionLostError",
        "phase": "between_tokens",
        "tokens": 2,
        "attempts": 1,
        "message": str(caught.value),
    }


async def test_a_retry_is_logged_at_the_time_its_attempt_failed(path: Path) -> None:
    class Slow:
        def on_retry(self, stream: Any, retry: Any) -> None:
            time.sleep(0.05)
            times.append(retry.error.elapsed)

    times: list[float] = []
    async with ScriptedServer(reply("429 Slow", "{}"), answer("a")) as server:
        client = client_for(server, retries=RETRIES, handlers=[Slow(), FileLogger(path)])
        await client.stream("hi")
    (retry,) = [line for line in lines_of(path) if line["e"] == "retry"]
    assert retry["t"] == pytest.approx(times[0], abs=1e-6)


async def test_a_log_without_content_holds_no_piece_of_prompt_or_answer(path: Path) -> None:
    secret = "Xylophon"
    call = {"index": 0, "id": secret, "function": {"name": secret, "arguments": f'"{secret}"'}}
    chunks = [
        delta(secret),
        delta(reasoning=secret),
        delta(refusal=secret),
        delta(tool_calls=[call]),
        delta(function_call={"name": secret, "arguments": secret}),
        {"error": {"message": f"bad prompt: {secret}"}},
    ]
    body = b"".join(sse(chunk) for chunk in chunks)
    rejected = reply("503 Busy", json.dumps({"error": {"message": secret}}))
    async with ScriptedServer(rejected, [HEADERS, http(body), HANG], everything()) as server:
        logger = FileLogger(path, text=False, tags={"variant": "B"})
        client = client_for(server, retries=RETRIES, handlers=[logger])
        with pytest.raises(Exception, match=secret):
            await client.stream(f"Tell me of the {secret}")
        await client.stream("What is it?")
    written = path.read_text()
    for word in (secret, "Once", "upon", "hm", "weather", "What is it"):
        assert word not in written
    lines = lines_of(path)
    assert Counter(line["e"] for line in lines) == {
        "start": 2,
        "retry": 1,
        "token": 5,
        "reasoning": 2,
        "refusal": 2,
        "tool_call": 3,
        "error": 1,
        "complete": 1,
    }
    assert [line["len"] for line in lines if line["e"] == "token"] == [8, 4, 5, 5, 2]
    assert [line["len"] for line in lines if line["e"] == "tool_call"] == [10, 8, 8]
    assert not any("text" in line or "message" in line or "name" in line for line in lines)
    assert [line["tags"] for line in lines if line["e"] == "start"] == [{"variant": "B"}] * 2


async def test_a_log_that_is_made_is_readable_by_its_owner_alone(path: Path) -> None:
    """It holds answers. One that is there keeps the mode that somebody gave it."""
    for mode in (None, 0o640):
        async with ScriptedServer([HEADERS, http(events("Hi") + ending()) + END]) as server:
            with FileLogger(path) as log:
                await client_for(server, handlers=[log]).stream("Hi")
        assert stat.S_IMODE(path.stat().st_mode) == (0o600 if mode is None else mode)
        path.chmod(0o640)


async def test_tags_of_the_logger_the_client_and_the_stream_add_up(path: Path) -> None:
    async with ScriptedServer(answer("a")) as server:
        logger = FileLogger(path, tags={"host": "h", "run": 1})
        client = client_for(server, tags={"run": 1, "variant": "A"}, handlers=[logger])
        await client.stream("hi", tags={"variant": "B"})
    assert lines_of(path)[0]["tags"] == {"run": 1, "variant": "B", "host": "h"}


async def test_text_of_any_kind_comes_back(path: Path) -> None:
    texts = ["a\nb", "\u2028", '"\\', "🤖", "\x00\x1b", "é\r\n"]
    async with ScriptedServer(answer(*texts)) as server:
        await client_for(server, handlers=[FileLogger(path)]).stream("hi")
    assert [line["text"] for line in lines_of(path) if line["e"] == "token"] == texts


# Where it is attached


async def test_it_logs_one_stream_one_client_or_the_whole_process(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("stream", "client", "process")]
    own, client_wide, process = map(FileLogger, paths)
    async with ScriptedServer(answer("a")) as server:
        client, other = client_for(server, handlers=[client_wide]), client_for(server)
        with attach(process):
            await client.stream("hi", handlers=[own])
            await client.stream("hi")
            await other.stream("hi")
        await other.stream("hi")
    streams = [{line["s"] for line in lines_of(path)} for path in paths]
    assert [len(ids) for ids in streams] == [1, 2, 3]
    assert streams[0] < streams[1] < streams[2]
    for path in paths:
        kinds = Counter(kinds_of(path))
        assert kinds["start"] == kinds["token"] == kinds["complete"]


async def test_streams_interleave_and_each_is_whole(path: Path) -> None:
    async with ScriptedServer(*(answer(*f"w{n} x y z".split()) for n in range(50))) as server:
        client = client_for(server, handlers=[FileLogger(path)])
        responses = await asyncio.gather(*(client.stream("hi") for _ in range(50)))
    by_stream: dict[str, list[dict[str, Any]]] = {}
    for line in lines_of(path):
        by_stream.setdefault(line["s"], []).append(line)
    texts = []
    for lines in by_stream.values():
        assert [line["e"] for line in lines] == ["start", *["token"] * 4, "complete"]
        assert [line["i"] for line in lines[1:-1]] == [0, 1, 2, 3]
        texts.append("".join(line["text"] for line in lines[1:-1]))
    assert sorted(texts) == sorted(response.completion for response in responses)


async def test_attached_in_the_middle_it_logs_the_rest(path: Path) -> None:
    logger = FileLogger(path)

    class Inviter:
        def on_token(self, stream: Any, token: Token) -> None:
            if token.index == 0:
                attach(logger, stream)

    async with ScriptedServer(answer("a", "b", "c")) as server:
        response = await client_for(server, handlers=[Inviter()]).stream("hi")
    assert kinds_of(path) == ["token", "token", "complete"]
    assert response.handler_failures == []


def test_credentials_of_the_url_are_not_logged(path: Path) -> None:
    with FileLogger(path) as logger:
        logger.on_start(fake_stream())
    assert lines_of(path)[0]["base_url"] == "http://h/v1"
    assert lines_of(path)[0]["at"] == ""


def test_one_stream_with_tags_that_no_json_can_hold_harms_no_other(path: Path, caplog: Any) -> None:
    looped: dict[str, Any] = {}
    looped["self"] = looped

    class Broken:
        def __str__(self) -> str:
            raise KeyError("no text")

    with FileLogger(path) as logger:
        for tags, error in ((looped, ValueError), ({"x": Broken()}, KeyError)):
            stream = fake_stream("bad")
            stream.tags = tags
            with pytest.raises(error):
                logger.on_start(stream)
        changed = fake_stream("changed")
        changed.tags = {"x": {}}
        logger.on_start(changed)
        changed.tags["x"]["y"] = Broken()  # after the check, before the thread wrote it
        logger.on_start(fake_stream("good"))
        logger.on_token(fake_stream("good"), token(0))
    assert [line["s"] for line in lines_of(path)] == ["good", "good"]
    assert "could not be written" in caplog.text


async def test_tags_that_no_json_can_hold_are_a_failure_of_on_start_alone(path: Path) -> None:
    looped: dict[str, Any] = {}
    looped["self"] = looped
    async with ScriptedServer(answer("a"), answer("b")) as server:
        client = client_for(server, handlers=[FileLogger(path)])
        bad = await client.stream("hi", tags={"x": looped})
        good = await client.stream("hi")
    (failure,) = bad.handler_failures
    assert (failure.method, failure.type) == ("on_start", "ValueError")
    assert good.handler_failures == []
    assert kinds_of(path) == ["token", "complete", "start", "token", "complete"]


async def test_a_rate_limit_that_ends_a_stream_is_an_error_line(path: Path) -> None:
    async with ScriptedServer(reply("429 Slow", '{"error": {"message": "slow"}}')) as server:
        with pytest.raises(RateLimitError):
            await client_for(server, handlers=[FileLogger(path)]).stream("hi")
    error = lines_of(path)[-1]
    assert (error["error"], error["phase"], error["tokens"]) == ("RateLimitError", "first_token", 0)


async def test_a_delta_of_reasoning_counts_its_own_pieces(path: Path) -> None:
    body = b"".join(sse(delta(reasoning=text)) for text in ("a", "b")) + events("c") + DONE
    async with ScriptedServer([HEADERS, http(body) + END]) as server:
        await client_for(server, handlers=[FileLogger(path)]).stream("hi")
    pieces = [(line["e"], line["i"]) for line in lines_of(path)[1:-1]]
    assert pieces == [("reasoning", 0), ("reasoning", 1), ("token", 0)]


def test_a_delta_is_logged_without_a_start(path: Path) -> None:
    with FileLogger(path) as logger:
        logger.on_delta(
            fake_stream(), Delta(kind="refusal", index=0, text="no", arrived=0.5, read=3, choice=1)
        )
    (line,) = lines_of(path)
    assert (line["e"], line["choice"], line["read"]) == ("refusal", 1, 3)


async def test_what_did_not_come_is_in_the_line_of_a_whole_answer(tmp_path: Path) -> None:
    path = tmp_path / "log"
    async with ScriptedServer(answer("Once")) as server:
        client = client_for(server, handlers=[FileLogger(path)])
        await client.stream("hi", sampling_params=SamplingParams(n=2))
        await client.stream("hi")
    missing = [line.get("missing") for line in lines_of(path) if line["e"] == "complete"]
    assert missing == [["2 choices were asked for and 1 choice came"], None]


@pytest.mark.parametrize("content", [True, False])
async def test_the_providers_word_for_the_end_is_in_the_line_where_it_is_another(
    tmp_path: Path, content: bool
) -> None:
    path = tmp_path / "log"
    details = {"type": "refusal", "category": "cyber", "explanation": "the Prompt says"}
    refused = messages.event(
        "message_delta", delta={"stop_reason": "refusal", "stop_details": details}
    )
    body = messages.START + refused + messages.STOP
    logger = FileLogger(path) if content else FileLogger(path, text=False)
    async with ScriptedServer(steps(body), WHOLE["messages"], answer("Once")) as server:
        for wire in ("messages", "messages", "chat"):
            await client_of(server, wire, handlers=[logger]).stream("hi")
    refusal, ended, chat = [line for line in lines_of(path) if line["e"] == "complete"]
    assert (refusal["finish_reason"], refusal["finish_reason_raw"]) == ("content_filter", "refusal")
    assert refusal.get("stop_details", {}).get("category") == ("cyber" if content else None)
    assert (ended["finish_reason"], ended["finish_reason_raw"]) == ("stop", "end_turn")
    assert "finish_reason_raw" not in chat
    assert "stop_details" not in chat
    assert ("Prompt" in path.read_text()) == content
