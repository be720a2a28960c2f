"""Servers that say secrets back, in every place and every encoding: nothing we write down shows one.

What the model said, and what it is called, reaches whoever asked as it came.
"""

from __future__ import annotations

import json
import logging
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from lm_deluge import (
    LLMClient,
    RetryPolicy,
    Stream,
    StreamHandler,
    Token,
)
from lm_deluge.errors import StreamError
from lm_deluge.recording import read_recording
from lm_deluge.timeline import read_timelines
from lm_deluge_plugins import FileLogger
from support.scripted import (
    END,
    HANG,
    HEADERS,
    RESET,
    ScriptedServer,
    delta,
    ending,
    events,
    http,
    reply,
    sse,
)
from support.secrets import KEY, WORN, assert_hidden, texts_of


class Loud(StreamHandler):
    """A handler that fails, and says why, with the key."""

    def __init__(self, secret: str) -> None:
        self.secret = secret
        self.retries: list[str] = []

    def on_start(self, stream: Stream) -> None:
        raise ValueError(f"I was started by {self.secret}")

    def on_retry(self, stream: Stream, retry: Any) -> None:
        self.retries += [repr(retry), texts_of(retry.error)]

    async def on_token(self, stream: Stream, token: Token) -> None:
        raise LookupError(self.secret)


def everywhere(secret: str) -> dict[str, list[Any]]:
    """Answers that say a secret back, by where."""
    quoted = json.dumps(secret)[1:-1] if "\\u" not in secret else secret
    raw = quoted.encode()
    header = re.sub(r"[^!-~]", "", secret)
    error = (
        f'{{"error": {{"message": "bad key {quoted}", "type": "{quoted}", "param": "{quoted}"}}}}'
    )
    chunk = sse(delta("a")).replace(b"chatcmpl-1", raw)
    printed = chunk.replace(b'"object"', b'"system_fingerprint": "%b", "object"' % raw)
    model = sse(delta("a")).replace(b"gpt-4o-2024-08-06", raw)
    call = {
        "index": 0,
        "id": "ID",
        "type": "function",
        "function": {"name": "ID", "arguments": "{}"},
    }
    tools = sse(delta(tool_calls=[call])).replace(b'"ID"', b'"%b"' % raw)
    return {
        "message": reply("401 Unauthorized", error),
        "code": reply("500 Oops", f'{{"error": {{"message": "x", "code": "{quoted}"}}}}'),
        "a name in the body": reply("500 Oops", f'{{"error": {{"message": "x", "{quoted}": 1}}}}'),
        "a page": reply("500 Oops", f"<html>{secret}</html>", kind="text/html"),
        "a page, cut by us": reply("500 Oops", "x" * 190 + " " + secret, kind="text/html"),
        "a long page": reply("502 Oops", "x " * 80 + secret + " y" * 300, kind="text/plain"),
        "200 with a page": reply("200 OK", f"<html>{secret}", kind="text/html"),
        "evidence, cut by us": reply("200 OK", "x" * 185 + secret, kind="text/html"),
        "200 with an error": reply("200 OK", error),
        "a list": reply("422 No", f'{{"detail": [{{"loc": ["{quoted}"], "msg": "{quoted}"}}]}}'),
        "x-request-id": reply("400 No", "{}", headers=f"x-request-id: {header}\r\n"),
        "a header's name": reply("400 No", "{}", headers=f"X-{header.replace('=', '')}: 1\r\n"),
        "reason": reply(f"500 {header}", "{}"),
        "content type": reply("200 OK", "x", kind=f"text/{header}"),
        "redirect's host": reply("302 Found", "", headers=f"Location: https://{header}.example/\r\n"),
        "redirect's path": reply("302 Found", "", headers=f"Location: /{header}?key={header}\r\n"),
        "redirect's user": reply("302 Found", "", headers=f"Location: http://{header}@x/\r\n"),
        "not HTTP": [f"HTTP/1.1 200 {header}\r\nbroken {header}\r\n\r\n".encode(), HANG],
        "no HTTP at all": [f"{header}\r\n\r\n".encode(), HANG],
        "a chunk's size": [HEADERS, http(events("a")), f"zz{header}\r\n".encode(), HANG],
        "no JSON": [HEADERS, http(b"data: {" + secret.encode() + b"\n\n"), HANG],
        "no JSON, cut by us": [HEADERS, http(b"data: {" + b"x" * 185 + secret.encode() + b"\n\n"), HANG],
        "an error frame": [HEADERS, http(b"data: " + error.encode() + b"\n\n"), HANG],
        "an error event": [HEADERS, http(b"event: error\ndata: " + raw + b"\n\n"), HANG],
        "a field of SSE": [HEADERS, http(raw + b": 1\n: " + raw + b"\n\n" + events("a")), RESET],
        "id": [HEADERS, http(chunk + ending(usage=False).replace(b"chatcmpl-1", raw)) + END],
        "id, then broken": [HEADERS, http(chunk), RESET],
        "model": [HEADERS, http(model + ending(usage=False)) + END],
        "fingerprint": [HEADERS, http(printed + ending()) + END],
        "finish reason": [
            HEADERS, http(events("a") + ending().replace(b'"stop"', b'"%b"' % raw)) + END
        ],
        "a tool call": [HEADERS, http(tools + ending()) + END],
        "a tool call, then broken": [HEADERS, http(tools), RESET],
        "text": [HEADERS, http(events("the key is ") + events("KEY").replace(b"KEY", raw) + ending()) + END],
    }  # fmt: skip


@pytest.mark.parametrize("place", everywhere(""))
async def test_a_secret_that_the_server_says_back_is_written_nowhere(
    place: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log, record = tmp_path / "log", tmp_path / "rec"
    loud = Loud(KEY)
    shown = []
    with caplog.at_level(logging.DEBUG), FileLogger(log) as logger:
        scripts = [everywhere(wear(KEY))[place] for wear in WORN.values() for _ in range(2)]
        async with ScriptedServer(*scripts) as server:
            client = LLMClient(
                "gpt-4o", base_url=server.base_url, api_key=KEY, printer=None, record=record,
                retries=RetryPolicy(initial_delay=0, max_attempts=2), handlers=[loud, logger],
                tags={"of": f"key {KEY}"},
            )  # fmt: skip
            while len(server.requests) < len(scripts):
                stream = client.open_stream(f"my key is {KEY}")
                try:
                    shown.append(repr(await stream))
                except StreamError as error:
                    shown += [texts_of(error), repr(error.handler_failures)]
                    if not isinstance(error.__cause__, StreamError):
                        pickle.loads(pickle.dumps(error))
                    del error
                shown += [repr(stream), repr(client), repr(stream.partial)]
                shown += map(repr, stream._life._plan.targets)
    assert len(shown) >= 5 * len(WORN)
    for text in (*shown, *loud.retries, caplog.text, log.read_text(), record.read_text("utf-8")):
        assert_hidden(text)


CUT: dict[str, Callable[[str], list[Any]]] = {
    "a page": lambda text: reply("500 Oops", text, kind="text/plain"),
    "a page of 200": lambda text: reply("200 OK", text, kind="text/html"),
    "no JSON": lambda text: [HEADERS, http(f"data: {{{text}\n\n".encode()), HANG],
    "no chunk": lambda text: [HEADERS, http(f'data: "{text}"\n\n'.encode()), HANG],
    "no answer": lambda text: reply("200 OK", json.dumps({"text": text})),
}


@pytest.mark.parametrize("place", CUT)
@pytest.mark.parametrize("wear", ["plain", "percent", "JSON", "Basic"])
async def test_of_a_secret_where_a_text_is_cut_nothing_is_left(place: str, wear: str) -> None:
    worn = WORN[wear](KEY)
    begun = {"Basic": worn[:4]}.get(wear, WORN[wear](KEY[:2]))
    scripts = [CUT[place]("x" * at + worn + "y" * 60) for at in range(150, 201, 2)]
    async with ScriptedServer(*scripts) as server:
        client = LLMClient(
            "gpt-4o", base_url=server.base_url, api_key=KEY, printer=None,
            retries=RetryPolicy.none(),
        )  # fmt: skip
        for _ in scripts:
            with pytest.raises(StreamError) as caught:
                await client.stream("hi")
            assert begun not in texts_of(caught.value)
            assert "xxx" in texts_of(caught.value)


async def test_arguments_of_a_tool_that_hold_a_secret_are_recorded_without_it(
    tmp_path: Path,
) -> None:
    whole = json.dumps({"url": f"https://x/{KEY}?key={quote(KEY, safe='')}", "key": KEY})
    for size in (1, 2, 3, 5, 9, 16):
        record = tmp_path / f"rec{size}"
        parts = [whole[at : at + size] for at in range(0, len(whole), size)]
        calls = [{"index": 0, "function": {"arguments": part}} for part in parts]
        calls[0] |= {"id": "call_1", "function": {"name": "get", "arguments": parts[0]}}
        said = b"".join(sse(delta(tool_calls=[call])) for call in calls)
        async with ScriptedServer([HEADERS, http(said), http(ending()) + END]) as server:
            client = LLMClient(
                "gpt-4o", base_url=server.base_url, api_key=KEY, printer=None, record=record
            )
            response = await client.stream("hi")
        assert response.tool_calls[0].arguments == whole
        (exchange,) = read_recording(record)
        told = [
            json.loads(line[6:])["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"]
            for line in exchange.data.decode().split("\n")
            if '"tool_calls"' in line
        ]
        assert len(told) == len(parts)
        assert_hidden("".join(told).replace("[redacted]", ""), run=8)


@pytest.mark.parametrize("field", ["content", "reasoning_content", "refusal"])
async def test_what_the_model_said_is_not_altered_where_the_log_and_the_recording_are(
    field: str, tmp_path: Path
) -> None:
    log, record = tmp_path / "log", tmp_path / "rec"
    for at in range(1, len(KEY)):
        parts = ["see ", KEY[:at], KEY[at:], " there"]
        said = b"".join(sse(delta(**{field: part})) for part in parts)
        async with ScriptedServer(
            [HEADERS, *map(http, said.split(b"\0")), http(ending()) + END]
        ) as server:
            with FileLogger(log) as logger:
                client = LLMClient(
                    "gpt-4o", base_url=server.base_url, api_key=KEY, printer=None,
                    record=record, handlers=[logger],
                )  # fmt: skip
                response = await client.stream("hi")
        text = {"content": "completion", "reasoning_content": "reasoning"}.get(field, field)
        assert getattr(response, text) == "".join(parts)
        assert response.to_dict()["choices"][0][text] == "".join(parts)
        lines = [json.loads(line) for line in log.read_bytes().splitlines() if line]
        pieces = [line for line in lines if line.get("text") is not None]
        assert [line.get("len", len(line["text"])) for line in pieces] == [len(p) for p in parts]
        joined = "".join(line["text"] for line in pieces)
        assert joined.startswith("see ")
        assert joined.endswith(" there")
        assert_hidden(joined.replace("[redacted]", "").replace("*", ""), run=8)
        (exchange,) = read_recording(record)
        told = [
            json.loads(line[6:])["choices"][0]["delta"].get(field)
            for line in exchange.data.decode().split("\n")
            if line.startswith("data: {") and '"delta"' in line
        ]
        joined = "".join(part or "" for part in told)
        assert_hidden(joined.replace("[redacted]", ""), run=8)
        if field == "content":
            for path in (log, record):
                (timeline,) = read_timelines(path)
                assert len(timeline) == len(parts)
        log.unlink()
        record.unlink()
