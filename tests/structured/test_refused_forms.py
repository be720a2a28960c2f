"""Servers that refuse the form of an answer: asked in words, told, remembered, and still checked here."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from lm_deluge import LLMClient, RetryPolicy
from lm_deluge.client.refused import _refused
from lm_deluge.errors import BadRequestError, SchemaError, StreamError
from lm_deluge.servers.errors import anthropic_error, google_error, openai_error
from lm_deluge.simulator.checks.refusals import error_reply
from support.clients import Recorder
from support.dishes import TEXT, Dish, Step
from support.wires import WIRES

FEW = "in few words"

#: What servers say of a form, with its status and param, and how far that is remembered.
REFUSALS: dict[str, tuple[str, int, str | None, str]] = {
    "deepseek": ("This response_format type is unavailable now", 400, None, "address"),
    "deepseek 422": ("response_format.type: unknown variant `json_schema`", 422, None, "address"),
    "groq": (
        "'response_format.type' : value is not one of the allowed values ['text','json_object']",
        400,
        "",
        "address",
    ),
    "one model": (
        "This model does not support response format `json_schema`. See supported models.",
        400,
        "response_format",
        "model",
    ),
    "one schema": (
        "Invalid schema for response_format 'Dish': In context=('properties', 'steps'), "
        "'prefixItems' is not permitted.",
        400,
        "response_format",
        "schema",
    ),
    FEW: ("Unsupported parameter.", 400, "response_format", "address"),
    "vllm": ("Grammar error: cannot compile the JSON schema.", 400, None, "schema"),
    "not implemented": ("structured outputs are not implemented", 501, None, "address"),
}


def error_of(path: str, message: str, status: int, param: str | None) -> Any:
    """Return a refusal in the words of the API that a path is of."""
    if path.endswith("/messages"):
        return error_reply(anthropic_error(status, message, request_id="r1"))
    if "generateContent" in path:
        return error_reply(google_error(status, message, path=path, query={"alt": "sse"}))
    kind = "invalid_request_error"
    return error_reply(openai_error(status, message, kind=kind, param=param))


def is_formed(body: Any) -> bool:
    """Whether a request asks for a form in its API's way."""
    config = body.get("generationConfig", {})
    asked = [body.get("response_format"), body.get("output_config", {}).get("format")]
    return any([*asked, body.get("text", {}).get("format"), config.get("responseJsonSchema")])


def refusing(name: str) -> Any:
    message, status, param, _ = REFUSALS[name]

    def reply(record: Any) -> Any:
        formed = is_formed(record.json)
        return error_of(record.path, message, status, param) if formed else None

    return reply


@pytest.mark.parametrize(
    ("wire", "name"),
    # Only OpenAI's errors have a param.
    [
        (wire, name)
        for wire in WIRES
        for name in REFUSALS
        if wire in "chat responses" or name != FEW
    ],
)
async def test_a_form_that_is_refused_is_asked_for_in_words_told_and_remembered(
    simulator: Any, client_of: Any, wire: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    heard = Recorder()
    server = await simulator(reply=refusing(name))
    client = client_of(server, wire, retries=RetryPolicy.none(), handlers=[heard])
    prompt = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "A soup?"}]
    with caplog.at_level(logging.WARNING, "lm_deluge"):
        response = await client.stream(prompt, schema=Dish)
    assert (response.parsed.title, response.attempts) == ("Soup", 2)
    [retry] = heard.retries
    assert (retry.attempt, retry.delay) == (1, 0.0)
    assert [is_formed(request.json) for request in server.requests] == [True, False]
    words = json.dumps(json.dumps(server.requests[1].json))
    assert "Be brief." in words
    assert "fits this JSON schema" in words
    assert sum("told in words" in message for message in caplog.messages) == 1
    # Another client; another schema.
    other = client_of(server, wire, retries=RetryPolicy.none())
    assert (await other.stream(prompt, schema=Dish)).attempts == 1
    again = await other.open_stream(prompt, schema=list[Step])
    assert again.attempts == (2 if REFUSALS[name][3] == "schema" else 1)


async def test_another_model_at_the_address_is_asked_where_one_was_refused(
    simulator: Any, client_of: Any
) -> None:
    for name, attempts in (("one model", [2, 2, 1]), ("deepseek", [2, 1, 1])):
        _refused.clear()
        server = await simulator(reply=refusing(name))
        found = []
        for model in ("gpt-4.1", "gpt-4o", "gpt-4.1"):
            given: dict[str, Any] = {"base_url": server.base_url, "dialect": "chat"}
            client = LLMClient(model, api_key="sk-test", printer=None, **given)
            response = await client.stream("?", schema=Dish)
            found.append(response.attempts)
        assert found == attempts


@pytest.mark.parametrize("wire", WIRES)
async def test_what_is_said_in_words_is_checked_all_the_same(
    simulator: Any, client_of: Any, wire: str
) -> None:
    server = await simulator('{"title": 3}', reply=refusing("deepseek"))
    with pytest.raises(SchemaError) as caught:
        await client_of(server, wire).stream("?", schema=Dish)
    assert caught.value.text == '{"title": 3}'
    server = await simulator(f"Here you are:\n```json\n{TEXT}\n```", reply=refusing("groq"))
    stream = client_of(server, wire).open_stream("?", schema=Dish)
    grown = [value async for value in stream.objects()]
    assert grown[-1].title == "Soup"


OTHERS: list[tuple[str, str | None]] = [
    ("Invalid schema for function 'now': 'type' is required.", "tools[0].function.parameters"),
    ("Invalid schema for function 'now'.", None),
    ("tools.0.custom.input_schema: Field required", None),
    ("Invalid 'temperature': decimal above maximum value.", "temperature"),
    ("Your prompt is too long.", None),
]


@pytest.mark.parametrize(("message", "param"), OTHERS)
async def test_what_is_about_something_else_is_raised(
    simulator: Any, client_of: Any, message: str, param: str | None
) -> None:
    server = await simulator(reply=lambda record: error_of(record.path, message, 400, param))
    with pytest.raises(BadRequestError):
        await client_of(server).stream("?", schema=Dish)
    assert len(server.requests) == 1
    assert not _refused


async def test_one_that_is_refused_in_words_too_is_raised_after_two(
    simulator: Any, client_of: Any
) -> None:
    server = await simulator(reply=lambda record: error_of(record.path, "no schema!", 400, None))
    with pytest.raises(StreamError, match="no schema!") as caught:
        await client_of(server).stream("?", schema=Dish)
    assert caught.value.attempts == len(server.requests) == 2


async def test_a_form_given_in_the_apis_words_is_the_callers(
    simulator: Any, client_of: Any
) -> None:
    server = await simulator(reply=refusing("deepseek"))
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}
    with pytest.raises(BadRequestError):
        await client_of(server).stream("?", response_format=form)
    assert len(server.requests) == 1
