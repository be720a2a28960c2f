"""Which blocks of thinking go back to the Messages API, and when thinking cannot be begun."""

from __future__ import annotations

from typing import Any

import pytest

from lm_deluge import Message, SamplingParams
from lm_deluge.dialects.dialect import Ask
from lm_deluge.dialects.messages import MESSAGES
from lm_deluge.models.resolving import resolve_model
from lm_deluge.values.conversation import to_messages

URL = "https://gateway.example"
THINKING = {"type": "thinking", "thinking": "Hm", "signature": "c2ln"}
REDACTED = {"type": "redacted_thinking", "data": "eA"}
TEXT = {"type": "text", "text": "So"}
CALL = {"type": "tool_use", "id": "c1", "name": "f", "input": {}}
ASKED: dict[str, Any] = {"role": "user", "content": "Hi"}
FOREIGN_CALL: dict[str, Any] = {
    "role": "assistant",
    "content": None,
    "tool_calls": [
        {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
    ],
}
RESULT: dict[str, Any] = {"role": "tool", "tool_call_id": "c1", "content": "3"}
SAID: dict[str, Any] = {"role": "assistant", "content": "Three"}


def body_of(messages: Any, **params: Any) -> dict[str, Any]:
    asked = Ask(
        info=resolve_model("anthropic:claude-sonnet-4-6", base_url=URL, env_base_url=None),
        messages=to_messages(messages),
        params=SamplingParams(max_new_tokens=9000, **params),
    )
    return dict(MESSAGES.write(asked).body)


def answer(*blocks: dict[str, Any]) -> Message:
    """Return an answer of the same server, as it came."""
    text = "".join(block.get("text", "") for block in blocks)
    kept = {"dialect": "messages", "host": "gateway.example", "content": list(blocks)}
    return Message("assistant", text, extra={"provider_content": kept})


@pytest.mark.parametrize("last", [[THINKING], [REDACTED], [THINKING, REDACTED]])
@pytest.mark.parametrize("how", ["as it came", "as parts"])
def test_thinking_with_which_a_turn_ends_is_not_sent(last: list[Any], how: str) -> None:
    blocks = [THINKING, TEXT, *last]
    said = (
        answer(*blocks) if how == "as it came" else {"role": "assistant", "content": list(blocks)}
    )
    turns = body_of([ASKED, said, ASKED])["messages"]
    assert turns[1] == {"role": "assistant", "content": [THINKING, TEXT]}


@pytest.mark.parametrize("blocks", [[THINKING], [REDACTED], [THINKING, REDACTED]])
@pytest.mark.parametrize("how", ["as it came", "as parts"])
def test_a_turn_of_nothing_but_thinking_is_left_out(blocks: list[Any], how: str) -> None:
    said = (
        answer(*blocks) if how == "as it came" else {"role": "assistant", "content": list(blocks)}
    )
    assert body_of([ASKED, said, ASKED])["messages"] == [ASKED, ASKED]


def test_thinking_before_a_call_goes_back() -> None:
    calls = {**FOREIGN_CALL, "content": [THINKING]}
    turns = body_of([ASKED, calls, RESULT])["messages"]
    assert turns[1]["content"] == [THINKING, CALL]


@pytest.mark.parametrize(
    ("turns", "is_asked"),
    [
        ([FOREIGN_CALL, RESULT], False),
        ([FOREIGN_CALL, RESULT, ASKED], False),
        ([FOREIGN_CALL, RESULT, ASKED, ASKED], False),
        ([FOREIGN_CALL, RESULT, FOREIGN_CALL, RESULT, ASKED], False),
        ([FOREIGN_CALL, RESULT, SAID, ASKED], True),
        ([{**FOREIGN_CALL, "content": [THINKING]}, RESULT, ASKED], True),
        ([{**FOREIGN_CALL, "content": [THINKING]}, RESULT, FOREIGN_CALL, RESULT, ASKED], True),
        ([{**FOREIGN_CALL, "content": [THINKING]}, RESULT, ASKED, FOREIGN_CALL, RESULT], False),
    ],
)
def test_thinking_is_not_begun_after_results_of_calls_that_none_came_before(
    turns: list[Any], is_asked: bool
) -> None:
    assert ("thinking" in body_of([ASKED, *turns], reasoning_effort="high")) is is_asked
