"""The client: what it sends, what it refuses, what its streams give."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import weakref
from typing import Any
from unittest.mock import Mock

import aiohttp
import pytest
from aioresponses import CallbackResult, aioresponses

from lm_deluge import (
    Conversation,
    LLMClient,
    Message,
    SamplingParams,
    Stream,
    Timeouts,
    Token,
    attach,
    register_model,
)
from lm_deluge.api_requests.openai import stream_chat
from lm_deluge.errors import (
    AuthenticationError,
    StreamCancelled,
    UnsupportedModelError,
)
from lm_deluge.models.registry import unregister_model
from lm_deluge.signals import on_token
from support.clients import KEY, Recorder, client_for
from support.scripted import END, HEADERS, ScriptedServer, answer, ending, events, http


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.delenv(name, raising=False)


class _Response(aiohttp.ClientResponse):
    """aioresponses 0.7.9 does not know the argument that aiohttp 3.14 asks for."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        with contextlib.suppress(TypeError):
            super().__init__(*args, **kwargs)
            return
        super().__init__(*args, stream_writer=Mock(output_size=0), **kwargs)


class Sent:
    """Answers every request, and keeps what was sent."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    def __call__(self, url: Any, **kwargs: Any) -> CallbackResult:
        self.calls.append({"url": str(url), **kwargs})
        body = events("ok") + ending()
        return CallbackResult(
            status=200,
            body=body,
            headers={"Content-Type": "text/event-stream"},
            response_class=_Response,
        )

    @property
    def body(self) -> Any:
        return json.loads(self.calls[-1]["data"])

    @property
    def headers(self) -> Any:
        return self.calls[-1]["headers"]


@pytest.fixture
def sent() -> Any:
    answers = Sent()
    with aioresponses() as mocked:
        import re

        mocked.post(re.compile(".*"), callback=answers, repeat=True)
        yield answers


async def test_the_request_asks_for_a_stream_with_usage(sent: Sent) -> None:
    client = LLMClient("gpt-4o", api_key=KEY, temperature=0.5, max_new_tokens=7, printer=None)
    response = await client.stream("hi")
    assert response.completion == "ok"
    assert sent.calls[0]["url"] == "https://api.openai.com/v1/chat/completions"
    assert sent.body == {
        "model": "gpt-4o",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0.5,
        "max_completion_tokens": 7,
    }
    assert sent.headers["Authorization"] == f"Bearer {KEY}"
    assert sent.headers["Accept"] == "text/event-stream"
    assert sent.calls[0]["allow_redirects"] is False


async def test_the_environment_is_honoured_as_by_the_official_package(
    sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-from-env")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://localhost:1/v9/")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-1")
    await LLMClient("some-model", printer=None).stream("hi")
    assert sent.calls[0]["url"] == "http://localhost:1/v9/chat/completions"
    assert sent.headers["Authorization"] == "Bearer sk-from-env"
    assert sent.headers["OpenAI-Organization"] == "org-1"
    assert sent.headers["OpenAI-Project"] == "proj-1"


async def test_extra_headers_and_body_win_over_what_the_client_sends(sent: Sent) -> None:
    client = LLMClient(
        "gpt-4o",
        api_key=KEY,
        extra_headers={"user-agent": "mine", "X-Team": "a"},
        extra_body={"temperature": 1.5, "vendor": {"a": 1}},
        printer=None,
    )
    await client.stream("hi", extra_body={"vendor": 2})
    assert sent.headers["user-agent"] == "mine"
    assert "User-Agent" not in sent.headers
    assert sent.headers["X-Team"] == "a"
    assert (sent.body["temperature"], sent.body["vendor"]) == (1.5, 2)


async def test_azure_is_expressible_by_arguments_and_by_registration(sent: Sent) -> None:
    url = "https://me.openai.azure.com/openai/deployments/mine"
    client = LLMClient(
        "gpt-4o", base_url=url, api_key=KEY, auth_header="api-key",
        query={"api-version": "2024-10-21"}, printer=None,
    )  # fmt: skip
    await client.stream("hi")
    assert sent.headers["api-key"] == KEY
    assert "Authorization" not in sent.headers
    assert sent.calls[0]["params"] == {"api-version": "2024-10-21"}
    register_model("mine", base_url=url, auth_header="api-key", query={"api-version": "1"})
    try:
        await LLMClient("mine", api_key=KEY, printer=None).stream("hi")
    finally:
        unregister_model("mine")
    assert sent.headers["api-key"] == KEY


async def test_a_local_server_needs_no_key(sent: Sent) -> None:
    await LLMClient("llama3", base_url="http://localhost:11434/v1", printer=None).stream("hi")
    assert "Authorization" not in sent.headers
    assert sent.body["model"] == "llama3"


async def test_a_missing_key_names_the_variable_before_anything_is_sent(sent: Sent) -> None:
    with pytest.raises(AuthenticationError, match="OPENAI_API_KEY") as caught:
        await LLMClient("gpt-4o", printer=None).stream("hi")
    assert caught.value.status_code is None
    assert caught.value.missing_key == "OPENAI_API_KEY"
    assert caught.value.partial is None
    with pytest.raises(AuthenticationError):
        await anext(stream_chat("gpt-4o", "hi"))
    assert sent.calls == []


async def test_another_providers_model_is_refused_by_stream_and_not_by_the_constructor(
    sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://localhost:1/v1")
    client = LLMClient("claude-3-opus", api_key=KEY, printer=None)
    with pytest.raises(UnsupportedModelError, match=r"Anthropic.*base_url"):
        await client.stream("hi")
    assert sent.calls == []
    client = LLMClient("claude-3-opus", api_key=KEY, base_url="http://localhost:2/v1", printer=None)
    await client.stream("hi")
    assert len(sent.calls) == 1


@pytest.mark.parametrize(
    ("prompt", "error"),
    [
        ("", ValueError),
        ("  \n", ValueError),
        (Conversation(), ValueError),
        ([], ValueError),
        ([{"role": "wizard", "content": "hi"}], ValueError),
        ([{"role": "user", "content": 3}], TypeError),
        (b"hi", TypeError),
        (None, TypeError),
        ({"role": "user"}, TypeError),
    ],
)
async def test_a_prompt_that_makes_no_sense_is_refused_before_anything_is_sent(
    sent: Sent, prompt: Any, error: Any
) -> None:
    with pytest.raises(error):
        await LLMClient("gpt-4o", api_key=KEY, printer=None).stream(prompt)
    assert sent.calls == []


@pytest.mark.parametrize(
    ("arguments", "error", "name"),
    [
        ({"base_url": "localhost:1"}, ValueError, "base_url"),
        ({"base_url": "ftp://x"}, ValueError, "base_url"),
        ({"temperature": 3}, ValueError, "temperature"),
        ({"sampling_params": {"n": 1}}, TypeError, "sampling_params"),
        ({"timeouts": 3}, TypeError, "timeouts"),
        ({"handlers": [object()]}, TypeError, "handler"),
        ({"handlers": "x"}, TypeError, "handlers"),
        ({"handlers": Recorder}, TypeError, "handlers"),
        ({"handlers": [Recorder]}, TypeError, "Recorder"),
        ({"printer": print}, TypeError, "handler"),
        ({"tags": ["a"]}, TypeError, "tags"),
        ({"extra_body": {1: 2}}, TypeError, "extra_body"),
        ({"extra_body": {"a": object()}}, TypeError, "extra_body"),
        ({"extra_body": {"a": float("nan")}}, ValueError, "extra_body"),
        ({"extra_body": {"stream": False}}, ValueError, "extra_body"),
        ({"max_concurrent_streams": 0}, ValueError, "max_concurrent_streams"),
        ({"handler_wait": -1}, ValueError, "handler_wait"),
        ({"fallback_models": "gpt-4o"}, TypeError, "fallback_models"),
        ({"fallback_models": {"gpt-4o", "o3"}}, TypeError, "fallback_models"),
        ({"fallback_models": ["gpt-4o", ""]}, ValueError, "fallback_models"),
        ({"auth_header": "a b"}, ValueError, "auth_header"),
    ],
)
def test_an_argument_that_makes_no_sense_is_refused_by_name(
    arguments: Any, error: Any, name: str
) -> None:
    with pytest.raises(error, match=name):
        LLMClient("gpt-4o", api_key=KEY, **arguments)


def test_n_0_is_refused() -> None:
    with pytest.raises(ValueError, match=r"n must be an integer from 1"):
        SamplingParams(n=0)


def test_a_misspelt_method_is_pointed_out() -> None:
    class Typo:
        def on_tokens(self, stream: Stream, token: Any) -> None: ...

    with pytest.raises(TypeError, match="did you mean on_token"):
        LLMClient("gpt-4o", handlers=[Typo()])
    with pytest.raises(TypeError, match="did you mean on_token"):
        attach(Typo())


async def test_what_cannot_be_json_is_refused_before_anything_is_sent(sent: Sent) -> None:
    client = LLMClient("gpt-4o", api_key=KEY, printer=None)
    with pytest.raises(TypeError, match="JSON"):
        await client.stream("hi", extra_body={"a": object()})
    assert sent.calls == []


async def test_a_conversation_goes_on_with_the_answer_tool_calls_included() -> None:
    call = {"index": 0, "id": "call_1", "function": {"name": "f", "arguments": "{}"}}
    from support.scripted import delta, sse

    first = [HEADERS, http(sse(delta(tool_calls=[call])) + sse(delta(finish="tool_calls"))) + END]
    async with ScriptedServer(first, answer("done")) as server:
        client = client_for(server)
        conversation = Conversation().user("hi")
        response = await client.stream(conversation)
        conversation.add(response.content).tool("call_1", "42")
        await client.stream(conversation)
        messages = server.requests[1].json["messages"]
    assert messages[1]["tool_calls"] == [
        {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    ]
    assert messages[2] == {"role": "tool", "tool_call_id": "call_1", "content": "42"}


async def test_a_message_is_a_prompt_too() -> None:
    async with ScriptedServer(answer("a")) as server:
        await client_for(server).stream(Message.user("hi"))
        assert server.requests[0].json["messages"] == [{"role": "user", "content": "hi"}]


async def test_a_prompt_of_megabytes_arrives_whole_and_without_a_warning() -> None:
    prompt = "wörd " * 600_000
    async with ScriptedServer(answer("a")) as server:
        assert (await client_for(server).stream(prompt)).completion == "a"
    assert json.loads(server.requests[0].body)["messages"][0]["content"] == prompt


async def test_a_receiver_that_blinker_holds_weakly_may_go_in_the_middle_of_a_stream() -> None:
    heard: list[str] = []
    first, go_on = asyncio.Event(), asyncio.Event()

    def receiver(stream: Stream, token: Token) -> None:
        heard.append(token.text)
        first.set()

    on_token.connect(receiver)
    gone = weakref.ref(receiver)
    async with ScriptedServer(
        [HEADERS, http(events("a")), go_on, http(events("b") + ending()) + END]
    ) as server:
        stream = client_for(server).open_stream("hi")
        stream.start()
        await first.wait()
        await asyncio.sleep(0)
        del receiver
        gc.collect()
        assert gone() is None
        go_on.set()
        assert (await stream).completion == "ab"
    assert heard == ["a"]


async def test_iterating_gives_tokens_with_arrival_times_and_reads() -> None:
    async with ScriptedServer(answer("a", "b")) as server:
        async with client_for(server).open_stream("hi", tags={"k": 1}) as stream:
            assert (stream.state, stream.started_at, stream.attempt) == ("new", None, 0)
            tokens = [token async for token in stream]
    assert [token.text for token in tokens] == ["a", "b"]
    assert [token.index for token in tokens] == [0, 1]
    assert 0 < tokens[0].arrived <= tokens[1].arrived <= stream.elapsed
    assert stream.state == "complete"
    assert stream.response is not None
    assert stream.response.tags == {"k": 1}
    assert stream.partial.text == "ab"
    with pytest.raises(RuntimeError, match="iterated already"):
        stream.__aiter__()


async def test_a_stream_that_is_never_started_leaves_nothing() -> None:
    recorder = Recorder()
    async with ScriptedServer(answer("a")) as server:
        client = client_for(server, handlers=[recorder])
        async with client.open_stream("hi") as stream:
            pass
        assert server.requests == []
        with pytest.raises(StreamCancelled):
            await stream
    assert recorder.heard == []


async def test_a_stream_cancelled_before_its_start_raises_stream_cancelled() -> None:
    async with ScriptedServer(answer("a")) as server:
        stream = client_for(server).open_stream("hi")
        stream.cancel()
        with pytest.raises(StreamCancelled):
            await stream
        assert server.requests == []


async def test_with_n_2_the_text_is_choice_0_and_receivers_hear_all() -> None:
    from support.scripted import DONE, delta, sse

    body = sse(delta("B", index=1)) + sse(delta("A")) + sse(delta("b", index=1, finish="stop"))
    recorder = Recorder()
    async with ScriptedServer(
        [HEADERS, http(body + sse(delta("a", finish="stop")) + DONE) + END]
    ) as server:
        client = client_for(server, sampling_params=SamplingParams(n=2), handlers=[recorder])
        items = [item async for item in stream_chat("gpt-4o", "hi", client=client)]
    assert items[:-1] == ["A", "a"]
    response = items[-1]
    assert not isinstance(response, str)
    assert response.completion == "Aa"
    assert [choice.completion for choice in response.choices] == ["Aa", "Bb"]
    assert recorder.text == "BAba"


@pytest.mark.slow
async def test_a_thousand_streams_do_not_mix() -> None:
    scripts = [answer(f"{i} ", f"and {i}") for i in range(300)]
    async with ScriptedServer(*scripts) as server:
        client = client_for(server, timeouts=Timeouts(first_token=30))
        recorders = [Recorder() for _ in scripts]
        responses = await asyncio.gather(
            *(client.stream("hi", handlers=[recorder]) for recorder in recorders)
        )
    for response, recorder in zip(responses, recorders, strict=True):
        number = response.completion.split()[0]
        assert response.completion == f"{number} and {number}" == recorder.text
        assert recorder.endings == [response]


def test_a_client_knows_the_context_window_of_its_model() -> None:
    assert LLMClient("gpt-4o", api_key=KEY).context_window == 128_000
    assert client_for("http://127.0.0.1:9/v1", model="mine").context_window is None
