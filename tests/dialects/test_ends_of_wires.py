"""How answers end in each of the four wires, what is no end, and what is patiently waited for."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from lm_deluge import RetryPolicy, Timeouts, config
from lm_deluge.config import ResolvedTimeouts
from lm_deluge.errors import APITimeoutError, ProtocolError, StreamError
from support import gemini, messages, responses
from support.clients import Recorder
from support.scripted import DONE, END, HANG, HEADERS, ScriptedServer, delta, http, reply, sse
from support.wires import BEGUN, ENDED, OPENED, WHOLE, WIRES, client_of, steps


def _messages(reason: str, **fields: Any) -> bytes:
    told = {"stop_reason": reason, **fields}
    return messages.event("message_delta", delta=told, usage={"output_tokens": 1}) + messages.STOP


#: An end, by its wire: the events, and what it is as ``finish_reason`` and ``finish_reason_raw``, and a
#: word in ``stop_details``.
ENDS: dict[str, tuple[str, bytes, str, str, str]] = {
    "chat, length": ("chat", sse(delta(finish="length")) + DONE, "length", "length", ""),
    "chat, filter": (
        "chat", sse(delta(finish="content_filter")) + DONE, "content_filter", "content_filter", "",
    ),
    "messages, max_tokens": ("messages", _messages("max_tokens"), "length", "max_tokens", ""),
    "messages, context": (
        "messages",
        _messages("model_context_window_exceeded"),
        "length",
        "model_context_window_exceeded",
        "",
    ),
    "messages, refusal": (
        "messages",
        _messages("refusal", stop_details={"type": "refusal", "category": "cyber"}),
        "content_filter",
        "refusal",
        "cyber",
    ),
    "messages, pause": ("messages", _messages("pause_turn"), "stop", "pause_turn", ""),
    "responses, length": (
        "responses",
        responses.ended("incomplete", incomplete_details={"reason": "max_output_tokens"}),
        "length",
        "incomplete:max_output_tokens",
        "max_output_tokens",
    ),
    "responses, filter": (
        "responses",
        responses.ended("incomplete", incomplete_details={"reason": "content_filter"}),
        "content_filter",
        "incomplete:content_filter",
        "content_filter",
    ),
    "gemini, length": (
        "gemini", gemini.chunk(finishReason="MAX_TOKENS"), "length", "MAX_TOKENS", "",
    ),
    "gemini, filter": (
        "gemini",
        gemini.chunk(finishReason="SAFETY", finishMessage="no"),
        "content_filter",
        "SAFETY",
        "no",
    ),
    "gemini, blocked": (
        "gemini",
        b'data: {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}\r\n\r\n',
        "content_filter",
        None,
        "PROHIBITED_CONTENT",
    ),
}  # fmt: skip


@pytest.mark.parametrize("before", [OPENED, BEGUN], ids=["without text", "after text"])
@pytest.mark.parametrize("name", ENDS)
async def test_an_answer_that_was_stopped_is_whole_and_says_why(
    name: str, before: dict[str, bytes]
) -> None:
    wire, end, word, raw, details = ENDS[name]
    recorder = Recorder()
    async with ScriptedServer(steps(before[wire] + end)) as server:
        client = client_of(server, wire, handlers=[recorder], retries=RetryPolicy.none())
        response = await client.stream("Hi")
        await client.close()
    assert recorder.heard[-1] == "complete"
    assert response.completion == ("" if before is OPENED else "Good")
    assert (response.finish_reason, response.finish_reason_raw) == (word, raw)
    assert details in str(response.stop_details or "")
    assert bool(response.stop_details) == bool(details)


#: What says that the server lives.
ALIVE = {
    "chat": b": ping\n\n",
    "responses": responses.ALIVE,
    "messages": messages.PING,
    "gemini": b": ping\r\n\r\n",
}


@pytest.mark.parametrize("before", [OPENED, BEGUN], ids=["first_token", "between_tokens"])
@pytest.mark.parametrize("wire", WIRES)
async def test_pings_are_no_progress(wire: str, before: dict[str, bytes]) -> None:
    pings = [step for _ in range(40) for step in (0.02, http(ALIVE[wire]))]
    async with ScriptedServer([HEADERS, http(before[wire] or ALIVE[wire]), *pings, HANG]) as server:
        limits = Timeouts(first_token=0.15 if before is OPENED else 10, between_tokens=0.15)
        client = client_of(server, wire, timeouts=limits, retries=RetryPolicy.none())
        with pytest.raises(APITimeoutError) as caught:
            await client.stream("Hi")
        await client.close()
    assert caught.value.phase == ("first_token" if before is OPENED else "between_tokens")


@pytest.mark.parametrize("wire", WIRES)
async def test_pings_are_no_output_and_no_end(wire: str) -> None:
    recorder = Recorder()
    head, *rest = WHOLE[wire]
    script = [head, http(ALIVE[wire]), *rest]
    async with ScriptedServer(script) as server:
        response = await client_of(server, wire, handlers=[recorder]).stream("Hi")
    assert response.completion == "Good day"
    assert "delta" not in recorder.heard


@pytest.mark.parametrize("wire", ["messages", "responses"])
async def test_an_answer_that_begins_again_before_output_is_the_second_one(wire: str) -> None:
    other = OPENED[wire].replace(b"_1", b"_0").replace(b'"input_tokens": 7', b'"input_tokens": 99')
    head, *rest = WHOLE[wire]
    async with ScriptedServer([head, http(other), *rest]) as server:
        response = await client_of(server, wire).stream("Hi")
    assert response.completion == "Good day"
    assert response.response_id is not None
    assert response.response_id.endswith("_1")
    assert response.usage is not None
    assert response.usage.input_tokens != 99


@pytest.mark.parametrize("reads", [1, 2])
@pytest.mark.parametrize("wire", ["messages", "responses"])
async def test_an_answer_that_begins_again_after_output_is_no_answer(wire: str, reads: int) -> None:
    recorder = Recorder()
    again = BEGUN[wire].replace(b"_1", b"_2")
    parts = [BEGUN[wire] + again] if reads == 1 else [BEGUN[wire], again]
    async with ScriptedServer([HEADERS, *map(http, parts), HANG]) as server:
        client = client_of(server, wire, handlers=[recorder])
        with pytest.raises(ProtocolError, match="began again") as caught:
            await client.stream("Hi")
        await client.close()
    assert caught.value.partial is not None
    assert caught.value.partial.text == recorder.text == "Good"
    assert b"_2" in caught.value.evidence


async def test_a_start_that_is_told_twice_is_one() -> None:
    head, *rest = WHOLE["responses"]
    body = [head, http(BEGUN["responses"].replace(b"Good", b"")), *rest]
    async with ScriptedServer(body) as server:
        assert (await client_of(server, "responses").stream("Hi")).completion == "Good day"


resolved = config._resolved

IDS = ["x-request-id", "request-id", "apim-request-id", "x-goog-request-id", "x-amzn-requestid"]


@pytest.mark.parametrize("header", IDS)
@pytest.mark.parametrize("wire", WIRES)
async def test_the_providers_id_is_on_responses_and_errors(wire: str, header: str) -> None:
    head = HEADERS.replace(b"\r\n\r\n", f"\r\n{header}: id-7\r\n\r\n".encode())
    whole = [head, *WHOLE[wire][1:]]
    refused = reply("400 No", "{}", headers=f"{header}: id-8\r\n")
    cut = [head, http(BEGUN[wire]) + END]
    async with ScriptedServer(whole, refused, cut) as server:
        client = client_of(server, wire)
        response = await client.stream("Hi")
        errors: list[Any] = []
        for _ in range(2):
            try:
                await client.stream("Hi")
            except StreamError as error:
                errors.append(error)
        await client.close()
    assert response.request_id == "id-7"
    assert errors[0].request_id == "id-8"
    assert errors[1].partial.request_id == "id-7"


def quickly(timeouts: Timeouts, reasoning: bool) -> ResolvedTimeouts:
    """What the words "auto" mean, 500 times faster."""
    given = resolved(timeouts, reasoning)
    patience = {name: getattr(given, name) / 500 for name in ("first_token", "between_tokens")}
    return attrs.evolve(given, **patience)


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("effort", [None, "none", "high"])
async def test_silent_thinking_is_waited_for_wherever_a_model_may_think(
    wire: str, effort: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "_resolved", quickly)
    thinks = wire != "chat" or effort == "high"
    # As 79 and 150 seconds: the first is what a model of OpenAI was seen to be silent on chat.
    begun = [HEADERS, 0.158, http(BEGUN[wire]), 0.3]
    script = [*begun, http(ENDED[wire]) + END] if thinks else [*begun, HANG]
    async with ScriptedServer(script) as server:
        client = client_of(server, wire, reasoning_effort=effort)
        try:
            response: Any = await client.stream("Hi")
        except APITimeoutError as error:
            response = error
        await client.close()
    if thinks:
        assert response.completion == "Good"
    else:
        assert (response.phase, response.limit) == ("between_tokens", 0.12)


@pytest.mark.parametrize("cut", [1, 10_000])
async def test_a_character_cut_into_halves_is_one_again(cut: int) -> None:
    halves = responses.said("a\ud83d") + responses.said("\ude42b")
    body = responses.START + responses.TEXT + halves + responses.ended()
    parts = [http(body[at : at + cut]) for at in range(0, len(body), cut)]
    async with ScriptedServer([HEADERS, b"".join(parts) + END]) as server:
        response = await client_of(server, "responses").stream("Hi")
    assert response.completion == "a🙂b"
