"""Rounds when things go wrong, on every wire: faults, retries, cuts, odd ids; and how they are logged."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from lm_deluge import Conversation, Delta, LLMClient, RetryPolicy, Stream, StreamHandler, Tool
from lm_deluge.errors import HandlerError, StreamCancelled, StreamError
from lm_deluge.simulator import Simulator
from lm_deluge.timeline import measure, read_timelines
from lm_deluge_plugins import FileLogger, StdoutPrinter
from support import messages
from support.clients import Recorder, client_for
from support.dialects import CAPTURES, recorded
from support.scripted import DONE, END, HEADERS, ScriptedServer, answer, delta, http, sse
from support.wires import WHOLE as WHOLE_OF
from support.wires import WIRES, client_of

MODELS = {
    "chat": "gpt-4.1",
    "responses": "openai-responses:gpt-6-sol",
    "messages": "anthropic:claude-sonnet-5-5",
    "gemini": "gemini:gemini-3.8-flash",
}
DIALECTS = pytest.mark.parametrize("dialect", MODELS)
AT_ONCE = RetryPolicy(max_attempts=2, initial_delay=0.0, max_delay=0.0)

ROUNDS: list[list[tuple[str, dict[str, Any]]]] = [
    [("first", {"a": "1"})],
    [("first", {"a": "2"}), ("second", {})],
]


async def first(a: int) -> str:
    return f"result {a}"


def second() -> dict[str, int]:
    return {"n": 3}


def simulated(sim: Simulator, dialect: str, **options: Any) -> LLMClient:
    url = sim.base_url if dialect in ("chat", "responses") else sim.url
    return client_for(url, MODELS[dialect], **options)


@DIALECTS
async def test_three_rounds_are_scripted_logged_and_measured_by_round(
    dialect: str, tmp_path: Path
) -> None:
    path = tmp_path / "log.jsonl"
    async with Simulator(tool_calls=ROUNDS, reasoning=2) as sim:
        with FileLogger(path) as logger:
            client = simulated(sim, dialect, handlers=[logger])
            response = await client.run_tools("Hi", [first, second])
    assert response.completion == 'The tools say: result 2; {"n":3}'
    assert [len(each.results) for each in response.rounds] == [1, 2, 0]
    timelines = list(read_timelines([path]))
    by_round = {line.tags["round"]: line for line in timelines}
    assert sorted(by_round) == [1, 2, 3]
    assert len({line.tags["call"] for line in timelines}) == 1
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line]
    results = [line for line in lines if line.get("kind") == "tool_result"]
    assert [(line["e"], line["t"], line["len"]) for line in results] == [
        ("delta", 0.0, len("result 1")),
        ("delta", 0.0, len("result 2")),
        ("delta", 0.0, len('{"n":3}')),
    ]
    for number, each in enumerate(response.rounds, 1):
        line, whole = by_round[number], each.response.timeline
        assert whole is not None
        # As the stream itself knows it, which heard of no result.
        assert line.first_output == pytest.approx(whole.first_output, abs=1e-5)
        assert line.first_output is not None
        assert line.first_output > 0
        assert len(line.times) == len(whole.times)
        assert line.retries == ()
    measured = measure(timelines, by="round")
    assert sorted(measured.groups) == ["1", "2", "3"]


class Results(StreamHandler):
    """Keeps the results that each stream tells, by its attempt and whether anything had come."""

    def __init__(self) -> None:
        self.told: list[tuple[int, str]] = []

    def on_delta(self, stream: Stream, delta: Delta) -> None:
        if delta.kind == "tool_result":
            assert stream.partial.ttft is None
            self.told.append((stream.tags["round"], delta.text))


@DIALECTS
async def test_a_failed_attempt_of_a_later_round_is_repeated_and_results_are_told_once(
    dialect: str,
) -> None:
    heard, results = Recorder(), Results()
    faults = [None, "status:503", None]
    async with Simulator(tool_calls=ROUNDS, faults=faults) as sim:
        client = simulated(sim, dialect, retries=AT_ONCE)
        response = await client.run_tools("Hi", [first, second], handlers=[heard, results])
        assert sim.request_count == 4
    assert response.ended_by == "answer"
    assert [each.response.attempts for each in response.rounds] == [1, 2, 1]
    assert results.told == [(2, "result 1"), (3, "result 2"), (3, '{"n":3}')]
    assert [name for name in heard.heard if name not in ("token", "delta")] == [
        "start", "complete", "start", "retry", "complete", "start", "complete",
    ]  # fmt: skip


@DIALECTS
@pytest.mark.parametrize("fault", ["eof:2", "reset:2", "status:400", "error-frame:object:1"])
async def test_a_round_that_fails_leaves_those_before_it(dialect: str, fault: str) -> None:
    heard = Recorder()
    conversation = Conversation().user("Hi")
    async with Simulator(tool_calls=ROUNDS, faults=[None, None, fault], gap=0.001) as sim:
        client = simulated(sim, dialect)
        with pytest.raises(StreamError) as caught:
            await client.run_tools(conversation, [first, second], handlers=[heard])
        error = caught.value
        assert [[result.text for result in each.results] for each in error.rounds] == [
            ["result 1"],
            ["result 2", '{"n":3}'],
        ]
        assert heard.heard.count("start") == 3
        assert heard.endings[-1] is error
        assert len(heard.endings) == 3
        roles = [message.role for message in conversation]
        assert roles == ["user", "assistant", "tool", "assistant", "tool", "tool"]
        # It goes on from there.
        response = await client.run_tools(conversation, [first, second])
    assert response.completion == 'The tools say: result 2; {"n":3}'


@DIALECTS
async def test_an_answer_that_is_cut_by_its_length_runs_no_calls(dialect: str) -> None:
    ran: list[int] = []

    def tool(text: str) -> None:
        ran.append(1)

    conversation = Conversation().user("Hi")
    calls = [("tool", {"text": "word " * 200})]
    async with Simulator(tool_calls=calls) as sim:
        client = simulated(sim, dialect)
        options: dict[str, Any] = {"max_new_tokens": 40}
        response = await client.run_tools(conversation, [tool], **options)
        assert response.finish_reason == "length"
        assert response.ended_by == ("cut" if response.tool_calls else "answer")
        assert ran == []
        for result in response.results:
            assert (
                result.text == "the call was not run: the answer ended before it was whole (length)"
            )
        # No server refuses what is left.
        await client.stream(conversation.user("And?"))


class Ending(StreamHandler):
    """Cancels, or raises, where it hears of a result."""

    def __init__(self, how: str) -> None:
        self.how = how
        self.endings = 0

    def on_delta(self, stream: Stream, delta: Delta) -> None:
        if delta.kind == "tool_result":
            if self.how == "cancels":
                stream.cancel("enough")
            else:
                raise RuntimeError("handler")

    def on_complete(self, stream: Stream, response: Any) -> None:
        self.endings += 1

    def on_error(self, stream: Stream, error: StreamError) -> None:
        self.endings += 1


@pytest.mark.parametrize("how", ["cancels", "raises"])
@pytest.mark.parametrize("strict", [False, True])
async def test_a_handler_of_results_ends_the_round_as_any_other(how: str, strict: bool) -> None:
    handler = Ending(how)
    async with Simulator(tool_calls=ROUNDS) as sim:
        running = client_for(sim, strict=strict).run_tools(
            "Hi", [first, second], handlers=[handler]
        )
        if how == "cancels" or strict:
            with pytest.raises(StreamCancelled if how == "cancels" else HandlerError) as caught:
                await running
            assert len(caught.value.rounds) == 1
            assert sim.request_count == 1
            assert handler.endings == 2
        else:
            response = await running
            assert response.ended_by == "answer"
            assert response.rounds[1].response.handler_failures[0].count == 1
            assert handler.endings == 3


def calling(*calls: Mapping[str, Any], finish: str = "tool_calls") -> list[Any]:
    """Return the steps of a chat answer with calls as a server may write them."""
    written = [{"index": at, "type": "function", **call} for at, call in enumerate(calls)]
    body = sse(delta(tool_calls=written)) + sse(delta(finish=finish)) + DONE
    return [HEADERS, http(body) + END]


@pytest.mark.parametrize("known", ["", None])
async def test_calls_without_ids_of_their_own_get_some(known: str | None) -> None:
    call = {"id": known} if known is not None else {}
    calls = [{**call, "function": {"name": "first", "arguments": f'{{"a": {n}}}'}} for n in (1, 2)]
    async with ScriptedServer(calling(*calls), answer("done")) as server:
        response = await client_for(server).run_tools("Hi", [first])
        sent = json.loads(server.requests[1].body)["messages"]
    assert response.completion == "done"
    asked = [call["id"] for call in sent[1]["tool_calls"]]
    assert len(set(asked)) == 2
    assert [(message["tool_call_id"], message["content"]) for message in sent[2:]] == [
        (asked[0], "result 1"),
        (asked[1], "result 2"),
    ]


async def test_arguments_that_are_no_json_go_back_in_what_every_server_takes() -> None:
    call = {"id": "1", "function": {"name": "first", "arguments": '{"a": '}}
    conversation = Conversation().user("Hi")
    async with ScriptedServer(calling(call), answer("done")) as server:
        response = await client_for(server).run_tools(conversation, [first])
        sent = json.loads(server.requests[1].body)["messages"]
    assert response.rounds[0].response.tool_calls[0].arguments == '{"a": '
    assert json.loads(sent[1]["tool_calls"][0]["function"]["arguments"]) == {
        "INVALID_JSON": '{"a": '
    }
    assert sent[2]["content"].startswith("the arguments are not JSON")
    for dialect in MODELS:
        async with Simulator() as sim:
            await simulated(sim, dialect).stream(conversation)


async def test_several_answers_are_refused_before_anything_is_sent() -> None:
    from lm_deluge import SamplingParams

    async with Simulator() as sim:
        client = client_for(sim, sampling_params=SamplingParams(n=2))
        with pytest.raises(ValueError, match="n is 2, and run_tools"):
            await client.run_tools("Hi", [first])
        assert sim.request_count == 0


async def test_a_cost_that_is_not_known_ends_a_run_with_a_bound(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with Simulator(tool_calls=ROUNDS, usage=False) as sim:
        response = await client_for(sim).run_tools("Hi", [first, second], max_cost=5)
    assert response.ended_by == "max_cost"
    assert response.total_cost is None
    assert response.total_usage is None
    assert [result.text for result in response.results] == ["result 1"]
    assert "max_cost cannot be kept" in caplog.text


async def test_what_a_run_prints_is_all_rounds(capsys: pytest.CaptureFixture[str]) -> None:
    async with Simulator(tool_calls=ROUNDS, text="Hm.") as sim:
        client = client_for(sim, printer=StdoutPrinter())
        await client.run_tools("Hi", [first, second])
    assert capsys.readouterr().out == "Hm." * 3


def recorded_calls(folder: str) -> Iterator[tuple[Path, list[dict[str, Any]]]]:
    """Yield the recordings of whole answers with calls, and their calls."""
    if folder != "openai_chat":
        for path, expected in recorded(folder).items():
            if expected["tool_calls"] and not expected["error"]:
                yield path, expected["tool_calls"]
        return
    root = Path(CAPTURES or os.devnull)
    if not root.is_dir():
        pytest.skip("the recordings of chat are elsewhere")
    for name, expected in json.loads((root / "expected.json").read_text("utf-8")).items():
        calls = expected["choices"].get("0", {}).get("tool_calls")
        if calls and len(expected["choices"]) == 1 and not expected["error"]:
            yield root / name, calls


@pytest.mark.parametrize("wire", WIRES)
async def test_what_a_real_answer_calls_is_run_and_sent_back_on_every_wire(wire: str) -> None:
    """Every recording with calls, and then an answer: the request between them has all results."""
    folder = dict(
        zip(WIRES, ("openai_chat", "openai_responses", "anthropic", "gemini"), strict=True)
    )
    tried = 0
    for path, calls in recorded_calls(folder[wire]):
        names = {call["name"] for call in calls}
        tools = [
            Tool(lambda **_: "RESULT-7f", name=name, parameters={"type": "object"})
            for name in names
        ]
        body = path.read_bytes()
        async with ScriptedServer([HEADERS, http(body) + END], WHOLE_OF[wire]) as server:
            response = await client_of(server, wire).run_tools("Hi", tools)
            if response.ended_by == "answer":
                tried += 1
                assert len(response.rounds[0].results) == len(calls)
                assert server.requests[1].body.count(b"RESULT-7f") == len(calls)
    assert tried > (3 if CAPTURES else 0)  # of our own recordings few have calls


async def test_an_answer_that_pauses_is_sent_back_and_goes_on() -> None:
    """Anthropic ends a long turn of its own tools so: what came goes back as it is."""
    paused = (
        messages.START
        + messages.TEXT
        + messages.said("Good")
        + messages.event("message_delta", delta={"stop_reason": "pause_turn"}, usage={})
        + messages.STOP
    )
    async with ScriptedServer([HEADERS, http(paused) + END], WHOLE_OF["messages"]) as server:
        response = await client_of(server, "messages").run_tools("Hi", [first])
        sent = json.loads(server.requests[1].body)["messages"]
    assert [each.response.finish_reason_raw for each in response.rounds] == [
        "pause_turn",
        "end_turn",
    ]
    assert sent[-1]["role"] == "assistant"


FORCING: dict[str, dict[str, Any]] = {
    "chat": {"tool_choice": "required"},
    "responses": {"tool_choice": {"type": "function", "name": "second"}},
    "messages": {"tool_choice": {"type": "any", "disable_parallel_tool_use": True}},
    "gemini": {"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}},
}


@DIALECTS
@pytest.mark.parametrize("of_client", [True, False])
async def test_a_call_that_a_body_forces_is_forced_once(dialect: str, of_client: bool) -> None:
    body = FORCING[dialect]
    client, call = ({"extra_body": body}, {}) if of_client else ({}, {"extra_body": body})
    async with Simulator(tokens=5) as sim:
        response = await simulated(sim, dialect, **client).run_tools("Hi", [second], **call)
        sent = [request.json for request in sim.requests]
    assert (response.ended_by, len(sent)) == ("answer", 2)
    (name,) = body
    assert sent[0][name] == body[name]
    left = {"type": "auto", "disable_parallel_tool_use": True} if dialect == "messages" else None
    assert sent[1].get(name) == left
