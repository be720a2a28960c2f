"""Each wire format says what happened in the order that its readers expect: pure."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytest.importorskip("ag_ui")

from ag_ui.core import Event
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from lm_deluge_plugins.relay import AGUI, FORMATS, Frame, UIMessages
from lm_deluge_plugins.relay.frames import frame_of
from support.relaying import events_in

VALIDATE = TypeAdapter(Event)

START = {"kind": "start", "id": "abc", "model": "m"}
COMPLETE = {"kind": "complete", "finish_reason": "stop", "model": "m", "elapsed": 1.0,
            "usage": {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}}  # fmt: skip
ERROR = {"kind": "error", "error": "RateLimitError", "message": "Later.", "retryable": True}
CANCELLED = {"kind": "cancelled", "reason": "the reader stopped it"}

PIECES = st.one_of(
    st.fixed_dictionaries({"kind": st.sampled_from(["text", "reasoning", "refusal"]),
                           "text": st.text(min_size=1)}),
    st.fixed_dictionaries({"kind": st.just("tool_call"), "index": st.integers(0, 2),
                           "id": st.sampled_from(["a", "b", "c"]), "name": st.just("f"),
                           "arguments": st.sampled_from(["", "{", '"x": 1', "}"])}),
    st.fixed_dictionaries({"kind": st.sampled_from(["server_tool", "citation", "retry"])}),
    st.just({"kind": "text", "text": "other", "choice": 1}),
    st.just({"kind": "tool_result", "id": "a", "name": "f", "text": "4"}),
    st.just({"kind": "of a later version", "text": "?"}),
)  # fmt: skip
STEPS = st.lists(st.lists(PIECES, max_size=8), min_size=1, max_size=3)


def log_of(steps: list[list[dict[str, Any]]], ending: dict[str, Any]) -> list[Frame]:
    """The frames of an answer of some steps, an item each."""
    told: list[dict[str, Any]] = []
    for at, pieces in enumerate(steps):
        if at:
            told += [{"kind": "step_end", "of": COMPLETE}]
        told += [START, *pieces]
    told.append(ending)
    return [
        frame_of(n, 0.1, [item], is_last=n == len(told)) for n, item in enumerate(told, start=1)
    ]


def encoded(encoder: Any, frames: list[Frame]) -> list[Any]:
    body = b"".join(encoder.encode(frame) for frame in frames)
    return [
        event.data if event.data == "[DONE]" else json.loads(event.data)
        for event in events_in(body)
    ]


@given(STEPS, st.sampled_from([COMPLETE, ERROR, CANCELLED]))
def test_ag_ui_events_are_those_of_its_own_models_and_end_once(
    steps: list[list[dict[str, Any]]], ending: dict[str, Any]
) -> None:
    events = encoded(AGUI("t", "r"), log_of(steps, ending))
    for event in events:
        VALIDATE.validate_python(event)
    kinds = [event["type"] for event in events]
    assert kinds[0] == "RUN_STARTED"
    assert kinds.count("RUN_STARTED") == 1
    last = [kind for kind in kinds if kind in ("RUN_FINISHED", "RUN_ERROR")]
    assert last == ["RUN_ERROR" if ending is ERROR else "RUN_FINISHED"] == kinds[-1:]
    check_nesting(
        [(event["type"], event.get("messageId") or event.get("toolCallId")) for event in events],
        {"TEXT_MESSAGE": "CONTENT", "REASONING_MESSAGE": "CONTENT", "TOOL_CALL": "ARGS"},
    )
    said = "".join(
        event["delta"]
        for event in events
        if event["type"] in ("TEXT_MESSAGE_CONTENT", "REASONING_MESSAGE_CONTENT")
    )
    assert said == spoken(steps)


@given(STEPS, st.sampled_from([COMPLETE, ERROR, CANCELLED]))
def test_ui_message_chunks_open_and_close_their_parts_and_end_once(
    steps: list[list[dict[str, Any]]], ending: dict[str, Any]
) -> None:
    chunks = encoded(UIMessages(), log_of(steps, ending))
    assert chunks.pop() == "[DONE]"
    kinds = [chunk["type"] for chunk in chunks]
    assert kinds[:2] == ["start", "start-step"]
    assert kinds.count("start") == 1
    word = {"complete": "finish", "error": "error", "cancelled": "abort"}[ending["kind"]]
    assert [kind for kind in kinds if kind in ("finish", "error", "abort")] == [word] == kinds[-1:]
    open_parts: set[tuple[str, str]] = set()
    begun_calls: set[str] = set()
    for chunk in chunks:
        part, _, what = chunk["type"].rpartition("-")
        if part in ("text", "reasoning"):
            key = (part, chunk["id"])
            assert (key in open_parts) == (what != "start")
            (open_parts.discard if what == "end" else open_parts.add)(key)
        elif chunk["type"] == "tool-input-start":
            begun_calls.add(chunk["toolCallId"])
        elif chunk["type"].startswith("tool-input"):
            assert chunk["toolCallId"] in begun_calls
    assert not open_parts
    deltas = [
        chunk["delta"]
        for chunk in chunks
        if chunk["type"].endswith(("text-delta", "reasoning-delta"))
    ]
    assert "".join(deltas) == spoken(steps)


def check_nesting(events: list[tuple[str, Any]], kinds: dict[str, str]) -> None:
    open_now: set[tuple[str, Any]] = set()
    for name, each in events:
        for kind, middle in kinds.items():
            if name == f"{kind}_START":
                assert (kind, each) not in open_now
                open_now.add((kind, each))
            elif name in (f"{kind}_{middle}", f"{kind}_END"):
                assert (kind, each) in open_now
                if name.endswith("_END"):
                    open_now.discard((kind, each))
    assert not open_now


def spoken(steps: list[list[dict[str, Any]]]) -> str:
    """What text and reasoning of choice 0 come to; a lone surrogate cannot be sent."""
    return "".join(
        piece["text"]
        for pieces in steps
        for piece in pieces
        if piece["kind"] in ("text", "reasoning", "refusal") and not piece.get("choice")
    )


def test_a_retry_before_output_says_nothing_to_front_ends() -> None:
    retry = {"kind": "retry", "attempt": 1, "model": "m"}
    with_it = log_of([[retry, {"kind": "text", "text": "a"}]], COMPLETE)
    without = log_of([[{"kind": "text", "text": "a"}]], COMPLETE)
    for encoder in (AGUI, UIMessages):
        assert encoded(encoder(), with_it) == encoded(encoder(), without)


def test_what_a_failed_step_showed_is_dropped_and_what_came_before_it_is_not() -> None:
    """A step that is whole, one that fails after it showed something, one before, and one that is whole."""
    text = [{"kind": "text", "text": "a"}]
    failed: list[dict[str, Any]] = [{"kind": "step_end", "of": ERROR}, {"kind": "reset"}]
    whole = [{"kind": "step_end", "of": COMPLETE}]
    told = [START, *text, *whole, START, *text, *failed, START, *failed, START, *text, *whole]
    frames = log_of([[*told[1:]]], COMPLETE)
    kinds = [chunk["type"] for chunk in encoded(UIMessages(), frames)[:-1]]
    part = ["text-start", "text-delta", "text-end"]
    assert kinds == ["start", "start-step", *part, "finish-step", "start-step", *part, "reset-step",
                     *part, "finish-step", "finish"]  # fmt: skip
    events = encoded(AGUI(), frames)
    (reset,) = [event for event in events if event["type"] == "CUSTOM"]
    begun = [each["messageId"] for each in events if each["type"] == "TEXT_MESSAGE_START"]
    assert reset["value"] == {"messageIds": [begun[1]], "toolCallIds": []}


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_says_that_it_is_events_and_must_not_be_held_back(name: str) -> None:
    encoder = FORMATS[name]()
    assert encoder.headers["Content-Type"].startswith("text/event-stream")
    assert encoder.headers["Cache-Control"] == "no-cache, no-transform"
    assert encoder.headers["X-Accel-Buffering"] == "no"
    assert encoder.heartbeat().startswith(b":")
    assert events_in(encoder.unavailable("gone"))


def test_texts_that_UTF_8_cannot_hold_are_sent_all_the_same() -> None:  # noqa: N802
    (item,) = frame_of(1, 0.0, [{"kind": "text", "text": "half \ud83d"}]).items
    assert item["text"] == "half ?"
