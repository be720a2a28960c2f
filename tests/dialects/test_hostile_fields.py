"""Whatever field carries it: what is kept has a bound, is text that can be written, and has any depth."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm_deluge import APIResponse, Limits, Token
from lm_deluge.dialects.chat.answer import ChatAnswer
from lm_deluge.errors import LimitExceededError
from support.chunks import call, choice
from support.scripted import DONE, delta, sse

# Bounds: whatever field carries it

BIG = "x" * 1000


def many(make: Any) -> bytes:
    return b"".join(sse(make(at, f"{BIG}{at}")) for at in range(40))


CARRIERS: dict[str, Any] = {
    "text": lambda _, big: delta(big),
    "ids of calls": lambda at, big: call("", at, big, "f"),
    "names of calls": lambda at, big: call("", at, f"c{at}", big),
    "pieces of a name": lambda _, big: call("", 0, "c", big),
    "fields of calls": lambda at, big: call("", 0, "c", "f", **{f"k{at}": big}),
    "fields of functions": lambda at, big: delta(
        tool_calls=[{"index": 0, "id": "c", "function": {"name": "f", f"k{at}": big}}]
    ),
    "log probabilities": lambda _, big: choice(logprobs={"content": [{"token": big}]}),
    "keys of log probabilities": lambda _, big: choice(logprobs={big: None}),
    "alternatives": lambda _, big: choice(
        logprobs={"content": [{"token": "a", "top_logprobs": [{"token": big}]}]}
    ),
    "keys of the chunk": lambda _, big: {**choice(), big: 1},
    "keys of the choice": lambda _, big: choice(**{big: 1}),
    "keys of the delta": lambda _, big: delta(**{big: 1}),
    "values of the chunk": lambda at, big: {**choice(), f"k{at}": big},
    "a list of the delta": lambda _, big: delta(annotations=[big]),
    "an object of the delta": lambda at, big: delta(audio={f"k{at}": big}),
    "text of an object": lambda _, big: delta(audio={"data": big}),
    "parts nobody knows": lambda _, big: choice(delta={"content": [{"type": "image", "url": big}]}),
    "empty objects": lambda _, big: delta(annotations=[{}] * 400 + [big]),
    "one large id": lambda _, big: {**choice(), "id": big * 20},
    "one large usage": lambda _, big: {"choices": [], "usage": {"k": big * 20}},
    "one large reason": lambda _, big: choice(finish_reason=big * 20),
    "one large fingerprint": lambda _, big: {**choice(), "system_fingerprint": big * 20},
}


@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_bound_holds_whatever_field_carries_what_is_kept(carrier: str) -> None:
    answer = ChatAnswer(limits=Limits(max_answer_chars=10_000))
    answer.feed(many(CARRIERS[carrier]), 0.0)
    assert isinstance(answer.error, LimitExceededError)
    assert answer.error.name == "max_answer_chars"
    assert answer.error.value < 40_000


def test_what_is_said_again_and_again_counts_once() -> None:
    answer = ChatAnswer(limits=Limits(max_answer_chars=10_000))
    for at in range(500):
        chunk = {**delta("a"), "citations": [BIG], "usage": {"total_tokens": at, "note": BIG}}
        answer.feed(sse(chunk), 0.0)
    assert answer.error is None


# Text: no lone surrogate, wherever it came in

hostile = st.sampled_from(["\ud83d", "\ude00", "a\ud83db", "\udc80", "ok", "é"])
values = st.recursive(
    hostile | st.integers() | st.none() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(hostile, inner, max_size=3),
    max_leaves=6,
)
functions = st.fixed_dictionaries({}, optional={"name": values, "arguments": values, "k": values})
tool_calls = st.fixed_dictionaries(
    {}, optional={"index": st.integers(0, 2), "id": values, "function": functions, "extra": values}
)
messages = st.fixed_dictionaries(
    {},
    optional={
        "content": values,
        "reasoning": values,
        "refusal": values,
        "tool_calls": st.lists(tool_calls, max_size=2),
        "function_call": functions,
        "annotations": values,
        "audio": values,
    },
)
choices = st.fixed_dictionaries(
    {},
    optional={
        "index": st.integers(0, 1),
        "delta": messages,
        "message": messages,
        "finish_reason": values,
        "logprobs": st.dictionaries(hostile, values, max_size=2),
        "text": values,
        "k": values,
    },
)
chunks = st.fixed_dictionaries(
    {"choices": st.lists(choices, max_size=2)},
    optional=dict.fromkeys(("id", "model", "usage", "error", "detail", "service_tier"), values),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(chunks | values, max_size=4), st.booleans())
def test_no_lone_surrogate_leaves_whatever_a_server_says(said: list[Any], escaped: bool) -> None:
    body = b"".join(
        b"data: " + json.dumps(one, ensure_ascii=escaped).encode("utf-8", "surrogatepass") + b"\n\n"
        for one in said
    )
    answer = ChatAnswer(choices=2)
    pieces = answer.feed(body, 0.0) + answer.close(0.0)
    facts = answer.facts
    told = [
        [(piece.text, getattr(piece, "id", ""), getattr(piece, "name", "")) for piece in pieces],
        [facts.response_id, facts.model_external, facts.service_tier, facts.extra],
        None if facts.usage is None else facts.usage.raw,
        APIResponse(model="m", choices=answer.choices(), extra=facts.extra or {}).to_dict(),
        [str(answer.error), getattr(answer.error, "body", None), getattr(answer.error, "code", 0)],
    ]
    json.dumps(told, ensure_ascii=False).encode()
    for index in (0, 1):
        texts = [p.text for p in pieces if isinstance(p, Token) and p.choice == index]
        made = [one.completion for one in answer.choices() if one.index == index]
        assert "".join(texts) == "".join(made)


@pytest.mark.parametrize("depth", [50, 99, 150, 400, 900])
@pytest.mark.parametrize("key", ["id", "usage", "k", "model", "error", "object", "detail"])
def test_a_value_of_any_depth_ends_in_nothing_but_an_answer_or_an_error(
    key: str, depth: int
) -> None:
    deep = "[" * depth + "]" * depth
    in_choice = f'{{"choices": [{{"delta": {{"{key}": {deep}}}, "{key}": {deep}, '
    in_choice += f'"finish_reason": {deep}, "logprobs": {{"{key}": {deep}}}}}], "{key}": {deep}}}'
    answer = ChatAnswer()
    answer.feed(b"data: " + in_choice.encode() + b"\n\n" + DONE, 0.0)
    made = APIResponse(model="m", choices=answer.choices(), extra=answer.facts.extra or {})
    json.dumps(made.to_dict()).encode()
    str(answer.error).encode()
    assert answer.done is (answer.error is None)
