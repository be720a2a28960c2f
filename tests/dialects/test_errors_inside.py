"""An error inside a 200 is what the same error is as a reply, in each of the four wires."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest

from lm_deluge import RetryPolicy
from lm_deluge.config import Limits
from lm_deluge.dialects import dialect_named
from lm_deluge.errors import APIStatusError, ProviderError, StreamError, status_error
from lm_deluge.values.redaction import Redactor
from support.clients import Recorder
from support.scripted import END, HEADERS, ScriptedServer, http, reply, sse
from support.wires import BEGUN, OPENED, WHOLE, WIRES, client_of, frame, steps

CAPTURES = os.environ.get("LM_DELUGE_CAPTURES")
ONCE = RetryPolicy(max_attempts=2, initial_delay=0.001, max_delay=0.001)

#: An error, the status that it has as a reply, and the seconds that it asks to wait.
ERRORS: dict[str, tuple[dict[str, Any], int, float | None]] = {
    "overloaded": ({"type": "overloaded_error", "message": "Overloaded"}, 529, None),
    "unavailable": ({"code": 503, "message": "no", "status": "UNAVAILABLE"}, 503, None),
    "rate limit": ({"type": "rate_limit_error", "message": "slow"}, 429, None),
    "in words": (
        {"code": "rate_limit_exceeded", "message": "Please try again in 20ms."},
        429,
        0.02,
    ),
    "retry info": (
        {
            "code": 429,
            "status": "RESOURCE_EXHAUSTED",
            "message": "no",
            "details": [{"@type": "…/google.rpc.RetryInfo", "retryDelay": "0.03s"}],
        },
        429,
        0.03,
    ),
    "server": ({"type": "server_error", "code": None, "message": "no", "param": None}, 500, None),
    "timeout": ({"type": "timeout_error", "message": "no"}, 504, None),
    "no money": ({"code": "insufficient_quota", "message": "no"}, 429, None),
    "key": ({"type": "authentication_error", "message": "no"}, 401, None),
    "permission": ({"type": "permission_error", "message": "no"}, 403, None),
    "no model": ({"type": "not_found_error", "message": "no"}, 404, None),
    "too long": ({"code": "context_length_exceeded", "message": "no"}, 400, None),
    "request": ({"type": "invalid_request_error", "message": "no", "param": "x"}, 400, None),
    "too large": ({"type": "request_too_large", "message": "no"}, 413, None),
}
ASKED_AGAIN = (
    "overloaded",
    "unavailable",
    "rate limit",
    "in words",
    "retry info",
    "server",
    "timeout",
)


def read(wire: str, body: bytes) -> Any:
    answer = dialect_named(wire).answer(
        choices=1, limits=Limits(), accept_eof=False, redactor=Redactor()
    )
    answer.feed(body, 0.1)
    answer.close(0.2)
    return answer.error


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("before", [OPENED, BEGUN], ids=["at once", "after output"])
@pytest.mark.parametrize("name", ERRORS)
def test_an_error_is_of_the_class_that_it_has_as_a_reply(
    name: str, before: dict[str, bytes], wire: str
) -> None:
    told, status, wait = ERRORS[name]
    error = read(wire, before[wire] + frame(wire, told))
    assert isinstance(error, status_error(status))
    assert isinstance(error, ProviderError)
    assert type(error).__name__ == status_error(status).__name__
    assert (error.status_code, error.body, error.retry_after) == (status, told, wait)


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("name", ERRORS)
async def test_after_output_it_ends_the_stream_with_all_that_came(name: str, wire: str) -> None:
    told, status, _ = ERRORS[name]
    recorder = Recorder()
    head = HEADERS.replace(b"\r\n\r\n", b"\r\nx-request-id: req_7\r\n\r\n")
    body = [head, http(BEGUN[wire]), http(frame(wire, told)) + END]
    async with ScriptedServer(body) as server:
        client = client_of(server, wire, retries=ONCE, handlers=[recorder])
        with pytest.raises(ProviderError) as caught:
            await client.stream("Hi")
        await client.close()
    error: Any = caught.value
    assert isinstance(error, status_error(status))
    assert recorder.heard == ["start", "token", "error"]
    assert (error.partial.text, error.attempts, error.request_id) == ("Good", 1, "req_7")
    assert vars(pickle.loads(pickle.dumps(error))).keys() == vars(error).keys()


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("name", ERRORS)
async def test_before_output_it_is_asked_again_where_a_reply_would_be(name: str, wire: str) -> None:
    told, status, wait = ERRORS[name]
    recorder = Recorder()
    async with ScriptedServer(steps(OPENED[wire] + frame(wire, told)), WHOLE[wire]) as server:
        client = client_of(server, wire, retries=ONCE, handlers=[recorder])
        try:
            response: Any = await client.stream("Hi")
        except APIStatusError as error:
            response = error
        await client.close()
    assert (not isinstance(response, StreamError)) == (name in ASKED_AGAIN)
    if name not in ASKED_AGAIN:
        assert recorder.heard == ["start", "error"]
        return
    assert response.completion == "Good day"
    (retry,) = recorder.retries
    assert isinstance(retry.error, status_error(status))
    assert wait is None or retry.delay == wait
    (failed,) = response.failed_attempts
    assert failed.error == status_error(status).__name__


@pytest.mark.parametrize("wire", WIRES)
def test_what_stands_beside_an_error_in_words_says_its_class(wire: str) -> None:
    for beside in ({"error_type": "overloaded"}, {"code": 503}, {"code": "overloaded"}):
        error = read(wire, BEGUN[wire] + sse({"error": "Model is overloaded", **beside}))
        assert isinstance(error, status_error(503)), beside
        assert isinstance(error, ProviderError)
        assert (error.body, error.code) == ("Model is overloaded", beside.get("code"))


@pytest.mark.parametrize("wire", WIRES)
async def test_a_wait_that_is_too_long_is_not_waited_for(wire: str) -> None:
    told = {"type": "rate_limit_error", "message": "Please try again in 6m0s."}
    policy = RetryPolicy(max_retry_after=60.0)
    async with ScriptedServer(steps(frame(wire, told))) as server:
        client = client_of(server, wire, retries=policy)
        with pytest.raises(ProviderError) as caught:
            await client.stream("Hi")
        await client.close()
    assert (caught.value.retry_after, caught.value.attempts) == (360.0, 1)


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(
    ("told", "wait"),
    [
        ({"message": "Please try again in 20ms.", "code": "rate_limit_exceeded"}, 0.02),
        ({"message": "no", "details": [{"retryDelay": "34.07s"}]}, 34.07),
        ({"message": "no", "retry_after": 3}, 3.0),
        ({"message": "no"}, None),
    ],
)
async def test_the_body_of_a_reply_may_say_how_long_to_wait(
    told: Any, wait: float | None, wire: str
) -> None:
    refused = reply("429 No", json.dumps({"error": told}))
    async with ScriptedServer(refused) as server:
        client = client_of(server, wire, retries=RetryPolicy.none())
        with pytest.raises(APIStatusError) as caught:
            await client.stream("Hi")
        await client.close()
    assert not isinstance(caught.value, ProviderError)
    assert caught.value.retry_after == wait


async def test_a_header_counts_before_the_body() -> None:
    told = {"error": {"message": "Please try again in 20s."}}
    refused = reply("429 No", json.dumps(told), headers="Retry-After: 3\r\n")
    async with ScriptedServer(refused) as server:
        with pytest.raises(APIStatusError) as caught:
            await client_of(server, "chat", retries=RetryPolicy.none()).stream("Hi")
    assert caught.value.retry_after == 3.0


# Recorded error replies, as replies and as they would come inside an answer.

#: Where what is recorded goes by another name, or the words say another class than the recorded status.
SAID_ELSE = {
    "openai_responses-400-mira-30e167": 404
}  # ``model_not_found``, which others send as a 404

RECORDED: dict[str, Any] = (
    {
        path.stem: json.loads(path.read_text("utf-8"))
        for path in sorted(Path(CAPTURES, "provider_errors").glob("*.json"))
    }
    if CAPTURES is not None
    else {}
)
EXPECTED: dict[str, Any] = (
    json.loads(Path(CAPTURES, "expected_provider_errors.json").read_text("utf-8"))["files"]
    if CAPTURES is not None
    else {}
)
WIRE_OF = {"anthropic": "messages", "gemini": "gemini", "openai_responses": "responses"}


@pytest.mark.skipif(CAPTURES is None, reason="LM_DELUGE_CAPTURES is not set")
@pytest.mark.parametrize("name", RECORDED)
async def test_a_recorded_error_is_the_same_as_a_reply_and_inside_an_answer(name: str) -> None:
    recorded, expected = RECORDED[name], EXPECTED[name]
    wire = WIRE_OF[recorded["provider"]]
    status, body = recorded["status"], recorded["body_text"]
    heads = recorded["response_headers"]
    kept = {key: heads[key] for key in heads if "id" in key or key == "retry-after"}
    wait = heads.get("retry-after")
    lines = "".join(f"{key}: {value}\r\n" for key, value in kept.items())
    async with ScriptedServer(reply(f"{status} Recorded", body, headers=lines)) as server:
        client = client_of(server, wire, retries=RetryPolicy.none())
        with pytest.raises(APIStatusError) as caught:
            await client.stream("Hi")
        await client.close()
    error: Any = caught.value
    plain = expected["plain"]
    assert type(error) is status_error(status)
    assert error.status_code == expected["status_code"]
    assert (error.type, error.code) == (plain["kind"], plain["code"])
    assert plain["message"] is None or plain["message"] in str(error)
    assert expected.get("request_id") is None or error.request_id is not None
    assert wait is None or error.retry_after == float(wait)
    if plain["message"] is None:
        return  # no error object
    told = json.loads(body)
    is_text = isinstance(told["error"], str)  # xAI: the code stands beside it
    inside = read(wire, BEGUN[wire] + (sse(told) if is_text else frame(wire, told["error"])))
    assert isinstance(inside, ProviderError)
    assert isinstance(inside, status_error(SAID_ELSE.get(name, status)))
    assert inside.body == error.body
    assert is_text or (inside.type, inside.code) == (error.type, error.code)
