"""Secrets given to a client in every way there is, in right and wrong places: shown nowhere."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from lm_deluge import (
    APIResponse,
    LLMClient,
    RetryPolicy,
    attach,
    register_model,
)
from lm_deluge.errors import StreamError
from lm_deluge.models.registry import unregister_model
from lm_deluge.simulator import Simulator
from lm_deluge_plugins import FileLogger
from support.scripted import (
    END,
    HANG,
    HEADERS,
    ScriptedServer,
    delta,
    ending,
    events,
    http,
    reply,
    sse,
)
from support.secrets import KEY, assert_hidden, texts_of

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
    wrong: list[tuple[dict[str, Any], type[Exception]]] = [
        ({"extra_headers": {f"Bearer {KEY}": "Authorization"}}, ValueError),
        ({"extra_headers": {KEY: "Authorization"}}, ValueError),
        ({"auth_header": KEY}, ValueError),
        ({"base_url": KEY}, ValueError),
        ({"base_url": f"ftp://{KEY}@host/v1"}, ValueError),
        ({"query": {KEY: 1}}, TypeError),
        ({"api_key": f"{KEY} "}, ValueError),
    ]
    for given, error in wrong:
        with pytest.raises(error) as caught:
            LLMClient("gpt-4o", **given)
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
