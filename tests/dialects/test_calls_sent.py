"""Calls as other servers made them, told to each provider: without ids, with arguments that are none."""

from __future__ import annotations

from typing import Any

import pytest

from lm_deluge.dialects.gemini.contents import contents_of
from lm_deluge.dialects.going_back import without_foreign
from lm_deluge.dialects.messages.turns import turns_of
from lm_deluge.dialects.responses.items import items_of

SAYING: dict[str, Any] = {"messages": turns_of, "responses": items_of, "gemini": contents_of}


def told(dialect: str, *messages: dict[str, Any]) -> list[dict[str, Any]]:
    said: list[dict[str, Any]] = SAYING[dialect](without_foreign(messages, dialect, None))[1]
    return said


def call(name: str, arguments: Any = "{}", **fields: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "arguments": arguments}, **fields}


def asking(*calls: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": None, "tool_calls": list(calls)}


NO_IDS = [
    asking(call("f", id=""), call("g", id=None), call("h")),
    {"role": "tool", "tool_call_id": "", "content": "of f"},
    {"role": "tool", "content": "of g"},
    {"role": "tool", "tool_call_id": None, "content": "of h"},
    {"role": "user", "content": "Again"},
    asking(call("f", id="mine"), call("g", id="")),
    {"role": "tool", "tool_call_id": "mine", "content": "of f"},
    {"role": "tool", "tool_call_id": "", "content": "of g"},
]


def answered(dialect: str, said: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return the name of each call with what answers it."""
    if dialect == "gemini":
        responses = [part["functionResponse"] for turn in said for part in turn["parts"]
                     if "functionResponse" in part]  # fmt: skip
        return [(each["name"], each["response"]["result"]) for each in responses]
    if dialect == "responses":
        calls = {item["call_id"]: item["name"] for item in said if "name" in item}
        results = [item for item in said if "output" in item]
        return [(calls[item["call_id"]], item["output"]) for item in results]
    blocks = [b for turn in said if isinstance(turn["content"], list) for b in turn["content"]]
    calls = {block["id"]: block["name"] for block in blocks if block["type"] == "tool_use"}
    results = [block for block in blocks if block["type"] == "tool_result"]
    return [(calls[block["tool_use_id"]], block["content"]) for block in results]


@pytest.mark.parametrize("dialect", SAYING)
def test_results_answer_calls_without_ids_in_order(dialect: str) -> None:
    names = ["f", "g", "h", "f", "g"]
    assert answered(dialect, told(dialect, *NO_IDS)) == [(name, f"of {name}") for name in names]


def test_chat_completions_hear_calls_without_ids_as_they_came() -> None:
    assert without_foreign(NO_IDS, "chat", None) == NO_IDS


@pytest.mark.parametrize("arguments", ["null", "", " ", None])
def test_no_arguments_are_an_empty_object(arguments: Any) -> None:
    (turn,) = told("messages", asking(call("f", arguments, id="c")))
    assert turn["content"][0]["input"] == {}
    (content,) = told("gemini", asking(call("f", arguments, id="c")))
    assert content["parts"][0]["functionCall"]["args"] == {}


@pytest.mark.parametrize("dialect", ["messages", "gemini"])
@pytest.mark.parametrize("arguments", ['{"a": ', "[1]", "3", '{"a":1}{"b":2}'])
def test_arguments_that_are_no_object_are_named_with_their_message(
    dialect: str, arguments: str
) -> None:
    with pytest.raises(ValueError, match=r"^messages\[1\].*'f'"):
        told(dialect, {"role": "user", "content": "Hi"}, asking(call("f", arguments, id="c")))


@pytest.mark.parametrize("dialect", SAYING)
@pytest.mark.parametrize(
    ("wrong", "kind"),
    [(3, TypeError), ("x", TypeError), ({}, ValueError), ({"id": "c", "function": {}}, ValueError)],
)
def test_what_is_no_call_is_named_with_its_message(
    dialect: str, wrong: Any, kind: type[Exception]
) -> None:
    with pytest.raises(kind, match=r"^messages\[1\]\['tool_calls'\]"):
        told(dialect, {"role": "user", "content": "Hi"}, asking(wrong))
