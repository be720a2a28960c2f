"""A value that ``json.dumps`` takes is taken, whatever its class, and is a plain builtin behind it."""

from __future__ import annotations

import enum
import json
import math
import pickle
from collections import OrderedDict, UserDict
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import attrs
import pytest

from lm_deluge import (
    Conversation,
    Limits,
    LLMClient,
    Message,
    RetryPolicy,
    SamplingParams,
    Timeouts,
)
from lm_deluge.models.registry import register_model, unregister_model
from lm_deluge.values.conversation import ToolCall, to_messages
from lm_deluge.values.plain import plain_json, plain_number, plain_tags

numpy = pytest.importorskip("numpy")


class Text(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "not what it is"


class Count(int):
    def __repr__(self) -> str:
        return "not what it is"


class Share(float):
    def __repr__(self) -> str:
        return "not what it is"


class Level(enum.IntEnum):
    TWO = 2


class Word(enum.StrEnum):
    AUTO = "auto"
    HIGH = "high"


class Old(str, enum.Enum):  # noqa: UP042 - as they were written before 3.11
    USER = "user"


class Index:
    def __index__(self) -> int:
        return 2


class Real:
    def __float__(self) -> float:
        return 0.5


class Bad:
    def __index__(self) -> int:
        raise RuntimeError("no")

    __float__ = __index__  # type: ignore[assignment]


INTEGERS: list[Any] = [
    2,
    Count(2),
    Level.TWO,
    numpy.int64(2),
    numpy.uint8(2),
    numpy.array(2),
    Index(),
]
REALS: list[Any] = [
    0.5, Share(0.5), numpy.float64(0.5), numpy.float32(0.5), Decimal("0.5"), Fraction(1, 2), Real(),
]  # fmt: skip
TEXTS: list[Any] = ["high", Text("high"), Word.HIGH, numpy.str_("high")]
NO_NUMBERS: list[Any] = [True, numpy.True_, "1", b"1", Text("1"), Bad(), [1], 1j, object()]


@pytest.mark.parametrize("given", INTEGERS, ids=lambda given: type(given).__name__)
def test_what_means_an_integer_is_one_wherever_it_is_given(given: Any) -> None:
    params = SamplingParams(n=given, seed=given, max_new_tokens=given, temperature=given)
    limits = Limits(**dict.fromkeys(attrs.fields_dict(Limits), given))
    values = [
        *attrs.astuple(limits),
        params.n,
        params.seed,
        params.temperature,
        RetryPolicy(max_attempts=given).max_attempts,
    ]
    values.append(LLMClient("gpt-4o", max_new_tokens=given).sampling_params.max_new_tokens)
    assert {(type(value), value) for value in values} == {(int, 2)}
    LLMClient("gpt-4o", max_concurrent_streams=given, handler_wait=given)
    info = register_model("m", base_url="http://x", context_window=given, input_price=given)
    unregister_model("m")
    assert (type(info.context_window), type(info.input_price)) == (int, float)


@pytest.mark.parametrize("given", REALS, ids=lambda given: type(given).__name__)
def test_what_means_a_number_is_one_wherever_it_is_given(given: Any) -> None:
    params = SamplingParams(temperature=given, top_p=given, presence_penalty=given)
    times = Timeouts(
        connect=given, first_token=given, between_tokens=given, total=given, tail=given
    )
    policy = RetryPolicy(initial_delay=given, max_delay=given, max_retry_after=given)
    values = [params.temperature, params.top_p, params.presence_penalty, *attrs.astuple(times)]
    values += [policy.initial_delay, policy.max_delay, policy.max_retry_after]
    values.append(LLMClient("gpt-4o", handler_wait=given).handler_wait)
    assert {(type(value), value) for value in values} == {(float, 0.5)}
    assert hash(params) == hash(SamplingParams(temperature=0.5, top_p=0.5, presence_penalty=0.5))
    assert pickle.loads(pickle.dumps(params)) == params
    with pytest.raises(TypeError, match="n must be an integer"):
        SamplingParams(n=given)


@pytest.mark.parametrize("given", TEXTS, ids=lambda given: type(given).__name__)
def test_what_is_a_text_is_a_plain_one_wherever_it_is_given(given: Any) -> None:
    params = SamplingParams(reasoning_effort=given, stop=[given])
    message = Message("user", given, name=given)
    call = ToolCall(given, given, given)
    client = LLMClient(given, fallback_models=[given], tags={given: given}, api_key=given)
    texts = [params.reasoning_effort, *(params.stop or ()), message.content, message.name, call.id]
    texts += [
        call.arguments,
        client.model,
        *client.fallback_models,
        *client.tags,
        client.tags["high"],
    ]
    texts += [to_messages(given)[0]["content"], client._access.api_key]
    texts += LLMClient("m", extra_headers={given: given})._access.headers.popitem()  # type: ignore[attr-defined]
    assert {(type(text), text) for text in texts} == {(str, "high")}
    assert Timeouts(first_token=Word.AUTO).first_token == "auto"  # type: ignore[arg-type]


@pytest.mark.parametrize("given", NO_NUMBERS, ids=lambda given: type(given).__name__)
@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda given: SamplingParams(temperature=given), "temperature"),
        (lambda given: SamplingParams(n=given), "n"),
        (lambda given: Timeouts(total=given), "total"),
        (lambda given: RetryPolicy(max_attempts=given), "max_attempts"),
        (lambda given: RetryPolicy(statuses=[given]), "statuses"),  # type: ignore[arg-type]
        (lambda given: Limits(max_choices=given), "max_choices"),
        (lambda given: LLMClient("m", handler_wait=given), "handler_wait"),
        (lambda given: LLMClient("m", max_concurrent_streams=given), "max_concurrent_streams"),
    ],
)  # fmt: skip
def test_what_is_no_number_is_refused_by_name(make: Any, name: str, given: Any) -> None:
    with pytest.raises(TypeError, match=name):
        make(given)


@pytest.mark.parametrize(
    "given", [math.nan, math.inf, -math.inf, numpy.float64("nan"), Decimal("NaN"), 10**400]
)
def test_no_number_that_is_none_is_in_a_range(given: Any) -> None:
    for make in (
        lambda: SamplingParams(temperature=given),
        lambda: Timeouts(total=given),
        lambda: RetryPolicy(max_delay=given),
        lambda: LLMClient("m", handler_wait=given),
    ):
        with pytest.raises(ValueError, match=r"temperature|total|max_delay|handler_wait"):
            make()


JSON: list[Any] = [
    None, True, 1, 10**40, -0.0, 1e300, "é🙂", [], {}, (1, (2,)), [[{"a": (None,)}]],
    Count(3), Level.TWO, Share(0.25), numpy.float64(0.1), Text("t"), Word.AUTO, Old.USER, numpy.str_("s"),
    {1: 1, None: 2, 2.5: 3, Level.TWO: 4, Text("k"): 5}, {True: 1, False: 2}, OrderedDict(a=1),
    {numpy.str_("k"): numpy.float64(1.5)}, {Old.USER: Old.USER},
]  # fmt: skip


@pytest.mark.parametrize("given", JSON, ids=repr)
def test_json_is_on_the_wire_what_json_dumps_makes_of_it(given: Any) -> None:
    plain = plain_json(given, "x")
    assert json.dumps(plain) == json.dumps(given)
    check_plain(plain)


def check_plain(value: Any) -> None:
    assert type(value) in (type(None), bool, int, float, str, list, dict)
    if isinstance(value, dict):
        for key, item in value.items():
            assert type(key) is str
            check_plain(item)
    elif isinstance(value, list):
        for item in value:
            check_plain(item)


def test_numbers_and_mappings_that_json_dumps_does_not_know_are_taken_where_they_are_clear() -> (
    None
):
    given = {
        "a": numpy.int64(1), "b": numpy.float32(0.5), "c": Decimal("0.5"), "d": Index(),
        "e": UserDict(f=MappingProxyType({"g": Fraction(1, 4)})),
    }  # fmt: skip
    assert plain_json(given, "x") == {"a": 1, "b": 0.5, "c": 0.5, "d": 2, "e": {"f": {"g": 0.25}}}


@attrs.define
class Thing:
    a: int = 1


@pytest.mark.parametrize(
    ("given", "error", "reads"),
    [
        ({"a": [math.nan]}, ValueError, r"x\['a'\]\[0\] is nan"),
        ({"a": {1, 2}}, TypeError, r"x\['a'\] must be .* not set"),
        ([Thing()], TypeError, r"x\[0\] .* not Thing"),
        ({"a": b"bytes"}, TypeError, r"not bytes"),
        ({(1, 2): 1}, TypeError, "a key of x must be a str, not tuple"),
        ({"a": "\ud800"}, ValueError, r"x\['a'\] holds a lone surrogate"),
        ({"\udfff": 1}, ValueError, "a key of x holds a lone surrogate"),
    ],
)
def test_what_json_cannot_hold_is_refused_with_its_place(
    given: Any, error: type[Exception], reads: str
) -> None:
    with pytest.raises(error, match=reads):
        plain_json(given, "x")


def test_what_holds_itself_is_no_json() -> None:
    held: list[Any] = []
    held.append(held)
    with pytest.raises(ValueError, match="x nests too deeply for JSON, or holds itself"):
        plain_json(held, "x")
    assert plain_tags(held, "tags") is held


HALF = "a \ud83d"


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: LLMClient("m", tags={"a": [{"b": HALF}]}), r"tags\['a'\]\[0\]\['b'\]"),
        (lambda: LLMClient("m", tags={HALF: 1}), "a key of tags"),
        (lambda: LLMClient("m", query={"a": HALF}), r"query\['a'\]"),
        (lambda: LLMClient("m", extra_headers={"a": HALF}), "extra_headers"),
        (lambda: SamplingParams(stop=HALF), "stop"),
        (lambda: LLMClient("gpt-4o", api_key="k").open_stream("x", tags={"a": HALF}), r"tags\['a'\]"),
        (lambda: LLMClient("gpt-4o", api_key="k").open_stream(HALF), r"messages\[0\]\['content'\]"),
        (
            lambda: LLMClient("gpt-4o", api_key="k", extra_body={"a": HALF}).open_stream("x"),
            r"extra_body\['a'\]",
        ),
        (lambda: LLMClient("gpt-4o", api_key="k").open_stream("x", tools=[{"type": HALF}]), "tools"),
        (
            lambda: LLMClient("gpt-4o", api_key="k").open_stream("x", response_format={"type": HALF}),
            "response_format",
        ),
        (lambda: LLMClient(HALF, api_key="k", base_url="http://x").open_stream("x"), "model"),
    ],
)  # fmt: skip
def test_half_a_character_is_refused_where_it_is_given(make: Any, name: str) -> None:
    with pytest.raises(ValueError, match=name):
        make()


def test_tags_are_plain_where_that_is_clear_and_else_as_they_came() -> None:
    thing = Thing()
    given = {
        "a": numpy.float64(0.5),
        "b": (Level.TWO, thing),
        "c": UserDict(d=Word.AUTO),
        "e": {1, 2},
    }
    tags = LLMClient("m", tags=given).tags
    assert tags == {"a": 0.5, "b": (2, thing), "c": {"d": "auto"}, "e": {1, 2}}
    assert [type(tags["a"]), type(tags["b"][0]), type(tags["c"]), type(tags["c"]["d"])] == [
        float, int, dict, str,
    ]  # fmt: skip


def test_content_may_be_a_tuple_of_parts() -> None:
    part = {"type": "text", "text": numpy.str_("hi")}
    message = Message("user", (part,))  # type: ignore[arg-type]
    assert message.content == [part]
    assert message.completion == "hi"
    assert to_messages([{"role": Old.USER, "content": (part,)}]) == [
        {"role": "user", "content": [{"type": "text", "text": "hi"}]}
    ]
    check_plain(to_messages(Conversation([message])))


def test_a_number_is_left_as_it_is_where_its_class_raises() -> None:
    bad = Bad()
    assert plain_number(bad) is bad
