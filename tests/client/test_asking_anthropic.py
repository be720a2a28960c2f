"""What Anthropic is asked for beside the messages: version, size, form and depth, on real sockets."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import pytest

from lm_deluge import LLMClient, SamplingParams
from lm_deluge.models.registry import register_model, unregister_model
from support.clients import client_for
from support.providers import WHOLE
from support.scripted import Received, ScriptedServer


async def asked(model: str = "claude-x", **options: Any) -> Received:
    async with ScriptedServer(WHOLE["messages"]) as server:
        given = {"dialect": "messages", "max_new_tokens": 100} | options
        stream = given.pop("stream", {})
        await client_for(server, model, **given).stream("Hi", **stream)
    (request,) = server.requests
    return request


async def test_an_answer_whose_size_nobody_says_may_have_8192_tokens_and_that_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    for _ in range(2):
        request = await asked(max_new_tokens=None)
        assert request.json["max_tokens"] == 8192
    (record,) = [one for one in caplog.records if "8192" in one.getMessage()]
    assert record.levelno == logging.WARNING
    assert "claude-x" in record.getMessage()
    assert "max_new_tokens" in record.getMessage()


@pytest.mark.parametrize(
    ("options", "expected"),
    [({"max_new_tokens": 7}, 7), ({"extra_body": {"max_tokens": 9}, "max_new_tokens": None}, 9)],
)
async def test_a_size_that_is_said_is_sent_without_a_word(
    caplog: pytest.LogCaptureFixture, options: Mapping[str, Any], expected: int
) -> None:
    request = await asked(**options)
    assert request.json["max_tokens"] == expected
    assert not caplog.records


async def test_a_registered_maximum_is_the_size(caplog: pytest.LogCaptureFixture) -> None:
    async with ScriptedServer(WHOLE["messages"]) as server:
        register_model(
            "mine", base_url=server.base_url, dialect="messages", max_output_tokens=64_000
        )
        try:
            await LLMClient("mine", printer=None).stream("Hi")
        finally:
            unregister_model("mine")
    assert server.requests[0].json["max_tokens"] == 64_000
    assert not caplog.records


async def test_what_the_dialect_lacks_is_left_out_and_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    params = SamplingParams(max_new_tokens=100, seed=3, json_mode=True, temperature=0.5)
    for _ in range(2):
        request = await asked(stream={"sampling_params": params})
        assert not {"seed", "json_mode"} & set(request.json)
        assert request.json["temperature"] == 0.5
    told = sorted(record.getMessage().split()[0] for record in caplog.records)
    assert told == ["json_mode", "seed"]


@pytest.mark.parametrize("dialect", ["responses", "messages", "gemini"])
async def test_several_answers_are_refused_with_the_dialect_that_has_them(dialect: str) -> None:
    client = LLMClient("x", dialect=dialect, base_url="http://localhost:1", printer=None)
    with pytest.raises(ValueError, match=r'n is 2.*dialect="chat"'):
        await client.stream("Hi", sampling_params=SamplingParams(n=2))


ADAPTIVE = {"type": "adaptive", "display": "summarized"}


@pytest.mark.parametrize(
    ("model", "effort", "thinking", "config"),
    [
        ("claude-sonnet-5-5", "high", ADAPTIVE, {"effort": "high"}),
        ("claude-opus-5-5", "xhigh", ADAPTIVE, {"effort": "xhigh"}),
        ("claude-opus-4-6", "xhigh", ADAPTIVE, {"effort": "max"}),
        ("claude-opus-5", "minimal", ADAPTIVE, {"effort": "low"}),
        ("my-proxys-claude", "low", ADAPTIVE, {"effort": "low"}),
        ("claude-haiku-4-5-20251001", "low", {"type": "enabled", "budget_tokens": 2048}, None),
        ("claude-3-7-sonnet-20250219", "high", {"type": "enabled", "budget_tokens": 10_000}, None),
        ("claude-opus-5-5", "none", {"type": "disabled"}, None),
        ("claude-fable-5-1", "none", None, None),
        ("claude-3-opus-20240229", "high", None, None),
        ("claude-sonnet-5-5", None, None, None),
    ],
)
async def test_depth_is_asked_in_the_words_of_the_models_generation(
    model: str, effort: Any, thinking: object, config: object
) -> None:
    request = await asked(model, reasoning_effort=effort, max_new_tokens=20_000)
    assert request.json.get("thinking") == thinking
    assert request.json.get("output_config") == config


async def test_a_schema_is_asked_for_beside_the_depth() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    request = await asked(reasoning_effort="low", stream={"response_format": wanted})
    assert request.json["output_config"] == {
        "effort": "low",
        "format": {"type": "json_schema", "schema": schema},
    }
