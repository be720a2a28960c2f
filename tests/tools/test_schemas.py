"""What a model is told of a function of any kind, and what the function gets of what the model wrote."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import functools
import inspect
import pathlib
import sys
import uuid
from collections.abc import Callable
from importlib.util import find_spec
from typing import Annotated, Any, Literal, Optional, TypedDict, Unpack

import attrs
import msgspec
import pytest

from lm_deluge import Tool
from lm_deluge.tools.arguments import object_in

pydantic = pytest.importorskip("pydantic")

needs_styles = pytest.mark.skipif(
    find_spec("docstring_parser") is None, reason="needs the extra tools"
)


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Many(TypedDict, total=False):
    size: int


@dataclasses.dataclass
class Place:
    city: str
    country: str | None = None


@attrs.define
class Box:
    width: int = attrs.field(validator=attrs.validators.gt(0))


class Shape(msgspec.Struct):
    sides: int


class Recipe(pydantic.BaseModel):
    name: str
    steps: list[str] = []  # noqa: RUF012 - pydantic copies it


class Weekday(pydantic.BaseModel):
    day: Literal["mon", "tue"]
    place: Recipe | None = None


Bounded = Annotated[int, pydantic.Field(ge=1, le=7, description="days")]
Counted = Annotated[int, msgspec.Meta(ge=1, description="how many")]

#: A hint, what a model may write, and what the function gets.
VALUES: list[tuple[Any, Any, Any]] = [
    (str, "a", "a"),
    (int, 3, 3),
    (int, "3", 3),
    (int, 3.0, 3),
    (float, 3, 3.0),
    (bool, "true", True),
    (Any, {"a": [1]}, {"a": [1]}),
    (object, [1], [1]),
    (Optional[int], None, None),  # noqa: UP045 - both ways of writing it
    (int | str, "3", "3"),
    (list, [1, "a"], [1, "a"]),
    (list[int], [1, "2"], [1, 2]),
    (dict[str, float], {"a": 1}, {"a": 1.0}),
    (dict[int, str], {"1": "a"}, {1: "a"}),
    (tuple[int, str], [1, "a"], (1, "a")),
    (set[str], ["a", "a"], {"a"}),
    (Literal["a", 1], "a", "a"),
    (Colour, "red", Colour.RED),
    (dt.date, "2026-01-31", dt.date(2026, 1, 31)),
    (dt.timedelta, "PT5S", dt.timedelta(seconds=5)),
    (uuid.UUID, "12345678123456781234567812345678", uuid.UUID("12345678" * 4)),
    (decimal.Decimal, "1.50", decimal.Decimal("1.50")),
    (bytes, "aGk=", b"hi"),
    (pathlib.Path, "a/b", pathlib.Path("a/b")),
    (Many, {"size": 3}, {"size": 3}),
    (Place, {"city": "Oslo"}, Place("Oslo")),
    (list[Place], [{"city": "Oslo"}], [Place("Oslo")]),
    (Box, {"width": 3}, Box(3)),
    (Shape, {"sides": 3}, Shape(3)),
    (Recipe, {"name": "soup"}, Recipe(name="soup")),
    (list[Recipe], [{"name": "soup"}], [Recipe(name="soup")]),
    (Place | Shape, {"sides": 3}, Shape(3)),
    (Weekday, {"day": "mon", "place": {"name": "x"}}, Weekday(day="mon", place=Recipe(name="x"))),
    (Bounded, 7, 7),
    (Counted, 1, 1),
]


def taking(hint: Any) -> Callable[..., Any]:
    def function(value: Any) -> Any:
        return value

    function.__annotations__ = {"value": hint}
    return function


def called(tool: Tool, given: Any) -> Any:
    positional, named = tool.arguments.read(given)
    return tool.function(*positional, **named)


@pytest.mark.parametrize(("hint", "written", "got"), VALUES, ids=lambda value: type(value).__name__)
def test_a_value_is_what_the_hint_says(hint: Any, written: Any, got: Any) -> None:
    if hint == Place | Shape:
        pytest.importorskip("pydantic")
        with pytest.raises(TypeError, match="value"):
            Tool(taking(hint))
        return
    tool = Tool(taking(hint))
    value = called(tool, {"value": written})
    assert value == got
    assert type(value) is type(got)
    assert tool.parameters["required"] == ["value"]
    assert set(tool.parameters) <= {
        "type",
        "properties",
        "required",
        "additionalProperties",
        "$defs",
    }


#: A hint, what a model may not write, and what it is told.
WRONG: list[tuple[Any, Any, str]] = [
    (int, "three", "value: Expected `int`, got `str`"),
    (str, 3, "value: Expected `str`, got `int`"),
    (list[int], ["a"], "value: Expected `int`, got `str` - at `[0]`"),
    (Place, {"town": "Oslo"}, "value: Object missing required field `city`"),
    (Place, {"city": 3}, "value: Expected `str`, got `int` - at `city`"),
    (Literal["a"], "b", "value: Invalid enum value 'b'"),
    (Colour, "green", "value: Invalid enum value 'green'"),
    (Box, {"width": 0}, "value: 'width' must be > 0: 0"),
    (Counted, 0, "value: Expected `int` >= 1"),
    (Bounded, 8, "value: Input should be less than or equal to 7"),
    (
        Recipe,
        {"steps": "x"},
        "value: Field required - at `name`; Input should be a valid array - at",
    ),
]


@pytest.mark.parametrize(("hint", "written", "told"), WRONG, ids=lambda value: type(value).__name__)
def test_what_does_not_fit_is_told_with_its_place(hint: Any, written: Any, told: str) -> None:
    with pytest.raises(ValueError, match="the arguments do not fit") as caught:
        called(Tool(taking(hint)), {"value": written})
    assert told in str(caught.value)


def test_everything_that_is_wrong_is_told_at_once() -> None:
    def function(a: int, b: str, c: float = 1.0) -> None: ...

    with pytest.raises(ValueError, match="do not fit") as caught:
        called(Tool(function), {"a": "x", "d": 1})
    assert str(caught.value) == (
        "the arguments do not fit: a: Expected `int`, got `str`; "
        "d: there is no such argument (there are: a, b, c); b: is missing"
    )


@pytest.mark.parametrize(
    ("text", "given"), [("", {}), (" ", {}), ("null", {}), ('{"a": 1}', {"a": 1})]
)
def test_arguments_are_an_object(text: str, given: Any) -> None:
    assert object_in(text) == given


@pytest.mark.parametrize(
    "text", ["{", '{"a": 1', "[1]", "3", '"a"', "true", '{"a": NaN}', "[" * 100_000]
)
def test_arguments_that_are_no_object_are_said_to_be_none(text: str) -> None:
    with pytest.raises(ValueError, match="arguments"):
        object_in(text)


def add(a: int, b: int = 2, *, note: str | None = None) -> int:
    """Add two numbers.

    Exactly.

    Args:
        a: the first
            of both.
        b (int): the second.
        note: why
    """
    return a + b


def test_without_the_reader_of_styles_a_docstring_describes_the_function_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "docstring_parser", None)
    function = Tool(add).to_openai()["function"]
    assert function["description"] == inspect.getdoc(add)
    assert function["parameters"]["properties"]["a"] == {"type": "integer"}


@needs_styles
def test_a_docstring_describes_the_function_and_its_parameters() -> None:
    assert Tool(add).to_openai() == {
        "type": "function",
        "function": {
            "name": "add",
            "description": "Add two numbers.\n\nExactly.",
            "parameters": {
                "type": "object",
                "properties": {
                    "a": {"type": "integer", "description": "the first of both."},
                    "b": {"type": "integer", "description": "the second.", "default": 2},
                    "note": {
                        "anyOf": [{"type": "string"}, {"type": "null"}],
                        "description": "why",
                    },
                },
                "required": ["a"],
                "additionalProperties": False,
            },
        },
    }


DOCS = {
    "google": "Do.\n\nArgs:\n    a: first\n",
    "numpy": "Do.\n\nParameters\n----------\na : int\n    first\n",
    "sphinx": "Do.\n\n:param a: first\n:returns: b",
    "epydoc": "Do.\n\n@param a: first",
}


@needs_styles
@pytest.mark.parametrize("style", DOCS)
def test_every_style_of_docstrings_is_read(style: str) -> None:
    def function(a: int) -> None: ...

    function.__doc__ = DOCS[style]
    tool = Tool(function)
    assert tool.description == "Do."
    assert tool.parameters["properties"]["a"]["description"] == "first"


@pytest.mark.parametrize(
    "hint", [Annotated[int, "first"], Annotated[int, msgspec.Meta(description="first")], Bounded]
)
def test_annotated_describes_a_parameter(hint: Any) -> None:
    told = Tool(taking(hint)).parameters["properties"]["value"]["description"]
    assert told in ("first", "days")


class Shop:
    """A shop."""

    def __init__(self, name: str) -> None:
        self.name = name

    def sell(self, what: str) -> str:
        """Sell."""
        return f"{self.name}: {what}"

    async def later(self, what: str) -> str:
        return what

    @classmethod
    def make(cls, what: str) -> str:
        return cls.__name__ + what

    @staticmethod
    def free(what: str) -> str:
        return what

    def __call__(self, what: str) -> str:
        return self.name + what


def loud(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def two(secret: str, what: str, unit: str = "C") -> str:
    """Two."""
    return secret + what + unit


def first(what: str, /, unit: str = "C") -> str:
    return what + unit


#: A callable, the name it has, the parameters told, and what it returns for ``what="x"``.
KINDS: dict[str, tuple[Callable[..., Any], str, list[str], Any]] = {
    "method": (Shop("a").sell, "sell", ["what"], "a: x"),
    "class method": (Shop.make, "make", ["what"], "Shopx"),
    "static method": (Shop.free, "free", ["what"], "x"),
    "object": (Shop("a"), "Shop", ["what"], "ax"),
    "decorated": (loud(Shop.free), "free", ["what"], "x"),
    "decorated method": (loud(Shop("a").sell), "sell", ["what"], "a: x"),
    "partial": (functools.partial(two, "s"), "two", ["what", "unit"], "sxC"),
    "partial by name": (functools.partial(two, secret="s", unit="F"), "two", ["what"], "sxF"),
    "partial of a partial": (
        functools.partial(functools.partial(two, unit="F"), "s"),
        "two",
        ["what"],
        "sxF",
    ),
    "by position": (first, "first", ["what", "unit"], "xC"),
    "class": (Place, "Place", ["city", "country"], None),
}


@pytest.mark.parametrize("kind", KINDS)
def test_callables_of_every_kind_are_tools(kind: str) -> None:
    function, name, parameters, returned = KINDS[kind]
    tool = Tool(function)
    assert tool.name == name
    assert list(tool.parameters["properties"]) == parameters
    if returned is not None:
        assert called(tool, {"what": "x"}) == returned


def test_a_class_made_in_a_function_is_found() -> None:
    class Local(pydantic.BaseModel):
        size: int

    def function(local: Local) -> int:
        return local.size

    assert called(Tool(function), {"local": {"size": "3"}}) == 3


def test_definitions_of_one_name_stay_apart() -> None:
    def classes() -> tuple[Any, Any]:
        one = pydantic.create_model("Same", a=(int, ...))
        other = pydantic.create_model("Same", b=(str, ...))
        return one, other

    one, other = classes()

    def function(x: Any, y: Any, z: Any) -> Any:
        return x, y, z

    function.__annotations__ = {"x": list[one], "y": list[other], "z": list[one]}
    tool = Tool(function)
    properties, named = tool.parameters["properties"], tool.parameters["$defs"]
    refs = [properties[name]["items"]["$ref"].removeprefix("#/$defs/") for name in "xyz"]
    assert [list(named[ref]["properties"]) for ref in refs] == [["a"], ["b"], ["a"]]
    assert refs[0] == refs[2] != refs[1]


def test_options_by_name_are_taken() -> None:
    def function(a: int, **more: int) -> Any:
        return a, more

    tool = Tool(function)
    assert tool.parameters["additionalProperties"] == {"type": "integer"}
    assert called(tool, {"a": 1, "b": "2"}) == (1, {"b": 2})

    def named(**more: Unpack[Many]) -> Any:
        return more

    assert Tool(named).parameters["properties"] == {"size": {"type": "integer"}}
    assert called(Tool(named), {}) == {}


def test_a_field_of_pydantic_may_stand_for_a_default() -> None:
    def function(
        a: int = pydantic.Field(ge=1, description="first"), b: int = pydantic.Field(2)
    ) -> Any:
        return a, b

    tool = Tool(function)
    assert tool.parameters["required"] == ["a"]
    assert tool.parameters["properties"]["a"]["description"] == "first"
    assert called(tool, {"a": 1}) == (1, 2)


async def gives(a: int) -> Any:
    yield a


def passing(*args: Any, **kwargs: Any) -> None: ...


def of_unknown(a: Missing) -> None: ...  # type: ignore[name-defined]  # noqa: F821


def many(*paths: str) -> None: ...


def of_a_function(f: Callable[[], int]) -> None: ...


REFUSED: dict[str, tuple[Any, type[Exception], str]] = {
    "args": (many, TypeError, r"takes \*paths"),
    "undecorated": (passing, TypeError, r"takes \*args"),
    "method without object": (Shop.sell, TypeError, "a method without its object"),
    "lambda": (lambda: 1, ValueError, r"the name '<lambda>' is not letters"),
    "generator": (gives, TypeError, "must return its result"),
    "unknown hint": (of_unknown, TypeError, "name 'Missing' is not defined"),
    "no schema": (of_a_function, TypeError, "f is of a type that has no JSON schema"),
    "builtin": (int, TypeError, "cannot be read"),
    "no callable": ("text", TypeError, "must be callable, not str"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_no_model_can_call_is_refused_in_words(kind: str) -> None:
    function, error, told = REFUSED[kind]
    with pytest.raises(error, match=told):
        Tool(function)


def test_a_schema_may_be_given() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    tool = Tool(lambda **given: given, name="any", description="Any.", parameters=schema)
    assert tool.to_openai()["function"]["parameters"] == schema
    assert called(tool, {"a": "1", "b": 2}) == {"a": "1", "b": 2}
    with pytest.raises(ValueError, match="a: is missing"):
        called(tool, {})
