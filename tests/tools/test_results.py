"""What a model is told of what a function returned or raised."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
from dataclasses import dataclass
from typing import Any

import attrs
import msgspec
import numpy as np
import pydantic
import pytest

from lm_deluge import APIResponse, Choice, Message
from lm_deluge.tools.results import cut, text_of, told_of


@dataclass
class Data:
    a: int


@attrs.define
class Attrs:
    a: int


class Struct(msgspec.Struct):
    a: int


class Model(pydantic.BaseModel):
    a: int
    at: dt.date = dt.date(2026, 1, 2)


class Colour(enum.Enum):
    RED = "red"


class Said:
    def __str__(self) -> str:
        return "said"


class Text(str):
    __slots__ = ()

    def __str__(self) -> str:
        raise RuntimeError


TEXTS: list[tuple[Any, str]] = [
    ("as it is\n", "as it is\n"),
    ("", ""),
    (Text("a"), "a"),
    ("\ud800a", "?a"),
    (None, "null"),
    (True, "true"),
    (3, "3"),
    (1.5, "1.5"),
    (decimal.Decimal("1.50"), '"1.50"'),
    ({"a": [1, None]}, '{"a":[1,null]}'),
    ({"é": "\ud800"}, '{"\\u00e9": "\\ud800"}'),
    ([Data(1), Attrs(1), Struct(1)], '[{"a":1},{"a":1},{"a":1}]'),
    (Model(a=1), '{"a":1,"at":"2026-01-02"}'),
    ({"m": Model(a=1)}, '{"m":{"a":1,"at":"2026-01-02"}}'),
    ((1, {2}), "[1,[2]]"),
    (Colour.RED, '"red"'),
    (dt.date(2026, 1, 2), '"2026-01-02"'),
    (np.int64(3), "3"),
    (np.arange(2), "[0,1]"),
    (Said(), '"said"'),
    (APIResponse(model="m", choices=[Choice(completion="hello")]), "hello"),
    (Message.ai("hello"), "hello"),
]


@pytest.mark.parametrize(("value", "text"), TEXTS, ids=lambda value: type(value).__name__)
def test_a_result_is_text_or_json(value: Any, text: str) -> None:
    assert text_of(value) == text


def holding_itself() -> Any:
    value: list[Any] = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (b"\x89PNG", "returned bytes, which a model cannot be told"),
        (bytearray(b"a"), "returned bytearray"),
        (object(), "object, which is neither text nor JSON"),
        ({"a": object()}, "neither text nor JSON"),
        ({(1, 2): 3}, "neither text nor JSON"),
        (holding_itself(), "holds itself"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_neither_is_refused_with_what_to_return(value: Any, told: str) -> None:
    with pytest.raises(TypeError, match=told):
        text_of(value)


class LyingError(Exception):
    def __str__(self) -> str:
        raise RuntimeError


def test_errors_are_told_with_their_type_and_members() -> None:
    assert told_of(ValueError("no such city")) == "ValueError: no such city"
    assert told_of(KeyError()) == "KeyError"
    assert told_of(LyingError()) == "LyingError: <LyingError: str() of it raised RuntimeError>"
    group = ExceptionGroup("both", [ValueError("a"), ExceptionGroup("in", [OSError("b")])])
    assert told_of(group) == (
        "ExceptionGroup: both (2 sub-exceptions) "
        "[ValueError: a; ExceptionGroup: in (1 sub-exception) [OSError: b]]"
    )
    assert told_of(OSError("sk-1 is wrong"), lambda text: text.replace("sk-1", "***")) == (
        "OSError: *** is wrong"
    )


def test_a_huge_result_is_cut_and_says_so() -> None:
    assert cut("abc", None) == cut("abc", 3) == "abc"
    assert cut("abcd" * 1000, 3) == (
        "abc\n[cut: the result has 4,000 characters, of which these are 3]"
    )
