"""Responses go on after a lost connection: nothing is said twice, nothing is lost, one ending."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest

from lm_deluge import RetryPolicy, Timeouts
from lm_deluge.engine import resuming
from lm_deluge.errors import (
    AnswerCutError,
    APIError,
    APITimeoutError,
    ConnectionLostError,
    StreamError,
)
from lm_deluge.simulator import ABORT, Overhead, Reply, Simulator
from lm_deluge.simulator.checks.refusals import Refused
from lm_deluge.timeline import read_timelines
from lm_deluge_plugins import FileLogger
from support import responses as said
from support.clients import Recorder
from support.resuming import TEXT, resuming_client, script

#: Faults that lose the connection after so many pieces.
LOSSES: Final = ("drop", "reset", "eof", "half-close", "truncated-utf8")


def numbers(sim: Simulator) -> list[str | None]:
    """From where each stream but the first was taken up."""
    return [r.query.get("starting_after") for r in sim.requests if r.method == "GET"]


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("after", range(5))
async def test_a_cut_at_every_piece_is_gone_on_from(loss: str, after: int) -> None:
    heard = Recorder()
    async with Simulator(text=TEXT, reasoning="Well,", faults=[f"{loss}:{after}"]) as sim:
        response = await resuming_client(sim, handlers=[heard]).stream("Hi")
        lost = after < 5 or loss != "truncated-utf8"
        assert response.completion == heard.text == "".join(TEXT)
        assert "".join(delta.text for delta in heard.deltas) == "Well,"
        assert response.finish_reason == "stop"
        assert response.usage is not None
        assert heard.heard.count("complete") == len(heard.endings) == 1
        begun = sim.requests[0].json
        assert (begun["background"], begun["store"], begun["stream"]) == (True, True, True)
        if after and lost:
            assert [r.method for r in sim.requests] == ["POST", "GET"]
            [retry] = heard.retries
            assert (retry.resumed, retry.attempt, response.attempts) == (True, 1, 2)


async def test_a_cut_at_every_byte_is_gone_on_from() -> None:
    bare, _ = script()
    first = len(bare[0])
    for cut in range(first, len(b"".join(bare)), 7):
        heard = Recorder()
        _, reply = script(cut)
        async with Simulator(reply=reply) as sim:
            response = await resuming_client(sim, handlers=[heard]).stream("Hi")
            assert (response.completion, heard.text) == ("".join(TEXT), "".join(TEXT))
            assert (response.attempts, sim.request_count) == (2, 2)


async def test_a_stream_may_be_cut_again_and_go_on_again() -> None:
    heard = Recorder()
    async with Simulator(text=TEXT, faults=["drop:1", "reset:3", "eof:2", None]) as sim:
        response = await resuming_client(sim, handlers=[heard]).stream("Hi")
        assert response.completion == heard.text == "".join(TEXT)
        assert [retry.resumed for retry in heard.retries] == [True] * 3
        assert [failed.error for failed in response.failed_attempts] == [
            "ConnectionLostError",
            "ConnectionLostError",
            "AnswerCutError",
        ]
        assert numbers(sim) == sorted(numbers(sim), key=lambda number: int(number or 0))


@pytest.mark.parametrize(
    ("loss", "kind"), [("drop:1", ConnectionLostError), ("eof:1", AnswerCutError)]
)
async def test_one_that_is_always_cut_ends_when_the_attempts_are_used_up(
    loss: str, kind: type[StreamError]
) -> None:
    heard = Recorder()
    async with Simulator(text=TEXT * 4, faults=loss) as sim:
        with pytest.raises(kind) as caught:
            await resuming_client(sim, handlers=[heard]).stream("Hi")
        error = caught.value
        assert (error.attempts, sim.request_count) == (4, 4)
        assert error.partial is not None
        assert error.partial.completion == heard.text
        assert "".join(TEXT * 4).startswith(heard.text)
        assert (len(heard.retries), heard.heard[-1], len(heard.endings)) == (3, "error", 1)
        # What broke by itself can still be fetched.
        assert all(not request.path.endswith("/cancel") for request in sim.requests)


async def test_without_attempts_left_nothing_is_resumed() -> None:
    async with Simulator(text=TEXT, faults=["drop:2"]) as sim:
        with pytest.raises(ConnectionLostError):
            await resuming_client(sim, retries=RetryPolicy.none()).stream("Hi")
        assert sim.request_count == 1


async def test_without_resume_a_cut_after_output_ends_the_stream() -> None:
    async with Simulator(text=TEXT, faults=["drop:2"]) as sim:
        with pytest.raises(ConnectionLostError):
            await resuming_client(sim, resume=False).stream("Hi")
        assert "background" not in sim.requests[0].json
        assert sim.requests[0].json["store"] is False


async def test_a_stall_is_gone_on_from() -> None:
    heard = Recorder()
    async with Simulator(text=TEXT, faults=["stall:2"]) as sim:
        client = resuming_client(sim, handlers=[heard], timeouts=Timeouts(between_tokens=0.05))
        response = await client.stream("Hi")
        assert response.completion == heard.text == "".join(TEXT)
        [retry] = heard.retries
        assert isinstance(retry.error, APITimeoutError)
        assert retry.resumed


async def test_the_limit_over_all_attempts_still_ends_a_stream_and_calls_it_off() -> None:
    async with Simulator(text=TEXT * 9, gap=0.05) as sim:
        with pytest.raises(APITimeoutError, match="total"):
            await resuming_client(sim, timeouts=Timeouts(total=0.12)).stream("Hi")
        assert sim.requests[-1].path.endswith("/cancel")


@pytest.mark.parametrize(
    "refusal", ["status:404", "status:400", "wrong-content-type", "json-error"]
)
async def test_where_resuming_is_refused_the_stream_ends_with_what_broke_it(refusal: str) -> None:
    heard = Recorder()
    async with Simulator(text=TEXT, faults=["drop:2", refusal]) as sim:
        with pytest.raises(ConnectionLostError) as caught:
            await resuming_client(sim, handlers=[heard]).stream("Hi")
        error = caught.value
        assert error.partial is not None
        assert error.partial.completion == heard.text == "Hello "
        assert error.attempts == sim.request_count == 2
        assert any("could not be resumed" in note for note in error.__notes__)
        assert error.failed_attempts[0].error == "ConnectionLostError"
        assert len(error.failed_attempts) == 2
        assert len(heard.endings) == 1


@pytest.mark.parametrize(
    "passing", ["status:503", "status:429:retry-after-ms=1", "reset-before-headers"]
)
async def test_what_passes_is_asked_again_for_the_same_rest(passing: str) -> None:
    async with Simulator(text=TEXT, faults=["drop:2", passing, None]) as sim:
        response = await resuming_client(sim).stream("Hi")
        assert (response.completion, response.attempts) == ("".join(TEXT), 3)
        assert len(set(numbers(sim))) == 1


async def test_what_keeps_passing_ends_with_what_broke_the_answer() -> None:
    async with Simulator(text=TEXT, faults=["drop:2", *["status:503"] * 9]) as sim:
        with pytest.raises(ConnectionLostError) as caught:
            await resuming_client(sim).stream("Hi")
        assert caught.value.attempts == sim.request_count == 4


async def test_before_any_output_a_refusal_is_followed_by_a_new_answer() -> None:
    heard = Recorder()
    async with Simulator(text=TEXT, faults=["drop:0", "status:404", None]) as sim:
        response = await resuming_client(sim, handlers=[heard]).stream("Hi")
        assert (response.completion, response.attempts) == ("".join(TEXT), 3)
        asked = [r for r in sim.requests if not r.path.endswith("/cancel")]
        assert [r.method for r in asked] == ["POST", "GET", "POST"]
        failed = ["ConnectionLostError", "NotFoundError"]
        assert [one.error for one in response.failed_attempts] == failed
        assert [type(retry.error).__name__ for retry in heard.retries] == failed
        assert [retry.resumed for retry in heard.retries] == [True, False]


async def test_a_gap_in_the_events_is_no_answer() -> None:
    bare, _ = script()

    def reply(record: Any) -> Reply:
        if record.method == "POST":
            return Reply(steps=[Overhead(b"".join(bare[:3])), 0.001, ABORT])
        return Reply(steps=[Overhead(b"".join(bare[4:]))])

    heard = Recorder()
    async with Simulator(reply=reply) as sim:
        with pytest.raises(ConnectionLostError) as caught:
            await resuming_client(sim, handlers=[heard]).stream("Hi")
        assert heard.text == TEXT[0]
        assert "event 4 where 3 was due" in "".join(caught.value.__notes__)


async def test_what_came_before_is_not_said_again_whatever_the_server_repeats() -> None:
    bare, _ = script()

    def reply(record: Any) -> Reply:
        if record.method == "POST":
            return Reply(steps=[Overhead(b"".join(bare[:4])), 0.001, ABORT])
        return Reply(steps=[Overhead(b"".join(bare))])

    heard = Recorder()
    async with Simulator(reply=reply) as sim:
        response = await resuming_client(sim, handlers=[heard]).stream("Hi")
        assert response.completion == heard.text == "".join(TEXT)


async def test_an_answer_that_failed_meanwhile_is_told_as_such() -> None:
    bare, _ = script()
    failed = {"id": "resp_1", "error": {"code": "server_error", "message": "It broke."}}
    told = {"type": "response.failed", "sequence_number": 3, "response": failed}
    end = f"event: response.failed\ndata: {json.dumps(told)}\n\n".encode()

    def reply(record: Any) -> Reply:
        if record.method == "POST":
            return Reply(steps=[Overhead(b"".join(bare[:3])), 0.001, ABORT])
        return Reply(steps=[Overhead(end)])

    async with Simulator(reply=reply) as sim:
        with pytest.raises(APIError, match="It broke"):
            await resuming_client(sim).stream("Hi")


async def test_after_the_providers_minutes_nothing_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = resuming.Resumption

    def brief(**fields: Any) -> Any:
        return made(**fields, within=0.0)

    monkeypatch.setattr(resuming, "Resumption", brief)
    async with Simulator(text=TEXT, faults=["drop:2"]) as sim:
        with pytest.raises(ConnectionLostError):
            await resuming_client(sim).stream("Hi")
        assert sim.request_count == 1


async def test_halves_of_a_character_meet_over_two_connections() -> None:
    def delta(number: int, half: str) -> bytes:
        head = f'{{"type":"response.output_text.delta","sequence_number":{number},'
        rest = f'"output_index":0,"content_index":0,"item_id":"m","delta":"{half}"}}'
        return f"event: response.output_text.delta\ndata: {head}{rest}\n\n".encode()

    created = said.event("response.created", sequence_number=0, response={"id": "resp_1"})
    end = said.event("response.completed", sequence_number=3, response={"id": "r", "output": []})

    def reply(record: Any) -> Reply:
        if record.method == "POST":
            return Reply(steps=[Overhead(created + delta(1, "\\ud83d")), 0.001, ABORT])
        return Reply(steps=[Overhead(delta(2, "\\ude42") + end)])

    async with Simulator(reply=reply) as sim:
        assert (await resuming_client(sim).stream("Hi")).completion == "🙂"


# -- the timeline, the log, the recording


async def test_the_timeline_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    async with Simulator(text=TEXT, gap=0.01, faults=["drop:2"]) as sim:
        with FileLogger(path) as logger:
            response = await resuming_client(sim, handlers=[logger]).stream("Hi")
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line]
    [retry] = [line for line in lines if line["e"] == "retry"]
    assert retry["resumed"] is True
    tokens = [line for line in lines if line["e"] == "token"]
    assert [token["i"] for token in tokens] == list(range(len(TEXT)))
    [timeline] = read_timelines([path])
    assert timeline.arrivals == pytest.approx(response.timeline.arrivals, abs=1e-5)
    assert (len(timeline.arrivals), timeline.attempts) == (len(TEXT), 2)


async def test_a_recording_of_a_resumed_stream_is_replayed(tmp_path: Path) -> None:
    path = tmp_path / "run.rec"
    async with Simulator(text=TEXT, faults=["drop:2"]) as sim:
        response = await resuming_client(sim, record=path).stream("Hi")
    async with Simulator(replay=path, speed="max") as sim:
        again = await resuming_client(sim).stream("Hi")
        assert (again.completion, again.attempts) == (response.completion, 2)


# -- with what else there is


async def test_a_summary_that_is_refused_is_done_without_and_the_answer_still_resumed() -> None:
    refused = Refused(400, "No.", "reasoning.summary", "unsupported_value")

    def reply(record: Any) -> Any:
        asked = record.json or {}
        return refused.reply() if "summary" in (asked.get("reasoning") or {}) else None

    heard = Recorder()
    async with Simulator(text=TEXT, reply=reply, faults=[None, "drop:2"]) as sim:
        response = await resuming_client(sim, handlers=[heard]).stream("Hi")
        assert (response.completion, response.attempts) == ("".join(TEXT), 3)
        assert [retry.resumed for retry in heard.retries] == [False, True]
        assert sim.requests[1].json["background"] is True


async def test_a_tool_call_that_was_cut_goes_on() -> None:
    calls = [("f", {"city": "東京", "days": list(range(20))})]
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    for cut in range(1, 5):
        async with Simulator(text=["a"], tool_calls=calls, faults=[f"drop:{cut}"]) as sim:
            response = await resuming_client(sim).stream("Hi", tools=[tool])
            [call] = response.tool_calls
            assert (call.name, json.loads(call.arguments)) == calls[0]
            assert response.finish_reason == "tool_calls"


async def test_many_streams_are_each_gone_on_from() -> None:
    faults = [f"drop:{number % 5}" for number in range(20)]
    async with Simulator(text=TEXT, faults=faults) as sim:
        client = resuming_client(sim)
        prompts = ["Hi"] * 20
        outcomes = [outcome async for _, outcome in client.stream_many(prompts)]
        assert [getattr(o, "completion", o) for o in outcomes] == ["".join(TEXT)] * 20


async def test_the_phases_of_messages_are_told_over_two_connections() -> None:
    bare, _ = script()
    message = {"type": "message", "id": "m", "phase": "commentary"}
    added = said.event(
        "response.output_item.added", sequence_number=2, output_index=0, item=message
    )
    later = [
        event.replace(b'number": %d' % number, b'number": %d' % (number + 1))
        for number, event in enumerate(bare[2:], 2)
    ]
    events = [*bare[:2], added, *later]

    def reply(record: Any) -> Reply:
        if record.method == "POST":
            return Reply(steps=[Overhead(b"".join(events[:5])), 0.001, ABORT])
        return Reply(steps=[Overhead(b"".join(events[5:]))])

    async with Simulator(reply=reply) as sim, resuming_client(sim).open_stream("Hi") as stream:
        told = [(token.text, token.phase) async for token in stream]
        assert told == [(text, "commentary") for text in TEXT]
        assert stream.attempt == 2


@pytest.mark.parametrize("line", [b"event: keepalive\n", b""])
async def test_what_keeps_a_connection_alive_has_a_number_too(line: bytes) -> None:
    bare, _ = script()
    alive = line + b'data: {"type":"keepalive","sequence_number":3}\n\n'
    rest = b"".join(
        event.replace(b'number": %d' % number, b'number": %d' % (number + 1))
        for number, event in enumerate(bare[3:], 3)
    )

    def reply(record: Any) -> Reply:
        if record.method == "POST":
            return Reply(steps=[Overhead(b"".join(bare[:3]) + alive), 0.001, ABORT])
        assert record.query["starting_after"] == "3"
        return Reply(steps=[Overhead(rest)])

    async with Simulator(reply=reply) as sim:
        assert (await resuming_client(sim).stream("Hi")).completion == "".join(TEXT)
