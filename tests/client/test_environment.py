"""OpenAI's variables, local servers and hosts that are none: done, or refused by name."""

from __future__ import annotations

import pytest

from lm_deluge import LLMClient
from lm_deluge.errors import APIConnectionError, AuthenticationError
from support.clients import KEY, client_for
from support.scripted import ScriptedServer, answer

SECRET = "hunter2-hunter2"


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("OPENAI_API_KEY", f'"sk-{SECRET}"', "OPENAI_API_KEY begins with a quotation mark"),
        ("OPENAI_API_KEY", f"sk-{SECRET} x", "OPENAI_API_KEY has white space"),
        ("OPENAI_API_KEY", f"sk-{SECRET}\nx", "OPENAI_API_KEY has white space"),
        ("OPENAI_API_KEY", f"sk-{SECRET}é", "OPENAI_API_KEY has .* not ASCII"),
        ("OPENAI_BASE_URL", '"http://localhost/v1"', "OPENAI_BASE_URL .* must begin with http://"),
        ("OPENAI_BASE_URL", "localhost:8000", "OPENAI_BASE_URL .* must begin with http://"),
        ("OPENAI_ORG_ID", f"{SECRET}\nX: y", "OPENAI_ORG_ID.*control character"),
        ("OPENAI_PROJECT_ID", f"{SECRET}\r", None),
        ("OPENAI_CUSTOM_HEADERS", f"no header {SECRET}", "OPENAI_CUSTOM_HEADERS: line 1"),
        ("OPENAI_CUSTOM_HEADERS", f"a: b\nc d: {SECRET}", "OPENAI_CUSTOM_HEADERS, line 2"),
    ],
)
async def test_what_a_variable_holds_is_used_or_refused_by_its_name(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, words: str | None
) -> None:
    async with ScriptedServer(answer("a")) as server:
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        monkeypatch.setenv(variable, value)
        client = LLMClient("gpt-4o", printer=None)
        if words is None:
            await client.stream("hi")
            return
        with pytest.raises(ValueError, match=words) as told:
            await client.stream("hi")
        assert SECRET not in str(told.value)
        assert server.connections == 0


async def test_white_space_around_a_value_is_no_part_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with ScriptedServer(answer("a")) as server:
        monkeypatch.setenv("OPENAI_API_KEY", f" {KEY}\r\n")
        monkeypatch.setenv("OPENAI_BASE_URL", f" {server.base_url}/\n")
        monkeypatch.setenv("OPENAI_ORG_ID", " org-1\n")
        monkeypatch.setenv("OPENAI_PROJECT_ID", "  ")
        await LLMClient("gpt-4o", printer=None).stream("hi")
        headers = server.requests[0].headers
    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers["openai-organization"] == "org-1"
    assert "openai-project" not in headers


async def test_custom_headers_are_sent_and_yield_to_those_of_the_program(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Team: blue\nX-Zone: a:b\n\nuser-agent: mine\n")
    async with ScriptedServer(answer("a")) as server:
        await client_for(server, extra_headers={"x-team": "red"}).stream("hi")
        headers = server.requests[0].headers
    assert (headers["x-team"], headers["x-zone"], headers["user-agent"]) == ("red", "a:b", "mine")


async def test_custom_headers_may_hold_the_authorization(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", f"Authorization: Token {SECRET}")
    async with ScriptedServer(answer("a")) as server:
        client = LLMClient("gpt-4o", base_url=server.base_url, printer=None)
        await client.stream("hi")
        assert server.requests[0].headers["authorization"] == f"Token {SECRET}"
    assert SECRET in client._access.route("gpt-4o").secrets


LOCAL = (
    "localhost localhost. a.localhost 127.0.0.1 127.8.9.1 [::1] 0.0.0.0 10.1.2.3 172.16.0.1 "
    "172.31.255.255 192.168.1.20 169.254.1.1 100.64.0.1 100.127.255.255 [fd00::1] [fe80::1] "
    "[::ffff:192.168.1.1] ollama gpu-box GPU-Box my_box mybox.local a.b.local svc.cluster.local "
    "mybox.local."
).split()

REMOTE = (
    "api.openai.com 8.8.8.8 172.32.0.1 172.15.0.1 192.169.0.1 11.0.0.1 100.128.0.1 100.63.0.1 "
    "[2001:db8::1] [::ffff:8.8.8.8] local.example.com mylocal.com notlocalhost.com 134744072 "
    "0x08080808 8.8.2056 localhost.example.com"
).split()


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-oss:20b", "llama3.2", "Qwen/Qwen3-8B", "o3"])
@pytest.mark.parametrize("host", LOCAL)
def test_a_local_server_needs_no_key_whatever_the_model_is_called(host: str, model: str) -> None:
    route = LLMClient(model, base_url=f"http://{host}:11434/v1")._access.route(model)
    assert "Authorization" not in route.headers


@pytest.mark.parametrize("host", REMOTE)
def test_any_other_server_needs_a_key(host: str) -> None:
    with pytest.raises(AuthenticationError, match="OPENAI_API_KEY"):
        LLMClient("gpt-4o", base_url=f"https://{host}/v1")._access.route("gpt-4o")


async def test_a_local_server_gets_the_key_that_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    async with ScriptedServer(answer("a")) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        await LLMClient("gpt-oss:20b", printer=None).stream("hi")
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        await LLMClient("gpt-oss:20b", printer=None).stream("hi")
        sent = [request.headers.get("authorization") for request in server.requests]
    assert sent == [None, f"Bearer {KEY}"]


@pytest.mark.parametrize(
    "host",
    [
        "foo..bar",
        ".foo",
        "foo..",
        f"{'a' * 64}.example",
        ".".join(["a" * 60] * 5),
        "xn--a.example",
        "xn--\u00fc.example",
        "b\u00fccher..example",
        "\u2260\u0338.example",
        "-.invalid",
        "a_b.invalid",
        "999.999.999.999",
        "%41.invalid",
        "*.invalid",
    ],
)
async def test_a_host_that_cannot_be_one_is_a_connection_error(host: str) -> None:
    client = client_for(f"http://{host}:9/v1")
    with pytest.raises(APIConnectionError, match="http://") as told:
        await client.stream("hi")
    assert type(told.value) is APIConnectionError
    assert "internal" not in str(told.value)
