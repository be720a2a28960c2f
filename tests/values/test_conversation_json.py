"""``to_json`` and ``from_json``: whatever a conversation holds, and whatever a text holds."""

from __future__ import annotations

import contextlib
import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_deluge import Conversation, Message, OtherCall, ToolCall

PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)
CALL = ToolCall("c1", "look", '{"a": 1', extra={"thoughtSignature": "s=="})
SIGNED = {
    "provider_content": {
        "dialect": "messages",
        "endpoint": "https://api.anthropic.com",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
            {"type": "redacted_thinking", "data": "x" * 500},
            {"type": "text", "text": "Hi"},
        ],
    },
    "reasoning_details": [{"type": "reasoning.encrypted", "data": "…"}],
}


def full() -> Conversation:
    """One of everything that a conversation can hold."""
    other = OtherCall(type="custom_tool_call", id="c9", name="run", item={"input": "ls"})
    return (
        Conversation()
        .system("You are brief. 日本 😀")
        .user("Look", images=[PNG, "https://example.org/a.png"], files=[("a.md", b"# A")])
        .add(Message("assistant", "Hi", tool_calls=[CALL], extra=SIGNED))
        .tool("c1", '{"b": null}')
        .add(other.answer("done"))
        .add(other.answer({"output": "x", "max_output_length": 9}))
        .add(Message("assistant", None, tool_calls=[ToolCall(None, "old", "{}")]))
        .add(Message("function", "1", name="old"))
        .add(Message("assistant", refusal="No."))
        .add(Message.from_openai({"role": "assistant", "audio": {"id": "a"}, "weight": 0.5}))
        .ai(None, [ToolCall("c2", "grep", "any text", extra={"type": "custom"})])
        .tool("c2", "")
    )


def test_everything_survives() -> None:
    before = full()
    text = before.to_json()
    after = Conversation.from_json(text)
    assert after == before
    assert after.to_openai() == before.to_openai()
    assert Conversation.from_json(text.encode()) == before
    assert Conversation.from_json("\ufeff" + text) == before
    assert after.to_json() == text
    assert Conversation.from_json(before.to_json(indent=2)) == before
    assert Conversation.from_json(Conversation().to_json()) == Conversation()


def test_the_text_says_what_it_is_and_holds_openais_messages() -> None:
    told = json.loads(Conversation().user("Hi").to_json())
    assert told == {
        "format": "lm_deluge.conversation",
        "version": 1,
        "messages": [{"role": "user", "content": "Hi"}],
    }


@pytest.mark.parametrize(
    "text",
    ['[{"role": "user", "content": "Hi"}]', '{"messages": [{"role": "user", "content": "Hi"}]}'],
)
def test_openais_messages_alone_are_read_too(text: str) -> None:
    assert Conversation.from_json(text) == Conversation().user("Hi")


_TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
_FLOATS = st.floats(allow_nan=False, allow_infinity=False)
_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=8,
)
_CALLS = st.builds(ToolCall, _TEXT, _TEXT, _TEXT)
_PARTS = st.lists(
    st.fixed_dictionaries({"type": st.just("text"), "text": _TEXT})
    | st.fixed_dictionaries({"type": _TEXT, "x": _JSON}),
    max_size=3,
)
_MESSAGES = st.builds(
    Message,
    st.sampled_from(["system", "developer", "user", "assistant", "tool"]),
    st.none() | _TEXT | _PARTS,
    tool_calls=st.lists(_CALLS, max_size=2),
    tool_call_id=st.none() | _TEXT,
    name=st.none() | _TEXT,
    refusal=st.none() | _TEXT,
    extra=st.dictionaries(st.sampled_from(["provider_content", "x"]), _JSON, max_size=2),
)


@given(st.lists(_MESSAGES, max_size=4))
def test_any_conversation_survives(messages: list[Message]) -> None:
    before = Conversation(messages)
    assert Conversation.from_json(before.to_json()) == before


USER: dict[str, Any] = {"role": "user", "content": "Hi"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ("nul", "is not JSON"),
        ("[NaN]", "is not JSON.*NaN"),
        ("[" * 100_000, "nests too deeply|is not JSON"),
        ("3", "list of messages, not int"),
        ("null", "list of messages, not NoneType"),
        ('"text"', "list of messages, not str"),
        ("{}", "has no 'messages'"),
        ('{"format": "x", "messages": []}', "'format' is 'x'"),
        ('{"version": 2, "messages": []}', "version 2, .*reads up to 1"),
        ('{"version": "1", "messages": []}', "'version' must be"),
        ('{"version": true, "messages": []}', "'version' must be"),
        ('{"messages": {}}', "list of messages, not dict"),
        ([3], r"messages\[0\] must be an OpenAI message dict"),
        ([USER, {}], r"messages\[1\] has no role"),
        ([USER, {"role": "robot"}], r"messages\[1\] has role 'robot'"),
        ([{"role": ["user"]}], r"messages\[0\] has role"),
        ([{"role": "user", "content": 3}], r"messages\[0\]\['content'\] must be"),
        ([{"role": "user", "content": [3]}], r"messages\[0\]\['content'\]\[0\] must be"),
        ([{"role": "tool", "tool_call_id": 3}], r"messages\[0\]\['tool_call_id'\] must be a str"),
        ([{"role": "user", "name": {}}], r"messages\[0\]\['name'\] must be a str"),
        ([{"role": "assistant", "refusal": []}], r"messages\[0\]\['refusal'\] must be a str"),
        ([{"role": "assistant", "tool_calls": 3}], r"messages\[0\]\['tool_calls'\] must be a list"),
        ([{"role": "assistant", "tool_calls": [3]}], r"\['tool_calls'\]\[0\] must be a dict"),
        ([{"role": "assistant", "tool_calls": [{"id": 3}]}], r"\['tool_calls'\]\[0\]\['id'\]"),
        ([{"role": "assistant", "tool_calls": [{}]}], r"\[0\]\['function'\] must be a dict"),
        ([{"role": "assistant", "tool_calls": [{"function": {}}]}], r"\['function'\]\['name'\]"),
        ([{"role": "assistant", "function_call": 3}], r"\['function_call'\] must be a dict"),
        ('[{"role": "user", "content": "\\ud800"}]', r"messages\[0\]\['content'\].*surrogate"),
    ],
)
def test_hostile_text_is_a_value_error_that_names_the_place(text: Any, told: str) -> None:
    given = text if isinstance(text, str) else json.dumps(text)
    with pytest.raises(ValueError, match=told):
        Conversation.from_json(given)


@pytest.mark.parametrize("given", [None, 3, [], {}, Conversation()])
def test_what_is_no_text_is_a_type_error(given: Any) -> None:
    with pytest.raises(TypeError, match="JSON text"):
        Conversation.from_json(given)
    with pytest.raises(ValueError, match="not UTF-8"):
        Conversation.from_json(b"\xff")


def test_what_json_cannot_hold_is_named_when_it_is_written() -> None:
    held = Conversation().add(Message("user", [{"type": "x", "data": b"raw"}]))
    with pytest.raises(TypeError, match=r"messages\[0\]\['content'\]\[0\]\['data'\]"):
        held.to_json()


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    read = None
    with contextlib.suppress(ValueError):
        read = Conversation.from_json(text)
    assert read is None or isinstance(read, Conversation)


@pytest.mark.parametrize("made", [Conversation.copy, Conversation.fork, copy.deepcopy])
def test_a_copy_is_independent(made: Any) -> None:
    first = full()
    second = made(first)
    assert second == first
    second.messages[2].extra["provider_content"]["content"].clear()
    second.messages[1].content.clear()
    second.messages[2].tool_calls.clear()
    second.user("more")
    assert first == full()


def test_a_fork_ends_where_it_is_told_to() -> None:
    conversation = Conversation().system("S").user("1").ai("2").user("3")
    for at in (0, 1, 4, -1, -4, None):
        assert conversation.fork(at).messages == conversation.messages[:at]
    again = conversation.fork(-1).user("4")
    assert [message.completion for message in again] == ["S", "1", "2", "4"]
    assert len(conversation) == 4
    for wrong in (5, -5):
        with pytest.raises(ValueError, match="at must be an integer from -4 to 4"):
            conversation.fork(wrong)
    for kind in ("1", 1.5, True):
        with pytest.raises(TypeError, match="at must be an integer"):
            conversation.fork(kind)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("indent", "error"),
    [(-1, ValueError), (10**9, ValueError), (True, TypeError), ("2", TypeError)],
)
def test_an_indent_that_makes_no_sense_is_named(indent: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="indent must be an integer"):
        Conversation().to_json(indent=indent)
