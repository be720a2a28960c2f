"""Tool calls from fragments: which call a fragment belongs to, where servers number them wrongly."""

from __future__ import annotations

import json
from time import process_time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_deluge import ToolCall
from lm_deluge.dialects.chat.choice import ChatChoice
from lm_deluge.dialects.chat.tool_calls import Fragment, ToolCallParts


def fragment(
    index: Any = None, id_: Any = None, name: Any = None, arguments: Any = None
) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    made = {"index": index, "id": id_}
    return {
        **{key: value for key, value in made.items() if value is not None},
        "function": {key: value for key, value in function.items() if value is not None},
    }


def parts_of(*fragments: dict[str, Any], together: bool = False) -> ChatChoice:
    parts = ChatChoice(max_tool_calls=1024)
    for group in [fragments] if together else [[one] for one in fragments]:
        list(parts.take({"delta": {"tool_calls": list(group)}}))
    return parts


def calls(*fragments: dict[str, Any]) -> list[tuple[str | None, str, str]]:
    """Return the calls as (id, name, arguments); the same in one chunk as in many."""
    made = parts_of(*fragments).build(0).tool_calls
    assert parts_of(*fragments, together=True).build(0).tool_calls == made
    return [(call.id, call.name, call.arguments) for call in made]


def test_the_usual_way_id_and_name_once_then_pieces_of_arguments() -> None:
    assert calls(
        fragment(0, "a", "f", ""),
        fragment(0, arguments='{"x"'),
        fragment(0, arguments=": 1}"),
        fragment(1, "b", "g", ""),
        fragment(1, arguments="{}"),
    ) == [("a", "f", '{"x": 1}'), ("b", "g", "{}")]


def test_fragments_of_two_calls_may_alternate() -> None:
    assert calls(
        fragment(0, "a", "f", "1"),
        fragment(1, "b", "g", "2"),
        fragment(0, arguments="3"),
        fragment(1, arguments="4"),
    ) == [("a", "f", "13"), ("b", "g", "24")]


def test_indexes_may_start_at_one() -> None:
    assert calls(fragment(1, "a", "f", "{"), fragment(1, arguments="}")) == [("a", "f", "{}")]


def test_the_index_may_be_missing() -> None:
    assert calls(
        fragment(None, "a", "f", "{"),
        fragment(arguments="}"),
        fragment(None, "b", "g", "{"),
        fragment(arguments="}"),
    ) == [("a", "f", "{}"), ("b", "g", "{}")]


@pytest.mark.parametrize("index", ["0", 1.5, [], {}])
def test_an_index_that_is_no_integer_is_none(index: Any) -> None:
    assert calls(fragment(index, "a", "f", "{"), fragment(index, arguments="}")) == [
        ("a", "f", "{}")
    ]


def test_index_zero_may_be_repeated_for_every_call() -> None:
    assert calls(
        fragment(0, "a", "f", "{}"), fragment(0, "b", "f", "{"), fragment(0, arguments="}")
    ) == [("a", "f", "{}"), ("b", "f", "{}")]


def test_the_id_wins_over_an_index_that_lies() -> None:
    assert calls(
        fragment(0, "a", "f", "{"),
        fragment(1, "b", "g", "{"),
        fragment(0, "b", arguments="}"),
        fragment(1, "a", arguments="}"),
    ) == [("a", "f", "{}"), ("b", "g", "{}")]


@pytest.mark.parametrize("name", ["", None, "f"])
@pytest.mark.parametrize("id_", ["a", "", None])
def test_continuations_may_repeat_or_empty_the_name_and_the_id(name: Any, id_: Any) -> None:
    assert calls(
        fragment(0, "a", "f", '{"x": '),
        fragment(0, id_, name, "[1, "),
        fragment(0, id_, name, '"}", "\\"}'),
        fragment(0, id_, name, '\\\\"]}'),
    ) == [("a", "f", '{"x": [1, "}", "\\"}\\\\"]}')]


def test_the_id_may_come_after_the_name() -> None:
    assert calls(
        fragment(0, None, "f"), fragment(0, "a"), fragment(0, arguments="{}"), fragment(1, "b", "g")
    ) == [("a", "f", "{}"), ("b", "g", "")]


def test_the_name_may_come_in_pieces() -> None:
    assert calls(fragment(0, "a", "get_"), fragment(0, None, "weather"), fragment(0, arguments="{}")
    ) == [("a", "get_weather", "{}")]  # fmt: skip


def test_whole_calls_without_ids_are_calls_of_their_own() -> None:
    assert calls(
        fragment(0, None, "f", '{"a": 1}'), fragment(0, None, "f", '{"a": 2}'), fragment(0, None, "g", "{}")
    ) == [("", "f", '{"a": 1}'), ("", "f", '{"a": 2}'), ("", "g", "{}")]  # fmt: skip


def test_another_name_without_an_id_begins_another_call() -> None:
    assert calls(fragment(None, None, "f", '{"a"'), fragment(None, None, "g", "{}")) == [
        ("", "f", '{"a"'),
        ("", "g", "{}"),
    ]


@pytest.mark.parametrize("arguments", [None, 3, True])
def test_arguments_that_are_no_text_add_nothing(arguments: Any) -> None:
    made = fragment(0, "a", "f", "{")
    odd = {"index": 0, "function": {"arguments": arguments}}
    assert calls(made, odd, fragment(0, arguments="}")) == [("a", "f", "{}")]


@pytest.mark.parametrize("function", [None, "f", []])
def test_a_fragment_without_a_function_adds_nothing(function: Any) -> None:
    assert calls(fragment(0, "a", "f", "{}"), {"index": 0, "function": function}) == [
        ("a", "f", "{}")
    ]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"city": "Köln", "n": [1, None]}, '{"city":"Köln","n":[1,null]}'),
        ({}, "{}"),
        ([1], "[1]"),
        ({"text": "\ud83d"}, '{"text":"\N{REPLACEMENT CHARACTER}"}'),
        ({"n": 10**30}, '{"n":' + str(10**30) + "}"),
        ({"x": float("nan")}, '{"x":NaN}'),
    ],
)
def test_arguments_sent_as_an_object_become_json_text(arguments: Any, text: str) -> None:
    assert calls(fragment(0, "a", "f", arguments)) == [("a", "f", text)]


def test_a_legacy_function_call_is_a_tool_call_without_an_id() -> None:
    parts = ChatChoice(max_tool_calls=9)
    pieces = []
    for call in ({"name": "f", "arguments": ""}, {"arguments": '{"a"'}, {"arguments": ": 1}"}):
        pieces += list(parts.take({"delta": {"function_call": call}}))
    assert parts.build(0).tool_calls == [ToolCall(None, "f", '{"a": 1}')]
    assert [(p.kind, p.index, p.id, p.name, p.text) for p in pieces] == [
        ("tool_call", 0, None, "f", ""),
        ("tool_call", 0, None, "f", '{"a"'),
        ("tool_call", 0, None, "f", ": 1}"),
    ]


def test_a_legacy_call_beside_tool_calls_is_a_call_of_its_own() -> None:
    parts = parts_of(fragment(0, "a", "f", "{}"))
    list(parts.take({"delta": {"function_call": {"name": "g", "arguments": "{}"}}}))
    list(parts.take({"delta": {"tool_calls": [fragment(0, arguments=" ")]}}))
    assert [(c.id, c.name, c.arguments) for c in parts.build(0).tool_calls] == [
        ("a", "f", "{} "),
        (None, "g", "{}"),
    ]


def test_each_piece_says_what_is_known_of_its_call() -> None:
    parts = ChatChoice(max_tool_calls=9)
    pieces = [
        piece
        for one in (fragment(7, "a"), fragment(7, None, "f"), fragment(7, arguments="{"))
        for piece in parts.take({"delta": {"tool_calls": [one]}})
    ]
    assert [(p.index, p.id, p.name, p.text) for p in pieces] == [
        (0, "a", None, ""),
        (0, "a", "f", ""),
        (0, "a", "f", "{"),
    ]


def test_a_message_with_the_calls_can_be_sent_back() -> None:
    message = parts_of(fragment(0, "a", "f", "{}")).build(0).content
    assert message.content is None
    assert message.to_openai()["tool_calls"] == [
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    ]


def stands_alone(text: str) -> bool:
    """Whether a piece may be all of the arguments: some servers send them twice, or an empty one first."""
    try:
        value = json.loads(text)
    except ValueError:
        return False
    return isinstance(value, dict | list) or value in (None, "")


@given(
    st.lists(
        st.tuples(
            st.sampled_from("fg"),
            st.lists(st.text(max_size=4).filter(lambda text: not stands_alone(text)), max_size=5),
        ),
        max_size=6,
    ),
    st.randoms(use_true_random=False),
)
def test_calls_in_the_usual_way_come_back_however_they_alternate(
    wanted: list[tuple[str, list[str]]], random: Any
) -> None:
    queues = [
        [fragment(at, f"id{at}", name, ""), *(fragment(at, arguments=text) for text in texts)]
        for at, (name, texts) in enumerate(wanted)
    ]
    order = [at for at, queue in enumerate(queues) for _ in queue[1:]]
    random.shuffle(order)
    fragments = [queue.pop(0) for queue in queues]
    fragments += [queues[at].pop(0) for at in order]
    assert calls(*fragments) == [
        (f"id{at}", name, "".join(texts)) for at, (name, texts) in enumerate(wanted)
    ]


# What comes late, twice or elsewhere


def test_the_id_may_come_after_arguments_have_begun() -> None:
    assert calls(
        fragment(0, None, "f", '{"x"'), fragment(0, "a"), fragment(0, arguments=": 1}")
    ) == [("a", "f", '{"x": 1}')]
    assert calls(fragment(0, None, "f", '{"x": 1}'), fragment(0, "a", "f", "")) == [
        ("a", "f", '{"x": 1}')
    ]
    assert calls(fragment(None, None, "f", "{"), fragment(None, "a", arguments="}")) == [
        ("a", "f", "{}")
    ]


@pytest.mark.parametrize("id_", ["a", None])
def test_the_name_may_come_after_the_arguments(id_: Any) -> None:
    for arguments in ("", " "):
        assert calls(
            fragment(0, "a", None, '{"x": 1}'),
            fragment(0, id_, "f", arguments),
        ) == [("a", "f", '{"x": 1}' + arguments)]


@pytest.mark.parametrize("placeholder", ["{}", "[]", "null", '""', "", None, {}])
@pytest.mark.parametrize("name", [None, "f"])
@pytest.mark.parametrize("id_", ["a", "", None])
def test_arguments_may_begin_with_a_placeholder(placeholder: Any, name: Any, id_: Any) -> None:
    begun = fragment(0, "a", "f", placeholder)
    assert calls(begun, fragment(0, id_, name, '{"x"'), fragment(0, arguments=": 1}")) == [
        ("a", "f", '{"x": 1}')
    ]
    assert calls(begun, fragment(0, id_, name, '{"x": 1}')) == [("a", "f", '{"x": 1}')]


@pytest.mark.parametrize("text", ["null", "[]", '""', "{}"])
def test_a_placeholder_that_nothing_follows_is_the_arguments(text: str) -> None:
    assert calls(fragment(0, "a", "f", text)) == [("a", "f", text)]


@pytest.mark.parametrize("first", ["a", None])
def test_a_name_repeated_without_arguments_begins_no_call(first: Any) -> None:
    made = calls(
        fragment(0, first, "f", '{"x": '), fragment(0, None, "f", "1}"), fragment(0, None, "f", "")
    )
    assert made == [(first or "", "f", '{"x": 1}')]


def test_a_call_without_an_id_may_begin_with_its_name_alone() -> None:
    assert calls(
        fragment(0, None, "f", '{"a": 1}'),
        fragment(0, None, "f", ""),
        fragment(0, None, None, '{"a"'),
        fragment(0, None, None, ": 2}"),
    ) == [("", "f", '{"a": 1}'), ("", "f", '{"a": 2}')]


@pytest.mark.parametrize("id_", ["a", None])
@pytest.mark.parametrize("name", ["f", None])
@pytest.mark.parametrize("again", ['{"x": [1, "}"]}', '{"x":[1,"}"]}', ' {"x": [1, "}"]}\n'])
def test_arguments_sent_again_at_the_end_count_once(again: str, name: Any, id_: Any) -> None:
    pieces = [fragment(0, "a", "f", '{"x": '), fragment(0, arguments='[1, "}"]}')]
    assert calls(*pieces, fragment(0, id_, name, again)) == [("a", "f", '{"x": [1, "}"]}')]


def test_other_arguments_after_whole_ones_are_another_call_if_named_and_lost_nowhere() -> None:
    first = fragment(0, "a", "f", '{"x": 1}')
    assert calls(first, fragment(0, None, "f", '{"x": 2}')) == [
        ("a", "f", '{"x": 1}'),
        ("", "f", '{"x": 2}'),
    ]
    assert calls(first, fragment(0, arguments='{"x": 2}')) == [("a", "f", '{"x": 1}{"x": 2}')]


@pytest.mark.parametrize(
    "entry",
    [
        {"index": 0, "id": "7", "name": "f", "arguments": "{}", "k": 1},
        {"index": 0, "id": 7, "name": "f", "arguments": {}, "k": 1},
        {"index": 0, "id": 7, "function": "f", "arguments": "{}", "k": 1},
        {"index": "0", "id": 7, "function": {"name": "f", "arguments": "{}"}, "k": 1},
    ],
)
@pytest.mark.parametrize("shape", [lambda it: [it], lambda it: it, lambda it: {"0": it}])
@pytest.mark.parametrize("place", ["delta", "message", "choice"])
def test_a_call_is_read_in_whatever_shape_and_place(entry: Any, shape: Any, place: str) -> None:
    parts = ChatChoice(max_tool_calls=9)
    fields = {"tool_calls": shape(entry)}
    list(parts.take(fields if place == "choice" else {place: fields}))
    list(parts.flush())
    assert parts.build(0).tool_calls == [ToolCall("7", "f", "{}", extra={"k": 1})]
    assert parts.build(0).extra == {}


def test_calls_beside_a_delta_that_said_them_are_a_copy() -> None:
    parts = parts_of(fragment(0, "a", "f", "{}"))
    list(parts.take({"delta": {}, "tool_calls": [fragment(0, "b", "f", "{}")]}))
    assert [call.id for call in parts.build(0).tool_calls] == ["a"]


def test_a_custom_tools_input_is_text_that_goes_back_as_it_came() -> None:
    begun = {"index": 0, "id": "a", "type": "custom", "custom": {"name": "run", "input": ""}}
    pieces = ["{}", "", "{}", "null", "{"]
    parts = parts_of(begun, *({"index": 0, "custom": {"input": piece}} for piece in pieces))
    (call,) = parts.build(0).tool_calls
    assert (call.id, call.name, call.arguments) == ("a", "run", "{}{}null{")
    sent = call.to_openai()
    assert sent == {"id": "a", "type": "custom", "custom": {"name": "run", "input": "{}{}null{"}}
    assert ToolCall.from_openai(sent) == call
    assert call.parsed() == "{}{}null{"


def test_names_sent_again_with_every_fragment_take_linear_time() -> None:
    def cost(count: int) -> float:
        best = float("inf")
        for _ in range(3):
            parts = ToolCallParts()
            begun = process_time()
            again = Fragment.read(fragment(name="f", arguments="{" * 8))
            slot = parts.slot_for(again)
            slot.name = "f"
            slot.append('{"x": "')
            for _ in range(count):
                assert parts.slot_for(again) is slot
                slot.append(slot.hold("{" * 8))
            best = min(best, process_time() - begun)
        return best

    assert cost(16_000) < 24 * cost(2_000)
