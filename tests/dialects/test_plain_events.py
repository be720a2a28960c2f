"""Events of text alone are read at once: nobody can tell from what comes of them."""

from __future__ import annotations

import json
import random
import re
from typing import Any

import pytest

from lm_deluge.config import Limits
from lm_deluge.dialects.gemini.answer import GeminiAnswer
from lm_deluge.dialects.messages.answer import MessagesAnswer
from lm_deluge.dialects.responses.answer import ResponsesAnswer
from support import responses

TEXT = "Grüße, \U0001f3a8 “so”!"


def messages_delta(text: str = "a", **fields: Any) -> bytes:
    told = {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "text_delta", "text": text},
    }
    return f"event: content_block_delta\ndata: {json.dumps(told | fields)}\n\n".encode()


def responses_delta(text: str = "a", **fields: Any) -> bytes:
    place = {"item_id": "m", "output_index": 0, "content_index": 0, "delta": text}
    return responses.event("response.output_text.delta", **(place | fields))


COUNTS: dict[str, Any] = {
    "promptTokenCount": 12,
    "candidatesTokenCount": 3,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 12}],
}


def gemini_chunk(
    text: str = "a", usage: Any = COUNTS, part: Any = None, candidate: Any = None, **fields: Any
) -> bytes:
    said = {"content": {"parts": [{"text": text, **(part or {})}], "role": "model"}, "index": 0}
    told = {"candidates": [said | (candidate or {})], "usageMetadata": usage}
    told |= {"modelVersion": "gemini-x", "responseId": "r1"}
    return f"data: {json.dumps(told | fields)}\r\n\r\n".encode()


def gemini_content(*parts: dict[str, Any], **fields: Any) -> bytes:
    return gemini_chunk(candidate={"content": {"parts": list(parts), **fields}})


#: Events beside text alone, which must be read as they are, and the readers.
ODD = {
    MessagesAnswer: [
        messages_delta(),
        messages_delta(TEXT),
        messages_delta(""),
        messages_delta(index=3),
        messages_delta(index="0"),
        messages_delta(more=1),
        messages_delta(delta={"type": "thinking_delta", "thinking": "hm"}),
        messages_delta(delta={"type": "text_delta", "text": None}),
        messages_delta(delta={"type": "text_delta", "text": "a", "citation": {}}),
        messages_delta(type="ping"),
        messages_delta().replace(b"event: content_block_delta\n", b""),
        messages_delta().replace(b"event: content_block_delta", b"event: ping"),
        messages_delta().replace(b"\n", b"\r\n"),
        messages_delta().replace(b'"index"', b'\ndata: "index"'),
        messages_delta().replace(b'"index":', b'"index":\n'),
        messages_delta().replace(b'"a"', b'"\\ud83c"'),
        messages_delta().replace(b'"a"', b'"\\udfa8"'),
        messages_delta().replace(b'"a"', b'"\xff"'),
        b": a comment\n\n",
        b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"m"}}\n\n',
        b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"}}\n\n',
        b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
    ],
    ResponsesAnswer: [
        responses_delta(),
        responses_delta(TEXT),
        responses_delta(""),
        responses_delta(item_id="n"),
        responses_delta(output_index=1),
        responses_delta(content_index=1),
        responses_delta(content_index="0"),
        responses_delta(logprobs=[]),
        responses_delta(
            logprobs=[{"token": "a", "logprob": -1, "bytes": [97], "top_logprobs": []}]
        ),
        responses_delta(obfuscation="x", sequence_number=7),
        responses_delta(more=1),
        responses_delta().replace(b"event: response.output_text.delta\n", b""),
        responses_delta().replace(b"event: response.output_text.delta", b"event: keepalive"),
        responses_delta().replace(b"\n", b"\r\n"),
        responses_delta().replace(b'"delta":', b'"delta":\n'),
        responses_delta().replace(b'"a"', b'"\\ud83c"'),
        responses_delta().replace(b'"a"', b'"\\udfa8"'),
        *(
            responses.event(
                "response.output_text.done",
                item_id=item,
                output_index=index,
                content_index=part,
                text="no",
            )
            for item, index, part in [("m", 0, 0), ("m", 0, 1), ("m", 1, 0), ("n", 0, 0)]
        ),
        responses.event(
            "response.reasoning_summary_text.delta", item_id="r", output_index=2, delta="hm"
        ),
        responses.event("error", message="m"),
        responses.ended(),
    ],
    GeminiAnswer: [
        gemini_chunk(),
        gemini_chunk(TEXT, COUNTS | {"candidatesTokenCount": 7}),
        gemini_chunk(""),
        gemini_chunk("long" * 1000),
        *(
            gemini_chunk(usage=usage)
            for usage in [
                {},
                None,
                [],
                {"serviceTier": "standard"},
                {"serviceTier": "flex", "promptTokenCount": 5},
                {"promptTokenCount": 12.0, "candidatesTokenCount": "3"},
                {"promptTokenCount": True, "candidatesTokenCount": None},
                {"promptTokenCount": 10**30, "toolUsePromptTokenCount": 2},
                {"promptTokenCount": 9, "more": {"and": [["more"]]}},
                {"candidatesTokenCount": 9, "more": "x" * 6000},
                {"more": [{"deep": 1}] * 20},
            ]
        ),
        *(gemini_chunk(part={"thought": thought}) for thought in (True, False)),
        gemini_chunk(part={"thoughtSignature": "c2ln"}),
        gemini_chunk(part={"text": None}),
        gemini_chunk(part={"functionCall": {"name": "f", "args": {"a": 1}}}),
        gemini_content(),
        gemini_content({"text": "a"}, {"text": "b"}),
        gemini_content({"text": "a"}, more=1),
        gemini_content({"functionCall": {"name": "f", "willContinue": True}}),
        gemini_content({"functionCall": {}}),
        gemini_chunk(candidate={"index": 1}),
        gemini_chunk(candidate={"index": "0"}),
        gemini_chunk(candidate={"index": None}),
        gemini_chunk(candidate={"finishReason": "STOP"}),
        gemini_chunk(candidate={"finishReason": "NEW_REASON"}),
        gemini_chunk(candidate={"finishReason": None, "safetyRatings": []}),
        gemini_chunk(candidate={"citationMetadata": {"citations": [{"uri": "u"}]}}),
        gemini_chunk(candidates=[]),
        gemini_chunk(candidates=None),
        gemini_chunk(candidates=[{"content": {"parts": [{"text": part}]}} for part in "ab"]),
        gemini_chunk(promptFeedback={"blockReason": "SAFETY"}),
        gemini_chunk(promptFeedback={}),
        gemini_chunk(modelVersion="gemini-y"),
        gemini_chunk(modelVersion="", responseId=None),
        gemini_chunk(responseId="r2"),
        gemini_chunk(createTime="now"),
        gemini_chunk().replace(b"\r\n", b"\n"),
        gemini_chunk().replace(b"data: ", b"data:"),
        gemini_chunk().replace(b"data: ", b"event: message\ndata: "),
        gemini_chunk().replace(b'"usageMetadata"', b'\r\ndata: "usageMetadata"'),
        gemini_chunk().replace(b'"usageMetadata"', b'\r\n"usageMetadata"'),
        gemini_chunk().replace(b'"a"', b'"\\ud83c"'),
        gemini_chunk().replace(b'"a"', b'"\\udfa8"'),
        gemini_chunk().replace(b'"a"', b'"\xff"'),
        gemini_chunk().replace(b'"TEXT"', b'"\xff"'),
        b"data: [DONE]\n\n",
        b": a comment\n\n",
        b'data: {"error":{"code":503,"message":"m","status":"UNAVAILABLE"}}\n\n',
    ],
}


class SlowMessages(MessagesAnswer):
    """Reads every event the general way."""

    __slots__ = ()

    def fast(self, blocks: Any, start: int, stop: int) -> Any:
        return ()


class SlowResponses(ResponsesAnswer):
    """Reads every event the general way."""

    __slots__ = ()

    def fast(self, blocks: Any, start: int, stop: int) -> Any:
        return ()


class SlowGemini(GeminiAnswer):
    """Reads every event the general way."""

    __slots__ = ()

    def fast(self, blocks: Any, start: int, stop: int) -> Any:
        return ()


SLOW = {
    MessagesAnswer: SlowMessages,
    ResponsesAnswer: SlowResponses,
    GeminiAnswer: SlowGemini,
}


def outcome(reader: Any, reads: list[bytes]) -> Any:
    """All that can be seen of an answer that came in these reads."""
    pieces: list[Any] = []
    for number, data in enumerate(reads):
        pieces += reader.feed(data, number / 10)
    pieces += reader.close(len(reads) / 10)
    return (
        [(type(piece).__name__, str(piece), piece.arrived, piece.read) for piece in pieces],
        [repr(choice) for choice in reader.choices()],
        repr(reader.error),
        (reader.done, reader.finished, reader.whole, reader.has_output),
        [repr(getattr(reader.facts, name)) for name in ("usage", "response_id", "model_external")],
        (reader.facts.service_tier, reader.facts.extra),
    )


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("most", [1000, 1_000_000])
def test_one_odd_event_has_the_outcome_of_the_general_way(kind: Any, most: int) -> None:
    plain, limits = ODD[kind][0], Limits(max_answer_chars=most)
    for event in ODD[kind]:
        for events in ([plain, plain, event], [plain, plain, event, event, plain, plain]):
            slow = outcome(SLOW[kind](limits=limits), events)
            assert outcome(kind(limits=limits), events) == slow, event


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("seed", range(60))
def test_whatever_stands_between_them_the_outcome_is_that_of_the_general_way(
    kind: Any, seed: int
) -> None:
    chance = random.Random(seed)
    odd = ODD[kind]
    events = [
        chance.choice(odd[:2]) if chance.random() < 0.6 else chance.choice(odd) for _ in range(12)
    ]
    body = b"".join(events)
    cuts = sorted(chance.sample(range(1, len(body)), k=3))
    whole = [
        [body],
        events,
        [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)],
    ]
    for reads in whole:
        assert outcome(kind(), reads) == outcome(SLOW[kind](), reads)


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("most", range(90, 130))
def test_a_limit_is_met_where_the_general_way_meets_it(kind: Any, most: int) -> None:
    odd = ODD[kind]
    body = b"".join(
        re.sub(rb'sTokenCount": \d', b'sTokenCount": %d' % number, odd[number % 2])
        for number in range(20)
    )
    limits = Limits(max_answer_chars=most)
    for reads in ([body], [body[at : at + 999] for at in range(0, len(body), 999)]):
        slow = outcome(SLOW[kind](limits=limits), reads)
        assert outcome(kind(limits=limits), reads) == slow


LONGER = COUNTS | {"candidatesTokenCount": 99, "more": "x" * 1500}


@pytest.mark.parametrize(
    "reads",
    [
        [gemini_chunk(createTime="x" * 3900), gemini_chunk(), gemini_chunk(usage=LONGER)],
        [gemini_chunk(), gemini_chunk("x" * 2000, usage={}) + gemini_chunk(usage=LONGER)],
    ],
    ids=["by the counts", "by a text before the counts"],
)
def test_a_limit_that_is_met_leaves_the_counts_of_the_general_way(reads: list[bytes]) -> None:
    limits = Limits(max_answer_chars=1000)
    found = outcome(GeminiAnswer(limits=limits), reads)
    assert found == outcome(SlowGemini(limits=limits), reads)
    assert "max_answer_chars" in found[2]


@pytest.mark.parametrize("kind", ODD)
def test_a_run_of_text_is_read_at_once(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[Any] = []
    general = kind.take_event
    monkeypatch.setattr(
        kind,
        "take_event",
        lambda self, event, what: (taken.append(event), general(self, event, what)),
    )
    outcome(kind(), [ODD[kind][0] * 50, ODD[kind][1]])
    assert len(taken) == 1


def test_without_a_type_line_responses_are_read_at_once_too() -> None:
    reader = ResponsesAnswer()
    line = responses_delta().replace(b"event: response.output_text.delta\n", b"")
    reader.feed(line, 0.1)
    assert len(reader.fast([line.strip()] * 3, 0, 3)) == 3


@pytest.mark.parametrize("place", [{"item_id": "n"}, {"output_index": 1}, {"content_index": 1}])
def test_a_text_that_stands_elsewhere_is_not_told_again_when_it_is_whole(
    place: dict[str, Any],
) -> None:
    at = {"item_id": "m", "output_index": 0, "content_index": 0} | place
    done = responses.event("response.output_text.done", **at, text="b")
    reads = [responses_delta() + responses_delta("b", **place) + done]
    assert outcome(ResponsesAnswer(), reads) == outcome(SlowResponses(), reads)


def test_a_line_of_data_that_goes_on_in_another_line_is_cut_there() -> None:
    line = responses_delta().replace(b"event: response.output_text.delta\n", b"")
    reads = [responses_delta() + line.replace(b'"delta":', b'"delta":\n')]
    assert outcome(ResponsesAnswer(), reads) == outcome(SlowResponses(), reads)
