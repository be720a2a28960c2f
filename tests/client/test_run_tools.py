"""``run_tools`` over real sockets, in all four dialects: rounds, what goes back, and what is left behind."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lm_deluge import (
    Conversation,
    Delta,
    LLMClient,
    Stream,
    StreamHandler,
    Tool,
    ToolsResponse,
)
from lm_deluge.simulator import Simulator
from support.clients import Recorder, client_for

MODELS = {
    "chat": "gpt-4.1",
    "responses": "openai-responses:gpt-6-sol",
    "messages": "anthropic:claude-sonnet-5-5",
    "gemini": "gemini:gemini-3.8-flash",
}
DIALECTS = pytest.mark.parametrize("dialect", MODELS)


def client_of(sim: Simulator, dialect: str, **options: Any) -> LLMClient:
    url = sim.base_url if dialect in ("chat", "responses") else sim.url
    return client_for(url, MODELS[dialect], **options)


def get_weather(city: str, days: int = 1) -> dict[str, Any]:
    """The weather in a city.

    Args:
        city: its name
    """
    return {"city": city, "days": days}


async def now(zone: str) -> str:
    return f"12:00 {zone}"


CALLS = [("get_weather", {"city": "Oslo", "days": "2"}), ("now", {"zone": "CET"}), ("gone", {})]
RESULTS = [
    '{"city":"Oslo","days":2}',
    "12:00 CET",
    "there is no tool 'gone'; there are: get_weather, now",
]


class Told(StreamHandler):
    """Keeps the tags of each stream, and what each hears, in order."""

    def __init__(self) -> None:
        self.tags: list[dict[str, Any]] = []
        self.results: list[list[Delta]] = []
        self.kinds: list[list[str]] = []

    def on_start(self, stream: Stream) -> None:
        self.tags.append(dict(stream.tags))
        self.results.append([])
        self.kinds.append([])

    def on_delta(self, stream: Stream, delta: Delta) -> None:
        self.kinds[-1].append(delta.kind)
        if delta.kind == "tool_result":
            assert stream.partial.ttft is None
            self.results[-1].append(delta)


@DIALECTS
async def test_functions_are_called_and_their_results_told_in_every_dialect(dialect: str) -> None:
    heard = Told()
    conversation = Conversation().user("What is the weather?")
    async with Simulator(tool_calls=CALLS, tokens=5, reasoning=3) as sim:
        client = client_of(sim, dialect, reasoning_effort="low" if dialect != "chat" else None)
        response = await client.run_tools(
            conversation, [get_weather, now], handlers=[heard], tags={"mine": 1}
        )
    assert isinstance(response, ToolsResponse)
    assert response.ended_by == "answer"
    assert [result.text for result in response.results] == RESULTS
    assert [result.is_error for result in response.results] == [False, False, True]
    assert response.results[0].value == {"city": "Oslo", "days": 2}
    assert [each.number for each in response.rounds] == [1, 2]
    assert response.rounds[-1].response.completion == response.completion != ""
    # What observers hear.
    call = heard.tags[0]["call"]
    assert heard.tags == [
        {"call": call, "round": 1, "mine": 1},
        {"call": call, "round": 2, "after": "get_weather, now, gone", "mine": 1},
    ]
    assert heard.results[0] == []
    told = heard.results[1]
    assert heard.kinds[1][:3] == ["tool_result"] * 3
    assert [(one.index, one.text, one.name, one.arrived, one.read) for one in told] == [
        (at, text, name, 0.0, -1)
        for at, (text, (name, _)) in enumerate(zip(RESULTS, CALLS, strict=True))
    ]
    assert [one.id for one in told] == [call.id for call in response.rounds[0].response.tool_calls]
    assert [one.data and one.data["is_error"] for one in told] == [False, False, True]
    # What all of it cost.
    costs = [each.response.cost for each in response.rounds]
    assert None not in costs
    assert response.total_cost == sum(cost for cost in costs if cost is not None)
    assert response.total_usage is not None
    assert response.total_usage.output_tokens == sum(
        each.response.usage.output_tokens or 0 for each in response.rounds if each.response.usage
    )
    # What was said.
    roles = [message.role for message in conversation]
    assert roles == ["user", "assistant", "tool", "tool", "tool", "assistant"]
    assert conversation.messages[-1].completion == response.completion


@DIALECTS
async def test_the_conversation_goes_on_with_any_other_provider(dialect: str) -> None:
    conversation = Conversation().user("What is the weather?")
    async with Simulator(tool_calls=CALLS, tokens=5, reasoning=3) as sim:
        await client_of(sim, dialect).run_tools(conversation, [get_weather, now])
        for other in MODELS:
            went_on = Conversation(list(conversation.messages)).user("And tomorrow?")
            response = await client_of(sim, other).run_tools(went_on, [get_weather, now])
            assert response.ended_by == "answer"
            body = json.dumps(sim.requests[-1].json)
            assert "12:00 CET" in body


@DIALECTS
async def test_an_error_is_told_as_one_where_the_dialect_has_a_word_for_it(dialect: str) -> None:
    def fails() -> None:
        raise OSError("no such device")

    async with Simulator(tool_calls=[("fails", {})]) as sim:
        response = await client_of(sim, dialect).run_tools("Hi", [fails])
        body = sim.requests[-1].json
    assert response.results[0].text == "OSError: no such device"
    assert response.results[0].is_error
    if dialect == "messages":
        assert body["messages"][-1]["content"][0]["is_error"] is True
    elif dialect == "gemini":
        (part,) = body["contents"][-1]["parts"]
        assert part["functionResponse"]["response"] == {"error": "OSError: no such device"}
    else:
        assert "is_error" not in json.dumps(body)


async def test_a_response_and_its_rounds_survive_json() -> None:
    async with Simulator(tool_calls=CALLS, tokens=5) as sim:
        response = await client_for(sim).run_tools("Hi", [get_weather, now])
    written = json.loads(json.dumps(response.to_dict()))
    again = ToolsResponse.from_dict(written)
    assert again.to_dict() == response.to_dict()
    assert again.rounds[0].results[0].call == response.rounds[0].results[0].call
    assert again.total_cost == response.total_cost


async def test_handlers_hear_of_every_round_as_of_any_stream() -> None:
    heard = Recorder()
    async with Simulator(tool_calls=CALLS, tokens=5) as sim:
        response = await client_for(sim).run_tools("Hi", [get_weather, now], handlers=[heard])
    assert heard.heard.count("start") == heard.heard.count("complete") == 2
    assert heard.endings == [each.response for each in response.rounds]


@pytest.mark.parametrize("kind", ["answer", "caller's dict", "rounds", "cost"])
async def test_why_a_run_ends(kind: str) -> None:
    dict_tool = Tool(now).to_openai()
    tools: list[Any] = [get_weather, dict_tool if kind == "caller's dict" else now]
    options: dict[str, Any] = {"rounds": {"max_rounds": 1}, "cost": {"max_cost": 0.0}}.get(kind, {})
    async with Simulator(tool_calls=CALLS[:2], tokens=5) as sim:
        response = await client_for(sim).run_tools("Hi", tools, **options)
    names = {"answer": "answer", "caller's dict": "unanswered", "rounds": "max_rounds"}
    assert response.ended_by == names.get(kind, "max_cost")
    ran = [result.name for result in response.rounds[-1].results]
    wanted = {"answer": [], "caller's dict": ["get_weather"]}.get(kind, ["get_weather", "now"])
    assert ran == wanted
    assert [call.name for call in response.unanswered] == ["now"] * (kind == "caller's dict")


async def test_a_choice_that_demands_a_call_holds_until_there_was_one() -> None:
    async with Simulator(tokens=5) as sim:
        response = await client_for(sim).run_tools("Hi", [get_weather], tool_choice="required")
        bodies = [request.json for request in sim.requests]
    assert response.ended_by == "answer"
    assert [body.get("tool_choice") for body in bodies] == ["required", None]
