"""Summaries of a model's thinking: asked for where Responses shows them, and done without where refused."""

from __future__ import annotations

import logging
from typing import Any, Final

import pytest

from lm_deluge import LLMClient, RetryPolicy, StreamHandler, register_model
from lm_deluge.client import refused
from lm_deluge.errors import BadRequestError, InternalServerError
from lm_deluge.simulator import Simulator
from lm_deluge.simulator.checks.refusals import Refused
from support.at_openai import client_at_openai
from support.clients import KEY, Recorder, client_for

#: As OpenAI says it to an organization that is not verified.
UNVERIFIED: Final = Refused(
    400,
    "Your organization must be verified to generate reasoning summaries. Please go to: "
    "https://platform.openai.com/settings/organization/general and click on Verify Organization.",
    "reasoning.summary",
    "unsupported_value",
)


def refusing(refused: Refused = UNVERIFIED) -> Any:
    """What a server says that shows no summaries."""

    def reply(record: Any) -> Any:
        return refused.reply() if "summary" in (record.json.get("reasoning") or {}) else None

    return reply


async def reasoning_asked(client: dict[str, Any], call: dict[str, Any], model: str = "o3") -> Any:
    async with Simulator(text="ok") as sim:
        await client_for(sim, model, **client).stream("Hi", **call)
        return sim.requests[0].json.get("reasoning")


@pytest.mark.parametrize(
    ("client", "call", "expected"),
    [
        ({}, {}, {"summary": "auto"}),
        ({"reasoning_effort": "low"}, {}, {"effort": "low", "summary": "auto"}),
        ({"reasoning_summary": "detailed"}, {}, {"summary": "detailed"}),
        ({"reasoning_summary": None}, {}, None),
        ({"reasoning_summary": None, "reasoning_effort": "low"}, {}, {"effort": "low"}),
        ({"reasoning_summary": None}, {"reasoning_summary": "concise"}, {"summary": "concise"}),
        ({}, {"reasoning_summary": None}, None),
        ({"extra_body": {"reasoning": {"effort": "low"}}}, {}, {"effort": "low"}),
    ],
)
async def test_a_summary_is_asked_for_as_the_client_and_the_call_say(
    client: Any, call: Any, expected: Any
) -> None:
    assert await reasoning_asked({"dialect": "responses", **client}, call) == expected


async def test_a_model_that_does_not_think_is_asked_for_none(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert await reasoning_asked({"dialect": "responses"}, {}, "gpt-4o") is None
    assert caplog.messages == []
    call = {"reasoning_summary": "detailed"}
    assert await reasoning_asked({"dialect": "responses"}, call, "gpt-4o") is None
    assert caplog.messages == [
        "reasoning_summary is not sent to gpt-4o: the model does not think first"
    ]


async def test_where_only_responses_has_it_one_that_was_asked_for_by_name_is_warned_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with Simulator(text="ok") as sim:
        for summary in ("auto", None, "concise", "concise"):
            await client_for(sim, "o3", reasoning_summary=summary).stream("Hi")
        assert all("reasoning" not in request.json for request in sim.requests)
    [message] = caplog.messages
    assert message.startswith("reasoning_summary is not sent to o3: only the Responses API")


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        ("short", ValueError),
        ("", ValueError),
        (1, TypeError),
        (True, TypeError),
        (["auto"], TypeError),
    ],
)
def test_what_is_no_summary_is_refused_with_what_is_accepted(
    wrong: Any, kind: type[Exception]
) -> None:
    told = "reasoning_summary must be one of auto, concise, detailed"
    with pytest.raises(kind, match=told):
        LLMClient("o3", api_key=KEY, reasoning_summary=wrong)
    with pytest.raises(kind, match=told):
        LLMClient("o3", api_key=KEY).open_stream("Hi", reasoning_summary=wrong)


@pytest.mark.parametrize("policy", [RetryPolicy.none(), RetryPolicy()])
async def test_one_that_is_refused_is_asked_without_it_counted_told_and_remembered(
    policy: RetryPolicy, caplog: pytest.LogCaptureFixture
) -> None:
    heard = Recorder()
    async with Simulator(text="ok", reply=refusing()) as sim:
        client = client_at_openai(sim.port, "gpt-5", retries=policy, handlers=[heard])
        with caplog.at_level(logging.WARNING, "lm_deluge"):
            response = await client.stream("Hi")
        assert (response.completion, response.attempts) == ("ok", 2)
        assert [failed.error for failed in response.failed_attempts] == ["BadRequestError"]
        [retry] = heard.retries
        assert isinstance(retry.error, BadRequestError)
        assert (retry.attempt, retry.delay, retry.next_model) == (1, 0.0, "gpt-5")
        assert [r.json.get("reasoning") for r in sim.requests] == [{"summary": "auto"}, None]
        assert {r.path for r in sim.requests} == {"/v1/responses"}
        # Another client with the same key, another model.
        again = client_at_openai(sim.port, "o3", retries=policy)
        assert (await again.stream("Hi")).attempts == 1
        # Another key.
        other = client_at_openai(sim.port, "gpt-5", api_key="sk-other-0987654321")
        assert (await other.stream("Hi")).attempts == 2
    assert sum("must be verified" in message for message in caplog.messages) == 2
    assert KEY not in repr(refused._refused)


async def test_what_a_model_refuses_is_not_kept_from_another() -> None:
    message = "Unsupported parameter: 'reasoning.summary' is not supported with the 'o3' model."
    refused = Refused(400, message, "reasoning.summary", "unsupported_parameter")
    async with Simulator(text="ok", reply=refusing(refused)) as sim:
        asked = [
            (await client_for(sim, model, dialect="responses").stream("Hi")).attempts
            for model in ("o3", "o3", "gpt-5", "gpt-5")
        ]
    assert asked == [2, 1, 2, 1]


@pytest.mark.parametrize(
    ("refused", "attempts"),
    [
        (Refused(400, "Unknown parameter: 'reasoning.summary'.", "reasoning.summary", None), 2),
        (Refused(400, "No reasoning summaries are generated here."), 2),
        (Refused(400, "summary: extra inputs are not permitted", "reasoning", None), 2),
        (Refused(422, "body.reasoning.summary: extra inputs are not permitted"), 2),
        (Refused(400, "Missing required parameter: 'input[1].summary'.", "input[1].summary"), 1),
        (Refused(400, "Unsupported value: 'x'.", "reasoning.effort", "unsupported_value"), 1),
        (Refused(400, "Your prompt wants a summary of the reasoning."), 1),
        (Refused(401, "No reasoning summaries for you.", "reasoning.summary"), 1),
    ],
)
async def test_only_an_error_about_the_summary_is_asked_again(
    refused: Refused, attempts: int
) -> None:
    async with Simulator(text="ok", reply=refusing(refused)) as sim:
        stream = client_for(sim, "o3", dialect="responses").open_stream("Hi")
        try:
            await stream
        except Exception:
            assert attempts == 1
        assert sim.request_count == attempts


async def test_what_fails_then_is_told_as_it_is() -> None:
    def reply(record: Any) -> Any:
        if "reasoning" in record.json:
            return UNVERIFIED.reply()
        return Refused(500, "The server had an error.").reply()

    async with Simulator(reply=reply) as sim:
        client = client_for(sim, "o3", dialect="responses")
        with pytest.raises(InternalServerError) as caught:
            await client.stream("Hi")
        assert (caught.value.attempts, sim.request_count) == (2, 2)


async def test_a_summary_that_the_callers_body_asks_for_is_the_callers() -> None:
    body = {"reasoning": {"summary": "detailed"}}
    async with Simulator(text="ok", reply=refusing()) as sim:
        client = client_for(sim, "o3", dialect="responses", extra_body=body)
        with pytest.raises(BadRequestError):
            await client.stream("Hi")
        assert sim.request_count == 1


async def test_a_handler_that_cancels_at_the_retry_ends_the_stream() -> None:
    class Cancelling(StreamHandler):
        def on_retry(self, stream: Any, retry: Any) -> None:
            stream.cancel()

    async with Simulator(text="ok", reply=refusing()) as sim:
        client = client_for(sim, "o3", dialect="responses", handlers=[Cancelling()])
        with pytest.raises(Exception, match="cancel"):
            await client.stream("Hi")
        assert sim.request_count == 1


async def test_a_registered_model_that_thinks_is_asked_for_one(registered: list[str]) -> None:
    async with Simulator(text="ok", models=["mine"]) as sim:
        register_model("mine", base_url=sim.base_url, dialect="responses", reasoning=True)
        registered.append("mine")
        await LLMClient("mine", api_key=KEY, printer=None).stream("Hi")
        assert sim.requests[0].json["reasoning"] == {"summary": "auto"}
