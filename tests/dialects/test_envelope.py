"""Whichever way a chunk of plain text is read, the fast ones or the general one, it says the same."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm_deluge import Limits
from lm_deluge.dialects.chat import answer as chat_answer
from lm_deluge.dialects.chat.answer import ChatAnswer
from lm_deluge.dialects.chat.envelope import Envelope
from lm_deluge.errors import LimitExceededError
from support.reading import Reading
from support.scripted import DONE, delta, sse


def refuse(data: bytes) -> Any:
    raise msgspec.ValidationError


def general(body: bytes, size: int, **options: Any) -> Reading:
    """Read a body the general way alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chat_answer, "decode_plain", refuse)
        patch.setattr(chat_answer, "decode_choice", refuse)
        return Reading(body, size, **options)


def both(body: bytes, **options: Any) -> dict[str, Any]:
    events = [event + b"\n\n" for event in body.split(b"\n\n") if event]
    live = Reading(b"", 1, **options)
    for event in events:
        live.pieces += live.answer.feed(event, 0.0)
    live.answer.close(0.0)
    told = general(body, 10**9, **options)
    for reading in (live, Reading(body, 10**9, **options), Reading(body, 7, **options)):
        assert reading.summary() == told.summary()
        assert reading.answer.facts.extra == told.answer.facts.extra
    return told.summary()


NAMES = ["id", "model", "service_tier", "system_fingerprint"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("at", [1, 2, 3, 7])
@pytest.mark.parametrize("stays", [True, False])
def test_a_name_that_changes_in_the_middle_of_plain_text_is_the_last_one(
    name: str, at: int, stays: bool
) -> None:
    chunks = [
        {**delta(f"a{n}"), name: "new" if n == at or (stays and n > at) else "old"}
        for n in range(8)
    ]
    ends = [{**delta(finish="stop")}]
    for chunk in ends:
        chunk.pop(name, None)
    said = both(b"".join(map(sse, chunks + ends)) + DONE)
    assert ("new" if stays or at == 7 else "old") in (*said["names"], said["tier"])


@pytest.mark.parametrize("value", [1, "x", True, {"a": 1}, [1]])
@pytest.mark.parametrize("at", [1, 2, 5])
def test_a_field_that_nobody_knows_on_one_plain_chunk_is_kept(value: Any, at: int) -> None:
    chunks = [delta(f"a{n}") for n in range(8)]
    chunks[at]["k"] = value
    body = b"".join(map(sse, chunks)) + DONE
    both(body)
    assert Reading(body, 10**9).answer.facts.extra == {"k": value}


def test_a_name_between_two_equal_envelopes_does_not_win() -> None:
    other = {"id": "other", "choices": [], "model": "m2"}
    chunks = [delta("a"), delta("b"), delta("c"), other, delta("d"), delta("e")]
    said = both(b"".join(map(sse, chunks)) + DONE)
    assert said["names"][0] == "chatcmpl-1"


texts = st.sampled_from(
    ["a", " b", "", "é", "😀", "\ud83d", "\ude00", '"},"x', "}}]}", '\\"', "\n", "/"]
)
names = st.sampled_from([None, "", "x", "y", 3])
messages = st.fixed_dictionaries(
    {"content": texts},
    optional={"role": st.just("assistant"), "refusal": st.sampled_from([None, "no"])},
)
one = st.fixed_dictionaries(
    {"delta": messages},
    optional={
        "index": st.sampled_from([0, 1]),
        "finish_reason": st.sampled_from([None, None, None, "stop", "error"]),
        "logprobs": st.sampled_from([None, {"content": [{"token": "a"}]}]),
        "stop_reason": st.sampled_from([None, "x"]),
    },
)
chunks = st.fixed_dictionaries(
    {"choices": one.map(lambda choice: [choice])},
    optional={
        "id": names,
        "model": names,
        "service_tier": names,
        "created": st.sampled_from([1, 1.5, "now", None]),
        "content": texts,
        "usage": st.sampled_from([None, {"total_tokens": 1}]),
        "provider": st.sampled_from(["P", "Q"]),
        "citations": st.sampled_from([None, ["u"], ["v"]]),
        "error": st.sampled_from([None, None, None, "boom"]),
        "obfuscation": st.sampled_from(["", "abc", "a\\b", 'q"', "xyz12", {"a": 1}]),
        "finish_reason": st.sampled_from([None, None, "stop", "failed"]),
    },
)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(chunks, st.integers(1, 3)), max_size=6),
    st.sampled_from([(",", ":"), (", ", ": "), (" ,", " :")]),
    st.booleans(),
    st.booleans(),
    st.integers(1, 2),
)
def test_all_ways_of_reading_agree(
    said: list[tuple[Any, int]],
    separators: tuple[str, str],
    escaped: bool,
    choices_first: bool,
    asked: int,
) -> None:
    body = b""
    for chunk, times in said:
        ordered = dict(sorted(chunk.items())) if choices_first else {**chunk}
        if not choices_first:
            ordered["choices"] = ordered.pop("choices")
        for _ in range(times):
            text = json.dumps(ordered, separators=separators, ensure_ascii=escaped)
            body += b"data: " + text.encode("utf-8", "surrogatepass") + b"\n\n"
    both(body + DONE, choices=asked)


def test_text_is_read_out_of_an_envelope_that_is_known() -> None:
    envelope = Envelope()

    def text_in(block: bytes) -> str | None:
        return next(iter(envelope.texts_in([block], 0, 1)), None)

    first = b'data: {"id":"x","choices":[{"delta":{"content":"a"}}],"obfuscation":"Ab1"}'
    assert text_in(first) is None
    envelope.learn(first, "a")
    assert text_in(first.replace(b'"a"', b'"\\u00e9\\"},"')) == 'é"},'
    assert text_in(first.replace(b"Ab1", b"")) == "a"
    for other in (
        first.replace(b'"x"', b'"y"'),
        first.replace(b'"a"', b"null"),
        first.replace(b'"a"', b'"a","refusal":"b"'),
        first.replace(b'"Ab1"}', b'"Ab1","k":1}'),
        first.replace(b'"a"', b'"\\ud83d"'),
        first.replace(b'"a"', b'"a"\n'),
        first.replace(b'"a"', b'"a\nb"'),
        first[:-1],
    ):
        assert text_in(other) is None
    many = [first, first, b"event: named\n" + first, first]
    assert envelope.texts_in(many, 0, 4) == ["a", "a"]
    assert envelope.texts_in(many, 3, 4) == ["a"]
    envelope.forget()
    assert text_in(first) is None


@pytest.mark.parametrize(
    "chunk",
    [{"choices": [{"delta": {"content": "a"}}]}, {**delta("a"), "obfuscation": "x"}, delta("a")],
)
def test_the_second_chunk_of_a_kind_is_read_by_its_envelope(chunk: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        answer = ChatAnswer()
        answer.feed(sse(chunk), 0.0)
        patch.setattr(chat_answer, "decode_plain", refuse)
        patch.setattr(ChatAnswer, "take_event", refuse)
        assert [piece.text for piece in answer.feed(sse(chunk) * 2, 0.0)] == ["a", "a"]
        assert [piece.text for piece in answer.feed(sse(chunk), 0.0)] == ["a"]


def test_names_that_grow_in_plain_chunks_count_for_the_limit() -> None:
    answer = ChatAnswer(limits=Limits(max_answer_chars=10_000))
    answer.feed(b"".join(sse({**delta("a"), "id": "x" * 2000 * at}) for at in range(40)), 0.0)
    assert isinstance(answer.error, LimitExceededError)
