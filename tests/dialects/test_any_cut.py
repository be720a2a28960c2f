"""What an answer holds and how it fails does not depend on how its bytes come in."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm_deluge import Limits
from lm_deluge.dialects.chat.answer import ChatAnswer
from support.scripted import DONE, delta, sse

TIGHT = Limits(max_answer_chars=40, max_event_bytes=400, max_choices=2, max_tool_calls=2)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=15)


def call(index: int, name: str, arguments: str) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return delta(tool_calls=[{"index": index, "id": f"call_{index}", "function": function}])


CHUNKS = st.one_of(
    st.builds(delta, TEXT),
    st.builds(delta, TEXT),
    st.builds(delta, TEXT, index=st.integers(0, 3)),
    st.builds(lambda text: delta(reasoning=text), TEXT),
    st.builds(lambda text: delta(refusal=text), TEXT),
    st.builds(call, st.integers(0, 3), TEXT, TEXT),
    st.builds(delta, TEXT, finish=st.sampled_from(["stop", "length"])),
    st.builds(lambda: delta("a\ud83d")),
    st.builds(lambda: delta("\ude42")),
    st.builds(lambda: delta("x" * 500)),
    st.builds(lambda: {"error": {"message": "boom"}}),
)

EVENTS = st.one_of(
    CHUNKS.map(sse),
    CHUNKS.map(sse),
    st.sampled_from([DONE, b": ping\n\n", b"data: {oops\n\n", b"data:\n\n", b"event: ping\n\n"]),
)


def outcome(reads: list[bytes]) -> tuple[Any, ...]:
    """Everything but times, after the reads and the end of the bytes."""
    answer = ChatAnswer(choices=2, limits=TIGHT)
    pieces = [piece for data in reads for piece in answer.feed(data, 0.1)]
    pieces += answer.close(0.1)
    error = answer.error
    return (
        [(type(piece).__name__, piece.text, piece.index, piece.choice) for piece in pieces],
        answer.choices(),
        (answer.done, answer.finished, answer.may_be_over, answer.whole),
        None if error is None else (type(error), str(error), getattr(error, "offset", None)),
    )


@settings(max_examples=300, deadline=None)
@given(st.lists(EVENTS, max_size=12))
def test_an_answer_is_the_same_in_one_read_and_in_a_read_an_event(events: list[bytes]) -> None:
    assert outcome([b"".join(events)]) == outcome(events)


@settings(max_examples=300, deadline=None)
@given(st.lists(EVENTS, max_size=8), st.integers(1, 40))
def test_an_answer_is_the_same_in_one_read_and_in_pieces_of_any_size(
    events: list[bytes], size: int
) -> None:
    data = b"".join(events)
    assert outcome([data]) == outcome([data[at : at + size] for at in range(0, len(data), size)])


@pytest.mark.parametrize("count", [3, 20])
def test_what_passes_a_limit_is_the_last_that_is_kept(count: int) -> None:
    events = [sse(delta("abcdefgh")) for _ in range(count)]
    text = "".join(text for _, text, *_ in outcome([b"".join(events)])[0])
    assert text == "abcdefgh" * min(count, 6)
