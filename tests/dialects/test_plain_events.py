"""Events of text alone are read at once: nobody can tell from what comes of them."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

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


SLOW = {MessagesAnswer: SlowMessages, ResponsesAnswer: SlowResponses}


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
        repr(reader.facts.usage),
    )


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
