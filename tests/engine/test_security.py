"""No key in any text the library makes; no redirect with a key; nothing smuggled into a header."""

from __future__ import annotations

import asyncio
import logging
import pickle
import traceback
from pathlib import Path
from typing import Any

import pytest

from lm_deluge import LLMClient, RetryPolicy
from lm_deluge.errors import APIStatusError, StreamError
from lm_deluge_plugins import FileLogger
from support.clients import KEY, Recorder, client_for
from support.scripted import HANG, HEADERS, RESET, ScriptedServer, delta, events, http, reply, sse


def texts_of(error: BaseException) -> str:
    """Return every text that an exception can show."""
    shown = ["".join(traceback.format_exception(error)), repr(error), str(error)]
    seen: BaseException | None = error
    while seen is not None:
        shown += [repr(seen), repr(seen.args), repr(vars(seen))]
        seen = seen.__cause__ or seen.__context__
    return "\n".join(shown)


@pytest.mark.parametrize(
    "steps",
    [
        reply("401 Unauthorized", f'{{"error": {{"message": "bad key {KEY}", "param": "{KEY}"}}}}'),
        reply("500 Oops", f"<html>{KEY}", kind="text/html"),
        reply("200 OK", f"<html>{KEY}", kind="text/html"),
        reply("200 OK", f'{{"error": {{"message": "bad key {KEY}"}}}}'),
        reply("302 Found", "", headers=f"Location: http://evil.example/{KEY}\r\n"),
        [HEADERS, http(b"data: {" + KEY.encode() + b"\n\n"), HANG],
        [HEADERS, http(sse({"error": {"message": KEY, "deep": [{"a": KEY}]}})), HANG],
        [f"HTTP/1.1 200 {KEY}\r\nbroken {KEY}\r\n\r\n".encode(), HANG],
        [HEADERS, http(events("a")), RESET],
        [HEADERS, http(events("a")), f"zz{KEY}\r\n".encode(), HANG],
        [RESET],
    ],
    ids=lambda steps: str(steps[-1])[-50:],
)
async def test_a_key_the_server_echoes_is_in_no_text(
    steps: Any, tmp_path: Path, caplog: Any
) -> None:
    recorder = Recorder()
    log = tmp_path / "log.jsonl"
    with caplog.at_level(logging.DEBUG):
        async with ScriptedServer(steps) as server:
            client = client_for(
                server,
                handlers=[recorder, FileLogger(log)],
                retries=RetryPolicy(initial_delay=0, max_attempts=2),
            )
            with pytest.raises(StreamError) as caught:
                await client.stream("hi")
    error = caught.value
    everything = (
        texts_of(error) + caplog.text + log.read_text() + repr(client) + repr(error.partial)
    )
    everything += repr([retry.error for retry in recorder.retries]) + repr(pickle.dumps(error))
    assert KEY not in everything


@pytest.mark.parametrize("header", ["Authorization", "api-key", "X-Api-Key"])
async def test_a_key_in_an_extra_header_is_secret_too(header: str) -> None:
    secret = "my-own-secret-token"
    value = f"Bearer {secret}" if header == "Authorization" else secret
    async with ScriptedServer(reply("401 Unauthorized", f"you sent {secret}")) as server:
        client = client_for(server, extra_headers={header: value})
        with pytest.raises(APIStatusError) as caught:
            await client.stream("hi")
    assert secret not in texts_of(caught.value)


async def test_a_redirect_is_refused_and_the_key_goes_nowhere() -> None:
    async with ScriptedServer(reply("200 OK", "{}")) as other:
        location = f"Location: {other.base_url}/chat/completions\r\n"
        async with ScriptedServer(reply("307 Temporary Redirect", "", headers=location)) as server:
            with pytest.raises(APIStatusError, match="redirects are refused") as caught:
                await client_for(server).stream("hi")
        assert other.requests == []
    assert caught.value.status_code == 307


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\0b"])
def test_a_header_with_a_line_end_is_refused_without_showing_it(value: str) -> None:
    with pytest.raises(ValueError, match="X-Mine") as caught:
        LLMClient("gpt-4o", extra_headers={"X-Mine": value})
    assert "Evil" not in str(caught.value)


@pytest.mark.parametrize("key", ["", "sk-a b", "sk-a\n", "sk-\u00e9", " "])
def test_a_key_that_cannot_be_one_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(ValueError, match="api_key") as caught:
        LLMClient("gpt-4o", api_key=key)
    assert "sk-" not in str(caught.value)


async def test_a_key_over_plain_http_to_another_host_is_warned_of_once(caplog: Any) -> None:
    client = LLMClient("gpt-4o", base_url="http://192.0.2.1/v1", api_key=KEY)
    with caplog.at_level(logging.WARNING, "lm_deluge"):
        client.open_stream("hi")
        client.open_stream("hi")
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "unencrypted" in caplog.text
    assert KEY not in caplog.text


async def test_credentials_in_the_base_url_are_shown_nowhere() -> None:
    async with ScriptedServer(reply("500 Oops", "no")) as server:
        url = server.base_url.replace("http://", "http://user:passw0rd@")
        client = LLMClient("gpt-4o", base_url=url, retries=RetryPolicy.none())
        stream = client.open_stream("hi")
        with pytest.raises(APIStatusError) as caught:
            await stream
        assert server.requests[0].headers["authorization"].startswith("Basic ")
        with pytest.raises(ValueError, match="give one of them") as refused:
            LLMClient("gpt-4o", base_url=url, api_key=KEY).open_stream("hi")
    assert "passw0rd" not in str(refused.value)
    assert "passw0rd" not in texts_of(caught.value) + repr(client) + stream.base_url + repr(stream)


async def test_tokens_that_hold_control_characters_arrive_as_they_are() -> None:
    recorder = Recorder()
    steps = [
        HEADERS,
        http(sse(delta("\x1b]0;title\x07")) + sse(delta(finish="stop"))) + b"0\r\n\r\n",
    ]
    async with ScriptedServer(steps) as server:
        response = await client_for(server, handlers=[recorder]).stream("hi")
    assert response.completion == "\x1b]0;title\x07" == recorder.text
    await asyncio.sleep(0)


@pytest.mark.parametrize(
    "steps",
    [
        [
            HEADERS,
            http(sse({"error": {"message": "x", "code": KEY, "type": KEY, "why": [KEY]}})),
            HANG,
        ],
        reply("400 Bad Request", '{"error": "x"}', headers=f"x-request-id: {KEY}\r\n"),
        reply("307 Moved", "", headers=f"Location: https://{KEY}.example/\r\n"),
        reply("401 Unauthorized", '{"error": {"message": "\\u0073' + KEY[1:] + '"}}'),
    ],
    ids=["code and type", "request id", "redirect host", "escaped"],
)
async def test_no_attribute_of_an_error_holds_a_key_the_server_echoes(steps: Any) -> None:
    async with ScriptedServer(steps) as server:
        with pytest.raises(StreamError) as caught:
            await client_for(server).stream("hi")
    assert KEY not in texts_of(caught.value)
