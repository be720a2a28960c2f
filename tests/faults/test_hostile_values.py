"""Servers that say secrets back, in every place and every encoding: nothing we write down shows one.

What the model said, and what it is called, reaches whoever asked as it came.
"""

from __future__ import annotations

import asyncio
import base64
import html
import json
import logging
import pickle
import re
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest

from faults.checker import check_hidden
from lm_deluge import (
    APIResponse,
    LLMClient,
    RetryPolicy,
    Stream,
    StreamHandler,
    Token,
    attach,
    register_model,
)
from lm_deluge.errors import StreamError
from lm_deluge.models import unregister_model
from lm_deluge.recording import read_recording
from lm_deluge.simulator import Simulator
from lm_deluge.timeline import read_timelines
from lm_deluge_plugins import FileLogger
from scripted import (
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

KEY = "sk-Zq7/wX2+vB9=kL4mN8pR"

WORN: dict[str, Callable[[str], str]] = {
    "plain": str,
    "percent": lambda key: "".join(f"%{ord(c):02X}" for c in key),
    "percent, lower": lambda key: quote(key, safe="").lower(),
    "JSON": lambda key: "".join(f"\\u{ord(c):04x}" for c in key),
    "Basic": lambda key: base64.b64encode(f":{key}".encode()).decode(),
    "Basic of a user": lambda key: base64.b64encode(f"user:{key}".encode()).decode(),
    "HTML": lambda key: "".join(f"&#{ord(c)};" for c in key),
    "without its end": lambda key: key[:-1],
    "without its beginning": lambda key: key[4:],
}


def unworn(text: str) -> Iterator[str]:
    """Yield a text as it is and in every way that it can be decoded."""
    yield text
    yield unquote(text)
    yield html.unescape(text)
    yield text.replace("\\\\", "\\").replace("\\/", "/")
    yield re.sub(r"\\+u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), text)
    for word in re.findall(r"[A-Za-z0-9+/_-]{12,}", text):
        for skipped in range(4):
            whole = word[skipped : skipped + (len(word) - skipped) // 4 * 4]
            yield base64.b64decode(whole.replace("-", "+").replace("_", "/")).decode("latin-1")


def assert_hidden(text: str, secret: str = KEY, *, run: int = 11) -> None:
    """No run of a secret, in no encoding, whatever is left of it is shorter than half."""
    for seen in unworn(text):
        check_hidden(seen, secret, run=run)


def texts_of(error: BaseException | None) -> str:
    """Everything that an error and its causes can show, but for what the model said."""
    shown = []
    while error is not None:
        fields = {name: value for name, value in vars(error).items() if name != "partial"}
        shown += traceback.format_exception(error)
        shown += [repr(error), str(error), repr(error.args), repr(fields)]
        shown.append(repr(getattr(error, "partial", None)))
        error = error.__cause__ or error.__context__
    return "\n".join(shown)


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
                shown += map(repr, stream._engine._plan.targets)
    assert loud.retries or shown
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


WAYS: dict[str, dict[str, Any]] = {
    "api_key": {"api_key": KEY},
    "a configured header": {"auth_header": "X-Mine", "extra_headers": {"X-Mine": KEY}},
    "a header of that look": {"extra_headers": {"X-Whatever": f"Bearer {KEY}"}, "api_key": "k"},
    "a secret header": {"extra_headers": {"X-Access-Token": KEY}, "api_key": "k"},
    "a cookie": {"extra_headers": {"Cookie": f"a=b; session={KEY}"}, "api_key": "k"},
    "the query": {"query": {"key": KEY}, "api_key": "k"},
    "a password": {"user": f"user:{quote(KEY, safe='')}@"},
    "a user": {"user": f"{quote(KEY, safe='')}:x@"},
}


@pytest.mark.parametrize("way", WAYS)
async def test_a_secret_is_known_however_it_was_given(way: str, tmp_path: Path) -> None:
    given = dict(WAYS[way])
    user = given.pop("user", "")
    record = tmp_path / "rec"
    body = f"you sent {KEY} and {base64.b64encode(f'user:{KEY}'.encode()).decode()}"
    async with ScriptedServer(reply("401 Unauthorized", body, kind="text/plain")) as server:
        url = server.base_url.replace("://", f"://{user}")
        client = LLMClient("gpt-4o", base_url=url, printer=None, record=record, **given)
        with pytest.raises(StreamError) as caught:
            await client.stream("hi")
    assert "you sent [redacted] and" in str(caught.value)
    assert_hidden(texts_of(caught.value))
    assert_hidden(record.read_text())
    assert_hidden(repr(client) + repr(client._access) + repr(client._access.route("gpt-4o")))


async def test_the_secrets_of_every_model_of_a_stream_are_known_to_each() -> None:
    other = "zz-Another-key-of-9876543210"
    async with ScriptedServer(
        reply("404 No", f"not {other}", kind="text/plain"), reply("401 No", KEY, kind="text/plain")
    ) as server:
        register_model(
            "second", base_url=server.base_url, api_key_env=None, headers={"api-key": other}
        )
        try:
            client = LLMClient(
                "gpt-4o", base_url=None, api_key=KEY, printer=None, fallback_models=["second"],
                retries=RetryPolicy.none(),
            )  # fmt: skip
            register_model("gpt-4o", base_url=server.base_url)
            with pytest.raises(StreamError) as caught:
                await client.stream("hi")
        finally:
            unregister_model("second")
            unregister_model("gpt-4o")
    assert len(server.requests) == 2
    assert_hidden(texts_of(caught.value))
    assert_hidden(texts_of(caught.value), other)


async def test_credentials_of_a_proxy_are_shown_nowhere(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    basic = base64.b64encode(f"proxy-user:{KEY}".encode()).decode()
    page = reply("407 Proxy Authentication Required", f"{KEY} {basic}", kind="text/plain")
    async with ScriptedServer(page) as server:
        address = server.base_url.removeprefix("http://").removesuffix("/v1")
        monkeypatch.setenv("http_proxy", f"http://proxy-user:{quote(KEY, safe='')}@{address}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        client = LLMClient(
            "gpt-4o", base_url="http://models.example/v1", api_key="k", printer=None,
            retries=RetryPolicy.none(),
        )  # fmt: skip
        with pytest.raises(StreamError) as caught:
            await client.stream("hi")
    assert len(server.requests) == 1
    assert_hidden(texts_of(caught.value) + caplog.text)


@pytest.mark.parametrize("junk", [b"\xff\xfe", "é".encode(), b"\xed\xa0\xbd"])
async def test_bytes_of_a_header_that_are_no_text_reach_nobody_as_half_a_character(
    junk: bytes, tmp_path: Path
) -> None:
    log, record = tmp_path / "log", tmp_path / "rec"
    odd = b"x-request-id: %b\r\nLocation: http://%b/\r\nretry-after: %b\r\n" % (junk, junk, junk)
    plain = b"Content-Length: 2\r\nContent-Type: %b/x\r\n%b\r\n{}" % (b"text", odd)
    scripts = [
        [b"HTTP/1.1 %b\r\n%b" % (status, plain)]
        for status in (b"302 Found", b"400 No", b"500 " + junk, b"200 OK", b"429 Slow")
    ]
    scripts.append([HEADERS[:-2] + odd + b"\r\n", http(events("a") + ending()) + END])
    async with ScriptedServer(*scripts) as server:
        with FileLogger(log) as logger:
            client = LLMClient(
                "gpt-4o", base_url=server.base_url, api_key=KEY, printer=None, record=record,
                handlers=[logger], retries=RetryPolicy.none(),
            )  # fmt: skip
            for _ in scripts:
                try:
                    answer: APIResponse | StreamError = await client.stream("hi")
                except StreamError as error:
                    answer = error
                assert answer.handler_failures == []
                ids: Any = getattr(answer, "request_id", None)
                shown = str(answer) + repr(answer) + str(ids)
                shown.encode()
                if isinstance(answer, StreamError):
                    repr(vars(answer)).encode()
                    assert answer.partial is not None
                    json.dumps(answer.partial.to_dict(), ensure_ascii=False).encode()
    log.read_text("utf-8")
    record.read_text("utf-8")


async def test_a_secret_in_the_body_or_the_path_is_known(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log, record = tmp_path / "log", tmp_path / "rec"
    other = "zz-Another-key-of-9876543210"
    page = reply(
        "401 No", f"{KEY} {other}", kind="text/plain", headers=f"x-ratelimit-{other}: 1\r\n"
    )
    async with ScriptedServer(page) as server:
        with FileLogger(log) as logger:
            client = LLMClient(
                "gpt-4o", base_url=f"{server.base_url}/{KEY}", api_key=KEY, printer=None,
                record=record, handlers=[logger], retries=RetryPolicy.none(),
                extra_body={"provider": {"api_key": other}, "prompt_cache_key": "No such words"},
            )  # fmt: skip
            stream = client.open_stream(
                "hi", tools=[{"type": "mcp", "headers": {"Authorization": f"Bearer {other}"}}]
            )
            with pytest.raises(StreamError) as caught:
                await stream
    assert KEY in server.requests[0].line
    assert other in server.requests[0].body.decode()
    shown = texts_of(caught.value) + log.read_text() + record.read_text() + caplog.text
    shown += stream.base_url + repr(client._access.route("gpt-4o"))
    assert_hidden(shown)
    assert_hidden(shown, other)
    assert "No such words" in record.read_text()


async def test_a_logger_that_comes_late_hides_secrets_too(tmp_path: Path) -> None:
    log = tmp_path / "log"
    call = {"index": 0, "id": KEY, "function": {"name": KEY, "arguments": KEY}}
    late = asyncio.Event()
    script = [
        HEADERS, http(events("a")), late,
        http(sse(delta(tool_calls=[call])) + ending().replace(b"chatcmpl-1", KEY.encode())) + END,
    ]  # fmt: skip
    async with ScriptedServer(script) as server:
        client = LLMClient("gpt-4o", base_url=server.base_url, api_key=KEY, printer=None)
        with FileLogger(log) as logger:
            async with client.open_stream("hi") as stream:
                async for _ in stream:
                    attached = attach(logger)
                    late.set()
            attached.detach()
    assert "tool_call" in log.read_text()
    assert "complete" in log.read_text()
    assert_hidden(log.read_text())


def test_a_key_that_was_given_in_a_wrong_place_is_not_shown() -> None:
    for give in (
        lambda: LLMClient("gpt-4o", extra_headers={f"Bearer {KEY}": "Authorization"}),
        lambda: LLMClient("gpt-4o", extra_headers={KEY: "Authorization"}),
        lambda: LLMClient("gpt-4o", auth_header=KEY),
        lambda: LLMClient("gpt-4o", base_url=KEY),
        lambda: LLMClient("gpt-4o", base_url=f"ftp://{KEY}@host/v1"),
        lambda: LLMClient("gpt-4o", query={KEY: 1}),  # type: ignore[dict-item]
        lambda: LLMClient("gpt-4o", api_key=f"{KEY} "),
    ):
        with pytest.raises((ValueError, TypeError)) as caught:
            give()
        assert_hidden(texts_of(caught.value))


async def test_a_short_key_is_not_looked_for_and_still_not_shown_by_us() -> None:
    async with ScriptedServer(
        reply("500 No", "any of it", kind="text/plain"), [b"any\r\n\r\n", HANG]
    ) as server:
        url = server.base_url.replace("://", "://any:any@")
        client = LLMClient("gpt-4o", base_url=url, printer=None, retries=RetryPolicy.none())
        with pytest.raises(StreamError) as caught:
            await client.stream("hi")
        assert "any of it" in str(caught.value)
        with pytest.raises(StreamError) as caught:
            await client.stream("hi")
    assert "any:any" not in texts_of(caught.value) + repr(client)
    assert base64.b64encode(b"any:any").decode() not in texts_of(caught.value)


async def test_what_the_simulator_received_is_shown_without_secrets() -> None:
    async with Simulator(text="hi") as simulator:
        client = LLMClient(
            "gpt-4o", base_url=simulator.base_url, api_key=KEY, printer=None, query={"key": KEY}
        )
        await client.stream("hi")
    assert simulator.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert_hidden(repr(simulator.requests))
