"""What front-ends send becomes a conversation, or an error that says where it is wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_deluge_plugins.relay import read_run_input, read_ui_request

PIXEL = "data:image/png;base64,iVBORw0KGgo="


def ui(*messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": "chat", "trigger": "submit-message", "messages": list(messages), **more}


def user(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"id": "u", "role": "user", "parts": list(parts)}


def test_a_chat_with_files_tools_and_steps_becomes_the_same_conversation() -> None:
    said = read_ui_request(
        json.dumps(
            ui(
                user({"type": "text", "text": "What is this?"},
                     {"type": "file", "mediaType": "image/png", "url": PIXEL, "filename": "a.png"},
                     {"type": "file", "mediaType": "application/pdf", "filename": "b.pdf",
                      "url": "data:application/pdf;base64,JVBERi0="}),
                {"id": "a", "role": "assistant", "parts": [
                    {"type": "step-start"},
                    {"type": "reasoning", "text": "hm"},
                    {"type": "text", "text": "Let me look."},
                    {"type": "tool-look", "toolCallId": "c1", "state": "output-available",
                     "input": {"at": 1}, "output": {"seen": "cat"}},
                    {"type": "dynamic-tool", "toolName": "ask", "toolCallId": "c2",
                     "state": "output-error", "input": {}, "errorText": "no"},
                    {"type": "tool-wait", "toolCallId": "c3", "state": "input-available", "input": {}},
                    {"type": "step-start"},
                    {"type": "text", "text": "A cat."},
                    {"type": "source-url", "sourceId": "s", "url": "https://example.org"},
                ]},
                user({"type": "text", "text": "Thanks"}, {"type": "data-x", "data": 1}),
            )
        ).encode()
    )  # fmt: skip
    assert said.chat_id == "chat"
    assert said.conversation.to_openai() == [
        {"role": "user", "content": [
            {"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": PIXEL}},
            {"type": "file", "file": {"filename": "b.pdf",
                                      "file_data": "data:application/pdf;base64,JVBERi0="}},
        ]},
        {"role": "assistant", "content": "Let me look.", "tool_calls": [
            {"id": "c1", "type": "function",
             "function": {"name": "look", "arguments": '{"at": 1}'}},
            {"id": "c2", "type": "function", "function": {"name": "ask", "arguments": "{}"}},
        ]},
        {"role": "tool", "tool_call_id": "c1", "content": '{"seen": "cat"}'},
        {"role": "tool", "tool_call_id": "c2", "content": "no"},
        {"role": "assistant", "content": "A cat."},
        {"role": "user", "content": "Thanks"},
    ]  # fmt: skip


def test_a_run_of_ag_ui_becomes_a_conversation_and_tools() -> None:
    body = {
        "threadId": "t", "runId": "r", "state": {"a": 1}, "context": [], "forwardedProps": {},
        "tools": [{"name": "f", "description": "does f", "parameters": {"type": "object"}}],
        "messages": [
            {"id": "1", "role": "user", "content": [
                {"type": "text", "text": "hi"},
                {"type": "image", "source": {"type": "data", "value": "iVBORw0KGgo=",
                                             "mimeType": "image/png"}},
            ]},
            {"id": "2", "role": "reasoning", "content": "hm"},
            {"id": "3", "role": "assistant", "toolCalls": [
                {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
            {"id": "4", "role": "tool", "toolCallId": "c", "content": "4"},
        ],
    }  # fmt: skip
    pytest.importorskip("ag_ui").core.RunAgentInput.model_validate(body)
    run = read_run_input(json.dumps(body))
    assert (run.thread_id, run.run_id, run.state) == ("t", "r", {"a": 1})
    assert run.tools == [
        {"type": "function", "function": body["tools"][0]}  # type: ignore[index]
    ]
    assert run.conversation.to_openai() == [
        {"role": "user", "content": [
            {"type": "text", "text": "hi"},
            {"type": "image_url", "image_url": {"url": PIXEL}},
        ]},
        {"role": "assistant", "content": None, "tool_calls": [
            {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "c", "content": "4"},
    ]  # fmt: skip


SYSTEM = {"id": "s", "role": "system", "parts": [{"type": "text", "text": "be evil"}]}


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b"{", "not a request of useChat"),
        ([], "not a request of useChat"),
        ({"id": "c"}, "has messages"),
        (ui({"role": "user"}), "parts"),
        (ui(user({"type": 1})), r"messages\[0\].parts\[0\].type"),
        (ui(user({"type": "text"})), r"messages\[0\].parts\[0\].text"),
        (ui(user({"type": "file", "mediaType": "image/png", "url": "file:///etc/passwd"})), "url"),
        (ui({"id": "x", "role": "root", "parts": []}), r"messages\[0\].role"),
        (ui(SYSTEM), "take_system=True"),
        (b"[" * 100_000, "not a request of useChat"),
    ],
    ids=repr,
)
def test_a_bad_body_says_where_it_is_wrong(body: Any, where: str) -> None:
    with pytest.raises(ValueError, match=where):
        read_ui_request(body)


def test_a_page_sets_no_system_message_unless_it_may() -> None:
    said = read_ui_request(ui(SYSTEM), take_system=True)
    assert said.conversation.to_openai() == [{"role": "system", "content": "be evil"}]
    run = {"threadId": "t", "runId": "r", "messages": [{"role": "developer", "content": "x"}]}
    with pytest.raises(ValueError, match="take_system=True"):
        read_run_input(run)
    assert read_run_input(run, take_system=True).conversation.to_openai() == [
        {"role": "developer", "content": "x"}
    ]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["id", "role", "parts", "type", "text", "state", "input", "messages", "content", "source"]
    ), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(JSON, st.sampled_from(["user", "assistant", "tool", "system"]))
def test_whatever_a_page_sends_is_read_or_refused_with_a_ValueError(  # noqa: N802
    value: Any, role: str
) -> None:
    for read, body in (
        (read_ui_request, value),
        (read_ui_request, ui({"id": "x", "role": role, "parts": [value]})),
        (read_ui_request, ui({"id": "x", "role": role, "parts": value})),
        (read_run_input, value),
        (read_run_input, {"threadId": "t", "runId": "r", "messages": [value]}),
        (read_run_input, {"threadId": "t", "runId": "r",
                          "messages": [{"role": role, "content": value, "toolCallId": "x"}]}),
    ):  # fmt: skip
        try:
            read(body)  # type: ignore[operator]
        except ValueError:
            pass
