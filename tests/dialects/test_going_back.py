"""What a provider alone can read goes back to it as it came, and to nobody else."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest

from lm_deluge import APIResponse, Conversation, LLMClient, Message, RetryPolicy, register_model
from lm_deluge.config import Limits, SamplingParams
from lm_deluge.dialects import dialect_named
from lm_deluge.errors import BadRequestError, LimitExceededError
from lm_deluge.simulator import Simulator
from lm_deluge.values.redaction import Redactor
from support import gemini, messages, responses
from support.scripted import DONE, END, HEADERS, ScriptedServer, http, sse

NAMES = {
    "messages": "claude-sonnet-5-5",
    "responses": "gpt-5",
    "gemini": "gemini-3-pro",
    "chat": "gpt-4.1",
}
ROOTS = {"messages": "", "responses": "/v1", "gemini": "/v1beta", "chat": "/v1"}
TOOLS = [
    {
        "type": "function",
        "function": {"name": name, "parameters": {"type": "object", "properties": {}}},
    }
    for name in ("weather", "now")
]
CALLS = [("weather", {"city": "東京"}), ("now", {})]
BLOBS = {
    "messages": "signature",
    "responses": "encrypted_content",
    "gemini": "thoughtSignature",
}


def client_of(sim: Simulator, dialect: str) -> LLMClient:
    return LLMClient(
        NAMES[dialect],
        dialect=dialect,
        base_url=sim.url.removesuffix("/v1") + ROOTS[dialect],
        api_key="any",
        printer=None,
        retries=RetryPolicy.none(),
        sampling_params=SamplingParams(
            reasoning_effort=None if dialect == "chat" else "low", max_new_tokens=4000
        ),
    )


def simulator(**options: Any) -> Simulator:
    return Simulator(reasoning="Well, 良い.", tool_calls=CALLS, **options)


async def asked(client: LLMClient) -> tuple[Conversation, APIResponse]:
    conversation = Conversation().user("What is the weather?")
    response = await client.stream(conversation, tools=TOOLS)
    assert response.finish_reason == "tool_calls"
    return conversation.add(response.content), response


def answered(conversation: Conversation, response: APIResponse) -> Conversation:
    for call in response.tool_calls:
        conversation = conversation.tool(call.id or "", "sun")
    return conversation


def stored(conversation: Conversation, how: str) -> Conversation:
    if how == "json":
        return Conversation.from_openai(json.loads(json.dumps(conversation.to_openai())))
    if how == "pickle":
        return pickle.loads(pickle.dumps(conversation))  # type: ignore[no-any-return]
    return copy.deepcopy(conversation)


@pytest.mark.parametrize("how", ["json", "pickle", "deepcopy"])
@pytest.mark.parametrize("dialect", NAMES)
async def test_two_turns_with_tools_go_through_where_signatures_are_verified(
    dialect: str, how: str
) -> None:
    async with simulator() as sim, client_of(sim, dialect) as client:
        conversation, response = await asked(client)
        conversation = stored(answered(conversation, response), how)
        again = await client.stream(conversation, tools=TOOLS)
    assert again.completion
    for blob in [BLOBS[dialect]] if dialect in BLOBS else []:
        assert blob in json.dumps(sim.requests[1].json)
        assert blob not in repr(conversation) + repr(response)


def _paths(value: Any, name: str) -> list[dict[str, Any]]:
    if isinstance(value, list):
        return [found for item in value for found in _paths(item, name)]
    if not isinstance(value, dict):
        return []
    mine = [value] if isinstance(value.get(name), str) else []
    return mine + [found for item in value.values() for found in _paths(item, name)]


@pytest.mark.parametrize("change", ["mutated", "missing"])
@pytest.mark.parametrize("dialect", BLOBS)
async def test_what_does_not_go_back_as_it_came_is_refused(dialect: str, change: str) -> None:
    async with simulator() as sim, client_of(sim, dialect) as client:
        conversation, response = await asked(client)
        content = conversation.messages[-1].extra["provider_content"]["content"]
        (holder,) = _paths(content, BLOBS[dialect])[:1]
        if change == "mutated":
            holder[BLOBS[dialect]] = "AAAA" + holder[BLOBS[dialect]][4:]
        elif dialect == "messages":
            content.remove(holder)
            del holder["signature"]
            content.insert(0, holder)
        elif dialect == "responses":
            content.remove(holder)
        else:
            del holder["thoughtSignature"]
        with pytest.raises(BadRequestError):
            await client.stream(answered(conversation, response), tools=TOOLS)


@pytest.mark.parametrize("second", NAMES)
@pytest.mark.parametrize("first", NAMES)
async def test_another_provider_gets_text_calls_and_results_and_no_blob(
    first: str, second: str
) -> None:
    async with simulator(seed=1) as one, simulator(seed=2) as two:
        async with client_of(one, first) as client:
            conversation, response = await asked(client)
        async with client_of(two, second) as client:
            again = await client.stream(answered(conversation, response), tools=TOOLS)
    assert again.completion
    sent = json.dumps(two.requests[0].json, ensure_ascii=False)
    assert "東京" in sent
    assert "sun" in sent
    assert "provider_content" not in sent
    assert "良い" not in sent
    for blob in _paths(one.requests[0].json, "signature"):
        assert blob["signature"] not in sent
    content = conversation.messages[-1].extra.get("provider_content", {}).get("content", [])
    for name in BLOBS.values():
        for holder in _paths(content, name):
            assert holder[name] not in sent


async def test_a_message_that_was_changed_is_sent_as_it_reads_now() -> None:
    async with simulator() as sim, client_of(sim, "gemini") as client:
        conversation, _ = await asked(client)
        message = conversation.messages[-1]
        message.tool_calls = []
        message.content = "It rains."
        await client.stream(conversation.user("Really?"))
    assert sim.requests[1].json["contents"][1]["parts"] == [{"text": "It rains."}]


async def test_reasoning_of_chat_goes_back_where_the_registration_says_so() -> None:
    async with simulator(models=["thinks-back", "thinks-alone"]) as sim:
        register_model("thinks-back", base_url=f"{sim.url}/v1", reasoning_goes_back=True)
        register_model("thinks-alone", base_url=f"{sim.url}/v1")
        for name in ("thinks-back", "thinks-alone"):
            async with LLMClient(
                name, api_key="any", printer=None, retries=RetryPolicy.none()
            ) as client:
                conversation, response = await asked(client)
                await client.stream(answered(conversation, response), tools=TOOLS)
    sent = [request.json["messages"][1].get("reasoning_content") for request in sim.requests[1::2]]
    assert sent == ["Well, 良い.", None]


def test_a_foreign_message_without_text_or_calls_is_left_out() -> None:
    from lm_deluge.dialects.going_back import without_foreign

    approval = {"type": "mcp_approval_request", "id": "mcpr_1", "name": "x", "arguments": "{}"}
    came = {"dialect": "responses", "endpoint": "api.openai.com", "content": [approval]}
    messages = [
        Message.user("Hi").to_openai(),
        Message("assistant", "", extra={"provider_content": came}).to_openai(),
        Message.tool("mcpr_1", "yes").to_openai(),
    ]
    assert without_foreign(messages, "chat", "https://api.openai.com/v1") == messages[:1]
    assert without_foreign(messages, "responses", "https://api.openai.com/v1") == messages


@pytest.mark.parametrize(
    "came", [1, [], {}, {"dialect": 1}, {"dialect": "messages", "content": [1]}]
)
@pytest.mark.parametrize("dialect", NAMES)
async def test_odd_provider_content_does_no_harm(dialect: str, came: Any) -> None:
    message = Message("assistant", "Good day", extra={"provider_content": came})
    async with Simulator(text="ok") as sim, client_of(sim, dialect) as client:
        response = await client.stream(Conversation().user("Hi").add(message).user("And?"))
    assert response.completion == "ok"
    assert "Good day" in json.dumps(sim.requests[0].json)
    assert "provider_content" not in json.dumps(sim.requests[0].json)


async def test_a_signature_of_chat_goes_to_the_server_that_gave_it_alone() -> None:
    signed = {"extra_content": {"google": {"thought_signature": "c2ln"}}}
    call = {"index": 0, "id": "c", "function": {"name": "now", "arguments": "{}"}, **signed}
    said = {"choices": [{"index": 0, "delta": {"tool_calls": [call], **signed}}]}
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}
    body = [HEADERS, http(sse(said) + sse(end) + DONE) + END]
    async with ScriptedServer(body, body) as home, ScriptedServer(body) as abroad:
        conversation = Conversation().user("Hi")
        for name, server in (("home", home), ("home", home), ("abroad", abroad)):
            register_model(name, base_url=server.base_url)
            async with LLMClient(name, printer=None, retries=RetryPolicy.none()) as client:
                response = await client.stream(conversation)
            if len(conversation) == 1:
                conversation.add(response.content).tool("c", "noon")
    assert home.requests[1].json["messages"][1] == {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {
                "id": "c",
                "type": "function",
                "function": {"name": "now", "arguments": "{}"},
                **signed,
            }
        ],
        **signed,
    }
    assert "extra_content" not in json.dumps(abroad.requests[0].json)
    assert abroad.requests[0].json["messages"][1]["tool_calls"][0]["id"] == "c"


async def test_thinking_is_not_asked_for_in_the_middle_of_another_provider_s_calls() -> None:
    async with simulator() as sim, client_of(sim, "chat") as client:
        conversation, response = await asked(client)
        conversation = answered(conversation, response)
        async with client_of(sim, "messages") as other:
            second = await other.stream(conversation, tools=TOOLS)
            await other.stream(conversation.add(second.content).user("And now?"), tools=TOOLS)
    assert [("thinking" in request.json) for request in sim.requests] == [False, False, True]


async def test_a_fallback_that_does_not_think_is_not_sent_the_thoughts() -> None:
    async with simulator() as sim, client_of(sim, "responses") as client:
        conversation, response = await asked(client)
        conversation = answered(conversation, response)
        async with LLMClient(
            "gpt-4.1", dialect="responses", base_url=f"{sim.url}/v1", api_key="any", printer=None
        ) as other:
            await other.stream(conversation, tools=TOOLS)
    sent = [item for item in sim.requests[1].json["input"] if "type" in item]
    assert {item["type"] for item in sent} == {"function_call", "function_call_output"}
    assert not any("id" in item for item in sent)


@pytest.mark.parametrize("blob", [5, None, ["x"], {"a": 1}, "", "\ud800", True])
@pytest.mark.parametrize("dialect", BLOBS)
async def test_odd_blobs_break_nothing_here_and_elsewhere(dialect: str, blob: Any) -> None:
    body = {
        "messages": messages.START
        + messages.event(
            "content_block_start",
            index=0,
            content_block={"type": "thinking", "thinking": blob, "signature": blob},
        )
        + messages.event(
            "content_block_delta", index=0, delta={"type": "signature_delta", "signature": blob}
        )
        + messages.BLOCK_STOP
        + messages.TEXT
        + messages.said("Hi")
        + messages.BLOCK_STOP
        + messages.ended()
        + messages.STOP,
        "responses": responses.START
        + responses.event(
            "response.output_item.done",
            output_index=0,
            item={
                "type": "reasoning",
                "id": blob,
                "call_id": blob,
                "summary": blob,
                "encrypted_content": blob,
            },
        )
        + responses.said("Hi", 1)
        + responses.ended(),
        "gemini": gemini.chunk({"text": "Hi", "thoughtSignature": blob}) + gemini.STOP,
    }[dialect]
    script = [HEADERS, http(body) + END]
    async with ScriptedServer(script, script) as server:
        register_model("odd", base_url=server.base_url, dialect=dialect)
        async with LLMClient("odd", printer=None, retries=RetryPolicy.none()) as client:
            response = await client.stream("Hi")
            assert response.completion == "Hi"
            conversation = Conversation().user("Hi").add(response.content).user("And?")
            await client.stream(
                Conversation.from_openai(json.loads(json.dumps(conversation.to_openai())))
            )
        async with Simulator(text="ok") as sim:
            for other in NAMES:
                async with client_of(sim, other) as client:
                    assert (await client.stream(conversation)).completion == "ok"
    assert "Hi" in json.dumps(server.requests[1].json)


@pytest.mark.parametrize("dialect", BLOBS)
def test_blobs_count_for_the_limit_of_an_answer(dialect: str) -> None:
    huge = "A" * 30_000
    body = {
        "messages": messages.event(
            "content_block_start",
            index=0,
            content_block={"type": "redacted_thinking", "data": huge},
        ),
        "responses": responses.event(
            "response.output_item.done",
            output_index=0,
            item={"type": "reasoning", "summary": [], "encrypted_content": huge},
        ),
        "gemini": gemini.chunk({"text": "", "thoughtSignature": huge}),
    }[dialect]
    answer = dialect_named(dialect).answer(
        choices=1, limits=Limits(max_answer_chars=20_000), accept_eof=False, redactor=Redactor()
    )
    answer.feed(body, 0.0)
    assert isinstance(answer.error, LimitExceededError)
