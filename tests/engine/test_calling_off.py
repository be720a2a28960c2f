"""What a caller ends is ended upstream, and who may ask for an answer that can be resumed."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from attrs import evolve

from lm_deluge import LLMClient, StreamHandler
from lm_deluge.engine import resuming
from lm_deluge.errors import (
    HandlerError,
    StreamCancelled,
)
from lm_deluge.simulator import ABORT, Overhead, Reply, Simulator
from support.at_openai import client_at_openai
from support.clients import AtToken, Recorder, client_for
from support.resuming import SOON, TEXT, resuming_client, script


async def cancelled(sim: Simulator) -> Any:
    """The response as its server has it, of the one stream that was begun."""
    [last] = [r for r in sim.requests if r.path.endswith("/cancel")]
    assert last.method == "POST"
    return last


@pytest.mark.parametrize("faults", [[], ["drop:1"]])
async def test_cancel_ends_the_response_upstream(faults: list[str]) -> None:
    async with Simulator(text=TEXT * 9, gap=0.02, faults=faults) as sim:
        client = resuming_client(sim)
        stream = client.open_stream("Hi")
        tokens = []
        with pytest.raises(StreamCancelled):
            async for token in stream:
                tokens.append(token)
                if len(tokens) == 3:
                    stream.cancel()
        assert (await cancelled(sim)).status == 200
        await client.close()
        await sim.wait_closed_connections()


async def test_leaving_early_ends_the_response_upstream() -> None:
    async with Simulator(text=TEXT * 9, gap=0.02) as sim:
        async with resuming_client(sim).open_stream("Hi") as stream:
            async for _ in stream:
                break
        assert (await cancelled(sim)).status == 200


async def test_a_cancelled_task_ends_the_response_upstream() -> None:
    heard = Recorder()
    async with Simulator(text=TEXT * 9, gap=0.02) as sim:
        begun = asyncio.Event()
        client = resuming_client(sim, handlers=[AtToken(begun.set), heard])
        task = asyncio.create_task(client.stream("Hi"))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await sim.wait_request(2)).path.endswith("/cancel")
        assert len(heard.endings) == 1


async def test_cancelling_at_the_retry_ends_the_response_upstream() -> None:
    class Cancelling(StreamHandler):
        def on_retry(self, stream: Any, retry: Any) -> None:
            stream.cancel()

    async with Simulator(text=TEXT * 9, gap=0.02, faults=["drop:1"]) as sim:
        with pytest.raises(StreamCancelled):
            await resuming_client(sim, handlers=[Cancelling()]).stream("Hi")
        assert [r.method for r in sim.requests] == ["POST", "POST"]
        assert (await cancelled(sim)).status == 200


async def test_a_server_that_does_not_answer_the_cancelling_hurts_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resuming, "_CANCEL", 0.05)
    bare, _ = script()

    def reply(record: Any) -> Reply:
        if record.path.endswith("/cancel"):
            return Reply(steps=[60.0])
        return Reply(steps=[Overhead(b"".join(bare[:4])), 60.0])

    async with Simulator(reply=reply) as sim:
        client = resuming_client(sim)
        with pytest.raises(StreamCancelled):
            async with asyncio.timeout(0.9):
                stream = client.open_stream("Hi")
                async for _ in stream:
                    stream.cancel()
        await client.close()
        await sim.wait_closed_connections()


async def test_a_whole_answer_is_not_called_off() -> None:
    async with Simulator(text=TEXT) as sim:
        await resuming_client(sim).stream("Hi")
        assert [r.path for r in sim.requests] == ["/v1/responses"]


async def test_a_handler_that_fails_under_strict_ends_the_response_upstream() -> None:
    def fail() -> None:
        raise RuntimeError("no")

    async with Simulator(text=TEXT * 9, gap=0.02) as sim:
        client = resuming_client(sim, strict=True, handlers=[AtToken(fail)])
        with pytest.raises(HandlerError):
            await client.stream("Hi")
        assert (await cancelled(sim)).status == 200


async def test_closing_the_client_ends_its_responses_upstream() -> None:
    async with Simulator(text=TEXT * 9, gap=0.02) as sim:
        client = resuming_client(sim)
        streams = [client.open_stream("Hi") for _ in range(3)]
        tasks = [asyncio.ensure_future(anext(aiter(stream))) for stream in streams]
        await asyncio.gather(*tasks)
        await client.close()
        assert sum(r.path.endswith("/cancel") for r in sim.requests) == 3
        await sim.wait_closed_connections()


@pytest.mark.parametrize("fallback", [[], ["gpt-4o"]])
async def test_an_answer_that_another_replaces_is_ended_upstream(fallback: list[str]) -> None:
    retries = SOON if not fallback else evolve(SOON, max_attempts=2)
    async with Simulator(text=TEXT, faults=["drop:0", "status:404", None]) as sim:
        client = client_for(
            sim,
            "openai-responses:o4-mini",
            resume=True,
            retries=retries,
            fallback_models=fallback,
        )
        response = await client.stream("Hi")
        assert (response.completion, response.attempts) == ("".join(TEXT), 3)
        begun = sim.requests[0]
        assert begun.json["background"] is True
        assert (await cancelled(sim)).status == 200
        await client.close()
        await sim.wait_closed_connections()


@pytest.mark.parametrize("answers", [False, True])
async def test_ending_the_replaced_one_holds_nothing_up(
    monkeypatch: pytest.MonkeyPatch, answers: bool
) -> None:
    monkeypatch.setattr(resuming, "_CANCEL", 0.05)
    bare, _ = script()
    begun = 0

    def reply(record: Any) -> Reply:
        nonlocal begun
        if record.path.endswith("/cancel"):
            return Reply(steps=[Overhead(b"{}")]) if answers else Reply(steps=[60.0])
        if record.method == "GET":
            return Reply(status=404, steps=[Overhead(b"{}")])
        begun += 1
        if begun == 1:
            return Reply(steps=[Overhead(b"".join(bare[:2])), 0.001, ABORT])
        return Reply(steps=[Overhead(b"".join(bare))])

    async with Simulator(reply=reply) as sim:
        client = resuming_client(sim)
        async with asyncio.timeout(0.9):
            assert (await client.stream("Hi")).completion == "".join(TEXT)
        assert [r.method for r in sim.requests if not r.path.endswith("/cancel")] == [
            "POST",
            "GET",
            "POST",
        ]
        await cancelled(sim)
        await client.close()
        await sim.wait_closed_connections()


async def test_an_answer_that_says_itself_that_it_failed_is_not_called_off() -> None:
    async with Simulator(text=TEXT, faults=["error-frame:failed:0", None]) as sim:
        assert (await resuming_client(sim).stream("Hi")).completion == "".join(TEXT)
        assert all(not r.path.endswith("/cancel") for r in sim.requests)


# -- asking


async def test_it_is_for_responses_alone_and_says_what_is_accepted() -> None:
    async with Simulator(text=TEXT) as sim:
        for client in (
            client_for(sim, "gpt-4o", resume=True),
            client_for(sim, "anthropic:claude-sonnet-5", resume=True),
        ):
            with pytest.raises(ValueError, match=r"asked by the Responses API.*openai-responses:"):
                client.open_stream("Hi")
        with pytest.raises(ValueError, match="asked by the Responses API"):
            client_for(sim, "gpt-4o").open_stream("Hi", resume=True)
        client_for(sim, "gpt-4o", resume=True).open_stream("Hi", resume=False)
        at_openai = client_at_openai(sim.port, "gpt-5", resume=True)
        assert (await at_openai.stream("Hi")).completion == "".join(TEXT)
        with pytest.raises(ValueError, match="which has no extra_body"):
            at_openai.open_stream("Hi", extra_body={"logit_bias": {}, "user": "me"})
        assert sim.requests[0].path == "/v1/responses"


@pytest.mark.parametrize("dialect", ["chat", "messages", "gemini"])
def test_another_dialect_is_refused_where_it_is_given(dialect: str) -> None:
    with pytest.raises(ValueError, match=r'resume=True dialect must be "responses"'):
        LLMClient("m", dialect=dialect, base_url="http://127.0.0.1:9/v1", resume=True)


@pytest.mark.parametrize("name", ["anthropic:claude-x", "gemini:gemini-x"])
async def test_another_providers_model_is_refused_without_a_name_that_nobody_serves(
    name: str,
) -> None:
    client = LLMClient(name, base_url="http://127.0.0.1:9", api_key="any")
    with pytest.raises(
        ValueError, match=r"is asked by '[a-z]+': only OpenAI's 'openai-responses:…' can$"
    ):
        client.open_stream("Hi", resume=True)


@pytest.mark.parametrize("name", ["store", "background"])
async def test_a_body_that_keeps_nothing_is_refused(name: str) -> None:
    async with Simulator() as sim:
        with pytest.raises(ValueError, match=f"extra_body has '{name}': False"):
            resuming_client(sim).open_stream("Hi", extra_body={name: False})


async def test_a_call_may_be_resumed_where_the_client_is_not() -> None:
    async with Simulator(text=TEXT, faults=["drop:2"]) as sim:
        client = resuming_client(sim, resume=False)
        assert (await client.stream("Hi", resume=True)).completion == "".join(TEXT)


async def test_the_rest_is_asked_for_with_the_key_and_no_body() -> None:
    async with Simulator(text=TEXT, faults=["drop:2"], api_key="sk-test-key-1234567890") as sim:
        await resuming_client(sim, query={"api-version": "1"}).stream("Hi")
        rest = sim.requests[1]
        assert rest.body == b""
        assert rest.query["stream"] == "true"
        assert rest.query["api-version"] == "1"


async def test_a_fallback_that_cannot_be_resumed_answers_all_the_same() -> None:
    async with Simulator(text=TEXT, faults=["status:404"]) as sim:
        client = client_for(
            sim,
            "openai-responses:o4-mini",
            resume=True,
            retries=SOON,
            fallback_models=["gpt-4o"],
        )
        assert (await client.stream("Hi")).model_used == "gpt-4o"


async def test_a_retry_is_narrated(caplog: pytest.LogCaptureFixture) -> None:
    async with Simulator(text=TEXT, faults=["drop:2"]) as sim:
        with caplog.at_level(logging.INFO, "lm_deluge"):
            await resuming_client(sim).stream("Hi")
    assert any("asking for the rest of its answer" in message for message in caplog.messages)
