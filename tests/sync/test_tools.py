"""``run_tools`` without ``async``."""

from __future__ import annotations

import asyncio
import contextvars
import threading

import pytest

from lm_deluge import Conversation, ToolCall
from lm_deluge.errors import StreamError
from lm_deluge.simulator import Simulator
from lm_deluge.sync import LLMClient
from support.clients import KEY

WHO = contextvars.ContextVar("WHO", default="nobody")
CALLS = [("who", {}), ("later", {"n": "3"})]


def who() -> str:
    assert threading.current_thread() is not threading.main_thread()
    return WHO.get()


async def later(n: int) -> int:
    await asyncio.sleep(0)
    return n


def test_functions_of_both_kinds_are_run_with_the_context_of_the_caller() -> None:
    asked: list[str] = []

    def approve(call: ToolCall) -> bool:
        asked.append(call.name)
        return True

    WHO.set("me")
    conversation = Conversation().user("Hi")
    with Simulator(tool_calls=CALLS) as sim:
        client = LLMClient("gpt-4.1", base_url=sim.base_url, api_key=KEY, printer=None)
        response = client.run_tools(conversation, [who, later], approve=approve)
        assert response.completion == "The tools say: me; 3"
        again = client.stream(conversation.user("And?"), printer=None)
    assert [result.text for result in response.results] == ["me", "3"]
    assert asked == ["who", "later"]
    assert len(conversation) == 6
    assert again.finish_reason


def test_errors_are_raised_where_it_is_called() -> None:
    with Simulator(tool_calls=CALLS, faults=[None, "status:400"]) as sim:
        client = LLMClient("gpt-4.1", base_url=sim.base_url, api_key=KEY, printer=None)
        with pytest.raises(StreamError) as caught:
            client.run_tools("Hi", [who, later])
        assert len(caught.value.rounds) == 1
        with pytest.raises(ValueError, match="max_rounds"):
            client.run_tools("Hi", [who], max_rounds=0)
