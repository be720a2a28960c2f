"""What the logger ``lm_deluge`` is told of a stream, at which level, and what it is never told."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from lm_deluge import LLMClient, RetryPolicy, SamplingParams, Timeouts
from lm_deluge.errors import APIConnectionError, APITimeoutError, StreamCancelled, StreamError
from support.clients import KEY, client_for
from support.scripted import CLOSE, HANG, HEADERS, ScriptedServer, answer, events, http, reply

PROMPT = "the prompt that nobody may see"
BUSY = reply(
    "503 Service Unavailable", '{"error": {"message": "busy"}}', headers="x-request-id: r1\r\n"
)
QUICK = RetryPolicy(max_attempts=2, initial_delay=0.01)


def lines(caplog: pytest.LogCaptureFixture, stream_id: str | None = None) -> list[str]:
    """The lines of the one stream, with the id's eight characters taken off."""
    told = [record for record in caplog.records if record.name == "lm_deluge"]
    ids = {record.__dict__["stream_id"] for record in told}
    assert len(ids) == 1
    (known,) = ids
    assert stream_id in (None, known)
    begin = f"stream {known[:8]}: "
    assert all(record.getMessage().startswith(begin) for record in told)
    return [f"{record.levelname} {record.getMessage().removeprefix(begin)}" for record in told]


def in_order(found: list[str], *expected: str) -> None:
    assert len(found) == len(expected), found
    for line, words in zip(found, expected, strict=True):
        for word in words.split(" … "):
            assert word in line, (word, line)


async def test_a_whole_answer_is_one_line_and_its_steps_are_for_those_who_look_closer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ending = (
        "INFO whole after  … attempt 1 at gpt-4o: stop (first output after  … 2 tokens, $0.0000"
    )
    async with ScriptedServer(answer("Hel", "lo")) as server:
        client = client_for(server)
        caplog.set_level(logging.INFO, "lm_deluge")
        await client.stream(PROMPT)
        in_order(lines(caplog), ending)
        caplog.clear()
        caplog.set_level(logging.DEBUG, "lm_deluge")
        async with client.open_stream(
            PROMPT, tools=[{"type": "function", "function": {"name": "f"}}]
        ) as s:
            await s
        in_order(
            lines(caplog, s.id),
            f"DEBUG attempt 1 asks gpt-4o at {server.base_url}: model=gpt-4o, messages=[1] … stream=True",
            "DEBUG status 200, text/event-stream … on an open connection (request id: none)",
            "DEBUG first output after",
            ending,
        )
        assert "tools=[1]" in caplog.text


async def test_retries_and_fallbacks_are_told_with_their_reasons(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "lm_deluge")
    async with ScriptedServer(BUSY, BUSY, answer("a")) as server:
        client = client_for(server, retries=QUICK, fallback_models=["gpt-4o-mini"])
        await client.stream(PROMPT)
    in_order(
        lines(caplog),
        "INFO attempt 1 at gpt-4o failed after … (InternalServerError:  … busy … asking again in 0.",
        "INFO attempt 2 at gpt-4o failed … busy … asking gpt-4o-mini instead",
        "INFO whole after … attempt 3 at gpt-4o-mini: stop",
    )
    caplog.clear()
    caplog.set_level(logging.DEBUG, "lm_deluge")
    async with ScriptedServer(BUSY, answer("a")) as server:
        await client_for(server, retries=QUICK).stream(PROMPT)
    in_order(
        lines(caplog),
        "DEBUG attempt 1 asks",
        "DEBUG status 503, application/json … on a new connection (request id: r1)",
        "INFO attempt 1 at gpt-4o failed",
        "DEBUG attempt 2 asks",
        "DEBUG status 200",
        "DEBUG first output",
        "INFO whole",
    )


CUT = [HEADERS, http(events("Hel")), CLOSE]
ENDINGS: dict[str, tuple[list[Any], dict[str, Any], str]] = {
    "lost": (
        CUT,
        {},
        "with 3 characters, attempt 1 at gpt-4o: ConnectionLostError: the connection broke",
    ),
    "late": (
        [HANG],
        {"timeouts": Timeouts(first_token=0.05)},
        "with 0 characters … APITimeoutError",
    ),
    "refused": (reply("401 Unauthorized", "{}"), {}, "AuthenticationError"),
}


@pytest.mark.parametrize("name", ENDINGS)
async def test_an_ending_that_is_none_is_told_with_its_reason(
    caplog: pytest.LogCaptureFixture, name: str
) -> None:
    script, arguments, words = ENDINGS[name]
    caplog.set_level(logging.INFO, "lm_deluge")
    async with ScriptedServer(script) as server:
        with pytest.raises(StreamError):
            await client_for(server, **arguments).stream(PROMPT)
    in_order(lines(caplog), f"INFO ended after … {words}")


async def test_a_cancelled_stream_and_one_without_a_server_are_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "lm_deluge")
    async with ScriptedServer([HEADERS, http(events("a")), HANG]) as server:
        async with client_for(server).open_stream(PROMPT) as stream:
            await anext(stream.__aiter__())
            stream.cancel("enough")
            with pytest.raises(StreamCancelled):
                await stream
    in_order(lines(caplog), "INFO ended after … with 1 characters … StreamCancelled … enough")
    caplog.clear()
    with pytest.raises(APIConnectionError):
        await client_for("http://127.0.0.1:9/v1").stream(PROMPT)
    in_order(
        lines(caplog),
        "INFO ended after … APIConnectionError: no connection to http://127.0.0.1:9/v1",
    )


async def test_neither_prompt_nor_answer_nor_key_is_told_and_no_line_is_long(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "lm_deluge")
    echo = reply("400 Bad Request", f'{{"error": {{"message": "{KEY} {"x" * 5000}\\n\\nno"}}}}')
    secret = "another-secret-of-ours"
    async with ScriptedServer(answer("the ", "answer"), echo) as server:
        url = server.base_url.replace("http://", f"http://me:{secret}@")
        client = LLMClient(
            "gpt-4o",
            base_url=url,
            api_key=KEY,
            auth_header="x-api-key",
            query={"key": secret},
            extra_headers={"X-Api-Token": secret},
            extra_body={"user": PROMPT, "prediction": {"content": PROMPT}, "note": KEY, "top_k": 3},
            sampling_params=SamplingParams(stop=[PROMPT], temperature=0.5),
            tags={"team": PROMPT},
            printer=None,
        )
        await client.stream(PROMPT)
        with pytest.raises(StreamError):
            await client.stream(PROMPT)
        told = caplog.text
    assert "temperature=0.5" in told
    assert "top_k=3" in told
    for hidden in (PROMPT, "the answer", KEY, secret, "X-Api-Token"):
        assert hidden not in told
    assert all(len(record.getMessage()) < 600 for record in caplog.records)
    assert all("\n" not in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("level", [logging.INFO, logging.DEBUG])
async def test_no_token_costs_a_line(caplog: pytest.LogCaptureFixture, level: int) -> None:
    caplog.set_level(level, "lm_deluge")
    counts = []
    for texts in (["a"], ["a"] * 500):
        caplog.clear()
        async with ScriptedServer(answer(*texts)) as server:
            await client_for(server).stream(PROMPT)
        counts.append(len(caplog.records))
    assert counts == [1, 1] if level == logging.INFO else [4, 4]


async def test_where_nobody_listens_nothing_is_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "lm_deluge")
    async with ScriptedServer(BUSY, answer("a")) as server:
        await client_for(server, retries=QUICK).stream(PROMPT)
    assert caplog.records == []


async def test_a_filter_that_raises_changes_no_stream() -> None:
    def broken(record: logging.LogRecord) -> bool:
        raise RuntimeError("a filter of the program's")

    logger = logging.getLogger("lm_deluge")
    logger.addFilter(broken)
    logger.setLevel(logging.DEBUG)
    try:
        async with ScriptedServer(BUSY, answer("a")) as server:
            response = await client_for(server, retries=QUICK).stream(PROMPT)
    finally:
        logger.removeFilter(broken)
        logger.setLevel(logging.NOTSET)
    assert (response.completion, response.attempts) == ("a", 2)


async def test_a_deadline_that_leaves_no_time_for_another_attempt_is_one_ending(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "lm_deluge")
    busy = reply("503 Service Unavailable", "{}", headers="Retry-After: 20\r\n")
    slow = RetryPolicy(max_attempts=3)
    async with ScriptedServer(busy) as server:
        with pytest.raises(APITimeoutError):
            await client_for(server, retries=slow, timeouts=Timeouts(total=5)).stream(PROMPT)
    in_order(
        lines(caplog), "INFO ended after … APITimeoutError … attempt 1 failed (InternalServerError)"
    )
