"""How the answer of a stream ends: in its end, in a reason that is none, in an error of its server."""

from __future__ import annotations

from typing import Any

import pytest

from lm_deluge.dialects.chat.answer import ChatAnswer
from lm_deluge.errors import ProtocolError, ProviderError
from support.reading import Reading, read, text_of
from support.scripted import DONE, USAGE, delta, events, sse

LONE = "\N{REPLACEMENT CHARACTER}"


# Ends


def test_done_ends_the_answer_whatever_follows() -> None:
    reading = read(events("a") + b"data: [DONE]   \n\ndata: {nope\n\n" + events("b"))
    assert (reading.answer.done, reading.error, reading.tokens) == (True, None, ["a"])
    assert reading.whole_before_its_end


def test_done_may_come_without_its_blank_line_at_the_very_end() -> None:
    for end in (b"data: [DONE]", b"data:[DONE]\n", b"data:  [DONE] \r"):
        reading = read(events("a") + end)
        assert reading.answer.done
        assert reading.answer.whole
        assert not reading.whole_before_its_end


def test_a_finish_reason_without_done_is_a_whole_answer() -> None:
    answer = read(events("a") + sse(delta(finish="stop"))).answer
    assert (answer.done, answer.whole) == (False, True)


def test_neither_done_nor_a_finish_reason_is_no_whole_answer_unless_that_is_accepted() -> None:
    assert not read(events("a")).answer.whole
    reading = read(events("a"), accept_eof=True)
    assert reading.answer.whole
    assert not reading.whole_before_its_end
    assert not read(b"", accept_eof=True).answer.whole


def test_a_last_object_without_its_blank_line_is_read() -> None:
    body = events("a") + sse(delta(" b", finish="stop")).rstrip()
    reading = read(body)
    assert (reading.choice.completion, reading.answer.whole) == ("a b", True)


@pytest.mark.parametrize("tail", [b'data: {"choices"', b"data: [DON", b"data: 1", b'data: "a"'])
def test_a_last_event_that_was_cut_is_a_cut_answer_and_no_protocol_error(tail: bytes) -> None:
    reading = read(events("a") + tail)
    assert (reading.error, reading.answer.whole, reading.tokens) == (None, False, ["a"])


def test_a_last_object_that_reports_an_error_is_an_error() -> None:
    reading = read(events("a") + b'data: {"error": "boom"}')
    assert isinstance(reading.error, ProviderError)


def test_after_its_end_an_answer_takes_nothing_more() -> None:
    reading = Reading(events("a") + DONE, 1000)
    assert reading.answer.feed(events("b"), 0.0) == []
    assert reading.answer.close(0.0) == []


# A finish reason that is no end

STOP = "stop"


@pytest.mark.parametrize(
    ("chunks", "trusted"),
    [
        ([delta("a"), delta(finish=STOP)], True),
        ([delta("a"), delta("b", finish=STOP)], True),
        ([delta(reasoning="hm"), delta("a", finish=STOP)], True),
        ([delta("a"), delta(finish=STOP), delta("", finish=STOP)], True),
        ([delta("a", finish=STOP)], False),
        ([delta(reasoning="hm", finish=STOP)], False),
        ([delta(finish=STOP)], False),
        ([delta("", role="assistant", finish=STOP), delta("a", finish=STOP)], False),
        ([delta("a", finish=STOP), delta("b", finish=STOP)], False),
        ([delta("a"), delta("b", finish=STOP), delta("c", finish=STOP)], False),
        ([delta("a"), delta("b", finish=STOP), delta("c")], False),
        ([delta("a"), delta("b", finish=STOP), delta("c"), delta(finish=STOP)], False),
        ([delta("a"), delta(finish=STOP), delta(reasoning="hm")], False),
        ([delta("a"), delta(finish=STOP), delta(refusal="no")], False),
    ],
)
def test_a_reason_with_the_first_output_or_before_more_of_it_is_no_end(
    chunks: list[Any], trusted: bool
) -> None:
    body = b"".join(map(sse, chunks))
    for size in (1, len(body)):
        answer = ChatAnswer()
        for at in range(0, len(body), size):
            answer.feed(body[at : at + size], 0.0)
        assert (answer.finished, answer.may_be_over) == (trusted, not trusted)
        assert answer.whole is trusted
        answer.close(0.0)
        assert answer.whole
    assert read(body + DONE).answer.whole


def test_a_further_tool_call_after_the_reason_leaves_it_an_end_and_more_of_a_call_does_not() -> (
    None
):
    def call(index: int, arguments: str, **rest: Any) -> Any:
        function = {"name": f"f{index}", "arguments": arguments}
        return delta(tool_calls=[{"index": index, "id": f"c{index}", "function": function}], **rest)

    body = sse(call(0, "{}")) + sse(delta(finish="tool_calls"))
    assert read(body + sse(call(1, "{}"))).answer.finished
    lying = sse(call(0, "{", finish="tool_calls")) + sse(call(0, "}", finish="tool_calls"))
    assert read(lying).answer.may_be_over


def test_one_choice_whose_reason_is_no_end_keeps_the_answer_open() -> None:
    answer = ChatAnswer(choices=2)
    answer.feed(sse(delta("a")) + sse(delta(finish=STOP)) + sse(delta("b", index=1)), 0.0)
    assert (answer.finished, answer.may_be_over) == (False, False)
    answer.feed(sse(delta("c", index=1, finish=STOP)) + sse(delta("d", index=1, finish=STOP)), 0.0)
    assert (answer.finished, answer.may_be_over, answer.whole) == (False, True, False)


# Errors inside a 200


@pytest.mark.parametrize(
    ("frame", "kind", "code"),
    [
        ({"error": {"message": "boom", "type": "server_error", "code": "x"}}, "server_error", "x"),
        ({"error": {"message": "boom", "code": 502}}, None, 502),
        ({"error": "boom"}, None, None),
        ({"object": "error", "message": "boom", "code": 40001}, None, 40001),
        ({"type": "error", "message": "boom"}, "error", None),
        ({"choices": [], "error": {"message": "boom"}}, None, None),
        ({**delta(finish="error"), "error": {"message": "boom", "code": [1]}}, None, None),
        ({"error": {"detail": "boom"}}, None, None),
        ({"error": {"error": "boom"}}, None, None),
        ({"error": {"reason": "boom"}}, None, None),
        ({"error": ["boom"]}, None, None),
    ],
)
def test_an_error_frame_ends_the_answer_and_keeps_what_came(
    frame: Any, kind: str | None, code: Any
) -> None:
    reading = read(events("Once") + sse(frame) + events("never"))
    error = reading.error
    assert isinstance(error, ProviderError)
    assert "boom" in str(error)
    assert (error.type, error.code) == (kind, code)
    assert reading.tokens == ["Once"]
    assert not reading.answer.whole


@pytest.mark.parametrize(
    "data", ['{"message": "boom"}', '{"error": {"message": "boom"}}', '"boom"']
)
def test_an_error_event_is_an_error_whatever_its_data(data: str) -> None:
    reading = read(events("Once") + b"event: error\ndata: " + data.encode() + b"\n\n")
    assert isinstance(reading.error, ProviderError)
    assert "boom" in str(reading.error)


def test_an_error_event_without_json_shows_what_it_holds() -> None:
    error = read(events("Once") + b"event: error\ndata: out of \xff memory\n\n").error
    assert isinstance(error, ProviderError)
    assert str(error).endswith(f": out of {LONE} memory")
    assert error.body == f"out of {LONE} memory"


@pytest.mark.parametrize("oddity", ["\\ud83d", "x"])
@pytest.mark.parametrize("number", ["NaN", "1" + "0" * 30, "1e400"])
def test_an_error_of_odd_values_is_still_an_error(oddity: str, number: str) -> None:
    body = f'data: {{"error": {{"why": "{oddity}", "n": {number}}}}}\n\n'.encode()
    error = read(body).error
    assert isinstance(error, ProviderError)
    str(error).encode()


@pytest.mark.parametrize("error", [None, {}, "", 0, False])
def test_an_empty_error_is_none(error: Any) -> None:
    assert text_of({**delta("a"), "error": error}, {**delta("b"), "error": error}) == "ab"


def test_the_usage_of_an_error_frame_is_kept() -> None:
    reading = read(events("a") + sse({"error": "boom", "usage": USAGE}))
    assert reading.answer.facts.usage is not None
    assert reading.answer.facts.usage.total_tokens == 11


@pytest.mark.parametrize(
    "data", [b"{nope", b"[]", b"3", b"null", b'"text"', b"<html>", b"[" * 5000]
)
def test_data_that_is_no_chunk_is_a_protocol_error_with_its_place(data: bytes) -> None:
    # The same bytes come before it, inside of a chunk.
    before = events("{nope [] 3 null <html>") + b": comment\n\n"
    reading = read(before + b"data: " + data + b"\n\n" + events("never"))
    error = reading.error
    assert isinstance(error, ProtocolError)
    assert error.offset == len(before) + len("data: ")
    assert error.evidence == data[:200]
    assert len(reading.tokens) == 1


def test_events_of_other_types_may_hold_anything() -> None:
    body = b"event: ping\ndata: {nope\n\nevent: ping\ndata: 3\n\nevent: x\ndata\n\n"
    reading = read(body + events("a") + b"event: message\ndata: " + events("b")[6:] + DONE)
    assert (reading.error, reading.tokens) == (None, ["a", "b"])


def test_an_empty_event_is_ignored() -> None:
    assert read(b"data:\n\ndata:  \n\n" + events("a") + DONE).tokens == ["a"]
