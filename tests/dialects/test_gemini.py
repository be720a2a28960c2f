"""Google's Gemini API: what is read of any cut."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lm_deluge.dialects.gemini import GEMINI
from lm_deluge.dialects.gemini.answer import GeminiAnswer
from lm_deluge.errors import ProtocolError, ProviderError
from support import dialects
from support.dialects import CAPTURES
from support.gemini import BARE_ERROR, ERROR, RECORDED, STOP, chunk, text

REPLIES = (
    sorted(Path(CAPTURES, "provider_errors").glob("gemini-*.json")) if CAPTURES is not None else []
)


read = partial(dialects.read, GeminiAnswer)


@pytest.mark.parametrize("file", RECORDED, ids=lambda path: path.stem)
def test_a_recording_gives_what_is_expected_however_it_is_cut(file: Path) -> None:
    expected = RECORDED[file]
    reading = dialects.read_recorded(GeminiAnswer, file.read_bytes())
    choice = reading.choice
    raw_end = choice.extra.get("finishReason") if choice else None
    dialects.check_recorded(reading, expected, raw_end=raw_end)
    calls = [(c.name, c.parsed()) for c in (choice.tool_calls if choice else [])]
    assert calls == [(c["name"], json.loads(c["arguments"])) for c in expected["tool_calls"]]
    ids = [c.id for c in (choice.tool_calls if choice else [])]
    assert len(set(ids)) == len(ids)
    assert all(
        told["id"] in (None, given) for told, given in zip(expected["tool_calls"], ids, strict=True)
    )
    # A stream that an error ended is told as that error, whatever stood before it.
    assert reading.answer.whole is (expected["complete"] and expected["error"] is None)


@pytest.mark.parametrize("file", REPLIES, ids=lambda path: path.stem)
def test_an_error_reply_says_what_it_says(file: Path) -> None:
    recorded = json.loads(file.read_text("utf-8"))
    error = GEMINI.refusal(
        recorded["status"],
        recorded["response_headers"],
        recorded["body_text"].encode(),
        shown_url="https://example.com",
    )
    assert error.status_code == recorded["status"]
    first = recorded["body_text"].split('"message": "', 1)[1][:20]
    assert first in str(error)


@pytest.mark.parametrize(
    ("word", "finish"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("IMAGE_SAFETY", "content_filter"),
        ("MALFORMED_FUNCTION_CALL", None),
        ("A_WORD_TO_COME", None),
    ],
)
def test_a_finish_reason_is_told_in_the_words_of_chat_and_kept_as_it_came(
    word: str, finish: str | None
) -> None:
    answer = read(text("x") + text("", finishReason=word)).answer
    (choice,) = answer.choices()
    assert (choice.finish_reason, choice.extra["finishReason"]) == (finish, word)
    assert answer.whole


def test_what_follows_a_finish_reason_belongs_to_the_answer_and_the_last_one_counts() -> None:
    body = text("a", finishReason="STOP") + text("b") + text("c", finishReason="MAX_TOKENS")
    answer = read(body).answer
    (choice,) = answer.choices()
    assert (choice.completion, choice.finish_reason) == ("abc", "length")
    assert answer.whole


def test_an_answer_that_goes_on_after_a_finish_reason_and_ends_without_one_was_cut() -> None:
    answer = read(text("a", finishReason="STOP") + text("b")).answer
    assert not answer.whole
    assert not read(text("a")).answer.whole
    assert read(text("a"), accept_eof=True).answer.whole


def test_a_blocked_prompt_is_a_whole_answer_without_text() -> None:
    body = b'data: {"promptFeedback": {"blockReason": "SAFETY"}}\r\n\r\n'
    reading = read(body)
    answer, pieces = reading.answer, reading.pieces
    (choice,) = answer.choices()
    assert (choice.finish_reason, pieces) == ("content_filter", [])
    assert choice.extra["promptFeedback"] == {"blockReason": "SAFETY"}
    assert answer.whole
    assert not read(b'data: {"promptFeedback": {"safetyRatings": []}}\r\n\r\n').answer.whole


@pytest.mark.parametrize("before", [b"", text("Half")])
@pytest.mark.parametrize("failure", [BARE_ERROR, b"data: " + json.dumps({"error": ERROR}).encode()])
def test_an_error_inside_the_answer_is_the_providers(before: bytes, failure: bytes) -> None:
    reading = read(before + failure + b"\r\n\r\n")
    answer, pieces = reading.answer, reading.pieces
    assert isinstance(answer.error, ProviderError)
    assert "overloaded" in str(answer.error)
    assert [piece.text for piece in pieces] == (["Half"] if before else [])


def test_a_call_whose_arguments_come_as_values_of_paths_is_put_together() -> None:
    def call(**fields: Any) -> bytes:
        return chunk({"functionCall": fields})

    def value(path: str, **fields: Any) -> dict[str, Any]:
        return {"jsonPath": path, **fields}

    body = call(name="book", willContinue=True)
    for told in (
        value("$.city", stringValue="San ", willContinue=True),
        value("$.city", stringValue="José"),
        value("$.rows[1].n", numberValue=2.0),
        value("$.rows[0]", boolValue=True),
        value("$['a key']", nullValue="NULL_VALUE"),
    ):
        body += call(partialArgs=[told], willContinue=True)
    answer = read(body + call() + call(name="now") + STOP).answer
    first, second = answer.choices()[0].tool_calls
    assert first.parsed() == {"city": "San José", "rows": [True, {"n": 2}], "a key": None}
    assert (second.name, second.arguments) == ("now", "{}")
    assert first.id != second.id
    # The end of the call may be missing.
    answer = read(body + STOP).answer
    assert answer.choices()[0].tool_calls[0].arguments == first.arguments


def test_a_signature_and_parts_of_the_providers_own_tools_are_kept() -> None:
    code = {"executableCode": {"language": "PYTHON", "code": "1"}}
    body = chunk({"functionCall": {"name": "f"}, "thoughtSignature": "c2ln"}) + chunk(code)
    answer = read(body + STOP).answer
    (choice,) = answer.choices()
    assert choice.tool_calls[0].extra == {"thoughtSignature": "c2ln"}
    assert code in choice.extra["provider_content"]["content"]


def test_an_event_without_json_says_where_it_is() -> None:
    body = text("a")
    answer = read(body + b"data: <html>\r\n\r\n").answer
    assert isinstance(answer.error, ProtocolError)


def test_a_server_that_streams_no_events_is_read_too() -> None:
    told = {"candidates": [{"content": {"parts": [{"text": "Hi"}]}, "finishReason": "STOP"}]}
    for body in (told, [told]):
        answer = GeminiAnswer()
        assert answer.feed_json(json.dumps(body).encode(), 0.0)[0].text == "Hi"
        assert answer.whole


def test_parts_go_back_in_their_order_whichever_way_they_were_read() -> None:
    code = {"executableCode": {"language": "PYTHON", "code": "1"}}
    body = chunk({"text": "Hm", "thought": True}) + text("a") + text("é") + text("b")
    body += chunk({"text": "c", "thoughtSignature": "s1"}) + text("d") + text("e") + chunk(code)
    body += text("f") + text("g") + chunk({"text": "", "thoughtSignature": "s2"}) + STOP
    (choice,) = read(body).answer.choices()
    assert choice.extra["provider_content"]["content"] == [
        {"text": "Hm", "thought": True},
        {"text": "aéb"},
        {"text": "c", "thoughtSignature": "s1"},
        {"text": "de"},
        code,
        {"text": "fg"},
        {"text": "", "thoughtSignature": "s2"},
    ]
