"""Any answer of the other three wires, cut at any byte, in any pieces, followed by any end."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from faults.test_properties import BEFORE, TEXT, Case, run
from lm_deluge import APIResponse
from lm_deluge.errors import (
    AnswerCutError,
    APITimeoutError,
    ConnectionLostError,
    ProtocolError,
    ProviderError,
    StreamError,
)
from support import gemini, messages, responses
from support.consumers import CONSUMERS, HANDLERS

#: An event, the visible text that it adds, and what it is.
Told = tuple[bytes, str, str]

ERROR = {"type": "overloaded_error", "message": "boom"}


def of_messages(texts: list[tuple[str, str]], end: str) -> list[Told]:
    told: list[Told] = [(messages.START, "", "start")]
    for at, (kind, text) in enumerate(texts):
        block = "thinking" if kind == "other" else "text"
        begun = messages.event(
            "content_block_start", index=at, content_block={"type": block, block: ""}
        )
        told += [(begun, "", "start"), (messages.PING, "", "ping")]
        if kind == "other":
            delta = {"type": "thinking_delta", "thinking": text}
            told.append((messages.event("content_block_delta", index=at, delta=delta), "", "other"))
        else:
            told += [
                (messages.said(piece, at), seen, what) for piece, seen, what in _cut(kind, text)
            ]
        told.append((messages.event("content_block_stop", index=at), "", "start"))
    if end == "error":
        return [*told, (messages.event("error", error=ERROR), "", "error")]
    if end != "neither":
        delta = {"stop_reason": "end_turn"}
        told.append((messages.event("message_delta", delta=delta), "", "reason"))
    return [*told, (messages.STOP, "", "done")] if end == "whole" else told


def of_responses(texts: list[tuple[str, str]], end: str) -> list[Told]:
    told: list[Told] = [(responses.START, "", "start"), (responses.ALIVE, "", "ping")]
    for at, (kind, text) in enumerate(texts):
        if kind == "other":
            told.append(
                (
                    responses.event(
                        "response.reasoning_summary_text.delta",
                        output_index=at,
                        summary_index=0,
                        delta=text,
                    ),
                    "",
                    "other",
                )
            )
        else:
            told += [
                (responses.said(piece, at), seen, what) for piece, seen, what in _cut(kind, text)
            ]
    if end == "error":
        return [*told, (responses.event("error", error=ERROR), "", "error")]
    return [*told, (responses.ended(), "", "done")] if end == "whole" else told


def of_gemini(texts: list[tuple[str, str]], end: str) -> list[Told]:
    told: list[Told] = []
    for kind, text in texts:
        if kind == "other":
            told.append((gemini.chunk({"text": text, "thought": True}), "", "other"))
        else:
            told += [(gemini.text(piece), seen, what) for piece, seen, what in _cut(kind, text)]
    if end == "error":
        return [
            *told,
            (b"data: " + json.dumps({"error": ERROR}).encode() + b"\r\n\r\n", "", "error"),
        ]
    return [*told, (gemini.STOP, "", "finish")] if end == "whole" else told


def _cut(kind: str, text: str) -> list[tuple[str, str, str]]:
    """Return the deltas of a text: one, or two with the halves of a character."""
    if kind == "halves":
        return [("a\ud83d", "a", "half"), ("\ude42z", "🙂z", "text")]
    return [(text, text, "text")]


OF = {"messages": of_messages, "responses": of_responses, "gemini": of_gemini}


@st.composite
def cases(draw: st.DrawFn) -> tuple[str, Case]:
    wire = draw(st.sampled_from(sorted(OF)))
    kinds = st.sampled_from(["text"] * 4 + ["other", "halves"])
    texts = draw(st.lists(st.tuples(kinds, TEXT), max_size=5))
    end = draw(st.sampled_from(["whole", "whole", "reason", "neither", "error"]))
    line = draw(st.sampled_from([b"\n", b"\r\n", b"\r"]))
    events = tuple(
        (data.replace(b"\r\n", b"\n").replace(b"\n", line), text, kind)
        for data, text, kind in OF[wire](texts, end)
    )
    size = sum(len(data) for data, _, _ in events)
    upto = draw(st.just(size) | st.integers(0, size))
    cuts = draw(st.lists(st.integers(0, upto), max_size=8))
    after = draw(st.sampled_from(["end", "fin", "hang", "garbage", "bad chunk", "reset"]))
    before = draw(st.just([]) | st.lists(st.sampled_from(sorted(BEFORE)), max_size=2))
    case = Case(events, upto, tuple(sorted(cuts)), after, draw(st.booleans()), tuple(before))
    return wire, case


ENDS: dict[str, type[StreamError]] = {
    "end": AnswerCutError,
    "fin": ConnectionLostError,
    "hang": APITimeoutError,
    "bad chunk": ConnectionLostError,
    "garbage": ProtocolError,
}


def check_outcome(case: Case, ending: APIResponse | StreamError, heard: str) -> None:
    """What an independent reading of the same bytes says the stream has to come to."""
    at_least = case.arrived(unterminated=False)
    at_most = case.arrived(unterminated=True)
    whole = "".join(text for text, _ in at_most)
    sure = "".join(text for text, kind in at_least)
    kinds = {kind for _, kind in at_least}
    if case.end == "reset":  # it may throw away what was sent before
        assert (whole + "\ufffd").startswith(heard)
        return
    assert heard in (sure, whole, sure + "\ufffd", whole + "\ufffd"), (heard, sure, whole)
    if "done" in kinds:
        assert isinstance(ending, APIResponse), repr(ending)
    elif "error" in kinds:
        assert isinstance(ending, ProviderError), repr(ending)
    elif "finish" in kinds:  # Gemini has no other end: that of the bytes decides, or a silence
        kind = APIResponse if case.end in ("end", "hang") else ENDS[case.end]
        assert type(ending) is kind, repr(ending)
    elif not {"done", "error", "finish"} & {kind for _, kind in at_most}:
        if case.events[len(at_least) :][:1] and case.events[len(at_least)][2] == "error":
            # The beginning of an error tells enough.
            assert isinstance(ending, (ENDS[case.end], ProviderError)), repr(ending)
        else:
            assert type(ending) is ENDS[case.end], repr(ending)


EXAMPLES: dict[str, Any] = {
    "told": cases(),
    "how": st.sampled_from(sorted(CONSUMERS)),
    "kind": st.sampled_from(sorted(HANDLERS)),
}


async def hold(told: tuple[str, Case], how: str, kind: str) -> None:
    wire, case = told
    await run(case, how, kind, wire=wire, check=check_outcome)


@pytest.mark.timeout(600)
@settings(max_examples=18, deadline=None, suppress_health_check=list(HealthCheck))
@given(**EXAMPLES)
def test_the_promises_hold_in_every_wire(told: tuple[str, Case], how: str, kind: str) -> None:
    asyncio.run(hold(told, how, kind))


@pytest.mark.slow
@pytest.mark.timeout(900)
@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(**EXAMPLES)
def test_the_promises_hold_for_many_more_in_every_wire(
    told: tuple[str, Case], how: str, kind: str
) -> None:
    asyncio.run(hold(told, how, kind))
