"""The object in an answer while it streams: for a loop, and for handlers; over real sockets."""

from __future__ import annotations

import asyncio
import gc
import json
import weakref
from itertools import pairwise
from time import perf_counter
from typing import Any

import pytest

from lm_deluge import Growth, StreamHandler, attach
from lm_deluge.errors import AnswerCutError, HandlerError, SchemaError, StreamCancelled
from support.dishes import DISH, KINDS, TEXT, Dish, made
from support.wires import WIRES

TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}
    for name in ("cook", "look")
]
SLOW = {"gap": 0.02}


async def grown(objects: Any) -> list[Any]:
    return [value async for value in objects]


def check_growth(values: list[Any], whole: Any) -> None:
    """Plain dicts that grow to ``DISH``, and last what was asked for."""
    assert values[-1] == whole
    growing = values[:-1]
    assert len(growing) > 2
    assert all(type(value) is dict for value in growing)
    for less, more in pairwise([*growing, DISH]):
        assert list(less) == list(more)[: len(less)]
        assert more["title"].startswith(less["title"])
        assert more.get("servings") == less.get("servings", more.get("servings"))


@pytest.mark.parametrize("wire", WIRES)
async def test_it_grows_on_each_wire(simulator: Any, client_of: Any, wire: str) -> None:
    server = await simulator(**SLOW)
    objects = client_of(server, wire).open_stream("?", schema=Dish).objects()
    check_growth(await grown(objects), made("pydantic"))


@pytest.mark.parametrize("kind", KINDS)
async def test_each_kind_is_the_last_value(simulator: Any, client_of: Any, kind: str) -> None:
    server = await simulator(f"```json\n{TEXT}\n```", **SLOW)
    stream = client_of(server).open_stream("?")
    check_growth(await grown(stream.objects(KINDS[kind])), made(kind))
    assert stream.response.parsed == made(kind)


async def test_without_any_schema_it_is_any_json(simulator: Any, client_of: Any) -> None:
    server = await simulator(f"Well: {TEXT}", **SLOW)
    check_growth(await grown(client_of(server).open_stream("?").objects()), DISH)


async def test_what_is_open_is_marked(simulator: Any, client_of: Any) -> None:
    server = await simulator(gap=0.06)  # each piece is looked at by itself
    objects = client_of(server).open_stream("?", schema=Dish).objects()
    assert objects.growth is None
    ways = []
    async for value in objects:
        growth = objects.growth
        assert isinstance(growth, Growth)
        assert growth.is_whole is isinstance(value, Dish)
        if not growth.is_whole:
            assert growth.is_open()
            at = value
            for key in growth.open:
                at = at[key]
            assert isinstance(at, str | list | dict)
            assert not growth.is_open("servings")
        ways.append(growth.open)
    assert ways[-1] is None
    assert ("steps", 0, "text") in ways or ("steps", 1, "text") in ways or ("title",) in ways


async def test_it_is_looked_at_every_50_ms_at_most(simulator: Any, client_of: Any) -> None:
    server = await simulator(json.dumps({"title": "x" * 400}), gap=0.002)
    objects = client_of(server).open_stream("?").objects()
    begun = perf_counter()
    values = await grown(objects)
    assert 1 < len(values) <= (perf_counter() - begun) / 0.05 + 3


WRONG = {
    "cut": ('{"title": "Soup", "steps": [{"te', "the JSON is cut"),
    "unfit": (TEXT.replace("4", '"four"', 1), "at servings"),
    "broken": ('{"title": "Soup", servings: 4}', "its JSON is broken"),
    "missing": ("No soup today.", "there is no JSON in it"),
}


@pytest.mark.parametrize("name", WRONG)
async def test_the_end_of_the_loop_says_what_is_wrong(
    simulator: Any, client_of: Any, name: str
) -> None:
    text, message = WRONG[name]
    stream = client_of(await simulator(text, **SLOW)).open_stream("?", schema=Dish)
    values: list[Any] = []
    objects = stream.objects()
    with pytest.raises(SchemaError, match=message) as caught:
        while True:
            values.append(await anext(objects))
    assert all(type(value) is dict for value in values)
    assert all(value.get("servings", 4) == 4 for value in values)
    assert stream.state == "complete"
    assert caught.value.text == text
    with pytest.raises(SchemaError, match=message):
        _ = stream.response.parsed


async def test_an_answer_that_breaks_off_ends_in_its_own_error(
    simulator: Any, client_of: Any
) -> None:
    server = await simulator(faults=["eof:8"], **SLOW)
    with pytest.raises(AnswerCutError):
        await grown(client_of(server).open_stream("?", schema=Dish).objects())


async def test_leaving_the_loop_ends_the_stream(simulator: Any, client_of: Any) -> None:
    server = await simulator(gap=0.05)
    stream = client_of(server).open_stream("?", schema=Dish)
    async for _ in stream.objects():
        break
    gc.collect()
    async with asyncio.timeout(1):
        while stream.state == "running":
            await asyncio.sleep(0.01)
    assert isinstance(stream.error, StreamCancelled)


async def test_nothing_holds_the_stream_afterwards(simulator: Any, client_of: Any) -> None:
    stream = client_of(await simulator("no")).open_stream("?", schema=Dish, handlers=[Heard()])
    try:
        await grown(stream.objects())
    except SchemaError as error:
        kept = error
    gone = weakref.ref(stream)
    del stream
    gc.collect()
    assert gone() is None
    assert kept.path == ()


async def test_after_the_end_there_is_the_whole(simulator: Any, client_of: Any) -> None:
    stream = client_of(await simulator()).open_stream("?", schema=Dish)
    await stream
    assert await grown(stream.objects()) == [made("pydantic")]


async def test_in_the_middle_it_is_what_there_is(simulator: Any, client_of: Any) -> None:
    stream = client_of(await simulator(**SLOW)).open_stream("?", schema=Dish)
    stream.start()
    async with asyncio.timeout(5):
        while len(stream.partial.text) < 30:
            await asyncio.sleep(0.01)
    values = await grown(stream.objects())
    assert values[0]["title"] == "Soup"
    assert values[-1] == made("pydantic")


# Tools.


async def test_arguments_grow_where_the_answer_is_a_call(simulator: Any, client_of: Any) -> None:
    for wire in ("chat", "responses", "messages"):
        server = await simulator(None, tool_calls=[("cook", DISH)], **SLOW)
        objects = client_of(server, wire).open_stream("?", tools=TOOLS).objects(Dish)
        check_growth(await grown(objects), made("pydantic"))
        assert (objects.growth.kind, objects.growth.name) == ("tool_call", "cook")


async def test_calls_of_one_tool_can_be_asked_for(simulator: Any, client_of: Any) -> None:
    calls = [("look", {"at": 1}), ("cook", DISH), ("look", {})]
    server = await simulator('{"a": 1}', tool_calls=calls)
    client = client_of(server)

    async def whole(**given: Any) -> list[Any]:
        objects = client.open_stream("?", tools=TOOLS).objects(**given)
        return [value async for value in objects if objects.growth.is_whole]

    assert await whole(tool="cook") == [DISH]
    assert await whole(tool=True) == [{"at": 1}, DISH, {}]
    assert await whole() == [{"a": 1}]
    assert await whole(tool="none") == []


async def test_arguments_that_are_none_are_told(simulator: Any, client_of: Any) -> None:
    server = await simulator(None, tool_calls=[("cook", '{"title": 3}')])
    with pytest.raises(SchemaError, match="the call of cook is no Dish: at ") as caught:
        await grown(client_of(server).open_stream("?", tools=TOOLS).objects(Dish, tool="cook"))
    assert caught.value.text == '{"title": 3}'


@pytest.mark.parametrize(("tool", "kind"), [(3, TypeError), ("", ValueError), ([], TypeError)])
async def test_a_tool_that_is_none_is_refused(
    simulator: Any, client_of: Any, tool: Any, kind: Any
) -> None:
    with pytest.raises(kind, match="tool"):
        client_of(await simulator()).open_stream("?").objects(tool=tool)


# Handlers.


class Heard(StreamHandler):
    """Keeps what it is told, with its endings."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def on_object(self, stream: Any, value: Any) -> None:
        self.told.append(value)

    def on_complete(self, stream: Any, response: Any) -> None:
        self.told.append("complete")

    def on_error(self, stream: Any, error: Any) -> None:
        self.told.append("error")


class HeardAsync:
    def __init__(self) -> None:
        self.told: list[Any] = []
        self.growths: list[Growth] = []

    async def on_object(self, stream: Any, value: Any, growth: Growth) -> None:
        await asyncio.sleep(0)
        self.told.append(value)
        self.growths.append(growth)


async def test_handlers_hear_it_before_the_end(simulator: Any, client_of: Any) -> None:
    plain, awaited, lent = Heard(), HeardAsync(), Heard()
    client = client_of(await simulator(**SLOW), handlers=[plain])
    with attach(lent):
        response = await client.stream("?", schema=Dish, handlers=[awaited])
    assert plain.told.pop() == "complete"
    check_growth(plain.told, made("pydantic"))
    assert lent.told[:-1] == plain.told
    assert awaited.told == plain.told
    assert [growth.is_whole for growth in awaited.growths].count(True) == 1
    assert response.handler_failures == []
    # What they heard last is what the response holds.
    assert plain.told[-1] == response.parsed


@pytest.mark.parametrize("name", WRONG)
async def test_handlers_hear_nothing_of_what_is_none(
    simulator: Any, client_of: Any, name: str
) -> None:
    heard = Heard()
    with pytest.raises(SchemaError):
        await client_of(await simulator(WRONG[name][0])).stream("?", schema=Dish, handlers=[heard])
    assert heard.told.pop() == "complete"
    assert all(type(value) is dict for value in heard.told)


async def test_handlers_hear_arguments_of_tools(simulator: Any, client_of: Any) -> None:
    heard = HeardAsync()
    server = await simulator(None, tool_calls=[("cook", DISH), ("look", {})], **SLOW)
    await client_of(server).stream("?", tools=TOOLS, handlers=[heard])
    whole = [
        (growth.name, growth.index, value)
        for growth, value in zip(heard.growths, heard.told, strict=True)
        if growth.is_whole
    ]
    assert whole == [("cook", 0, DISH), ("look", 1, {})]
    assert len(heard.told) > 4


async def test_prose_is_no_object(simulator: Any, client_of: Any) -> None:
    heard = Heard()
    await client_of(await simulator("Use {} or [1] here.")).stream("?", handlers=[heard])
    assert heard.told == ["complete"]
    await client_of(await simulator('{"a": 1}')).stream("?", handlers=[heard], json_mode=False)
    assert heard.told == ["complete"] * 2
    server = await simulator('{"a": 1}')
    await client_of(server).stream("Say json", handlers=[heard], json_mode=True)
    assert heard.told[2:] == [{"a": 1}, "complete"]


async def test_a_handler_that_fails_hurts_nobody(simulator: Any, client_of: Any) -> None:
    class Failing:
        def on_object(self, stream: Any, value: Any) -> None:
            raise RuntimeError("no")

    heard = Heard()
    client = client_of(await simulator(**SLOW))
    response = await client.stream("?", schema=Dish, handlers=[Failing(), heard])
    assert response.parsed == made("pydantic")
    check_growth(heard.told[:-1], made("pydantic"))
    [failure] = response.handler_failures
    assert (failure.method, failure.type) == ("on_object", "RuntimeError")
    assert failure.count == len(heard.told) - 1
    strict = client_of(await simulator(**SLOW), strict=True)
    with pytest.raises(HandlerError, match="failed in on_object"):
        await strict.stream("?", schema=Dish, handlers=[Failing()])


async def test_the_third_argument_is_a_choice(simulator: Any, client_of: Any) -> None:
    class Named:
        def on_object(self, stream: Any, value: Any, growth: Any = None) -> None:
            seen.append(growth)

    class Needed:
        def on_object(self, stream: Any, value: Any, what: Any) -> None:
            seen.append(what)

    class Own:
        def on_object(self, stream: Any, value: Any, own: Any = "own") -> None:
            others.append(own)

    seen: list[Any] = []
    others: list[Any] = []
    handlers = [Named(), Needed(), Own()]
    await client_of(await simulator()).stream("?", schema=Dish, handlers=handlers)
    assert seen
    assert all(isinstance(growth, Growth) for growth in seen)
    assert set(others) == {"own"}


async def test_one_that_cannot_be_called_is_refused(simulator: Any, client_of: Any) -> None:
    class Wrong:
        def on_object(self, stream: Any) -> None: ...

    class Misspelt:
        def on_objects(self, stream: Any, value: Any) -> None: ...

    with pytest.raises(TypeError, match=r"on_object is called with \(stream, value\)"):
        attach(Wrong())
    with pytest.raises(TypeError, match="did you mean on_object"):
        attach(Misspelt())


async def test_a_slow_loop_hears_the_newest(simulator: Any, client_of: Any) -> None:
    objects = client_of(await simulator(**SLOW)).open_stream("?", schema=Dish).objects()
    values = []
    async for value in objects:
        values.append(value)
        await asyncio.sleep(0.2)
    assert values[-1] == made("pydantic")
    assert len(values) <= 8
