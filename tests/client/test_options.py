"""The options of one stream: one list of them, wherever a stream is asked for."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, get_type_hints

import pytest

from lm_deluge import LLMClient, SamplingParams, StreamOptions, Timeouts
from lm_deluge.api_requests.openai import stream_chat
from support.clients import KEY, Recorder, client_for
from support.scripted import ScriptedServer, answer

TOOLS = [{"type": "function", "function": {"name": "look"}}]
FORMAT = {"type": "json_object"}

#: A value for each option, and what becomes of it in the request.
VALUES: dict[str, Any] = {
    "tools": TOOLS,
    "tool_choice": "auto",
    "response_format": FORMAT,
    "sampling_params": SamplingParams(temperature=0.25),
    "extra_body": {"user": "u"},
    "timeouts": Timeouts(total=9),
    "reasoning_summary": "detailed",
    "resume": False,
    "tags": {"variant": "B"},
}
SENT = {
    "tools": TOOLS,
    "tool_choice": "auto",
    "response_format": FORMAT,
    "temperature": 0.25,
    "user": "u",
}


async def by_stream(client: LLMClient, options: dict[str, Any]) -> Any:
    return await client.stream("hi", **options)


async def by_open_stream(client: LLMClient, options: dict[str, Any]) -> Any:
    return await client.open_stream("hi", **options)


async def by_stream_many(client: LLMClient, options: dict[str, Any]) -> Any:
    [(_, outcome)] = [pair async for pair in client.stream_many(["hi"], **options)]
    return outcome


async def by_stream_chat(client: LLMClient, options: dict[str, Any]) -> Any:
    return [item async for item in stream_chat("gpt-4o", "hi", client=client, **options)][-1]


WAYS = [by_stream, by_open_stream, by_stream_many, by_stream_chat]


def test_every_option_is_in_the_table_of_this_test() -> None:
    assert {"handlers", *VALUES} == set(get_type_hints(StreamOptions))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", [list, iter])
async def test_each_way_takes_every_option(
    way: Callable[..., Any], kind: Callable[[list[object]], Any]
) -> None:
    """An iterator of handlers, too: it can be read once."""
    recorder = Recorder()
    async with ScriptedServer(answer("a", "b")) as server:
        options = VALUES | {"handlers": kind([recorder])}
        response = await way(client_for(server), options)
        body = server.requests[-1].json
    assert (response.completion, response.tags) == ("ab", {"variant": "B"})
    assert {name: body.get(name) for name in SENT} == SENT
    assert recorder.text == "ab"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("handler", "did you mean 'handlers'"),
        ("tool_choise", "did you mean 'tool_choice'"),
        ("timeout", "did you mean 'timeouts'"),
        ("temperature", r"give sampling_params=SamplingParams\(temperature=\.\.\.\)"),
        ("temprature", r"did you mean sampling_params=SamplingParams\(temperature=\.\.\.\)"),
        ("system", "it takes handlers, "),
    ],
)
async def test_an_unknown_option_is_a_type_error_that_names_the_nearest(
    way: Callable[..., Any], wrong: str, told: str
) -> None:
    client = LLMClient("gpt-4o", api_key=KEY, base_url="http://127.0.0.1:9/v1", printer=None)
    function = way.__name__.removeprefix("by_")
    expected = rf"^{function}\(\) got an unexpected keyword argument '{wrong}': {told}"
    with pytest.raises(TypeError, match=expected):
        await way(client, {wrong: None})


def test_stream_many_refuses_an_unknown_option_at_once() -> None:
    client = LLMClient("gpt-4o", api_key=KEY)
    with pytest.raises(TypeError, match="did you mean 'tags'"):
        client.stream_many([], tag=1)  # type: ignore[call-arg]


@pytest.mark.parametrize("function", [LLMClient.stream, LLMClient.open_stream])
def test_the_options_are_documented_key_by_key(function: Callable[..., Any]) -> None:
    words = " ".join(f"{inspect.getdoc(StreamOptions)}".split())
    for name in get_type_hints(StreamOptions):
        assert name in words.partition("Keys:")[2]
    assert "StreamOptions" in f"{inspect.getdoc(function)}"
