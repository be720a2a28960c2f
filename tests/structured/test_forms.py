"""Schemas in each API's strict form: beside what the official packages make of the same classes."""

from __future__ import annotations

import copy
import json
from enum import Enum
from typing import Annotated, Any, Literal

import jsonschema
import pydantic
import pytest
from anthropic import transform_schema
from google.genai import types as google_types
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.lib._pydantic import to_strict_json_schema
from pydantic import BaseModel, Field

from lm_deluge import LLMClient, register_model
from lm_deluge.models.registry import unregister_model
from lm_deluge.structured.checking import Checker
from lm_deluge.structured.forms.anthropic import anthropic_schema
from lm_deluge.structured.forms.gemini import gemini_schema
from lm_deluge.structured.forms.openai import openai_format
from lm_deluge.structured.reading import Fitting, read
from lm_deluge.structured.shape import shape_of
from support.dishes import DISH, KINDS, Dish
from support.wires import WIRES


class Color(Enum):
    RED = "red"
    BLUE = "blue"


class Leaf(BaseModel):
    """A leaf."""

    color: Color = Color.RED
    size: float = Field(gt=0, description="in cm")


class Tree(BaseModel):
    name: str
    leaf: Leaf
    best: Leaf = Field(description="the best one")
    branches: list[Tree] = []
    parent: Tree | None = None


class Words(BaseModel):
    text: str = Field(min_length=2, max_length=9, pattern="^a")
    mail: str | None = None
    kind: Literal["a", "b"] = "a"
    count: int = Field(default=3, ge=1, le=9)
    many: Annotated[list[int], Field(min_length=1, max_length=3)]
    either: int | str | None = None


class Nested(BaseModel):
    words: dict[str, int]
    pair: tuple[int, str]


CLASSES = [Dish, Leaf, Tree, Words]


@pytest.mark.parametrize("cls", CLASSES)
def test_openai_gets_what_its_own_package_makes(cls: Any) -> None:
    form = openai_format(shape_of(cls))["json_schema"]
    assert form == {"name": cls.__name__, "schema": to_strict_json_schema(cls), "strict": True}


@pytest.mark.parametrize("cls", [*CLASSES, Nested])
def test_anthropic_gets_what_its_own_package_makes(cls: Any) -> None:
    assert anthropic_schema(shape_of(cls).schema) == transform_schema(cls)


@pytest.mark.parametrize("cls", [Dish, Leaf, Words])
def test_gemini_gets_words_that_its_own_package_knows(cls: Any) -> None:
    schema = gemini_schema(shape_of(cls).schema)
    google_types.GenerateContentConfig(response_json_schema=schema)
    for node in nodes_of(schema):
        assert node.keys() <= GEMINI, node


#: What Google's documentation of ``responseJsonSchema`` lists.
GEMINI = set(
    "$id $defs $ref $anchor type format title description enum items prefixItems minItems maxItems minimum "
    "maximum anyOf oneOf properties additionalProperties required propertyOrdering".split()
)


def nodes_of(schema: Any) -> list[Any]:
    """A schema and all inside of it."""
    if not isinstance(schema, dict):
        return []
    found = [schema]
    for word in ("properties", "$defs"):
        for each in schema.get(word, {}).values():
            found += nodes_of(each)
    for word in ("anyOf", "oneOf", "allOf", "prefixItems"):
        for each in schema.get(word, ()):
            found += nodes_of(each)
    for word in ("items", "additionalProperties"):
        found += nodes_of(schema.get(word))
    return found


UNION: dict[str, Any] = {
    "oneOf": [{"$ref": "#/$defs/cat"}, {"$ref": "#/$defs/dog"}],
    "discriminator": {"propertyName": "kind"},
    "$defs": {
        "cat": {"type": "object", "properties": {"kind": {"const": "cat"}}},
        "dog": {"type": "object", "properties": {"kind": {"const": "dog"}, "of": {"$ref": "#"}}},
    },
}


def test_what_is_no_object_gets_one_around_it_for_openai() -> None:
    form = openai_format(shape_of(UNION))["json_schema"]
    schema = form["schema"]
    assert form["strict"] is True
    assert schema["type"] == "object"
    assert schema["properties"]["answer"] == {"anyOf": UNION["oneOf"]}
    assert schema["$defs"]["cat"]["additionalProperties"] is False
    assert schema["$defs"]["cat"]["properties"]["kind"] == {"const": "cat", "type": "string"}
    assert Checker(schema).misfit({"answer": {"kind": "cat"}}, schema) is None


@pytest.mark.parametrize("schema", [dict[str, int], dict, Nested, {"type": "object"}, list])
def test_what_cannot_be_said_strictly_is_said_so(schema: Any) -> None:
    form = openai_format(shape_of(schema))["json_schema"]
    assert form["strict"] is False
    assert form["schema"]["type"] == "object"


@pytest.mark.parametrize("cls", [*CLASSES, Nested, UNION])
def test_what_was_given_is_not_changed(cls: Any) -> None:
    before = json.dumps(shape_of(cls).schema)
    openai_format(shape_of(cls))
    anthropic_schema(shape_of(cls).schema)
    gemini_schema(shape_of(cls).schema)
    assert json.dumps(shape_of(cls).schema) == before


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wire", WIRES)
async def test_each_wire_sends_its_form(
    simulator: Any, client_of: Any, wire: str, kind: str
) -> None:
    server = await simulator()
    await client_of(server, wire).stream("?", schema=KINDS[kind])
    body = server.requests[-1].json
    shape = shape_of(KINDS[kind])
    named = openai_format(shape)["json_schema"]
    if wire == "chat":
        assert body["response_format"] == {"type": "json_schema", "json_schema": named}
    elif wire == "responses":
        assert body["text"]["format"] == {"type": "json_schema", **named}
    elif wire == "messages":
        schema = anthropic_schema(shape.schema)
        assert body["output_config"]["format"] == {"type": "json_schema", "schema": schema}
    else:
        config = body["generationConfig"]
        assert config["responseMimeType"] == "application/json"
        assert config["responseJsonSchema"] == gemini_schema(shape.schema)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wire", WIRES)
async def test_the_simulator_says_what_is_asked(
    simulator: Any, client_of: Any, wire: str, kind: str
) -> None:
    server = await simulator(None)
    response = await client_of(server, wire).stream("?", schema=KINDS[kind])
    assert response.parsed is not None


#: What a strict form has no word for.
UNSAID: dict[str, Any] = {
    "title": "Odd",
    "type": "object",
    "properties": {
        "a": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
        "b": {"type": "string", "not": {"const": "x"}},
        "c": {"allOf": [{"$ref": "#/$defs/n"}], "description": "one"},
    },
    "required": ["a"],
    "minProperties": 1,
    "$defs": {"n": {"type": "integer", "minimum": 2}},
}


def test_what_the_strict_form_has_no_word_for_is_told_in_the_description() -> None:
    form = openai_format(shape_of(UNSAID))["json_schema"]
    assert form["strict"] is True
    assert form["schema"]["description"] == "{minProperties: 1}"
    assert form["schema"]["properties"]["a"]["description"] == "{uniqueItems: True}"
    both = {"type": "object", "properties": {"a": {"allOf": [{"type": "string"}] * 2}}}
    assert openai_format(shape_of(both))["json_schema"]["strict"] is False


@pytest.mark.parametrize("schema", [Tree, Leaf, list[Dish], Dish | Leaf, int, set[int], UNSAID])
@pytest.mark.parametrize("wire", WIRES)
async def test_it_says_what_is_asked_in_other_forms(
    simulator: Any, client_of: Any, wire: str, schema: Any
) -> None:
    # Messages takes no schema that refers to itself: the answer is asked for in words.
    in_words = (wire, schema) == ("messages", Tree)
    leaf = {"color": "red", "size": 3}
    tree = {"name": "oak", "leaf": leaf, "best": leaf, "branches": [], "parent": None}
    server = await simulator(json.dumps(tree) if in_words else None)
    response = await client_of(server, wire).stream("?", schema=schema)
    assert response.parsed is not None
    assert response.attempts == (2 if in_words else 1)


# The check of parts, beside a package that knows all of JSON Schema.

KEYWORDS: list[tuple[dict[str, Any], list[Any]]] = [
    ({"type": "integer"}, [1, 1.0, 1.5, True, "1", None]),
    ({"type": ["string", "null"]}, ["", None, 3]),
    ({"enum": [1, "a", None, [1]]}, [1, True, 1.0, "a", None, [1], [2]]),
    ({"const": {"a": False}}, [{"a": False}, {"a": 0}, {}]),
    ({"minimum": 2, "exclusiveMaximum": 4}, [1, 2, 3.9, 4, "x"]),
    ({"multipleOf": 0.5}, [1, 1.5, 1.25, -2]),
    ({"minLength": 2, "maxLength": 3, "pattern": "^a"}, ["a", "ab", "abcd", "bc", 3]),
    ({"minItems": 1, "maxItems": 2, "uniqueItems": True}, [[], [1], [1, 1], [1, 2], [1, 2, 3]]),
    ({"items": {"type": "string"}, "prefixItems": [{"type": "null"}]}, [[None, "a"], [None, 1], [3]]),
    ({"required": ["a"], "properties": {"a": {"type": "null"}}}, [{}, {"a": None}, {"a": 1}]),
    ({"properties": {"a": {}}, "additionalProperties": False}, [{"a": 1}, {"b": 1}, []]),
    ({"patternProperties": {"^x": {"type": "null"}}}, [{"x": None}, {"x": 1}, {"y": 1}]),
    ({"additionalProperties": {"type": "null"}}, [{"x": None}, {"x": 1}]),
    ({"minProperties": 1, "maxProperties": 1}, [{}, {"a": 1}, {"a": 1, "b": 2}]),
    ({"anyOf": [{"type": "null"}, {"minimum": 3}]}, [None, 4, 2, "x"]),
    ({"oneOf": [{"type": "integer"}, {"minimum": 3}]}, [1, 4, 3.5, "x"]),
    ({"allOf": [{"type": "integer"}, {"minimum": 3}]}, [1, 4, 3.5]),
    ({"not": {"type": "null"}}, [None, 1]),
    ({"if": {"type": "null"}, "then": False, "else": {"type": "string"}}, [None, "a", 1]),
    ({"$defs": {"n": {"items": {"$ref": "#/$defs/n"}, "type": "array"}}, "$ref": "#/$defs/n"},
     [[], [[]], [[3]], 3]),
    ({"items": False}, [[], [1]]),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "values"), KEYWORDS, ids=lambda each: json.dumps(each)[:40])
def test_a_keyword_means_what_it_means(schema: Any, values: list[Any]) -> None:
    expected = [jsonschema.Draft202012Validator(schema).is_valid(value) for value in values]
    assert [Checker(schema).misfit(value, schema) is None for value in values] == expected


SCHEMAS = [schema for schema, _ in KEYWORDS if "$ref" not in schema]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from([1.5, 3.0, "a", "ab", "x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abx"), inner),
    max_leaves=6,
)


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(SCHEMAS), min_size=1, max_size=3), VALUES)
def test_they_mean_it_together(schemas: list[Any], value: Any) -> None:
    schema = {"allOf": copy.deepcopy(schemas)}
    expected = jsonschema.Draft202012Validator(schema).is_valid(value)
    assert (Checker(schema).misfit(value, schema) is None) is expected


@pytest.mark.parametrize("kind", [each for each in KINDS if each != "schema"])
def test_what_fits_a_class_fits_its_schema(kind: str) -> None:
    schema = shape_of(KINDS[kind]).schema
    assert Checker(schema).misfit(DISH, schema) is None


def test_a_strict_model_of_pydantic_gets_json() -> None:
    import datetime as dt

    class Strict(BaseModel):
        model_config = pydantic.ConfigDict(strict=True)
        at: dt.date

    shape = shape_of(list[Strict])
    found = read('{"answer": [{"at": "2026-01-02"}]}', shape)
    assert found == Fitting([Strict(at=dt.date(2026, 1, 2))])


async def test_a_model_that_takes_no_schema_is_asked_in_words(
    simulator: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server = await simulator(models=["worded"])
    register_model("worded", base_url=server.base_url, accepts=["temperature"])
    try:
        client = LLMClient("worded", api_key="sk-test", printer=None)
        response = await client.stream("?", schema=Dish)
    finally:
        unregister_model("worded")
    body = server.requests[-1].json
    assert "response_format" not in body
    assert json.dumps(shape_of(Dish).schema) in body["messages"][0]["content"]
    assert response.parsed.title == "Soup"
    assert "schema is not sent to worded: " in caplog.text


async def test_each_form_that_is_not_strict_is_told_once(
    simulator: Any, client_of: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server = await simulator('{"a": 1}')
    for _ in range(2):
        for schema in (dict[str, int], dict):
            await client_of(server).stream("?", schema=schema)
            assert server.requests[-1].json["response_format"]["json_schema"]["strict"] is False
    told = [message for message in caplog.messages if message.startswith("strict is not sent")]
    assert [message.split()[6] for message in told] == ["dict_str_int", "dict"]
