"""Names that a model invents and ids of other servers, in the next request: each provider refuses some."""

from __future__ import annotations

import itertools
import re
from typing import Any

import pytest
from attrs import evolve

from lm_deluge import Conversation, Message, SamplingParams, ToolCall
from lm_deluge.dialects import dialect_named
from lm_deluge.dialects.dialect import Ask
from lm_deluge.errors import BadRequestError
from lm_deluge.models.resolving import resolve_model
from lm_deluge.simulator import Simulator
from lm_deluge.values.conversation import to_messages
from support.at_openai import client_at_openai
from support.clients import client_for

MODELS = {
    "chat": "gpt-4.1",
    "responses": "openai-responses:gpt-4.1",
    "messages": "anthropic:claude-sonnet-4-5",
    "gemini": "gemini:gemini-3.8-flash",
}
WIRES = pytest.mark.parametrize("wire", MODELS)

NAMES = {
    "functions.real": r"functions[._]real",
    "a b": "a_b",
    "": "unnamed",
    "n" * 65: "n{64,65}",
    "n" * 200: "n{64}",
    "météo": "meteo",
    "天气": "unnamed",
    "3d": "_?3d",
    "x\ny": "x_y",
    "\ufffd": "unnamed",
    "a/b?c=1&d": "a_b_c_1_d",
    "real": "real",
}


def real(a: int = 0) -> str:
    """Says what it got."""
    return f"real {a}"


def client(sim: Simulator, wire: str, **options: Any) -> Any:
    url = sim.base_url if wire in ("chat", "responses") else sim.url
    return client_for(url, MODELS[wire], **options)


def called(body: Any, wire: str) -> list[tuple[str, str | None]]:
    """Return the names and ids of the calls in a request, in order."""
    if wire == "chat":
        found = [call for each in body["messages"] for call in each.get("tool_calls") or ()]
        return [(call["function"]["name"], call["id"]) for call in found]
    if wire == "responses":
        return [(each["name"], each["call_id"]) for each in body["input"] if "arguments" in each]
    if wire == "messages":
        blocks = [b for turn in body["messages"] if isinstance(turn["content"], list)
                  for b in turn["content"]]  # fmt: skip
        return [(block["name"], block["id"]) for block in blocks if block["type"] == "tool_use"]
    parts = [part for each in body["contents"] for part in each["parts"]]
    calls = [part["functionCall"] for part in parts if "functionCall" in part]
    return [(call["name"], call.get("id")) for call in calls]


@WIRES
@pytest.mark.parametrize("reasoning", [0, 2])
async def test_a_model_that_calls_what_is_no_name_is_told_so_and_goes_on(
    wire: str, reasoning: int
) -> None:
    calls = [(name, {"a": at}) for at, name in enumerate(NAMES)]
    async with Simulator(tool_calls=[calls, [("real", {"a": 1})]], reasoning=reasoning) as sim:
        said = Conversation().user("Hi")
        response = await client(sim, wire).run_tools(said, [real])
        bodies = [request.json for request in sim.requests]
    assert response.ended_by == "answer"
    # What is told of the answer is as the model said it.
    assert [call.name for call in response.rounds[0].response.tool_calls] == [*NAMES]
    for body in bodies[1:]:
        sent = [name for name, _ in called(body, wire)][: len(NAMES)]
        wrong = [
            (name, pattern)
            for name, pattern in zip(sent, NAMES.values(), strict=True)
            if re.fullmatch(pattern, name) is None
        ]
        assert wrong == []
    results = response.rounds[0].results
    assert [each.text for each in results if not each.is_error] == ["real 11"]
    assert all("there is no tool" in each.text for each in results[:-1])


#: Ids as other servers give them.
IDS = ["functions.Bash:0", "a.b", "a_b", "a:b", "call|1", "x" * 41, "x" * 65, "y" * 65, "é", "ok"]


def elsewhere(*names: str) -> list[dict[str, Any]]:
    """A conversation that another program had, in OpenAI's words, each call with an odd id."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": "Hi"}]
    for (at, known), name in zip(enumerate(IDS), itertools.cycle(names), strict=False):
        function = {"name": name, "arguments": f'{{"a": {at}}}'}
        call = {"id": known, "type": "function", "function": function}
        messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
        messages.append({"role": "tool", "tool_call_id": known, "content": f"of {at}"})
    return messages


@pytest.mark.parametrize(
    ("wire", "at_openai"),
    [(wire, False) for wire in MODELS] + [("chat", True), ("responses", True)],
)
async def test_a_conversation_from_elsewhere_goes_on_with_any_provider(
    wire: str, at_openai: bool
) -> None:
    given = elsewhere("functions.a", "b", "c d")
    async with Simulator(text="Well") as sim:
        asked = client_at_openai(sim.port, MODELS[wire]) if at_openai else client(sim, wire)
        if wire == "chat" and not at_openai:
            with pytest.raises(BadRequestError, match="maximum length 40"):
                # A proxy may have written into the id what it needs; the simulator is none.
                await asked.stream(given)
            return
        response = await asked.stream(given)
        sent = called(sim.requests[-1].json, wire)
    assert response.completion == "Well"
    assert len(sent) == len(IDS)
    if wire != "gemini":
        assert len({known for _, known in sent}) == len(IDS)
        assert sent[-1][1] == "ok"
    assert sent[1][0] == "b"
    # Nothing of what was given is changed.
    assert given == elsewhere("functions.a", "b", "c d")


@WIRES
async def test_what_one_provider_answered_another_goes_on_with(wire: str) -> None:
    said = Conversation().user("Hi")
    rounds = [[("functions.real", {})], [("real", {"a": 1})]]
    async with Simulator(tool_calls=rounds, text=None) as sim:
        for other in [wire, *MODELS, wire]:
            response = await client(sim, other).run_tools(said, [real])
            assert response.ended_by == "answer", other
            said.user("And?")


@WIRES
async def test_a_name_that_is_declared_is_sent_as_it_is(wire: str) -> None:
    odd = "weather now/v2"
    said = Conversation().user("Hi")
    said.add(Message("assistant", tool_calls=[ToolCall("c1", odd, "{}")]))
    said.add(Message("tool", "fine", tool_call_id="c1"))
    tool = {"type": "function", "function": {"name": odd, "parameters": {"type": "object"}}}
    ask = Ask(
        info=resolve_model(MODELS[wire], base_url=None, env_base_url=None),
        messages=to_messages(said),
        params=SamplingParams(),
    )
    given: dict[str, Any]
    for given in ({"tools": [tool]}, {"extra_body": {"tools": [tool]}}):
        written = dialect_named(wire).write(evolve(ask, **given))
        assert [name for name, _ in called(written.body, wire)] == [odd]
    written = dialect_named(wire).write(ask)
    assert [name for name, _ in called(written.body, wire)] != [odd]
