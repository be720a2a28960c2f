"""Fields that servers fill wrongly do not break the text, and what they say beside it is kept."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm_deluge import APIResponse, Conversation, Delta, Limits, LLMClient, SamplingParams, Token
from lm_deluge.api_requests.openai import stream_chat
from lm_deluge.errors import LimitExceededError
from lm_deluge.wire.answer import Answer
from scripted import DONE, END, HEADERS, USAGE, ScriptedServer, delta, events, http, sse
from wire.reading import read


def body_of(*chunks: Any) -> bytes:
    return b"".join(map(sse, chunks))


def choice(**fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {}, "finish_reason": None, **fields}]}


def call(arguments: Any, index: Any = 0, id_: Any = None, name: Any = None, **rest: Any) -> Any:
    function = {"arguments": arguments} if name is None else {"name": name, "arguments": arguments}
    made = {"index": index, "function": function, **rest}
    return delta(tool_calls=[made if id_ is None else {**made, "id": id_}])


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


# What is kept


def test_fields_that_nobody_knows_are_kept_where_they_stood() -> None:
    first = {**delta("a", annotations=[1]), "citations": ["u"], "provider": "P"}
    first["choices"][0]["content_filter_results"] = {"hate": {"filtered": False}}
    second = {**delta("b", annotations=[2]), "citations": ["u", "v"], "provider": None}
    second["choices"][0]["content_filter_results"] = {"violence": {"filtered": True}}
    third = delta("c", audio={"id": "x", "data": "AB"})
    fourth = delta("d", audio={"data": "CD", "transcript": "d"})
    reading = read(body_of(first, second, third, fourth, delta(finish="stop")) + DONE)
    assert reading.tokens == ["a", "b", "c", "d"]
    assert reading.choice.extra == {
        "annotations": [1, 2],
        "content_filter_results": {"hate": {"filtered": False}, "violence": {"filtered": True}},
        "audio": {"id": "x", "data": "ABCD", "transcript": "d"},
    }
    assert reading.answer.facts.extra == {"citations": ["u", "v"], "provider": "P"}


@pytest.mark.parametrize("field", ["annotations", "content_filter_results", "stop_reason"])
def test_a_field_in_the_middle_of_plain_tokens_is_kept(field: str) -> None:
    odd = delta("b", **({field: ["x"]} if field == "annotations" else {}))
    if field != "annotations":
        odd["choices"][0][field] = ["x"]
    reading = read(events("a", "a") + sse(odd) + events("c") + DONE)
    assert (reading.choice.completion, reading.choice.extra) == ("aabc", {field: ["x"]})


def test_citations_in_the_middle_of_plain_tokens_are_kept() -> None:
    reading = read(events("a", "a") + sse({**delta("b"), "citations": ["u"]}) + events("c") + DONE)
    assert reading.answer.facts.extra == {"citations": ["u"]}


def test_a_plain_answer_has_no_extra_fields() -> None:
    reading = read(events("a") + sse(delta("b", finish="stop")) + DONE)
    assert (reading.choice.extra, reading.answer.facts.extra) == ({}, None)


async def respond(body: bytes, **options: Any) -> APIResponse:
    async with ScriptedServer([HEADERS, http(body) + END]) as server:
        client = LLMClient(
            "gpt-4o", base_url=server.base_url, api_key="sk-test-key-123456", printer=None
        )
        return await client.stream("hi", **options)


async def test_what_gemini_wants_back_goes_back_with_the_next_request() -> None:
    signed = call("{}", id_="a", name="f", extra_content={"google": {"thought_signature": "sig"}})
    more = delta(extra_content={"google": {"thought_signature": "of the text"}})
    response = await respond(body_of(signed, more, delta(finish="tool_calls")) + DONE)
    again = APIResponse.from_dict(json.loads(json.dumps(response.to_dict())))
    for made in (response, again):
        (sent,) = Conversation().add(made.content).to_openai()
        assert sent["tool_calls"][0]["extra_content"] == {"google": {"thought_signature": "sig"}}
        assert sent["extra_content"] == {"google": {"thought_signature": "of the text"}}
        (once_more,) = Conversation.from_openai([sent]).to_openai()
        assert once_more == sent


@pytest.mark.parametrize(
    ("asked", "missing"),
    [
        ({"n": 2}, ["2 choices were asked for and 1 choice came"]),
        ({"logprobs": True}, ["log probabilities were asked for and none came"]),
        ({"n": 1}, []),
    ],
)
async def test_what_was_asked_for_and_did_not_come_is_said(
    asked: dict[str, Any], missing: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    params = SamplingParams(**asked)
    response = await respond(events("a") + sse(delta(finish="stop")) + DONE, sampling_params=params)
    assert response.missing == missing
    assert [sentence for sentence in missing if sentence not in caplog.text] == []


async def test_stream_chat_asks_as_its_client_does() -> None:
    async with ScriptedServer([HEADERS, http(events("a") + DONE) + END]) as server:
        client = LLMClient(
            "gpt-4o",
            base_url=server.base_url,
            api_key="sk-test-key-123456",
            sampling_params=SamplingParams(n=2, temperature=0.5),
        )
        async for _ in stream_chat("gpt-4o", "hi", client=client):
            pass
        sent = server.requests[0].json
    assert (sent["n"], sent["temperature"]) == (2, 0.5)


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
    answer = Answer(limits=Limits(max_answer_chars=10_000))
    answer.feed(many(CARRIERS[carrier]), 0.0)
    assert isinstance(answer.error, LimitExceededError)
    assert answer.error.name == "max_answer_chars"
    assert answer.error.value < 40_000


def test_what_is_said_again_and_again_counts_once() -> None:
    answer = Answer(limits=Limits(max_answer_chars=10_000))
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


@settings(max_examples=300, deadline=None)
@given(st.lists(chunks | values, max_size=4), st.booleans())
def test_no_lone_surrogate_leaves_whatever_a_server_says(said: list[Any], escaped: bool) -> None:
    body = b"".join(
        b"data: " + json.dumps(one, ensure_ascii=escaped).encode("utf-8", "surrogatepass") + b"\n\n"
        for one in said
    )
    answer = Answer(choices=2)
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
    answer = Answer()
    answer.feed(b"data: " + in_choice.encode() + b"\n\n" + DONE, 0.0)
    made = APIResponse(model="m", choices=answer.choices(), extra=answer.facts.extra or {})
    json.dumps(made.to_dict()).encode()
    str(answer.error).encode()
