"""Events of any dialect whose fields hold anything: nothing is raised, held without measure, or lost."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import pytest

from lm_deluge import Delta, Limits, Token, ToolCall
from lm_deluge.dialects.gemini.answer import GeminiAnswer
from lm_deluge.dialects.messages.answer import MessagesAnswer
from lm_deluge.dialects.responses.answer import ResponsesAnswer
from lm_deluge.errors import LimitExceededError, ProtocolError
from lm_deluge.wire.answer import Answer
from support.hostile_events import GEMINI, MESSAGES, RESPONSES

HOSTILE: list[Any] = [
    None, True, -1, 2**70, 1.5, "", "x", "\ud83d", [], [[]], ["x"], {}, {"a": []}, [{"text": "\ud83d"}],
    {"text": ["\ud83d"]}, json.loads("[" * 150 + "]" * 150),
]  # fmt: skip

STREAMS: dict[str, tuple[Callable[..., Answer[Any]], list[dict[str, Any]]]] = {
    "messages": (MessagesAnswer, MESSAGES),
    "responses": (ResponsesAnswer, RESPONSES),
    "gemini": (GeminiAnswer, GEMINI),
}

BIG = "y" * 5_000


def sse(event: Mapping[str, Any], named: str | None = None) -> bytes:
    name = f"event: {named}\n" if isinstance(named, str) else ""
    return f"{name}data: {json.dumps(event)}\n\n".encode()


def read(answer: Answer[Any], events: Iterable[bytes]) -> list[Token | Delta]:
    pieces = [piece for event in events for piece in answer.feed(event, 0.1)]
    return pieces + answer.close(0.2)


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield at
    items: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, item in items:
        yield from places(item, (*at, key))


def put(value: Any, at: tuple[Any, ...], other: Any) -> Any:
    if not at:
        return other
    value = copy.copy(value)
    value[at[0]] = put(value[at[0]], at[1:], other)
    return value


CELLS = [
    pytest.param(name, number, at, id=f"{name}-{number}-{'.'.join(map(str, at)) or 'event'}")
    for name, (_, events) in STREAMS.items()
    for number, event in enumerate(events)
    for at in places(event)
]


@pytest.mark.parametrize(("name", "number", "at"), CELLS)
def test_a_field_may_hold_anything(name: str, number: int, at: tuple[Any, ...]) -> None:
    make, events = STREAMS[name]
    names = [event.get("type") for event in events]
    sent = [sse(*pair) for pair in zip(events, names, strict=True)]
    for hostile in HOSTILE:
        answer = make()
        odd = sse(put(events[number], at, hostile), names[number])
        pieces = read(answer, [*sent[:number], odd, *sent[number + 1 :]])
        assert "internal" not in str(answer.error)
        for choice in answer.choices():
            told = [p.text for p in pieces if isinstance(p, Token) and p.choice == choice.index]
            assert "".join(told) == choice.completion
            json.dumps(choice.extra, ensure_ascii=False).encode()


def test_an_event_that_breaks_its_reader_is_no_protocol_and_loses_nothing() -> None:
    class Broken(MessagesAnswer):
        def take_event(self, event: Any, what: str) -> None:
            super().take_event(event, what)
            if b"broken" in event.data:
                raise LookupError("nobody thought of that")

    answer = Broken()
    text = {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta"}}
    text["delta"] |= {"text": "broken"}  # type: ignore[operator]
    pieces = read(answer, [b"".join([*map(sse, MESSAGES[:6]), sse(text)])])
    assert [p.text for p in pieces if isinstance(p, Token)] == ["broken"]
    assert isinstance(answer.error, ProtocolError)
    assert "LookupError" in str(answer.error)
    assert b"broken" in answer.error.evidence
    assert answer.error.offset


# What is held is measured


def block(index: Any, **fields: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": fields}


def gone_on(index: Any, **delta: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": delta}


def candidate(*parts: Any) -> dict[str, Any]:
    return {"candidates": [{"content": {"parts": list(parts)}, "index": 0}]}


def argued(*pieces: dict[str, Any]) -> dict[str, Any]:
    return candidate({"functionCall": {"partialArgs": list(pieces), "willContinue": True}})


CALLED = candidate({"functionCall": {"name": "f", "willContinue": True}})

CARRIERS: dict[str, tuple[Callable[..., Answer[Any]], Callable[[int], dict[str, Any]]]] = {
    "blocks that do not end": (
        MessagesAnswer,
        lambda n: block(n, type="web_search_tool_result", content=BIG),
    ),
    "empty blocks that do not end": (MessagesAnswer, lambda n: block(n, type="text", text="")),
    "fields of a block": (
        MessagesAnswer,
        lambda n: (
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "later_delta", f"k{n}": BIG},
            }
            if n
            else block(0, type="thinking", thinking="")
        ),
    ),
    "ids of items": (
        ResponsesAnswer,
        lambda n: {
            "type": "response.output_item.added",
            "output_index": n,
            "item": {"type": "message", "id": f"{n}{BIG}"},
        },
    ),
    "items": (
        ResponsesAnswer,
        lambda n: {
            "type": "response.output_text.done",
            "output_index": n,
            "content_index": 0,
            "text": "",
        },
    ),
    "streamed arguments": (
        GeminiAnswer,
        lambda n: argued({"jsonPath": f"$.a{n}", "stringValue": BIG}) if n else CALLED,
    ),
    "one streamed argument": (
        GeminiAnswer,
        lambda n: (
            argued({"jsonPath": "$.a", "stringValue": BIG, "willContinue": True}) if n else CALLED
        ),
    ),
    "places of streamed arguments": (
        GeminiAnswer,
        lambda n: argued({"jsonPath": f"$.a{n}[9999]", "numberValue": 1}) if n else CALLED,
    ),
}


@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_server_cannot_make_us_hold_what_limits_forbid(carrier: str) -> None:
    make, event = CARRIERS[carrier]
    answer = make(limits=Limits(max_answer_chars=10_000))
    for number in range(2_000):
        answer.feed(sse(event(number)), 0.1)
        if answer.error is not None:
            break
    assert isinstance(answer.error, LimitExceededError), answer.error


def test_a_path_as_deep_as_a_server_likes_is_no_argument() -> None:
    answer = GeminiAnswer()
    deep = argued({"jsonPath": "$" + ".a" * 3_000, "numberValue": 1})
    good = argued({"jsonPath": "$.b", "numberValue": 2})
    read(answer, map(sse, [CALLED, deep, good, {"candidates": [{"finishReason": "STOP"}]}]))
    assert answer.error is None
    assert answer.whole
    assert [call.arguments for call in answer.choices()[0].tool_calls] == ['{"b":2}']


def test_the_places_of_one_event_are_bounded_too() -> None:
    answer = GeminiAnswer()
    many = argued(*[{"jsonPath": f"$.a{n}[9999]", "numberValue": 1} for n in range(200)])
    read(answer, map(sse, [CALLED, many, {"candidates": [{"finishReason": "STOP"}]}]))
    assert sum(len(call.arguments) for call in answer.choices()[0].tool_calls) < 100_000


# What came is kept, and belongs to its call

START = {"type": "message_start", "message": {"id": "m", "model": "c", "content": []}}
TEXT = [block(0, type="text", text=""), {"type": "content_block_stop", "index": 0}]
CALL = block(1, type="tool_use", id="t", name="f", input={})
STOP = [{"type": "message_delta", "delta": {"stop_reason": "tool_use"}}, {"type": "message_stop"}]


@pytest.mark.parametrize("index", [1, "1", 1.0, 0, 7, None, [1]], ids=repr)
def test_arguments_belong_to_the_open_call_whatever_their_index_says(index: Any) -> None:
    delta = {"type": "input_json_delta", "partial_json": '{"a":'}
    said = {"type": "content_block_delta", "index": index, "delta": delta}
    rest = said | {"delta": {"type": "input_json_delta", "partial_json": "1}"}}
    if index is None:
        del said["index"], rest["index"]
    stop = {"type": "content_block_stop", "index": 1}
    answer = MessagesAnswer()
    read(answer, map(sse, [START, *TEXT, CALL, said, rest, stop, *STOP]))
    assert answer.choices()[0].tool_calls == [ToolCall(id="t", name="f", arguments='{"a":1}')]


def test_what_was_open_at_a_cut_is_in_the_partial_answer() -> None:
    events = [
        START,
        block(0, type="thinking", thinking=""),
        gone_on(0, type="signature_delta", signature="s"),
        block(1, type="server_tool_use", id="w", name="web_search", input={}),
        gone_on(1, type="input_json_delta", partial_json='{"q'),
        block(2, type="tool_use", id="t", name="f", input={"a": 1}),
        block(3, type="tool_use", id="u", name="g", input={}),
    ]  # fmt: skip
    answer = MessagesAnswer()
    read(answer, map(sse, events))
    (choice,) = answer.choices()
    assert not answer.whole
    assert [call.arguments for call in choice.tool_calls] == ['{"a":1}', ""]
    # Half a call of the server's own is nothing that it takes back.
    content = choice.extra["provider_content"]["content"]
    assert [block["type"] for block in content] == ["thinking", "tool_use", "tool_use"]


def test_a_block_begun_over_an_open_one_ends_that() -> None:
    other = block(1, type="tool_use", id="u", name="g", input={"b": 1})
    first = block(1, type="tool_use", id="t", name="f", input={"a": 1})
    answer = MessagesAnswer()
    read(answer, map(sse, [START, first, other, {"type": "content_block_stop", "index": 1}, *STOP]))
    assert [call.arguments for call in answer.choices()[0].tool_calls] == ['{"a":1}', '{"b":1}']
