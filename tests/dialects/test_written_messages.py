"""Messages, forms and choices of tools as Gemini and Responses have them."""

from __future__ import annotations

from typing import Any

import pytest

from lm_deluge import LLMClient
from lm_deluge.dialects.gemini.contents import contents_of
from lm_deluge.dialects.responses.items import items_of

URL = "http://127.0.0.1:9/v1"
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"}}
CALL = {"id": "c1", "type": "function", "function": {"name": "now", "arguments": "{}"}}
CUSTOM = {"id": "c2", "type": "custom", "custom": {"name": "run", "input": "ls"}}
FUNCTION = {"type": "function", "function": {"name": "now", "parameters": {"type": "object"}}}


def message(content: Any, role: str = "user", **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


ITEMS = {
    "an image": (
        [message([{"type": "text", "text": "Hi"}, IMAGE])],
        [
            message(
                [
                    {"type": "input_text", "text": "Hi"},
                    {
                        "type": "input_image",
                        "image_url": "data:image/png;base64,AA==",
                        "detail": "low",
                    },
                ]
            )
        ],
    ),
    "a file": (
        [message([{"type": "file", "file": {"file_id": "f1"}}])],
        [message([{"type": "input_file", "file_id": "f1"}])],
    ),
    "a part of its own": (
        [message([{"type": "input_text", "text": "Hi"}])],
        [message([{"type": "input_text", "text": "Hi"}])],
    ),
    "a refusal": (
        [message(None, "assistant", refusal="No.")],
        [message([{"type": "refusal", "refusal": "No."}], "assistant")],
    ),
    "calls and results": (
        [
            message(None, "assistant", tool_calls=[CALL, CUSTOM]),
            message("noon", "tool", tool_call_id="c1"),
            message("a b", "tool", tool_call_id="c2"),
        ],
        [
            {"type": "function_call", "call_id": "c1", "name": "now", "arguments": "{}"},
            {"type": "custom_tool_call", "call_id": "c2", "name": "run", "input": "ls"},
            {"type": "function_call_output", "call_id": "c1", "output": "noon"},
            {"type": "custom_tool_call_output", "call_id": "c2", "output": "a b"},
        ],
    ),
}


@pytest.mark.parametrize("case", ITEMS)
def test_messages_are_items_of_responses(case: str) -> None:
    messages, items = ITEMS[case]
    assert items_of(messages) == (None, items)


def test_the_first_system_messages_are_instructions_in_responses() -> None:
    parts = [{"type": "text", "text": "Be brief."}, {"type": "text", "text": "Be kind."}]
    assert items_of([message(parts, "system"), message("Hi")]) == (
        "Be brief.\n\nBe kind.",
        [message("Hi")],
    )


CONTENTS = {
    "an image": ([IMAGE], [{"inlineData": {"mimeType": "image/png", "data": "AA=="}}]),
    "an address": (
        [{"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}],
        [{"fileData": {"fileUri": "https://example.org/a.png"}}],
    ),
    "a part of its own": ([{"fileData": {"fileUri": "x"}}], [{"fileData": {"fileUri": "x"}}]),
    "a text": ([{"type": "text", "text": "Hi"}], [{"text": "Hi"}]),
}


@pytest.mark.parametrize("case", CONTENTS)
def test_parts_are_parts_of_gemini(case: str) -> None:
    content, parts = CONTENTS[case]
    assert contents_of([message(content)]) == ([], [{"role": "user", "parts": parts}])


@pytest.mark.parametrize(
    ("content", "response"),
    [
        ("noon", {"result": "noon"}),
        ('{"time": "noon"}', {"time": "noon"}),
        ("[1]", {"result": "[1]"}),
        ([{"type": "text", "text": "no"}, {"type": "text", "text": "on"}], {"result": "noon"}),
        (None, {"result": ""}),
    ],
)
def test_a_result_is_an_object_in_gemini(content: Any, response: Any) -> None:
    asked = message(None, "assistant", tool_calls=[CALL])
    _, contents = contents_of([asked, message(content, "tool", tool_call_id="c1")])
    assert contents[1] == {
        "role": "user",
        "parts": [{"functionResponse": {"name": "now", "response": response}}],
    }


WRONG = {
    "responses: audio": (
        items_of,
        [message([{"type": "input_audio"}])],
        "which the Responses API has none of",
    ),
    "responses: a system image": (
        items_of,
        [message([IMAGE], "system"), message("Hi")],
        "a system message is text",
    ),
    "gemini: audio": (
        contents_of,
        [message([{"type": "input_audio"}])],
        "must be a dict with 'data' and 'format'",
    ),
    "gemini: a text that is none": (contents_of, [message([{"type": "text"}])], "has no text"),
    "gemini: a custom call": (
        contents_of,
        [message(None, "assistant", tool_calls=[CUSTOM])],
        "which the Gemini API has none of",
    ),
    "gemini: arguments that are no object": (
        contents_of,
        [
            message(
                None,
                "assistant",
                tool_calls=[{**CALL, "function": {"name": "now", "arguments": "[1]"}}],
            )
        ],
        "the arguments of 'now' are no JSON object",
    ),
    "gemini: a result of nothing": (
        contents_of,
        [message("noon", "tool", tool_call_id="c9")],
        "no message before it has that call",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_said_is_named_with_its_place(case: str) -> None:
    write, messages, words = WRONG[case]
    with pytest.raises(ValueError, match=words) as caught:
        write(messages)  # type: ignore[operator]
    assert "messages[0]" in str(caught.value)


#: By dialect: arguments that make no sense, and what is said of them.
ARGUMENTS: list[tuple[str, dict[str, Any], type[Exception], str]] = [
    ("responses", {"response_format": "json"}, TypeError, "response_format must be a dict"),
    ("responses", {"response_format": {"json_schema": {}}}, ValueError, "has no 'type'"),
    (
        "responses",
        {"response_format": {"type": "json_schema", "json_schema": "x"}},
        ValueError,
        r"response_format\['json_schema'\] must be a dict",
    ),
    ("responses", {"tools": [FUNCTION], "tool_choice": "any"}, ValueError, "tool_choice must be"),
    (
        "gemini",
        {"response_format": {"type": "xml"}},
        ValueError,
        r"response_format\['type'\] must be",
    ),
    (
        "gemini",
        {"response_format": {"type": "json_schema"}},
        ValueError,
        r"response_format\['json_schema'\] must be a dict",
    ),
    ("gemini", {"tools": [FUNCTION], "tool_choice": "any"}, ValueError, "tool_choice must be"),
    (
        "gemini",
        {"extra_body": {"generationConfig": [1]}},
        TypeError,
        r"extra_body\['generationConfig'\] must be a dict, not list",
    ),
]


@pytest.mark.parametrize("case", range(len(ARGUMENTS)))
def test_arguments_that_make_no_sense_are_named(case: int) -> None:
    dialect, given, kind, words = ARGUMENTS[case]
    client = LLMClient("mine", dialect=dialect, base_url=URL, api_key="k")
    with pytest.raises(kind, match=words):
        client.open_stream("hi", **given)


@pytest.mark.parametrize(
    ("choice", "calling"),
    [
        ("required", {"mode": "ANY"}),
        ("none", {"mode": "NONE"}),
        (
            {"type": "function", "function": {"name": "now"}},
            {"mode": "ANY", "allowedFunctionNames": ["now"]},
        ),
        ({"mode": "VALIDATED"}, {"mode": "VALIDATED"}),
    ],
)
def test_the_choice_of_a_tool_is_a_mode_in_gemini(choice: Any, calling: Any) -> None:
    from lm_deluge.dialects.gemini.request import _calling

    assert _calling(choice) == calling


THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "AAAA"}
SAID = {"type": "message", "id": "m_1", "content": [{"type": "output_text", "text": "Hi"}]}


def came(*items: dict[str, Any], text: str = "") -> dict[str, Any]:
    content = {"dialect": "responses", "content": list(items)}
    return {"role": "assistant", "content": text, "provider_content": content}


def test_thoughts_that_nothing_follows_do_not_go_back_to_responses() -> None:
    assert items_of([came(THOUGHT, SAID, THOUGHT, THOUGHT, text="Hi")]) == (None, [THOUGHT, SAID])
    user = message("And?")
    assert items_of([user, came(THOUGHT), user]) == (None, [user, user])


def test_thoughts_do_not_go_to_a_model_that_does_not_think() -> None:
    bare = {key: SAID[key] for key in SAID if key != "id"}
    assert items_of([came(THOUGHT, SAID, text="Hi")], thinks=False) == (None, [bare])
    assert items_of([came(THOUGHT, SAID, text="Hi")]) == (None, [THOUGHT, SAID])
