"""A dialect in the table is spoken: nobody outside its folder need know of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lm_deluge import LLMClient, RetryPolicy, SamplingParams
from lm_deluge.dialects import DIALECTS, dialect_named
from lm_deluge.dialects.chat import CHAT
from lm_deluge.dialects.dialect import Dialect
from lm_deluge.errors import BadRequestError, ProviderError
from lm_deluge.models.registry import register_model, unregister_model
from lm_deluge.timeline import read_timelines
from support.clients import Recorder
from support.scripted import END, HEADERS, ScriptedServer, answer, http, reply
from support.word_dialect import WordDialect

ANSWER = [
    HEADERS,
    http(b"data: Good\n\n"),
    http(b"data:  day\n\nevent: end\ndata: 42\n\n") + END,
]
AT_ONCE = RetryPolicy(initial_delay=0.0, max_delay=0.0)


@pytest.fixture(autouse=True)
def _words(monkeypatch: pytest.MonkeyPatch) -> None:
    words: Dialect = WordDialect()
    monkeypatch.setitem(DIALECTS, words.name, words)


@pytest.fixture
def names() -> Iterator[list[str]]:
    registered: list[str] = []
    yield registered
    for name in registered:
        unregister_model(name)


def client_of(server: ScriptedServer, names: list[str], **options: Any) -> LLMClient:
    register_model("wordy", base_url=server.base_url, dialect="words")
    names.append("wordy")
    options.setdefault("retries", RetryPolicy.none())
    return LLMClient("wordy", api_key="k-123456", printer=None, **options)


async def test_it_writes_the_request_and_reads_the_answer(names: list[str]) -> None:
    async with ScriptedServer(ANSWER) as server:
        heard = Recorder()
        client = client_of(server, names, handlers=[heard], query={"more": "x"})
        response = await client.stream("Say")
    (request,) = server.requests
    assert request.line == "POST /v1/wordy/say?v=1&more=x HTTP/1.1"
    assert request.json == {"words": ["Say"]}
    assert request.headers["x-word-key"] == "k-123456"
    assert "authorization" not in request.headers
    assert request.headers["word-version"] == "7"
    assert response.completion == heard.text == "Good day"
    assert (response.response_id, response.finish_reason) == ("42", "stop")
    assert heard.heard == ["start", "token", "token", "complete"]


async def test_the_client_has_the_last_word_on_headers_and_query(names: list[str]) -> None:
    async with ScriptedServer(ANSWER) as server:
        own = {"word-version": "8", "X-WORD-KEY": "other"}
        await client_of(server, names, extra_headers=own, query={"v": "2"}).stream("Say")
    (request,) = server.requests
    assert request.line == "POST /v1/wordy/say?v=2 HTTP/1.1"
    assert request.headers["word-version"] == "8"
    assert request.headers["x-word-key"] == "other"


async def test_its_refusals_are_its_own(names: list[str]) -> None:
    async with ScriptedServer(reply("400 Bad Request", "final")) as server:
        with pytest.raises(BadRequestError, match="no words: final"):
            await client_of(server, names, retries=AT_ONCE).stream("Say")
    assert len(server.requests) == 1


async def test_what_it_says_of_an_error_comes_before_the_status(names: list[str]) -> None:
    refused = reply("400 Bad Request", "busy")
    async with ScriptedServer(refused, ANSWER) as server:
        response = await client_of(server, names, retries=AT_ONCE).stream("Say")
    assert response.completion == "Good day"
    assert len(server.requests) == 2


@pytest.mark.parametrize(("word", "requests"), [("later", 2), ("final", 1)])
async def test_what_it_says_of_an_error_within_an_answer_comes_first(
    names: list[str], word: str, requests: int
) -> None:
    failed = [HEADERS, http(b"event: failure\ndata: %b\n\n" % word.encode()) + END]
    async with ScriptedServer(failed) as server:
        client = client_of(
            server, names, retries=RetryPolicy(max_attempts=2, initial_delay=0.0, max_delay=0.0)
        )
        with pytest.raises(ProviderError, match=word):
            await client.stream("Say")
    assert len(server.requests) == requests


async def test_a_fallback_speaks_its_own_dialect(names: list[str]) -> None:
    async with ScriptedServer(reply("404 Not Found", "final"), answer("Hi")) as server:
        register_model("chatty", base_url=server.base_url)
        names.append("chatty")
        client = client_of(server, names, fallback_models=["chatty"])
        response = await client.stream("Say")
    assert response.completion == "Hi"
    words, chat = server.requests
    assert words.line == "POST /v1/wordy/say?v=1 HTTP/1.1"
    assert chat.line == "POST /v1/chat/completions HTTP/1.1"
    assert chat.headers["authorization"] == "Bearer k-123456"
    assert "word-version" not in chat.headers


async def test_a_recording_names_it_and_is_read_by_it(names: list[str], tmp_path: Path) -> None:
    path = tmp_path / "raw.jsonl"
    async with ScriptedServer(ANSWER) as server:
        await client_of(server, names, record=path).stream("Say")
    lines = [msgspec.json.decode(line) for line in path.read_bytes().split(b"\n") if line]
    (request,) = [line for line in lines if line["e"] == "request"]
    assert request["dialect"] == "words"
    assert request["url"] == f"{server.base_url}/wordy/say"
    (timeline,) = read_timelines(path)
    assert timeline.texts == {0: "Good day"}


def test_a_dialect_that_nobody_speaks_is_named() -> None:
    assert dialect_named("chat") is CHAT
    with pytest.raises(
        ValueError,
        match=r"dialect must be 'chat' or .*'words'.*, or an entry point of lm_deluge\.dialects, not 'latin'",
    ):
        dialect_named("latin")


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("openai", "chat"),
        ("openai-responses", "responses"),
        ("anthropic", "messages"),
        ("Messages", "messages"),
        ("google", "gemini"),
    ],
)
def test_a_providers_word_for_a_dialect_is_answered_with_the_dialects(
    given: str, meant: str
) -> None:
    with pytest.raises(ValueError, match=f"not '{given}'; did you mean '{meant}'"):
        dialect_named(given)


def test_a_parameter_that_it_does_not_send_is_logged(
    names: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    register_model("seedless", base_url="http://127.0.0.1:1/v1", dialect="words")
    names.append("seedless")
    params = SamplingParams(seed=7)
    LLMClient("seedless", api_key="k", sampling_params=params).open_stream("Hi")
    assert caplog.messages == ["seed is not sent to seedless: words know none"]
