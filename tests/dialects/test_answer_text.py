"""Text of an answer however it is written and cut, and the bounds of what is kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from time import process_time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm_deluge import Limits
from lm_deluge.dialects.chat.answer import ChatAnswer
from lm_deluge.errors import LimitExceededError, ProtocolError
from support.reading import Reading, read
from support.scripted import DONE, delta, events, sse

LONE = "\N{REPLACEMENT CHARACTER}"


# Text


def halves(*texts: str, key: str = "content") -> bytes:
    return b"".join(
        sse({"choices": [{"index": 0, "delta": {key: text}, "finish_reason": None}]})
        for text in texts
    )


@pytest.mark.parametrize(
    ("key", "kind"), [("content", "text"), ("reasoning", "reasoning"), ("refusal", "refusal")]
)
def test_halves_of_a_character_in_two_deltas_are_joined(key: str, kind: str) -> None:
    reading = read(halves("a\ud83d", "\ude00b", "c", key=key) + DONE)
    texts = reading.tokens if kind == "text" else reading.deltas(kind)
    assert texts == ["a", "😀b", "c"]


def test_halves_in_the_arguments_of_a_tool_call_are_joined() -> None:
    def call(arguments: str, **rest: Any) -> bytes:
        return sse(delta(tool_calls=[{"index": 0, "function": {"arguments": arguments}, **rest}]))

    body = call('{"a": "\ud83d', id="c") + call('\ude00"}') + DONE
    assert read(body).choice.tool_calls[0].arguments == '{"a": "😀"}'


def test_a_half_that_finds_no_other_becomes_a_replacement_character() -> None:
    assert read(halves("a\ud83d", "b\ude00c") + DONE).tokens == ["a", f"{LONE}b{LONE}c"]
    assert read(halves("a", "\ud83d", "b") + DONE).tokens == ["a", f"{LONE}b"]


@pytest.mark.parametrize("end", [DONE, b"", b'data: {"error": "boom"}\n\n', b"data: {nope\n\n"])
def test_a_half_at_the_very_end_is_not_lost(end: bytes) -> None:
    assert read(halves("a\ud83d") + end).tokens == ["a", LONE]


def test_a_half_waits_for_its_other_past_chunks_of_another_kind() -> None:
    body = halves("\ud83d") + halves("hm", key="reasoning") + halves("\ude00") + DONE
    assert read(body).choice.completion == "😀"


def test_halves_of_several_choices_do_not_mix() -> None:
    chunks = [delta("\ud83d"), delta("\ud83d", index=1), delta("\ude01", index=1), delta("\ude00")]
    reading = read(b"".join(sse(chunk) for chunk in chunks) + DONE, choices=2)
    assert [choice.completion for choice in reading.answer.choices()] == ["😀", "😁"]


def test_halves_in_names_and_ids_become_replacement_characters() -> None:
    call = {"index": 0, "id": "i\ud83d", "function": {"name": "n\ud83d", "arguments": "{}"}}
    chunk = {**delta(tool_calls=[call], finish="f\ud83d"), "id": "r\ud83d", "model": "m\ud83d"}
    chunk["choices"][0]["logprobs"] = {"content": [{"token": "\ud83d"}]}  # type: ignore[index]
    reading = read(sse(chunk) + DONE)
    made = reading.choice
    assert (made.tool_calls[0].id, made.tool_calls[0].name) == (f"i{LONE}", f"n{LONE}")
    assert made.finish_reason == f"f{LONE}"
    assert made.logprobs == {"content": [{"token": LONE}]}
    assert reading.answer.facts.response_id == f"r{LONE}"
    assert reading.answer.facts.model_external == f"m{LONE}"


def test_bytes_that_are_no_utf8_become_replacement_characters_and_the_rest_is_read() -> None:
    bad = events("a") + b'data: {"choices": [{"delta": {"content": "x\xffy"}}]}\n\n'
    assert read(bad + events("b") + DONE).tokens == ["a", f"x{LONE}y", "b"]


def test_nan_and_huge_numbers_do_not_stop_an_answer() -> None:
    odd = b'data: {"choices": [{"delta": {"content": "b"}, "index": 0, "p": NaN}], "n": 1e999, '
    odd += b'"usage": {"total_tokens": NaN, "prompt_tokens": 1' + b"0" * 30 + b"}}\n\n"
    reading = read(events("a") + odd + events("c") + DONE)
    assert reading.tokens == ["a", "b", "c"]
    usage = reading.answer.facts.usage
    assert usage is not None
    assert (usage.total_tokens, usage.input_tokens) == (None, 10**30)


def test_deep_nesting_is_a_protocol_error() -> None:
    body = events("a") + b'data: {"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n\n"
    answer = ChatAnswer()
    assert len(answer.feed(body, 0.0)) == 1
    assert isinstance(answer.error, ProtocolError)
    assert "nested too deeply" in str(answer.error)


# Bounds


def limited(body: bytes, **limits: int) -> tuple[Any, list[str]]:
    reading = Reading(body, 20, limits=Limits(**limits), choices=9)
    assert isinstance(reading.error, LimitExceededError)
    assert not reading.answer.whole
    return reading.error, reading.tokens


def test_a_large_event_is_an_error_that_names_the_bound_and_keeps_what_came_before() -> None:
    big = sse(delta("x" * 300))
    body = events("a") + big
    error, tokens = limited(body, max_event_bytes=300)
    assert (error.name, error.limit, error.value) == ("max_event_bytes", 300, len(big) - 2)
    assert tokens == ["a"]
    assert "Limits.max_event_bytes" in str(error)
    in_one_read = Reading(body, len(body), limits=Limits(max_event_bytes=300))
    assert in_one_read.tokens == ["a"]
    assert isinstance(in_one_read.error, LimitExceededError)
    without_its_end = Reading(body[:-2], 20, limits=Limits(max_event_bytes=300))
    assert isinstance(without_its_end.error, LimitExceededError)


def test_what_comes_after_done_is_never_too_large() -> None:
    body = events("a") + DONE + b"data: " + b"x" * 900 + b"\n\n"
    for size in (10, len(body)):
        reading = Reading(body, size, limits=Limits(max_event_bytes=300))
        assert (reading.error, reading.answer.done) == (None, True)


def test_a_long_answer_is_an_error_that_names_the_bound() -> None:
    chunks = [delta("xx"), delta(reasoning="yy"), delta(refusal="zz"), delta("x"), delta("x")]
    body = b"".join(sse(chunk) for chunk in chunks)
    error, tokens = limited(body, max_answer_chars=7)
    assert (error.name, error.limit, error.value) == ("max_answer_chars", 7, 8)
    assert tokens == ["xx", "x", "x"]
    assert Reading(body, 20, limits=Limits(max_answer_chars=8)).error is None


def test_many_choices_are_an_error_that_names_the_bound() -> None:
    body = b"".join(sse(delta("x", index=index)) for index in (1, 0, 2))
    error, tokens = limited(body, max_choices=2)
    assert (error.name, error.limit, error.value) == ("max_choices", 2, 3)
    assert tokens == ["x", "x"]
    assert limited(events("a")[:0] + body, max_choices=1)[0].value == 2


def test_many_tool_calls_are_an_error_that_names_the_bound() -> None:
    calls = [{"index": at, "id": f"c{at}", "function": {"name": "f"}} for at in range(3)]
    body = b"".join(sse(delta(tool_calls=[call])) for call in calls)
    error, _ = limited(body, max_tool_calls=2)
    assert (error.name, error.limit, error.value) == ("max_tool_calls", 2, 3)
    assert Reading(body, 20, limits=Limits(max_tool_calls=3)).error is None


def test_a_large_event_in_small_reads_takes_linear_time() -> None:
    def cost(size: int) -> float:
        body = sse(delta("x" * size)) + DONE
        pieces = [body[at : at + 8] for at in range(0, len(body), 8)]
        best = float("inf")
        for _ in range(3):
            answer = ChatAnswer()
            begun = process_time()
            for piece in pieces:
                answer.feed(piece, 0.0)
            best = min(best, process_time() - begun)
            assert answer.done
        return best

    assert cost(640_000) < 24 * cost(80_000)


def test_memory_of_a_long_answer_is_its_characters() -> None:
    answer = ChatAnswer()
    body = events(*["word "] * 100)
    for _ in range(50):
        answer.feed(body, 0.0)
    assert answer.choices()[0].completion == "word " * 5000
    assert len(answer.arrivals.times) == 50


# Any text, any cut


@st.composite
def bodies(draw: st.DrawFn) -> tuple[list[str], bytes, list[int]]:
    """Texts, the bytes of an answer that streams them, and sizes of reads."""
    texts = draw(st.lists(st.text(max_size=12), max_size=8))
    end = draw(st.sampled_from([b"\n", b"\r\n", b"\r"]))
    escaped = draw(st.booleans())
    body = b""
    for text in texts:
        units = text.encode("utf-16-le")
        # A cut between any two UTF-16 units, as a server written in JavaScript makes them.
        at = 2 * draw(st.integers(0, len(units) // 2))
        for part in (units[:at], units[at:]):
            piece = part.decode("utf-16-le", "surrogatepass")
            is_whole = not any("\ud800" <= char <= "\udfff" for char in piece)
            data = json.dumps(delta(piece), ensure_ascii=escaped or not is_whole)
            body += b"data: " + data.encode() + end + end
            if draw(st.booleans()):
                body += b": ping" + end + end
    body += b"data: [DONE]" + end + end
    return texts, body, draw(st.lists(st.integers(1, 60), min_size=1, max_size=8))


def cut(body: bytes, sizes: list[int]) -> Iterator[bytes]:
    at, turn = 0, 0
    while at < len(body):
        size = sizes[turn % len(sizes)]
        yield body[at : at + size]
        at, turn = at + size, turn + 1


@settings(max_examples=300)
@given(bodies())
def test_any_texts_however_cut_are_what_the_tokens_say(
    made: tuple[list[str], bytes, list[int]],
) -> None:
    texts, body, sizes = made
    answer = ChatAnswer()
    tokens = [piece.text for data in cut(body, sizes) for piece in answer.feed(data, 0.0)]
    assert answer.done
    assert all(tokens)
    completion = answer.choices()[0].completion if texts else ""
    assert "".join(tokens) == completion == "".join(texts)
    assert sum(answer.arrivals.lengths) == len(completion)
