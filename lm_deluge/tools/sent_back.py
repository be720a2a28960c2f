"""What of an answer and its results goes back to the model, in messages that every dialect can write."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from attrs import evolve

from lm_deluge.tools.arguments import object_in
from lm_deluge.values.conversation import Message, ToolCall
from lm_deluge.values.rounds import ToolResult

__all__ = ["answer_and_results", "with_own_ids"]


def with_own_ids(calls: Sequence[ToolCall]) -> list[ToolCall]:
    """Return an answer's calls, each with an id of its own, by which its result is known.

    Servers give none, or the same one twice.
    """
    taken: set[str] = set()
    named: list[ToolCall] = []
    for at, call in enumerate(calls):
        known = call.id or f"call_{at}"
        number = 1
        free = known
        while free in taken:
            number += 1
            free = f"{known}_{number}"
        taken.add(free)
        named.append(call if free == call.id else evolve(call, id=free))
    return named


def answer_and_results(
    answer: Message, calls: Sequence[ToolCall], results: Sequence[ToolResult]
) -> list[Message]:
    """Return the messages of a round. ``calls``: those of the answer, with ids."""
    sent = [_sendable(call) for call in calls]
    if sent != answer.tool_calls:
        answer = evolve(answer, tool_calls=sent)
    return [answer, *(_message_of(result) for result in results)]


def _sendable(call: ToolCall) -> ToolCall:
    """Return a call whose arguments are an object, as most servers take nothing else.

    What a model wrote wrongly stands in it as a text under the name that Anthropic proposes.
    """
    if call.extra.get("type") == "custom":
        return call
    try:
        object_in(call.arguments)
    except ValueError:
        return evolve(call, arguments=json.dumps({"INVALID_JSON": call.arguments}))
    return call


def _message_of(result: ToolResult) -> Message:
    extra = {"is_error": True} if result.is_error else {}
    content: Any = result.text
    if result.images:
        content = [{"type": "text", "text": result.text}, *result.images]
    return Message("tool", content, tool_call_id=result.id, extra=extra)
