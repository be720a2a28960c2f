"""What ``schema=`` asks for comes back as it, on every wire and by every verb, over real sockets."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from lm_deluge import APIResponse, LLMClient, StreamHandler
from lm_deluge.api_requests.openai import stream_chat
from lm_deluge.errors import SchemaError, StreamError
from support.dishes import KINDS, TEXT, Dish, Step, made
from support.wires import WIRES

#: Answers that are no dish: the text, the beginning of the message, the value, the path.
WRONG: dict[str, tuple[str, str, Any, tuple[Any, ...]]] = {
    "cut": (
        '{"title": "Soup", "steps": [{"text": "Pe',
        "the answer holds no whole Dish: at steps[0].text: the JSON is cut",
        {"title": "Soup", "steps": [{"text": "Pe"}]},
        ("steps", 0, "text"),
    ),
    "cut in a number": (
        '{"title": "Soup", "servings": 1',
        "the answer holds no whole Dish: at servings: the JSON is cut",
        {"title": "Soup"},
        ("servings",),
    ),
    "unfit": (
        '{"title": "Soup", "servings": "many", "steps": []}',
        "the answer is no Dish: at servings: ",
        {"title": "Soup", "servings": "many", "steps": []},
        ("servings",),
    ),
    "unfit inside": (
        '{"title": "Soup", "servings": 2, "steps": [{"text": "Boil"}, {"minutes": 2}]}',
        "the answer is no Dish: at steps[1].text: ",
        {"title": "Soup", "servings": 2, "steps": [{"text": "Boil"}, {"minutes": 2}]},
        ("steps", 1, "text"),
    ),
    "broken": (
        '{"title": "Soup", servings: 2}',
        "the answer holds no Dish, as its JSON is broken: ",
        {"title": "Soup"},
        (),
    ),
    "missing": ("I would rather not.", "the answer holds no Dish: there is no JSON", None, ()),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wire", WIRES)
async def test_each_kind_comes_back_on_each_wire(
    simulator: Any, client_of: Any, wire: str, kind: str
) -> None:
    server = await simulator()
    response = await client_of(server, wire).stream("A soup?", schema=KINDS[kind])
    assert response.parsed == made(kind)
    first = response.parsed
    assert response.parsed is first


@pytest.mark.parametrize("name", WRONG)
async def test_stream_raises_after_the_one_ending(
    simulator: Any, client_of: Any, name: str
) -> None:
    class Heard(StreamHandler):
        def on_complete(self, stream: Any, response: APIResponse) -> None:
            heard.append(response)

        def on_error(self, stream: Any, error: StreamError) -> None:
            heard.append(error)

    heard: list[Any] = []
    text, message, value, path = WRONG[name]
    server = await simulator(text)
    with pytest.raises(SchemaError) as caught:
        await client_of(server).stream("A soup?", schema=Dish, handlers=[Heard()])
    error = caught.value
    [response] = heard
    assert isinstance(error, StreamError)
    assert isinstance(error, ValueError)
    assert str(error).startswith(message)
    assert (error.text, error.value, error.path) == (text, value, path)
    assert error.response is response
    assert error.partial is not None
    assert error.partial.text == text
    assert error.stream_id
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.path, again.value) == (str(error), path, value)


@pytest.mark.parametrize("name", WRONG)
async def test_an_open_stream_tells_when_the_object_is_asked_for(
    simulator: Any, client_of: Any, name: str
) -> None:
    server = await simulator(WRONG[name][0])
    response = await client_of(server).open_stream("A soup?", schema=Dish)
    for _ in range(2):
        with pytest.raises(SchemaError, match="the answer"):
            _ = response.parsed


async def test_many_yield_it_as_their_outcome(simulator: Any, client_of: Any) -> None:
    server = await simulator(lambda body: TEXT if "soup" in str(body["messages"]) else "no")
    client = client_of(server)
    outcomes = dict([pair async for pair in client.stream_many(["soup", "stone"], schema=Dish)])
    assert outcomes[0].parsed.title == "Soup"
    assert isinstance(outcomes[1], SchemaError)


async def test_stream_chat_yields_a_response_that_knows_it(simulator: Any, client_of: Any) -> None:
    client = client_of(await simulator())
    items = [item async for item in stream_chat("gpt-4.1", "?", client=client, schema=Dish)]
    assert items[-1].parsed.servings == 4
    assert "".join(items[:-1]) == TEXT


async def test_a_response_without_a_schema_has_none(simulator: Any, client_of: Any) -> None:
    response = await client_of(await simulator()).stream("?")
    assert response.parsed is None


async def test_what_only_calls_tools_is_no_object(simulator: Any, client_of: Any) -> None:
    server = await simulator(None, tool_calls=[("look", {"a": 1})])
    tools = [{"type": "function", "function": {"name": "look"}}]
    response = await client_of(server).stream("?", schema=Dish, tools=tools)
    assert response.parsed is None
    assert response.tool_calls


async def test_a_refusal_is_told(simulator: Any, client_of: Any) -> None:
    server = await simulator(None, refusal="I will not.")
    with pytest.raises(SchemaError, match="the model refused: 'I will not"):
        await client_of(server).stream("?", schema=Dish)


async def test_a_response_goes_through_pickle_with_its_object(
    simulator: Any, client_of: Any
) -> None:
    response = await client_of(await simulator()).stream("?", schema=Dish)
    assert response.parsed == made("pydantic")
    assert pickle.loads(pickle.dumps(response)).parsed == made("pydantic")

    class Local(Dish):
        pass

    response = await client_of(await simulator()).stream("?", schema=Local)
    assert isinstance(response.parsed, Local)
    assert pickle.loads(pickle.dumps(response)).parsed is None


#: A text, what is asked for, and what it is.
READ: list[tuple[str, Any, Any]] = [
    (f"```json\n{TEXT}\n```", Dish, made("pydantic")),
    (f"```\n{TEXT}\n```\n", Dish, made("pydantic")),
    (f"Here {{it}} is:\n\n```json\n{TEXT}\n```\nEnjoy!", Dish, made("pydantic")),
    (f"Sure! {TEXT} Enjoy.", Dish, made("pydantic")),
    (f"\ufeff  {TEXT}\n", Dish, made("pydantic")),
    ('[{"text": "Peel"}]', list[Step], [Step(text="Peel")]),
    ('{"answer": [{"text": "Peel"}]}', list[Step], [Step(text="Peel")]),
    ('```json\n[{"text": "Peel"}]\n```', list[Step], [Step(text="Peel")]),
    (TEXT, Dish | Step, made("pydantic")),
    ('{"answer": {"text": "Peel"}}', Dish | Step, Step(text="Peel")),
    ("5", int, 5),
    ('{"answer": 5}', int, 5),
    ('{"a": 1}', dict[str, int], {"a": 1}),
    ("true", bool, True),
    ('"red"', str, "red"),
]


@pytest.mark.parametrize(("text", "schema", "expected"), READ, ids=range(len(READ)))
async def test_it_is_found_in_what_is_around_it(
    simulator: Any, client_of: Any, text: str, schema: Any, expected: Any
) -> None:
    response = await client_of(await simulator(text)).stream("?", schema=schema)
    assert response.parsed == expected


@pytest.mark.parametrize(
    ("schema", "kind", "message"),
    [
        (3, TypeError, "schema must be a class"),
        ("Dish", TypeError, "schema must be a class"),
        (Step(text="x"), TypeError, "give the class, Step, not one of its objects"),
        (object(), TypeError, "schema must be a class"),
        ([Dish], TypeError, "schema must be a class"),
        ({}, ValueError, "schema is empty"),
        ({3: 4}, TypeError, "names as keys"),
        ({"type": "json_schema", "json_schema": {}}, ValueError, "is a response_format"),
        ({"type": "objekt"}, ValueError, r"schema\['type'\] must be object, array"),
        ({"name": "x"}, ValueError, "must be a JSON schema"),
        ({"type": "object", "properties": []}, ValueError, "a dict of schemas"),
        ({"type": "array", "items": 3}, ValueError, r"schema\['items'\] must be a schema"),
        ({"$ref": "#/$defs/x"}, ValueError, "must name a schema inside"),
        ({"$ref": "http://x"}, ValueError, "must name a schema inside"),
        ({"type": "string", "minLength": "3"}, ValueError, r"\['minLength'\] must be a number"),
        (type("Plain", (), {}), TypeError, "there is no JSON schema"),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_what_asks_for_nothing_is_refused(schema: Any, kind: Any, message: str) -> None:
    with pytest.raises(kind, match=message):
        await LLMClient("gpt-4.1", api_key="sk-test").stream("?", schema=schema)


async def test_it_is_given_alone() -> None:
    client = LLMClient("gpt-4.1", api_key="sk-test", json_mode=True)
    with pytest.raises(ValueError, match="schema and response_format are both given"):
        await client.stream("?", schema=Dish, response_format={"type": "json_object"})
    await client.open_stream("?", schema=Dish).aclose()


async def test_a_run_with_tools_ends_in_it(simulator: Any, client_of: Any) -> None:
    def look(at: int) -> str:
        """Look."""
        return f"looked at {at}"

    server = await simulator(None, tool_calls=[("look", {"at": 1})])
    response = await client_of(server).run_tools("?", [look], schema=Dish)
    assert isinstance(response.parsed, Dish)
    assert len(response.rounds) == 2
    assert response.rounds[0].response.parsed is None
    server = await simulator("no soup", tool_calls=None)
    with pytest.raises(SchemaError, match="there is no JSON") as caught:
        await client_of(server).run_tools("?", [look], schema=Dish)
    assert len(caught.value.rounds) == 1
