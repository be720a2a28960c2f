"""Calls that are no functions: told apart from the others, answered, and sent back with their answers."""

from __future__ import annotations

from typing import Any

import pytest

from lm_deluge import APIResponse, Conversation, LLMClient, Message, RetryPolicy, register_model
from lm_deluge.values.other_calls import OtherCall
from support.responses import START, ended, event
from support.scripted import END, HEADERS, ScriptedServer, http

CALLS: list[dict[str, Any]] = [
    {"type": "custom_tool_call", "id": "ctc_1", "call_id": "call_1", "name": "sql", "input": "x"},
    {"type": "local_shell_call", "id": "lsh_1", "call_id": "call_2", "action": {"command": ["ls"]}},
    {"type": "mcp_approval_request", "id": "mcpr_1", "name": "send", "arguments": "{}"},
    {"type": "apply_patch_call", "id": "apc_1", "call_id": "call_4", "operation": {"type": "x"}},
    {"type": "computer_call", "id": "cu_1", "call_id": "call_5", "action": {"type": "click"}},
    {"type": "tool_search_call", "id": "ts_1", "call_id": "call_6", "execution": "client"},
    {
        "type": "shell_call",
        "id": "sh_1",
        "call_id": "call_7",
        "environment": {"type": "local"},
        "action": {"commands": ["ls"]},
    },
]
THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA"}
FUNCTION = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "call_8",
    "name": "f",
    "arguments": '{"a": 1}',
}


def body_of(*items: dict[str, Any], in_the_end: bool = False) -> bytes:
    if in_the_end:
        return START + ended(output=list(items))
    told = [
        event(f"response.output_item.{what}", output_index=at, item=item)
        for at, item in enumerate(items)
        for what in ("added", "done")
    ]
    return START + b"".join(told) + ended()


async def turn(
    server: ScriptedServer, conversation: Conversation, dialect: str = "responses"
) -> APIResponse:
    name = f"other-{dialect}"
    register_model(name, base_url=server.base_url, dialect=dialect)
    async with LLMClient(name, printer=None, retries=RetryPolicy.none()) as client:
        return await client.stream(conversation)


TEXT = body_of({"type": "message", "content": [{"type": "output_text", "text": "Done"}]})


@pytest.mark.parametrize("in_the_end", [False, True])
async def test_other_calls_are_told_apart_and_go_back_with_their_answers(in_the_end: bool) -> None:
    first = body_of(THOUGHT, *CALLS, FUNCTION, in_the_end=in_the_end)
    async with ScriptedServer([HEADERS, http(first) + END], [HEADERS, http(TEXT) + END]) as server:
        conversation = Conversation().user("Hi")
        response = await turn(server, conversation)
        assert response.finish_reason == "tool_calls"
        assert [call.name for call in response.tool_calls] == ["f"]
        others = response.other_calls
        assert [call.item for call in others] == CALLS
        assert [(call.type, call.id, call.name) for call in others[:3]] == [
            ("custom_tool_call", "call_1", "sql"),
            ("local_shell_call", "call_2", None),
            ("mcp_approval_request", "mcpr_1", "send"),
        ]
        conversation.add(response.content)
        conversation.add(others[0].answer("1 row"))
        conversation.tool("call_2", "a.txt")  # a text is enough where a text is the answer
        conversation.add(others[2].answer({"approve": True}))
        conversation.add(others[3].answer({"status": "completed"}))
        conversation.add(others[6].answer({"output": [{"stdout": "", "stderr": ""}]}))
        conversation.tool("call_8", "2")
        await turn(server, Conversation.from_openai(conversation.to_openai()))
    assert server.requests[1].json["input"][1:] == [
        THOUGHT,
        *CALLS,
        FUNCTION,
        {"type": "custom_tool_call_output", "call_id": "call_1", "output": "1 row"},
        {"type": "local_shell_call_output", "call_id": "call_2", "output": "a.txt"},
        {
            "type": "mcp_approval_response",
            "approval_request_id": "mcpr_1",
            "approve": True,
        },
        {"type": "apply_patch_call_output", "call_id": "call_4", "status": "completed"},
        {
            "type": "shell_call_output",
            "call_id": "call_7",
            "output": [{"stdout": "", "stderr": ""}],
        },
        {"type": "function_call_output", "call_id": "call_8", "output": "2"},
    ]


async def test_a_text_for_what_no_text_answers_is_refused_by_name() -> None:
    first = [HEADERS, http(body_of(CALLS[3])) + END]
    async with ScriptedServer(first, first) as server:
        response = await turn(server, Conversation().user("Hi"))
        conversation = Conversation().user("Hi").add(response.content).tool("call_4", "done")
        with pytest.raises(
            ValueError, match=r"messages\[2\] is the result of a 'apply_patch_call'"
        ):
            await turn(server, conversation)
    with pytest.raises(TypeError, match="must be a str or a dict, not list"):
        response.other_calls[0].answer([])  # type: ignore[arg-type]


async def test_what_the_server_runs_itself_is_no_call_for_the_client() -> None:
    items = [
        {"type": "web_search_call", "id": "ws_1", "status": "completed"},
        {"type": "tool_search_call", "id": "ts_1", "execution": "server"},
        {"type": "shell_call", "id": "sh_1", "environment": {"type": "container_reference"}},
        {"type": "message", "content": [{"type": "output_text", "text": "Hi"}]},
    ]
    async with ScriptedServer([HEADERS, http(body_of(*items)) + END]) as server:
        response = await turn(server, Conversation().user("Hi"))
    assert (response.finish_reason, response.other_calls) == ("stop", [])


@pytest.mark.parametrize("where", [{}, {"environment": None}, {"environment": {"type": "local"}}])
async def test_a_shell_that_no_container_runs_is_the_clients(where: dict[str, Any]) -> None:
    call = {"type": "shell_call", "call_id": "call_1", "action": {"commands": ["ls"]}, **where}
    async with ScriptedServer([HEADERS, http(body_of(call)) + END]) as server:
        response = await turn(server, Conversation().user("Hi"))
    assert response.finish_reason == "tool_calls"
    assert [other.id for other in response.other_calls] == ["call_1"]


@pytest.mark.parametrize("call", CALLS[2:], ids=lambda call: call["type"])
def test_a_text_that_is_no_answer_is_refused_with_what_is(call: dict[str, Any]) -> None:
    other = OtherCall(type=call["type"], id="call_1", item=call)
    with pytest.raises(ValueError, match=f"{call['type']}.*give a dict like"):
        other.answer("yes")


async def test_another_provider_hears_nothing_of_other_calls_and_their_answers() -> None:
    said = {"type": "message", "content": [{"type": "output_text", "text": "Let me."}]}
    first = [HEADERS, http(body_of(THOUGHT, said, CALLS[0])) + END]
    async with ScriptedServer(first) as one:
        response = await turn(one, Conversation().user("Hi"))
    conversation = Conversation().user("Hi").add(response.content)
    conversation.add(response.other_calls[0].answer("1 row")).add(Message.user("And?"))
    async with ScriptedServer([HEADERS, http(b"data: [DONE]\n\n") + END]) as two:
        with pytest.raises(Exception, match="without an answer"):
            await turn(two, conversation, "chat")
    assert two.requests[0].json["messages"] == [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Let me."},
        {"role": "user", "content": "And?"},
    ]


@pytest.mark.parametrize("calls", [1, {}, [1], [{}], [{"type": 1}], [{"type": "x", "id": 5}]])
def test_odd_other_calls_are_no_error(calls: Any) -> None:
    response = APIResponse.from_dict(
        {"model": "m", "choices": [{"index": 0, "extra": {"other_calls": calls}}]}
    )
    assert [call.id for call in response.other_calls] in ([], [""])
