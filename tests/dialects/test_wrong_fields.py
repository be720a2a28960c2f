"""Fields that servers fill wrongly do not break what an answer says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lm_deluge import Delta
from support.chunks import body_of, call, choice
from support.reading import read
from support.scripted import DONE, USAGE, delta, events, sse

# Indices


@pytest.mark.parametrize("indices", [range(9), range(1, 10), [7] * 9, [0, 0, 1, 2, 3, 4, 5, 6, 7]])
def test_where_one_choice_was_asked_for_its_index_says_nothing(indices: Any) -> None:
    texts = ["Once", " upon", " a", " time", ",", " there", " was", "", "…"]
    chunks = [delta(text, index=at) for text, at in zip(texts, indices, strict=True)]
    reading = read(body_of(*chunks, delta(index=99, finish="stop")) + DONE)
    assert [made.index for made in reading.answer.choices()] == [0]
    assert reading.choice.completion == "".join(texts)
    assert {piece.choice for piece in reading.pieces} == {0}
    assert reading.answer.finished


def test_several_choices_in_one_chunk_are_told_apart_though_one_was_asked_for() -> None:
    both = {"choices": [delta("a")["choices"][0], delta("b", index=1)["choices"][0]]}
    reading = read(sse(both) + DONE)
    assert [made.completion for made in reading.answer.choices()] == ["a", "b"]


# Copies

FULL = {"role": "assistant", "content": "Once upon", "reasoning": "hm", "refusal": "no"}
CALL = {"index": 0, "id": "c", "function": {"name": "f", "arguments": '{"a": 1}'}}


@pytest.mark.parametrize("rest", [{}, {"delta": None}, {"finish_reason": "stop"}])
def test_a_full_message_after_deltas_adds_nothing(rest: dict[str, Any]) -> None:
    said = [delta(reasoning="hm"), *map(delta, ("Once", " upon")), delta(refusal="no")]
    last = choice(message={**FULL, "tool_calls": [CALL]}, **rest)
    made = read(body_of(*said, delta(tool_calls=[CALL]), last) + DONE).choice
    assert (made.completion, made.reasoning, made.refusal) == ("Once upon", "hm", "no")
    assert [one.arguments for one in made.tool_calls] == ['{"a": 1}']


def test_a_full_message_adds_what_the_deltas_did_not_say() -> None:
    made = read(body_of(delta(reasoning="hm"), choice(message=FULL)) + DONE).choice
    assert (made.completion, made.reasoning) == ("Once upon", "hm")


def test_a_full_message_is_a_copy_per_choice() -> None:
    second = {"index": 1, "message": {"content": "b"}}
    body = body_of(delta("a"), {"choices": [{"index": 0, "message": {"content": "a"}}, second]})
    made = read(body + DONE, choices=2).answer.choices()
    assert [one.completion for one in made] == ["a", "b"]


def test_a_server_that_says_message_in_its_chunks_is_read() -> None:
    chunks = [choice(delta=None, message={"content": text}) for text in ("Once", " upon")]
    assert read(body_of(*chunks) + DONE).choice.completion == "Once upon"


# Tool calls


def calls_of(*chunks: Any) -> list[tuple[Any, str, str]]:
    reading = read(body_of(*chunks) + DONE)
    made = [(one.id, one.name, one.arguments) for one in reading.choice.tool_calls]
    told: dict[int, str] = {}
    for piece in reading.pieces:
        if isinstance(piece, Delta):
            told[piece.index] = told.get(piece.index, "") + piece.text
    assert [told[at] for at in sorted(told)] == [arguments for _, _, arguments in made]
    return made


@pytest.mark.parametrize("ids", [("a", "b", "c"), ("a", "b", None), ("a", None, "b")])
def test_a_call_whose_id_changes_goes_on_and_keeps_the_first(ids: Any) -> None:
    pieces = ('{"x"', ": ", "1}")
    chunks = [
        call(text, id_=id_, name="f" if at == 0 else None)
        for at, (text, id_) in enumerate(zip(pieces, ids, strict=True))
    ]
    assert calls_of(*chunks) == [("a", "f", '{"x": 1}')]


@pytest.mark.parametrize("name", ["f", "g"])
def test_a_new_id_with_a_name_is_a_new_call_at_the_same_index(name: str) -> None:
    first, second = call('{"x"', id_="a", name="f"), call("{}", id_="b", name=name)
    assert calls_of(first, second) == [("a", "f", '{"x"'), ("b", name, "{}")]


@pytest.mark.parametrize("placeholder", ["{}", "{ }", "{}\n", {}])
@pytest.mark.parametrize("in_the_first", [True, False])
def test_a_placeholder_before_the_arguments_is_none_of_them(
    placeholder: Any, in_the_first: bool
) -> None:
    begun = [call(placeholder, id_="a", name="f")]
    if not in_the_first:
        begun = [call("", id_="a", name="f"), call(placeholder)]
    assert calls_of(*begun, call('{"x": '), call("{}}")) == [("a", "f", '{"x": {}}')]
    (whole,) = calls_of(*begun)
    assert json.loads(whole[2]) == {}


def test_a_call_without_arguments_is_told_at_the_end_and_the_next_one_is_its_own() -> None:
    chunks = [call("{}", 0, "a", "f"), call("{}", 1, "b", "g"), delta(finish="tool_calls")]
    assert calls_of(*chunks) == [("a", "f", "{}"), ("b", "g", "{}")]


@pytest.mark.parametrize("one", [1, "1", 1.0])
@pytest.mark.parametrize("nought", [0, "0", 0.0, -0.0, None])
def test_an_index_is_the_same_number_however_it_is_written(one: Any, nought: Any) -> None:
    chunks = [delta(text, index=at) for text, at in [("a", nought), ("b", one), ("c", 1), ("d", 0)]]
    if nought is None:  # its place says it
        chunks[0]["choices"].append(chunks.pop(1)["choices"][0])
    reading = read(body_of(*chunks) + DONE, choices=2)
    assert [made.completion for made in reading.answer.choices()] == ["ad", "bc"]
    calls = [(nought, '{"x"'), (one, '{"y"'), (1, ": 1}"), (0, ": 0}")]
    made = [call(text, at, f"i{n}" if n < 2 else None, "f") for n, (at, text) in enumerate(calls)]
    if nought is not None:
        assert calls_of(*made) == [("i0", "f", '{"x": 0}'), ("i1", "f", '{"y": 1}')]


# Usage


@pytest.mark.parametrize(
    "last",
    [
        choice(usage=USAGE),
        choice(delta={"usage": USAGE}),
        {**choice(), "x_groq": {"usage": USAGE}},
        {"choices": [], "x_vendor": {"id": 1, "usage": USAGE}},
        {"choices": [], "usage": {"input_tokens": 9, "output_tokens": 2, "total_tokens": 11}},
    ],
)
def test_usage_is_found_wherever_it_stands(last: Any) -> None:
    usage = read(events("a") + sse(last) + DONE).answer.facts.usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (9, 2, 11)


NULLS = {"prompt_tokens": None, "completion_tokens": None, "total_tokens": None}


@pytest.mark.parametrize(
    "later",
    [
        {**choice(), "usage": NULLS},
        {"choices": [], "usage": {"cost": 0.1}},
        choice(usage={"prompt_tokens": None}),
        choice(delta={"usage": NULLS}),
        {**choice(), "x_groq": {"usage": NULLS}},
        {**choice(), "usage": USAGE, "x_groq": {"usage": NULLS}},
        {**choice(), "usage": NULLS, "x_groq": {"usage": USAGE}},
    ],
)
def test_usage_without_a_count_says_nothing_of_the_counts_before_it(later: Any) -> None:
    before = {"choices": [], "usage": USAGE}
    usage = read(events("a") + body_of(before, later) + DONE).answer.facts.usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (9, 2, 11)


def test_usage_of_no_counts_at_all_is_kept_as_it_came() -> None:
    usage = read(
        events("a") + sse({"choices": [], "usage": {"cost": 0.1}}) + DONE
    ).answer.facts.usage
    assert usage is not None
    assert (usage.raw, usage.total_tokens) == ({"cost": 0.1}, None)


# Text, wherever it stands


@pytest.mark.parametrize(
    "said",
    [
        {"delta": {}, "text": "Once"},
        {"delta": {"role": "assistant", "content": ""}, "text": "Once"},
        {"delta": {"content": None}, "text": "Once"},
        {"delta": None, "message": {}, "text": "Once"},
        {"delta": "Once"},
        {"delta": ["Once"]},
        {"delta": [{"type": "text", "text": "Once"}]},
        {"delta": None, "message": "Once"},
        {"text": ["Once"], "delta": None},
        {"delta": {"content": ["On", ["ce"]]}},
    ],
)
def test_text_is_read_wherever_a_server_puts_it(said: Any) -> None:
    once = choice(**said)
    assert read(sse(once) + DONE).choice.completion == "Once"
    # An object that is a whole message is said once; another one repeats it.
    is_whole = isinstance(said.get("message"), dict) and "content" in said["message"]
    twice = "Once" if is_whole else "OnceOnce"
    assert read(sse(once) + sse(once) + DONE).choice.completion == twice


@pytest.mark.parametrize("delta_beside", [{}, None])
def test_text_that_repeats_what_deltas_said_is_a_copy(delta_beside: Any) -> None:
    copy = choice(delta=delta_beside, text="Once upon", finish_reason="stop")
    assert read(events("Once", " upon") + sse(copy) + DONE).tokens == ["Once", " upon"]


@pytest.mark.parametrize(
    ("number", "text"), [(1, "1"), (0, "0"), (1.5, "1.5"), (10**30, "1" + "0" * 30)]
)
@pytest.mark.parametrize(
    "shape", [lambda it: it, lambda it: [it], lambda it: [{"type": "text", "text": it}]]
)
@pytest.mark.parametrize("field", ["content", "reasoning", "refusal"])
def test_a_number_in_the_place_of_text_is_its_text(
    number: Any, text: str, shape: Any, field: str
) -> None:
    made = read(sse(delta(**{field: shape(number)})) + sse(delta(finish="stop")) + DONE).choice
    assert {"content": made.completion, "reasoning": made.reasoning, "refusal": made.refusal}[
        field
    ] == text


@pytest.mark.parametrize("nothing", [None, False, "", [], {}, [None], [""]])
@pytest.mark.parametrize("field", ["content", "reasoning", "refusal", "reasoning_content"])
def test_what_says_nothing_is_no_text(nothing: Any, field: str) -> None:
    reading = read(sse(delta(**{field: nothing})) + events("a") + sse(delta(finish="stop")) + DONE)
    assert (reading.tokens, len(reading.pieces), reading.choice.extra) == (["a"], 1, {})


@pytest.mark.parametrize(
    "part", [{"type": "reasoning", "encrypted_content": "xyz"}, {"type": "refusal", "why": 3}, True]
)
def test_a_part_without_text_is_kept(part: Any) -> None:
    reading = read(sse(delta(content=[part])) + events("a") + DONE)
    assert reading.choice.extra == {"content": [part]}


# Reasoning


@pytest.mark.parametrize(
    "part",
    [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
        {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "hm"}]},
        {"type": "reasoning", "text": "hm"},
        {"type": "reasoning", "reasoning": "hm"},
        {"type": "summary_text", "text": "hm"},
        {"type": "reasoning_text", "text": "hm"},
        {"type": "thinking", "thinking": [{"type": "text", "text": "h"}, "m"]},
        {"text": "hm", "thought": True},
    ],
)
def test_reasoning_may_be_a_part_of_the_content(part: Any) -> None:
    reading = read(sse(choice(delta={"content": [part]})) + events("Once") + DONE)
    assert (reading.deltas("reasoning"), reading.tokens) == (["hm"], ["Once"])


@pytest.mark.parametrize("value", [{"text": "hm"}, [{"text": "hm"}], {"summary": ["hm"]}])
def test_reasoning_may_be_an_object(value: Any) -> None:
    assert read(sse(delta(reasoning=value)) + DONE).choice.reasoning == "hm"
