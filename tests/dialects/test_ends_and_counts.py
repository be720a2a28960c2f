"""Why recorded answers ended, in the provider's own word, and what they counted."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from lm_deluge import Choice
from lm_deluge.dialects.chat.answer import ChatAnswer
from lm_deluge.dialects.gemini.answer import GeminiAnswer
from lm_deluge.dialects.messages.answer import MessagesAnswer
from lm_deluge.dialects.responses.answer import ResponsesAnswer

CAPTURES = os.environ.get("LM_DELUGE_CAPTURES")
READERS: dict[str, Any] = {
    "anthropic": MessagesAnswer,
    "gemini": GeminiAnswer,
    "openai_responses": ResponsesAnswer,
}
COUNTS = ("input", "output", "total", "cache_read", "cache_write", "reasoning")


def recorded() -> list[Any]:
    found = []
    for folder in READERS if CAPTURES else ():
        told = json.loads((Path(CAPTURES or "") / f"expected_{folder}.json").read_text("utf-8"))
        for name, expected in told["files"].items():
            found.append(pytest.param(folder, name, expected, id=f"{folder}-{name}"))
    return found


@pytest.mark.parametrize(("folder", "name", "expected"), recorded())
def test_a_recording_ends_in_its_own_word_with_its_counts(
    folder: str, name: str, expected: dict[str, Any]
) -> None:
    answer = READERS[folder]()
    answer.feed((Path(CAPTURES or "") / folder / f"{name}.sse").read_bytes(), 0.0)
    answer.close(0.0)
    choice = next(iter(answer.choices()), Choice())
    assert choice.finish_reason_raw == expected["finish_reason_raw"]
    assert choice.finish_reason == expected["finish_reason"]
    usage = answer.facts.usage
    if usage is not None and expected["usage"] is not None:
        for count in COUNTS:
            counted = expected["usage"][f"{count}_tokens"]
            if counted is not None or count != "total":
                assert getattr(usage, f"{count}_tokens") == counted, count


def test_a_router_keeps_the_word_of_the_provider_behind_it() -> None:
    answer = ChatAnswer()
    said = {"delta": {"content": "x"}, "finish_reason": "stop", "native_finish_reason": "end_turn"}
    answer.feed(b"data: " + json.dumps({"choices": [said]}).encode() + b"\n\n", 0.0)
    (choice,) = answer.choices()
    assert (choice.finish_reason, choice.finish_reason_raw) == ("stop", "end_turn")


def test_what_a_refusal_says_of_itself_is_told() -> None:
    answer, why = MessagesAnswer(), {"type": "refusal", "category": "cyber"}
    end = {"type": "message_delta", "delta": {"stop_reason": "refusal", "stop_details": why}}
    for event in (end, {"type": "message_stop"}):
        answer.feed(b"data: " + json.dumps(event).encode() + b"\n\n", 0.0)
    (choice,) = answer.choices()
    assert (choice.finish_reason_raw, choice.stop_details) == ("refusal", why)
