"""Every stream ends once, with everything that was received."""

from __future__ import annotations

import asyncio
import copy
import gc
import pickle
import weakref
from typing import Any

import pytest
from blinker.base import ANY_ID

from lm_deluge import Limits, LLMClient, RetryPolicy, Stream, Timeouts
from lm_deluge.api_requests.openai import stream_chat
from lm_deluge.errors import (
    AnswerCutError,
    APIConnectionError,
    APITimeoutError,
    ConnectionLostError,
    LimitExceededError,
    ProtocolError,
    ProviderError,
    StreamError,
)
from support.clients import Recorder, client_for
from support.scripted import (
    CLOSE,
    DONE,
    END,
    HANG,
    HEADERS,
    RESET,
    ScriptedServer,
    answer,
    delta,
    ending,
    events,
    http,
    reply,
    sse,
)


async def test_a_whole_answer_gives_the_text_usage_and_finish_reason() -> None:
    recorder = Recorder()
    async with ScriptedServer(answer("Once", " upon")) as server:
        response = await client_for(server, handlers=[recorder]).stream("hi")
    assert response.completion == "Once upon" == recorder.text
    assert response.usage is not None
    assert response.usage.total_tokens == 11
    assert response.finish_reason == "stop"
    assert response.model_external == "gpt-4o-2024-08-06"
    assert recorder.heard == ["start", "token", "token", "complete"]
    assert recorder.endings == [response]


async def test_a_second_turn_reuses_the_connection() -> None:
    async with ScriptedServer(answer("a"), answer("b")) as server:
        client = client_for(server)
        await client.stream("hi")
        await client.stream("hi")
        assert server.connections == 1


@pytest.mark.parametrize("how", [RESET, CLOSE])
async def test_a_connection_lost_after_two_tokens_keeps_the_partial_text(how: object) -> None:
    recorder = Recorder()
    steps = [HEADERS, http(events("Once", " upon")), 0.05, how]
    async with ScriptedServer(steps) as server:
        with pytest.raises(ConnectionLostError) as caught:
            await client_for(server, handlers=[recorder]).stream("hi")
    error = caught.value
    assert error.partial is not None
    assert error.partial.text == "Once upon" == recorder.text
    assert error.phase == "between_tokens"
    assert recorder.heard == ["start", "token", "token", "error"]
    assert recorder.endings == [error]


async def test_tokens_that_arrive_together_with_a_reset_are_not_lost() -> None:
    async with ScriptedServer([HEADERS + http(events("Once", " upon")), RESET]) as server:
        with pytest.raises(ConnectionLostError) as caught:
            await client_for(server).stream("hi")
    assert caught.value.partial is not None
    assert caught.value.partial.text == "Once upon"


async def test_a_clean_end_without_done_or_finish_reason_is_a_cut_answer() -> None:
    async with ScriptedServer([HEADERS, http(events("Once")) + END]) as server:
        with pytest.raises(AnswerCutError) as caught:
            await client_for(server).stream("hi")
        assert caught.value.partial is not None
        assert caught.value.partial.text == "Once"
        response = await client_for(server, accept_eof=True).stream("hi")
    assert response.completion == "Once"
    assert response.finish_reason is None
    assert response.usage is None


async def test_a_finish_reason_without_done_is_a_whole_answer() -> None:
    steps = [HEADERS, http(events("Once") + sse(delta(finish="length"))) + END]
    async with ScriptedServer(steps) as server:
        response = await client_for(server).stream("hi")
    assert response.finish_reason == "length"


async def test_done_without_a_finish_reason_is_a_whole_answer() -> None:
    async with ScriptedServer([HEADERS, http(events("Once") + DONE) + END]) as server:
        response = await client_for(server).stream("hi")
    assert (response.completion, response.finish_reason) == ("Once", None)


async def test_done_ends_the_stream_though_the_server_keeps_the_body_open() -> None:
    async with ScriptedServer([HEADERS, http(events("Once") + ending()), HANG]) as server:
        async with asyncio.timeout(1):
            response = await client_for(server).stream("hi")
        await server.all_gone()
    assert response.completion == "Once"


async def test_keep_alives_after_the_finish_reason_end_with_the_tail() -> None:
    steps = [HEADERS, http(events("Once") + sse(delta(finish="stop")))]
    steps += [http(b": keep-alive\n\n"), 0.02] * 200
    async with ScriptedServer(steps) as server:
        async with asyncio.timeout(2):
            response = await client_for(server, timeouts=Timeouts(tail=0.2)).stream("hi")
        await server.all_gone()
    assert response.completion == "Once"


async def test_a_tool_call_after_the_finish_reason_is_kept() -> None:
    call = {"index": 0, "id": "call_1", "function": {"name": "f", "arguments": "{}"}}
    steps = [
        HEADERS,
        http(sse(delta("Once", finish="tool_calls"))),
        http(sse(delta(tool_calls=[call])) + DONE) + END,
    ]
    async with ScriptedServer(steps) as server:
        response = await client_for(server).stream("hi")
    assert [call.id for call in response.tool_calls] == ["call_1"]


@pytest.mark.parametrize(
    "frame",
    [
        {"error": {"message": "boom", "type": "server_error", "code": "x"}},
        {"error": "boom"},
        {"object": "error", "message": "boom"},
        {"choices": [], "error": {"message": "boom"}},
        {
            "choices": [{"index": 0, "delta": {}, "finish_reason": "error"}],
            "error": {"message": "boom"},
        },
    ],
)
async def test_an_error_frame_after_200_is_a_provider_error_with_the_partial(frame: Any) -> None:
    async with ScriptedServer([HEADERS, http(events("Once") + sse(frame)), HANG]) as server:
        with pytest.raises(ProviderError, match="boom") as caught:
            await client_for(server).stream("hi")
        await server.all_gone()
    assert caught.value.partial is not None
    assert caught.value.partial.text == "Once"


async def test_an_error_event_is_a_provider_error() -> None:
    frame = b'event: error\ndata: {"message": "boom"}\n\n'
    async with ScriptedServer([HEADERS, http(events("Once") + frame), HANG]) as server:
        with pytest.raises(ProviderError, match="boom"):
            await client_for(server).stream("hi")


async def test_malformed_json_is_a_protocol_error_with_offset_and_evidence() -> None:
    first = events("Once")
    async with ScriptedServer([HEADERS, http(first + b"data: {nope\n\n"), HANG]) as server:
        with pytest.raises(ProtocolError) as caught:
            await client_for(server).stream("hi")
        await server.all_gone()
    assert caught.value.offset == len(first) + len("data: ")
    assert caught.value.evidence == b"{nope"
    assert caught.value.partial is not None
    assert caught.value.partial.text == "Once"
    assert not isinstance(caught.value, ValueError)


async def test_a_malformed_chunk_size_does_not_hang_the_stream() -> None:
    async with ScriptedServer([HEADERS, http(events("Once")), b"zz\r\n", HANG]) as server:
        with pytest.raises(APIConnectionError) as caught:
            await client_for(server, timeouts=Timeouts(between_tokens=0.3)).stream("hi")
        await server.all_gone()
    assert not isinstance(caught.value, APITimeoutError)
    assert caught.value.partial is not None
    assert caught.value.partial.text == "Once"


async def test_a_page_instead_of_a_stream_is_a_protocol_error_that_asks_for_the_base_url() -> None:
    async with ScriptedServer(reply("200 OK", "<html>", kind="text/html")) as server:
        with pytest.raises(ProtocolError, match="base_url"):
            await client_for(server).stream("hi")


async def test_a_server_that_does_not_stream_still_answers() -> None:
    body = (
        '{"id": "x", "model": "m", "choices": [{"index": 0, "message": {"role": "assistant", '
        '"content": "Once"}, "finish_reason": "stop"}], "usage": {"total_tokens": 3}}'
    )
    recorder = Recorder()
    async with ScriptedServer(reply("200 OK", body)) as server:
        response = await client_for(server, handlers=[recorder]).stream("hi")
    assert response.completion == "Once" == recorder.text
    assert response.usage is not None
    assert response.usage.total_tokens == 3


async def test_a_json_error_with_status_200_is_a_provider_error() -> None:
    async with ScriptedServer(reply("200 OK", '{"error": {"message": "filtered"}}')) as server:
        with pytest.raises(ProviderError, match="filtered"):
            await client_for(server).stream("hi")


async def test_nothing_listening_is_a_connection_error_in_one_line() -> None:
    async with ScriptedServer(answer("a")) as server:
        url = server.base_url
    client = LLMClient("gpt-4o", base_url=url, api_key="sk-test-key", retries=RetryPolicy.none())
    with pytest.raises(APIConnectionError, match="no connection to") as caught:
        await client.stream("hi")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("steps", "limits", "phase"),
    [
        ([HANG], {"first_token": 0.2}, "first_token"),
        ([HEADERS, HANG], {"first_token": 0.2}, "first_token"),
        ([HEADERS, http(events("a")), HANG], {"between_tokens": 0.2}, "between_tokens"),
        ([HEADERS, http(events("a")), HANG], {"total": 0.2}, "total"),
        ([HEADERS] + [http(b": ping\n\n"), 0.02] * 100, {"first_token": 0.2}, "first_token"),
        (
            [HEADERS] + [http(sse(delta(role="assistant"))), 0.02] * 100,
            {"first_token": 0.2},
            "first_token",
        ),
        (
            [HEADERS, http(events("a"))] + [http(sse(delta(""))), 0.02] * 100,
            {"between_tokens": 0.2},
            "between_tokens",
        ),
        ([HEADERS] + [http(events("a")), 0.02] * 100, {"total": 0.3}, "total"),
    ],
)
async def test_a_timeout_names_its_phase_and_limit(steps: Any, limits: Any, phase: str) -> None:
    recorder = Recorder()
    async with ScriptedServer(steps) as server:
        client = client_for(server, timeouts=Timeouts(**limits), handlers=[recorder])
        async with asyncio.timeout(1.5):
            with pytest.raises(APITimeoutError) as caught:
                await client.stream("hi")
        await server.all_gone()
    assert caught.value.phase == phase
    assert caught.value.limit == limits[phase]
    assert f"Timeouts.{phase}" in str(caught.value)
    assert recorder.endings == [caught.value]
    assert caught.value.partial is not None
    assert caught.value.partial.text == recorder.text


async def test_a_kept_error_does_not_hold_the_stream() -> None:
    async with ScriptedServer([HEADERS, http(events("a")), RESET]) as server:
        client = client_for(server)
        kept: list[BaseException] = []
        held: list[weakref.ref[Stream]] = []

        class Holder:
            def on_start(self, stream: Stream) -> None:
                held.append(weakref.ref(stream))

        for consume in ("stream", "chat", "open"):
            try:
                if consume == "stream":
                    await client.stream("hi", handlers=[Holder()])
                elif consume == "chat":
                    async for _ in stream_chat("gpt-4o", "hi", client=client, handlers=[Holder()]):
                        pass
                else:
                    await client.open_stream("hi", handlers=[Holder()])
            except StreamError as error:
                kept.append(error)
        gc.collect()
    assert len(kept) == 3
    assert [ref() for ref in held] == [None, None, None]
    assert kept[0].__traceback__ is not None


async def test_errors_survive_pickling() -> None:
    busy = reply("503 Busy", "{}", headers="Retry-After: 0\r\n")
    async with ScriptedServer(busy, [HEADERS, http(events("a")), RESET]) as server:
        with pytest.raises(StreamError) as caught:
            await client_for(server, retries=RetryPolicy()).stream("hi")
    again = pickle.loads(pickle.dumps(caught.value))
    assert type(again) is type(caught.value)
    assert again.partial.text == "a"
    assert str(again) == str(caught.value)
    assert again.failed_attempts == caught.value.failed_attempts
    assert [failed.error for failed in again.failed_attempts] == ["InternalServerError"]


async def test_a_stream_cannot_be_copied() -> None:
    async with ScriptedServer(answer("Once", " upon")) as server:
        stream = client_for(server).open_stream("hi")
        for how in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(TypeError, match="cannot be copied or pickled"):
                how(stream)
        await stream


async def test_no_task_and_no_receiver_is_left_after_any_ending() -> None:
    from lm_deluge.signals import SIGNALS

    gc.collect()
    assert not any(signal._weak_senders for signal in SIGNALS)
    for steps in (answer("a"), [RESET], [HEADERS, http(events("a")), RESET]):
        async with ScriptedServer(steps) as server:
            client = client_for(server, handlers=[Recorder()])
            try:
                await client.stream("hi")
            except StreamError:
                pass
            await client.close()
    gc.collect()
    assert not any(signal._weak_senders for signal in SIGNALS)
    assert not any(set(signal._by_sender) - {ANY_ID} for signal in SIGNALS)
    assert len(asyncio.all_tasks()) == 1


async def test_a_reset_is_no_clean_end_even_where_the_end_of_the_bytes_is_accepted() -> None:
    async with ScriptedServer([HEADERS, http(events("Once")), 0.05, RESET]) as server:
        with pytest.raises(ConnectionLostError):
            await client_for(server, accept_eof=True).stream("hi")


async def test_half_a_character_before_a_timeout_is_kept() -> None:
    half = sse(delta("a\ud83d"))
    recorder = Recorder()
    async with ScriptedServer([HEADERS, http(half), HANG]) as server:
        client = client_for(server, timeouts=Timeouts(between_tokens=0.2), handlers=[recorder])
        with pytest.raises(APITimeoutError) as caught:
            await client.stream("hi")
    assert caught.value.partial is not None
    assert caught.value.partial.text == "a\ufffd" == recorder.text


async def test_an_event_without_its_end_is_none_when_the_wait_is_over() -> None:
    recorder = Recorder()
    async with ScriptedServer([HEADERS, http(sse(delta("abc"))[:-2]), HANG]) as server:
        client = client_for(server, timeouts=Timeouts(first_token=0.2), handlers=[recorder])
        with pytest.raises(APITimeoutError) as caught:
            await client.stream("hi")
    assert caught.value.partial is not None
    assert caught.value.partial.text == "" == recorder.text


async def test_an_unstreamed_answer_is_measured_in_characters() -> None:
    body = '{"choices": [{"message": {"content": "Once"}, "finish_reason": "stop"}]}'
    async with ScriptedServer(reply("200 OK", body)) as server:
        response = await client_for(server, limits=Limits(max_answer_chars=4)).stream("hi")
        assert response.completion == "Once"
        with pytest.raises(LimitExceededError):
            await client_for(server, limits=Limits(max_answer_chars=3)).stream("hi")
