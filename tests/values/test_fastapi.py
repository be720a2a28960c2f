"""A response in FastAPI and pydantic: a route returns it, a model holds it, a document describes it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import msgspec
import pytest

from lm_deluge import APIResponse, Partial, ToolCall, Usage
from lm_deluge.errors import AnswerCutError
from lm_deluge.values.response import Choice, FailedAttempt
from support.clients import client_for
from support.programs import clean_environment
from support.scripted import END, HEADERS, ScriptedServer, delta, ending, events, http, sse

pydantic = pytest.importorskip("pydantic", reason="needs the extra test")

CALL = {"index": 0, "id": "call_1", "function": {"name": "f", "arguments": '{"a": 1}'}}


async def a_response(**tags: Any) -> APIResponse:
    body = events("Hel", "lo") + sse(delta(tool_calls=[CALL])) + ending()
    async with ScriptedServer([HEADERS, http(body) + END]) as server:
        return await client_for(server).stream("hi", tags=tags)


async def test_a_route_returns_a_response_and_documents_it() -> None:
    fastapi = pytest.importorskip("fastapi", reason="needs the extra test")
    testclient = pytest.importorskip("fastapi.testclient", reason="needs the extra test")
    app = fastapi.FastAPI()
    response = await a_response(user="me")
    in_body = fastapi.Body()

    @app.get("/typed")
    async def typed() -> APIResponse:
        return response

    @app.get("/plain")
    async def plain() -> Any:
        return response.to_dict()

    @app.get("/usage")
    async def usage() -> Usage | None:
        return response.usage

    @app.post("/back")
    async def back(given: APIResponse = in_body) -> str:
        return given.completion

    with testclient.TestClient(app) as client:
        typed_reply, plain_reply = client.get("/typed"), client.get("/plain")
        assert typed_reply.status_code == 200, typed_reply.text
        assert typed_reply.json() == plain_reply.json() == response.to_dict()
        assert client.get("/usage").json()["output_tokens"] == 2
        assert client.post("/back", json=typed_reply.json()).json() == "Hello"
        assert client.post("/back", json={"choices": 3}).status_code == 422
        paths = client.get("/openapi.json").json()["paths"]
        shape = paths["/typed"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert set(shape["properties"]) == set(response.to_dict())
    assert shape["properties"]["choices"]["items"]["properties"]["completion"]["type"] == "string"


VALUES = [
    Usage(input_tokens=3, raw={"prompt_tokens": 3}),
    Choice(index=1, completion="a", tool_calls=[ToolCall("call_1", "f", "{}")]),
    Partial(choices=[Choice(completion="a")], ttft=0.1),
    APIResponse(
        model="m",
        choices=[Choice(completion="a", logprobs={"content": []})],
        usage=Usage(),
        failed_attempts=[FailedAttempt(model="m", error="E", message="e", delay=0.5)],
        tags={"a": [1, {"b": None}]},
    ),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_value_goes_through_a_model_and_back(value: Any) -> None:
    kind = type(value)
    adapter = pydantic.TypeAdapter(kind)
    assert adapter.validate_python(value) is value
    assert adapter.validate_json(adapter.dump_json(value)) == value
    assert adapter.validate_python(adapter.dump_python(value)) == value
    assert json.loads(adapter.dump_json(value)) == msgspec.to_builtins(adapter.dump_python(value))
    model = pydantic.create_model("Holder", one=(kind, ...), many=(list[kind], []))
    holder = model(one=value, many=[value])
    assert model.model_validate_json(holder.model_dump_json()) == holder
    for mode in ("validation", "serialization"):
        document = adapter.json_schema(mode=mode)
        assert document["type"] == "object"
        assert set(document["properties"]) == set(adapter.dump_python(value))
    with pytest.raises(pydantic.ValidationError):
        adapter.validate_python(3)
    with pytest.raises(pydantic.ValidationError):
        adapter.validate_python(dict.fromkeys(document["properties"], b"\xff"))


async def test_what_json_cannot_hold_in_tags_is_written_as_text() -> None:
    tag = object()
    response = await a_response(tag=tag)
    written = json.loads(pydantic.TypeAdapter(APIResponse).dump_json(response))
    assert written["tags"] == {"tag": str(tag)}


async def test_the_partial_of_an_error_is_returned_like_a_response() -> None:
    async with ScriptedServer([HEADERS, http(events("Hel")) + END]) as server:
        with pytest.raises(AnswerCutError) as caught:
            await client_for(server).stream("hi")
    written = json.loads(pydantic.TypeAdapter(Partial).dump_json(caught.value.partial))
    assert written["choices"][0]["completion"] == "Hel"


def test_the_library_imports_no_pydantic() -> None:
    program = "import sys, lm_deluge; print('pydantic' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True, text=True, check=True, env=clean_environment(),
    )  # fmt: skip
    assert done.stdout.strip() == "False"
