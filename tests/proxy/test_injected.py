"""Faults on real traffic: what the app gets, what the log says, and that nobody pays for what is not read."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from lm_deluge import LLMClient, RetryPolicy, Timeouts
from lm_deluge.errors import (
    AnswerCutError,
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    ConnectionLostError,
    InternalServerError,
    ProtocolError,
    RateLimitError,
    StreamError,
)
from lm_deluge.proxy import Proxy
from lm_deluge.proxy.faults import EARLY, FaultDice
from lm_deluge.simulator import Simulator
from lm_deluge_plugins import ChunkCollector, FileLogger
from support.raw_http import Asker

WORDS = ["one", " two", " three", " four", " five"]
SOON = Timeouts(first_token=0.3, between_tokens=0.3, total=5)
PATIENT = Timeouts(total=30)


async def _heard(
    faults: str | Sequence[str],
    *,
    wire: str = "chat",
    log: Path | None = None,
    gap: float = 0.0,
    timeouts: Timeouts = SOON,
) -> tuple[str, StreamError | None, list[float], Simulator]:
    """Text, error and arrivals of one stream through a proxy that injects."""
    handlers = [] if log is None else [FileLogger(log)]
    async with Simulator(text=WORDS, gap=gap, models=["a-model"]) as simulator:
        async with Proxy(simulator.url, faults=faults, handlers=handlers) as proxy:
            base_url = proxy.url if wire in ("messages", "gemini") else proxy.base_url
            client = LLMClient(
                "a-model", base_url=base_url, dialect=wire, api_key="k", printer=None,
                retries=RetryPolicy.none(), timeouts=timeouts,
            )  # fmt: skip
            tokens = ChunkCollector()
            error: StreamError | None = None
            try:
                await client.stream("Hi", handlers=[tokens])
            except StreamError as broken:
                error = broken
            await client.close()
            if simulator.request_count:
                await simulator.wait_closed_connections()
        for handler in handlers:
            handler.close()
    return tokens.text, error, [token.arrived for token in tokens.tokens], simulator


@pytest.mark.parametrize("wire", ["chat", "responses", "messages", "gemini"])
@pytest.mark.parametrize(
    ("fault", "text", "error"),
    [
        ("eof:2", "one two", AnswerCutError),
        ("eof:0", "", AnswerCutError),
        ("reset:3", "one two three", ConnectionLostError),
        ("drop:1", "one", ConnectionLostError),
        ("half-close:2", "one two", ConnectionLostError),
        ("stall:2", "one two", APITimeoutError),
        ("hang-before-first-token", "", APITimeoutError),
        ("status:429:retry-after=7", "", RateLimitError),
        ("reset-before-headers", "", APIConnectionError),
        ("error-frame:object:2", "one two", InternalServerError),
        ("error-frame", "one two three", InternalServerError),
        ("error-frame:object:0", "", InternalServerError),
        ("malformed-json:2", "one two", ProtocolError),
        ("redirect", "", APIStatusError),
        ("wrong-content-type", "", ProtocolError),
        ("json-error", "", InternalServerError),
        ("close-before-headers", "", APIConnectionError),
        ("hang-before-headers", "", APITimeoutError),
        ("refuse", "", APIConnectionError),
    ],
)
async def test_an_app_gets_the_fault_that_is_named(
    fault: str, text: str, error: type[StreamError], wire: str
) -> None:
    async with asyncio.timeout(10):
        got, ended, _, simulator = await _heard(fault, wire=wire)
    # An error inside an answer has a class of its own, with the name of the one for its status.
    assert (got, type(ended).__name__) == (text, error.__name__)
    early = fault.partition(":")[0] in EARLY
    assert simulator.request_count == (0 if early else 1)
    if isinstance(ended, RateLimitError):
        assert ended.retry_after == 7 or wire == "gemini"


@pytest.mark.parametrize("wire", ["chat", "responses", "messages", "gemini"])
async def test_a_pause_is_a_gap_where_it_is_named(wire: str) -> None:
    text, error, arrived, _ = await _heard("pause:0.5:2", wire=wire, gap=0.01, timeouts=PATIENT)
    assert (text, error) == ("".join(WORDS), None)
    gaps = [b - a for a, b in pairwise(arrived)]
    assert gaps.index(max(gaps)) == 1
    # A busy machine may be late with the piece before it, and never early with the one after.
    assert max(gaps) > 0.3


async def test_a_buffer_hands_on_in_heaps() -> None:
    text, error, arrived, _ = await _heard("buffer:0.12", gap=0.03, timeouts=PATIENT)
    assert (text, error) == ("".join(WORDS), None)
    assert arrived[0] > 0.11
    assert len(set(arrived)) < len(WORDS)  # what one read brought has one moment


async def test_the_log_says_which_fault_it_was(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    await _heard("eof:2", log=log)
    rows = [json.loads(line) for line in log.read_text().splitlines() if line]
    assert [row["e"] for row in rows] == ["start", "token", "token", "error"]
    assert rows[0]["fault"] == "eof:2"
    assert rows[-1]["error"] == "AnswerCutError"


async def test_other_requests_and_answers_that_do_not_stream_are_left_alone_as_far_as_they_can() -> (
    None
):
    async with Simulator(text=WORDS) as simulator, Proxy(simulator.url, faults="reset:0") as proxy:
        async with Asker(proxy.url) as asker:
            got, ending = await asker.ask(
                b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                b"Authorization: Bearer k\r\n\r\n"
            )
    assert got.startswith(b"HTTP/1.1 200 OK")
    assert ending == "end"


def _drawn(*faults: str, count: int = 4000) -> dict[str | None, float]:
    dice = FaultDice(faults)
    drawn = [fault and fault.name for fault in (dice.draw() for _ in range(count))]
    return {name: drawn.count(name) / count for name in set(drawn)}


def test_shares_are_drawn_and_the_rest_is_for_those_without_one() -> None:
    found = _drawn("eof:3@5%", "status:429@0.2")
    assert abs(found["eof:3"] - 0.05) < 0.03
    assert abs(found["status:429"] - 0.2) < 0.05
    assert abs(found[None] - 0.75) < 0.06
    assert _drawn() == {None: 1.0}
    assert _drawn("eof@0%") == {None: 1.0}
    whole = _drawn("eof@50%", "reset:1")
    assert None not in whole
    assert abs(whole["reset:1"] - 0.5) < 0.06


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["nosuch"], "no fault is called"),
        (["endless-line"], "of answers that a simulator makes"),
        (["eof@150%"], "a share is"),
        (["eof@1.2.3%"], "a share is"),
        (["eof@"], "a share is"),
        (["eof:3@x%"], "a share is"),
        (["eof@-5%"], "a share is"),
        (["eof@5"], "a share is"),
        (["eof@60%", "reset@50%"], "add up to 110%"),
        (["pause:x"], "seconds"),
        (["buffer:x"], "seconds"),
        (["eof:x@5%"], "number of pieces"),
    ],
)
def test_faults_that_make_no_sense_are_refused(given: list[str], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Proxy(faults=given)
