"""Messages, conversations, and the prompts made of them."""

from __future__ import annotations

import asyncio
import copy
import gc
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_deluge.values.conversation import (
    ROLES,
    Conversation,
    Message,
    ToolCall,
    to_messages,
)

IMAGE = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
TEXT = {"type": "text", "text": "What is this?"}

CALL = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}}
VERBATIM = [
    {"role": "system", "content": "Be kind."},
    {"role": "developer", "content": "Be kind.", "name": "boss"},
    {"role": "user", "content": [TEXT, IMAGE, {"type": "input_audio", "input_audio": {}}]},
    {"role": "user", "content": "Hi", "cache_control": {"type": "ephemeral"}},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "assistant", "tool_calls": [CALL, {**CALL, "id": "call_2"}]},
    {"role": "assistant", "content": "", "tool_calls": [{**CALL, "extra_content": {"x": [1]}}]},
    {"role": "assistant", "content": "No.", "refusal": "I will not.", "annotations": []},
    {"role": "assistant", "content": "x", "refusal": None, "tool_calls": None, "audio": None},
    {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
    {"role": "assistant", "content": None, "tool_calls": [{"type": "custom", "custom": {"a": 1}}]},
    {"role": "assistant", "content": None, "function_call": {"name": "f", "vendor": 1}},
    {"role": "tool", "tool_call_id": "call_1", "content": "2"},
    {"role": "function", "name": "f", "content": "2"},
]


@pytest.mark.parametrize("message", VERBATIM, ids=range(len(VERBATIM)))
def test_a_message_dict_survives_the_round_trip_with_every_key(message: dict) -> None:
    before = copy.deepcopy(message)
    assert Message.from_openai(message).to_openai() == before
    assert message == before


def test_a_conversation_survives_the_round_trip() -> None:
    assert Conversation.from_openai(VERBATIM).to_openai() == VERBATIM


def test_the_methods_append_in_place_and_return_the_conversation() -> None:
    conversation = Conversation()
    call = ToolCall("call_1", "add", "{}")
    assert conversation.system("s").user("u").ai("a", [call]).tool("call_1", "t") is conversation
    assert [m.role for m in conversation] == ["system", "user", "assistant", "tool"]
    assert conversation.messages.pop().tool_call_id == "call_1"
    assert len(conversation) == 3


def test_an_empty_conversation_is_true_and_has_no_length() -> None:
    assert Conversation()
    assert len(Conversation()) == 0


def test_conversations_do_not_share_their_lists() -> None:
    Conversation().user("x")
    assert Conversation().messages == []


def test_the_repr_shows_who_said_what_and_stays_short() -> None:
    shown = repr(Conversation().system("Be kind.").user("x" * 1000))
    assert shown.startswith("Conversation([system: 'Be kind.', user: 'xxx")
    assert len(shown) < 120


def test_an_ai_message_has_openais_role() -> None:
    assert Message.ai("x").to_openai() == {"role": "assistant", "content": "x"}


def test_an_ai_message_of_calls_alone_has_null_content() -> None:
    message = Message.ai(tool_calls=[ToolCall("call_1", "add", '{"a":1}')])
    assert message.to_openai() == {"role": "assistant", "content": None, "tool_calls": [CALL]}


def test_a_user_message_takes_parts() -> None:
    assert Message.user([TEXT, IMAGE]).to_openai() == {"role": "user", "content": [TEXT, IMAGE]}


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (Message.user("hi"), "hi"),
        (Message.user([TEXT, IMAGE, {"type": "text", "text": " Now."}]), "What is this? Now."),
        (Message.ai(tool_calls=[ToolCall(None, "f", "{}")]), ""),
        (Message("assistant"), ""),
    ],
)
def test_completion_is_the_text_and_never_none(message: Message, text: str) -> None:
    assert message.completion == text


def test_adding_what_is_no_message_says_what_was_given() -> None:
    class Response:
        content = Message.ai("x")

    for wrong, hint in (
        ("text", r"not str; .*\.user\(text\)"),
        ({"role": "user", "content": "x"}, r"not dict; .*from_openai"),
        (Response(), r"not Response; .*response\.content"),
        (3, "takes a Message, not int$"),
    ):
        with pytest.raises(TypeError, match=hint):
            Conversation().add(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "make",
    [
        lambda: Message.system(None),  # type: ignore[arg-type]
        lambda: Message.user(None),  # type: ignore[arg-type]
        lambda: Message.user(b"bytes"),  # type: ignore[arg-type]
        lambda: Message.user(["text"]),  # type: ignore[list-item]
        lambda: Message.ai(),
        lambda: Message.ai(3),  # type: ignore[arg-type]
        lambda: Message.tool(1, "x"),  # type: ignore[arg-type]
        lambda: Message(None),  # type: ignore[arg-type]
        lambda: ToolCall("id", "name", {"a": 1}),  # type: ignore[arg-type]
        lambda: Conversation("x"),  # type: ignore[arg-type]
        lambda: Conversation(["x"]),  # type: ignore[list-item]
        lambda: Conversation.from_openai("x"),  # type: ignore[arg-type]
        lambda: Conversation.from_openai({"role": "user"}),  # type: ignore[arg-type]
        lambda: Conversation.from_openai(None),  # type: ignore[arg-type]
    ],
)
def test_values_of_a_wrong_type_are_refused_where_they_are_given(make) -> None:
    with pytest.raises(TypeError):
        make()


def test_an_unknown_role_is_refused_when_made_and_when_set() -> None:
    with pytest.raises(ValueError, match=r"'bot'; accepted are system, developer"):
        Message("bot", "x")
    message = Message.user("x")
    with pytest.raises(ValueError, match="unknown role"):
        message.role = "human"


def test_from_openai_names_the_index_of_a_bad_message() -> None:
    with pytest.raises(ValueError, match=r"messages\[1\] has role 'bot'"):
        Conversation.from_openai([{"role": "user", "content": ""}, {"role": "bot"}])


def test_arguments_are_parsed_on_demand() -> None:
    assert ToolCall("1", "f", '{"a": [1]}').parsed() == {"a": [1]}
    assert ToolCall("1", "f", "").parsed() == {}


@pytest.mark.parametrize("arguments", ['{"a": ', "[" * 100_000])
def test_arguments_that_are_no_json_are_an_error_that_names_the_call(arguments: str) -> None:
    with pytest.raises(ValueError, match="tool call 'call_7' to 'weather'"):
        ToolCall("call_7", "weather", arguments).parsed()


def test_arguments_sent_as_an_object_or_null_become_text() -> None:
    assert ToolCall.from_openai({"function": {"name": "f", "arguments": {"ü": 1}}}).arguments == (
        '{"ü": 1}'
    )
    assert ToolCall.from_openai({"function": {"name": "f", "arguments": None}}).arguments == ""


def test_unknown_keys_of_a_function_are_sent_back() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "", "x": 1}}
    assert ToolCall.from_openai(call).to_openai() == call


@pytest.mark.parametrize(
    ("wrong", "error"), [("x", TypeError), ({}, ValueError), ({"function": {}}, ValueError)]
)
def test_what_is_no_function_call_is_refused(wrong: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        ToolCall.from_openai(wrong)  # type: ignore[arg-type]


def test_tool_calls_are_hashable_and_equal_by_value() -> None:
    assert len({ToolCall("1", "f", "{}"), ToolCall("1", "f", "{}")}) == 1


def test_a_str_prompt_is_one_user_message() -> None:
    assert to_messages(" hi ") == [{"role": "user", "content": " hi "}]


def test_a_message_and_a_conversation_are_prompts() -> None:
    assert to_messages(Message.user("hi")) == [{"role": "user", "content": "hi"}]
    assert to_messages(Conversation().user("hi")) == [{"role": "user", "content": "hi"}]


def test_message_dicts_pass_verbatim_and_are_not_changed() -> None:
    given_messages = copy.deepcopy(VERBATIM)
    made = to_messages(given_messages)
    assert made == VERBATIM
    made[0]["role"] = "developer"
    assert given_messages == VERBATIM


def test_messages_and_dicts_may_be_mixed_in_a_list() -> None:
    assert to_messages([Message.system("s"), {"role": "user", "content": "u"}]) == [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "u"},
    ]


@pytest.mark.parametrize("empty", ["", "  \n\t"])
def test_an_empty_text_is_refused(empty: str) -> None:
    with pytest.raises(ValueError, match="the prompt is empty"):
        to_messages(empty)


@pytest.mark.parametrize("none", [[], Conversation()])
def test_a_prompt_without_messages_is_refused(none: object) -> None:
    with pytest.raises(ValueError, match="no messages"):
        to_messages(none)  # type: ignore[arg-type]


def test_an_unknown_role_names_index_role_and_what_is_accepted() -> None:
    with pytest.raises(ValueError, match=r"messages\[1\] has role 'ai'; accepted are ") as caught:
        to_messages([{"role": "user", "content": "x"}, {"role": "ai", "content": "x"}])
    assert all(role in str(caught.value) for role in ROLES)
    with pytest.raises(ValueError, match=r"messages\[0\] has no role"):
        to_messages([{"content": "x"}])
    with pytest.raises(ValueError, match=r"messages\[0\] has role \['user'\]"):
        to_messages([{"role": ["user"], "content": "x"}])


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (b"hi", r"not bytes; decode it first"),
        (None, "not NoneType; "),
        (3, "not int$"),
        ({"role": "user", "content": "x"}, "not dict; put the message into a list"),
        ((m for m in ()), "not generator$"),
        (["hi"], r"messages\[0\] must be an OpenAI message dict or a Message, not str"),
        ([{"role": "user", "content": 3}], r"messages\[0\]\['content'\] must be .*not int"),
        ([{"role": "user", "content": ["x"]}], r"\['content'\]\[0\] must be a content part"),
    ],
)
def test_anything_else_says_what_was_given_and_what_is_accepted(wrong: object, says: str) -> None:
    with pytest.raises(TypeError, match=says):
        to_messages(wrong)  # type: ignore[arg-type]


def test_a_model_object_of_the_openai_package_gets_a_hint() -> None:
    class ChatCompletionMessage:
        def model_dump(self) -> None: ...

    with pytest.raises(TypeError, match="model_dump"):
        to_messages([ChatCompletionMessage()])  # type: ignore[list-item]


def test_a_coroutine_gets_the_hint_to_await_it_and_no_further_warning() -> None:
    async def prompt() -> str:
        return "hi"

    with pytest.raises(TypeError, match="not coroutine; await it first"):
        to_messages(prompt())  # type: ignore[arg-type]
    gc.collect()


async def test_a_future_gets_the_hint_to_await_it() -> None:
    future = asyncio.get_running_loop().create_future()
    with pytest.raises(TypeError, match="await it first"):
        to_messages(future)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("prompt", "where"),
    [
        ("a\ud83d", r"messages\[0\]\['content'\] holds a lone surrogate .* at character 1"),
        (Message.user([{"type": "text", "text": "\udc00"}]), r"\['content'\]\[0\]\['text'\]"),
        ([{"role": "user", "content": "", "\udc00": 1}], "a key of messages"),
    ],
)
def test_a_lone_surrogate_is_refused_with_its_place(prompt: object, where: str) -> None:
    with pytest.raises(ValueError, match=where) as caught:
        to_messages(prompt)  # type: ignore[arg-type]
    assert not isinstance(caught.value, UnicodeError)
    str(caught.value).encode()


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])).filter(str.strip))
def test_any_unicode_text_reaches_the_wire_as_it_is(text: str) -> None:
    (message,) = to_messages(text)
    assert json.loads(json.dumps(message, ensure_ascii=False).encode())["content"] == text
