"""What is none of the values that a field may have: the error names them, whosever class it is."""

from __future__ import annotations

import dataclasses
from enum import Enum, IntEnum
from typing import Any, Literal, TypedDict

import attrs
import msgspec
import pydantic
import pytest

from lm_deluge.structured.accepted import one_of
from lm_deluge.structured.reading import Failure, read
from lm_deluge.structured.shape import shape_of


class Color(Enum):
    RED = "red"
    BLUE = "blue"


class Size(IntEnum):
    SMALL = 1
    LARGE = 20


Kind = Literal["flat", "round"]
FIELDS: dict[str, Any] = {
    "color": Color,
    "kind": Kind,
    "size": Size,
    "maybe": Color | None,
    "many": list[Kind],
    "inner": dict[str, list[Size]],
}
FIT: dict[str, Any] = {
    "color": "red",
    "kind": "flat",
    "size": 1,
    "maybe": None,
    "many": [],
    "inner": {},
}
CLASSES: dict[str, Any] = {
    "dataclass": dataclasses.make_dataclass("Thing", FIELDS.items()),
    "attrs": attrs.make_class("Thing", {name: attrs.field(type=FIELDS[name]) for name in FIELDS}),
    "msgspec": msgspec.defstruct("Thing", [*FIELDS.items()]),
    "typed dict": TypedDict("Thing", FIELDS),  # type: ignore[operator]
    "pydantic": pydantic.create_model("Thing", **{n: (FIELDS[n], ...) for n in FIELDS}),
}
CLASSES["schema"] = pydantic.TypeAdapter(CLASSES["pydantic"]).json_schema()

#: A value that is none, its path and what is accepted there.
WRONG: list[tuple[str, Any, tuple[Any, ...], list[Any]]] = [
    ("color", "green", ("color",), ["'red'", "'blue'"]),
    ("color", 3, ("color",), ["'red'", "'blue'"]),
    ("kind", "Flat", ("kind",), ["'flat'", "'round'"]),
    ("size", 3, ("size",), ["1", "20"]),
    ("maybe", "x", ("maybe",), ["'red'", "'blue'"]),
    ("many", ["flat", "odd"], ("many", 1), ["'flat'", "'round'"]),
    ("inner", {"a": [1, 2]}, ("inner", "a", 1), ["1", "20"]),
]


@pytest.mark.parametrize("library", CLASSES)
@pytest.mark.parametrize(("name", "value", "path", "accepted"), WRONG)
def test_the_error_names_what_is_accepted(
    library: str, name: str, value: Any, path: tuple[Any, ...], accepted: list[str]
) -> None:
    import json

    found = read(json.dumps({**FIT, name: value}), shape_of(CLASSES[library]))
    assert isinstance(found, Failure)
    assert found.misfit.path == path
    assert [each for each in accepted if each not in found.misfit.message] == []


def test_of_many_values_twenty_are_named() -> None:
    assert (
        one_of(list(range(25))) == f"it must be one of {', '.join(map(str, range(20)))} and 5 more"
    )
    assert one_of(["a"]) == "it must be 'a'"
