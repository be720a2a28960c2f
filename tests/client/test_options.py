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
    "schema": None,  # a format already; tests/structured has the rest
    "sampling_params": SamplingParams(temperature=0.25, seed=7),
    "temperature": 0.5,
    "top_p": 0.75,
    "max_new_tokens": 9,
    "json_mode": True,
    "reasoning_effort": None,
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
    "temperature": 0.5,
    "top_p": 0.75,
    "max_completion_tokens": 9,
    "seed": 7,
    "user": "u",
}

#: Single fields, what the client may say of them, what its ``sampling_params`` and the call's, and the call
#: itself, and what of it is sent.
SINGLE: list[tuple[str, str, Any, Any, Any, Any]] = [
    ("temperature", "temperature", 0.1, 0.2, 0, 0),
    ("top_p", "top_p", 0.1, 0.2, 0.3, 0.3),
    ("max_new_tokens", "max_completion_tokens", 1, 2, 3, 3),
    ("json_mode", "response_format", True, True, False, None),
    ("reasoning_effort", "reasoning_effort", "low", "medium", "high", "high"),
]


async def by_stream(client: LLMClient, options: dict[str, Any]) -> Any:
    return await client.stream("hi", **options)


async def by_open_stream(client: LLMClient, options: dict[str, Any]) -> Any:
    return await client.open_stream("hi", **options)


async def by_stream_many(client: LLMClient, options: dict[str, Any]) -> Any:
    [(_, outcome)] = [pair async for pair in client.stream_many(["hi"], **options)]
    return outcome


async def by_stream_chat(client: LLMClient, options: dict[str, Any]) -> Any:
    return [item async for item in stream_chat(client.model, "hi", client=client, **options)][-1]


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
@pytest.mark.parametrize(("name", "field", "clients", "given", "own", "sent"), SINGLE)
async def test_a_single_field_wins_over_all_others(
    way: Callable[..., Any], name: str, field: str, clients: Any, given: Any, own: Any, sent: Any
) -> None:
    """Field by field: the call's, its sampling_params, the client's; ``None`` says nothing."""
    model = "gpt-5" if name == "reasoning_effort" else "gpt-4o"
    steps: list[dict[str, Any]] = [
        {},
        {name: None},
        {"sampling_params": SamplingParams(**{name: given}), name: None},
        {"sampling_params": SamplingParams(**{name: given}), name: own},
        {name: own},
        {"sampling_params": SamplingParams(seed=7), name: own},
    ]
    bodies = []
    async with ScriptedServer(answer("a")) as server:
        client = client_for(server, model=model, **{name: clients})
        for options in steps:
            await way(client, options)
            bodies.append(server.requests[-1].json)
    said = [body.get(field) for body in bodies]
    form = {"type": "json_object"}
    of_client, of_params = (form, form) if name == "json_mode" else (clients, given)
    assert said == [of_client, of_client, of_params, sent, sent, sent]
    assert client.sampling_params == SamplingParams(**{name: clients})


@pytest.mark.parametrize(
    ("model", "sent"),
    [
        ("openai:gpt-5", {"max_completion_tokens": 77, "reasoning_effort": "low"}),
        ("openai-responses:gpt-5", {"max_output_tokens": 77, "reasoning": {"effort": "low"}}),
        ("anthropic:claude-sonnet-4-5", {"max_tokens": 77, "temperature": 0.5}),
        (
            "gemini:gemini-2.5-flash",
            {"generationConfig": {"maxOutputTokens": 77, "temperature": 0.5}},
        ),
    ],
)
async def test_single_fields_reach_every_dialect(model: str, sent: dict[str, Any]) -> None:
    thinks = "gpt-5" in model
    own: Any = {"reasoning_effort": "low"} if thinks else {"temperature": 0.5}
    async with ScriptedServer(answer("a")) as server:
        stream = client_for(server, model=model).open_stream(
            "hi", max_new_tokens=77, reasoning_summary=None, **own
        )
        await stream.start()
        body = server.requests[-1].json
    assert {name: body[name] for name in sent} == sent


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("temperature", 3, ValueError),
        ("temperature", "hot", TypeError),
        ("top_p", True, TypeError),
        ("max_new_tokens", 0, ValueError),
        ("json_mode", 1, TypeError),
        ("reasoning_effort", "hi", ValueError),
    ],
)
async def test_a_single_field_that_makes_no_sense_is_named_before_anything_is_sent(
    way: Callable[..., Any], name: str, value: Any, error: type[Exception]
) -> None:
    client = LLMClient("gpt-4o", api_key=KEY, base_url="http://127.0.0.1:9/v1", printer=None)
    with pytest.raises(error, match=f"^{name} must be"):
        await way(client, {name: value})


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("handler", "did you mean 'handlers'"),
        ("tool_choise", "did you mean 'tool_choice'"),
        ("timeout", "did you mean 'timeouts'"),
        ("temprature", "did you mean 'temperature'"),
        ("max_tokens", "did you mean 'max_new_tokens'"),
        ("seed", r"give sampling_params=SamplingParams\(seed=\.\.\.\)"),
        ("stopp", r"did you mean sampling_params=SamplingParams\(stop=\.\.\.\)"),
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
