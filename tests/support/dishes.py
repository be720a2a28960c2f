"""Classes of every library that answers may be asked to be, all of the same fields."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, Final, NamedTuple, TypedDict

import attrs
import msgspec
import pydantic

__all__ = ["DISH", "KINDS", "SCHEMA", "TEXT", "Dish", "Step", "made"]


class Step(pydantic.BaseModel):
    text: str
    minutes: float | None = None


class Dish(pydantic.BaseModel):
    """A dish."""

    title: str
    servings: int
    steps: list[Step]


class StepStruct(msgspec.Struct):
    text: str
    minutes: float | None = None


class DishStruct(msgspec.Struct):
    title: str
    servings: int
    steps: list[StepStruct]


@attrs.define
class StepAttrs:
    text: str
    minutes: float | None = None


@attrs.define
class DishAttrs:
    title: str
    servings: int = attrs.field(validator=attrs.validators.ge(1))
    steps: list[StepAttrs] = attrs.field(factory=list)


@dataclasses.dataclass
class StepData:
    text: str
    minutes: float | None = None


@dataclasses.dataclass
class DishData:
    title: str
    servings: int
    steps: list[StepData]


class StepDict(TypedDict, total=False):
    text: str
    minutes: float | None


class DishDict(TypedDict):
    title: str
    servings: int
    steps: list[StepDict]


class DishTuple(NamedTuple):
    title: str
    servings: int
    steps: list[StepData]


SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "title": {"type": "string"},
        "servings": {"type": "integer"},
        "steps": {"type": "array", "items": {"$ref": "#/$defs/step"}},
    },
    "required": ["title", "servings", "steps"],
    "$defs": {
        "step": {
            "type": "object",
            "properties": {"text": {"type": "string"}, "minutes": {"type": ["number", "null"]}},
            "required": ["text"],
        }
    },
}

#: The JSON of one.
DISH: Final[dict[str, Any]] = {
    "title": "Soup",
    "servings": 4,
    "steps": [{"text": "Peel", "minutes": 2.5}, {"text": "Boil", "minutes": None}],
}

TEXT: Final = json.dumps(DISH)

#: What may be asked for, by what it is.
KINDS: Final[dict[str, Any]] = {
    "pydantic": Dish,
    "msgspec": DishStruct,
    "attrs": DishAttrs,
    "dataclass": DishData,
    "TypedDict": DishDict,
    "schema": SCHEMA,
}


def made(kind: str) -> Any:
    """Return what ``DISH`` is as one of a kind."""
    steps: Any = DISH["steps"]
    if kind in ("TypedDict", "schema"):
        return DISH
    step = {"pydantic": Step, "msgspec": StepStruct, "attrs": StepAttrs, "dataclass": StepData}[
        kind
    ]
    return KINDS[kind](
        title=DISH["title"], servings=DISH["servings"], steps=[step(**each) for each in steps]
    )
