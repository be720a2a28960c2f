"""Which tools a run has, which choice holds after its first round, and what of an answer goes back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lm_deluge import Message, Tool, ToolCall
from lm_deluge.tools.kit import after_the_first, body_after_the_first, kit_of
from lm_deluge.tools.sent_back import answer_and_results, with_own_ids
from lm_deluge.values.rounds import ToolResult


def f() -> None: ...


FUNCTION: dict[str, Any] = {"type": "function", "function": {"name": "g"}}

#: Tools as dicts in every dialect's words, and the names that they take.
DICTS: list[tuple[dict[str, Any], set[str]]] = [
    (FUNCTION, {"g"}),
    ({"type": "function", "name": "g", "parameters": {}}, {"g"}),
    ({"name": "g", "input_schema": {}}, {"g"}),
    ({"type": "custom", "custom": {"name": "g"}}, {"g"}),
    ({"type": "bash_20250124", "name": "bash"}, {"bash"}),
    ({"functionDeclarations": [{"name": "g"}, {"name": "h"}]}, {"g", "h"}),
    ({"type": "web_search"}, set()),
    ({"googleSearch": {}}, set()),
]


@pytest.mark.parametrize(("given", "names"), DICTS, ids=lambda value: type(value).__name__)
def test_a_dict_is_what_its_dialect_calls_a_tool(given: dict[str, Any], names: set[str]) -> None:
    kit = kit_of([f, given])
    assert (set(kit.functions), kit.others) == ({"f"}, names)
    assert kit.written == (Tool(f).to_openai(), given)


@pytest.mark.parametrize("second", [f, Tool(f), Tool(lambda: None, name="f"), Tool(f).to_openai()])
def test_two_tools_of_one_name_are_refused(second: Any) -> None:
    with pytest.raises(ValueError, match=r"tools\[1\]: there is another tool named 'f'"):
        kit_of([f, second])


#: A choice, and what holds once a tool was called.
CHOICES: list[tuple[Any, Any]] = [
    (None, None),
    ("auto", "auto"),
    ("none", "none"),
    ("required", None),
    ("any", None),
    ({"type": "function", "function": {"name": "f"}}, None),
    ({"type": "tool", "name": "f"}, None),
    ({"type": "any"}, None),
    ({"mode": "ANY", "allowedFunctionNames": ["f"]}, None),
    ({"mode": "AUTO"}, {"mode": "AUTO"}),
    (
        {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
        {"type": "auto", "disable_parallel_tool_use": True},
    ),
    (
        {"type": "auto", "disable_parallel_tool_use": True},
        {"type": "auto", "disable_parallel_tool_use": True},
    ),
    (
        {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [1]}},
        {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [1]}},
    ),
    (
        {"type": "allowed_tools", "mode": "required", "tools": [1]},
        {"type": "allowed_tools", "mode": "auto", "tools": [1]},
    ),
]


@pytest.mark.parametrize(("choice", "then"), CHOICES, ids=lambda value: type(value).__name__)
def test_no_choice_demands_a_call_in_every_round(choice: Any, then: Any) -> None:
    assert after_the_first(choice) == then
    body = {"seed": 1, "tool_choice": choice}
    assert body_after_the_first(body) == {"seed": 1} | (
        {} if then is None else {"tool_choice": then}
    )


FORCED = {"mode": "ANY", "allowedFunctionNames": ["f"]}
BODIES: list[tuple[Any, Any]] = [
    ({"function_call": {"name": "f"}, "functions": [1]}, {"functions": [1]}),
    ({"function_call": "auto"}, {"function_call": "auto"}),
    ({"toolConfig": {"functionCallingConfig": FORCED}}, {}),
    ({"tool_config": {"function_calling_config": FORCED, "a": 1}}, {"tool_config": {"a": 1}}),
    ({"toolConfig": {"functionCallingConfig": {"mode": "AUTO"}}},) * 2,
    ({"toolConfig": 3},) * 2,
]


@pytest.mark.parametrize(("body", "then"), BODIES)
def test_no_body_does_either(body: Any, then: Any) -> None:
    assert body_after_the_first(body) == then


def test_every_call_of_an_answer_has_an_id_of_its_own() -> None:
    given = [ToolCall(known, "f", "{}") for known in ("a", "", None, "a", "call_1", "a_2")]
    assert [call.id for call in with_own_ids(given)] == [
        "a", "call_1", "call_2", "a_2", "call_1_2", "a_2_2",
    ]  # fmt: skip
    assert with_own_ids(given[:1])[0] is given[0]


@pytest.mark.parametrize("arguments", ["{", "[1]", "3", '"a"', '{"a": NaN}'])
def test_only_objects_go_back_as_arguments(arguments: str) -> None:
    call = ToolCall("a", "f", arguments)
    result = ToolResult(call=call, text="no", is_error=True)
    answer, told = answer_and_results(Message.ai("Hm.", [call]), [call], [result])
    assert answer.completion == "Hm."
    assert json.loads(answer.tool_calls[0].arguments) == {"INVALID_JSON": arguments}
    assert told.to_openai() == {
        "role": "tool", "content": "no", "tool_call_id": "a", "is_error": True,
    }  # fmt: skip


@pytest.mark.parametrize("arguments", ["", "null", '{"a": [1]}'])
def test_an_answer_that_can_be_sent_stays_as_it_is(arguments: str) -> None:
    call = ToolCall("a", "f", arguments)
    message = Message.ai(None, [call])
    answer, _ = answer_and_results(message, [call], [ToolResult(call=call, text="ok")])
    assert answer is message
