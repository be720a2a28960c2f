"""Recordings served again, to this client and to any other."""

from __future__ import annotations

import asyncio
import json
import re
import statistics
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from lm_deluge import APIResponse, Timeouts
from lm_deluge.errors import (
    AnswerCutError,
    APIConnectionError,
    APITimeoutError,
    ConnectionLostError,
    InternalServerError,
    NotFoundError,
    StreamError,
)
from lm_deluge.recording import read_recording, request_hash
from lm_deluge.simulator import Gap, Simulator
from support.clients import client_for
from support.programs import Run, clean_environment, simulated
from support.scripted import END, HANG, HEADERS, RESET, ScriptedServer, ending, events, http, reply


async def record(path: Path, *prompts: str, **simulation: Any) -> list[APIResponse]:
    simulation.setdefault("text", lambda body: f"re: {body['messages'][-1]['content']}")
    async with Simulator(**simulation) as simulator:
        client = client_for(simulator, record=path)
        return [await client.stream(prompt) for prompt in prompts]


def offsets(found: APIResponse, wanted: APIResponse) -> list[float]:
    assert found.timeline is not None
    assert wanted.timeline is not None
    pairs = zip(found.timeline.arrivals, wanted.timeline.arrivals, strict=True)
    return sorted(abs(after - before) for after, before in pairs)


@pytest.mark.slow
async def test_at_speed_1_every_token_arrives_when_it_did(
    tmp_path: Path, record_property: Any
) -> None:
    path = tmp_path / "a.rec"
    gap = Gap.lognormal(median=0.008, sigma=0.8)
    # The first answer warms up the connection, here and there.
    _, first = await record(path, "0", "1", text=None, tokens=40, ttft=0.05, gap=gap, seed=5)
    best = 1.0
    for _ in range(4):  # a busy machine is late in one run, not in each
        async with Simulator(replay=path) as simulator:
            client = client_for(simulator)
            await client.stream("0")
            again = await client.stream("1")
            await client.close()
        assert again.completion == first.completion
        errors = offsets(again, first)
        median, p99 = statistics.median(errors), errors[int(len(errors) * 0.99)]
        print(f"\nerror per token: median {median * 1e3:.2f} ms, p99 {p99 * 1e3:.2f} ms")
        if median < best:
            best = median
            record_property("replay_error_median_ms", median * 1000)
            record_property("replay_error_p99_ms", p99 * 1000)
        if best <= 0.002:
            break
    assert best <= 0.002
    assert again.timeline is not None
    assert first.timeline is not None
    assert list(again.timeline.reads) == list(first.timeline.reads)


async def test_the_cuts_are_those_that_were_recorded(tmp_path: Path) -> None:
    first, second = tmp_path / "a.rec", tmp_path / "b.rec"
    whole = events("Hé", "llo", " wörld") + ending()
    script = [
        HEADERS,
        *(step for at in range(0, len(whole), 23) for step in (http(whole[at : at + 23]), 0.004)),
        END,
    ]
    async with ScriptedServer(script) as server:
        await client_for(server, record=first).stream("Hi")
    for speed in (1, 10, "max"):
        second.unlink(missing_ok=True)
        async with Simulator(replay=first, speed=speed) as simulator:  # type: ignore[arg-type]
            client = client_for(simulator, record=second)
            assert (await client.stream("Hi")).completion == "Héllo wörld"
        (before,), (after,) = read_recording(first), read_recording(second)
        assert [read.data for read in after.reads] == [read.data for read in before.reads]


async def test_speed_is_a_factor(tmp_path: Path) -> None:
    path = tmp_path / "a.rec"
    (first,) = await record(path, "Hi", text=["a ", "b ", "c "], ttft=0.2, gap=0.15)
    for speed, least, most in ((10, 0.045, 0.4), ("max", 0.0, 0.3)):
        async with Simulator(replay=path, speed=speed) as simulator:  # type: ignore[arg-type]
            begun = time.perf_counter()
            again = await client_for(simulator).stream("Hi")
            took = time.perf_counter() - begun
        assert again.completion == first.completion
        assert least <= took <= most


@pytest.mark.parametrize("by", ["order", "hash", "loop"])
async def test_which_answer_a_request_gets(tmp_path: Path, by: Any) -> None:
    path = tmp_path / "a.rec"
    await record(path, "one", "two", "two", text=None, tokens=5)
    recorded = [exchange.data for exchange in read_recording(path)]
    async with Simulator(replay=path, speed="max", replay_by=by) as simulator:
        client = client_for(simulator)

        async def ask(prompt: str) -> str:
            try:
                return (await client.stream(prompt)).completion
            except NotFoundError as error:
                return str(error.code)

        heard = [await ask(prompt) for prompt in ("two", "two", "one", "two", "other")]
    texts = [
        "".join(re.findall(r'"content":"((?:[^"\\]|\\.)*)"', data.decode())) for data in recorded
    ]
    if by == "order":
        assert heard == [*texts, "not_recorded", "not_recorded"]
    elif by == "loop":
        assert heard == [*texts, *texts[:2]]
    else:
        assert heard == [texts[1], texts[2], texts[0], texts[2], "not_recorded"]


def _exchange(number: int, streams: bool, text: str) -> str:
    """The lines of one recorded exchange, as another client's would be recorded."""
    asked = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}], "stream": streams}
    if streams:
        chunk = {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": "stop"}]}
        said, kind = f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n", "text/event-stream"
    else:
        choice = {"index": 0, "message": {"content": text}, "finish_reason": "stop"}
        said, kind = json.dumps({"choices": [choice]}), "application/json"
    line = {"v": 1, "s": f"s{number}", "t": 0.0, "x": 1}
    lines: list[dict[str, Any]] = [
        {**line, "e": "request", "url": "http://a.test/v1", "n": 1,
         "hash": request_hash(asked), "body": json.dumps(asked)},
        {**line, "e": "head", "status": 200, "headers": {"content-type": kind}},
        {**line, "e": "read", "read": 0, "text": said},
        {**line, "e": "close", "how": "whole"},
    ]  # fmt: skip
    return "".join(json.dumps(entry) + "\n" for entry in lines)


@pytest.mark.parametrize("by", ["order", "hash", "loop"])
async def test_a_recorded_answer_goes_only_to_who_asks_for_its_form(
    tmp_path: Path, by: Any
) -> None:
    path = tmp_path / "mixed.rec"
    path.write_text(_exchange(1, False, "whole") + _exchange(2, True, "streamed"), "utf-8")
    async with Simulator(replay=path, speed="max", replay_by=by) as simulator:
        streamed = await _ask_plainly(simulator, stream=True)
        whole = json.loads(await _ask_plainly(simulator, stream=False))
    assert "streamed" in streamed
    assert whole["choices"][0]["message"]["content"] == "whole"
    path.write_text(_exchange(1, True, "streamed"), "utf-8")
    async with Simulator(replay=path, speed="max", replay_by=by) as simulator:
        refused = json.loads(await _ask_plainly(simulator, stream=False))
        assert refused["error"]["code"] == "not_recorded"
        assert refused["error"]["message"].endswith("; a whole answer was asked for")
        assert "streamed" in await _ask_plainly(simulator, stream=True)


async def _ask_plainly(simulator: Simulator, **more: Any) -> str:
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}], **more}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{simulator.base_url}/chat/completions", json=body) as answer,
    ):
        return await answer.text()


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ([HEADERS, http(events("a")), RESET], ConnectionLostError),
        ([HEADERS, http(events("a")), END], AnswerCutError),
        ([HEADERS, http(events("a")), HANG], APITimeoutError),
        ([RESET], APIConnectionError),
        (reply("503 Busy", b'{"error": {"message": "busy"}}'), InternalServerError),
    ],
    ids=["reset", "eof", "hang", "no head", "503"],
)
async def test_failures_are_replayed_too(
    tmp_path: Path, script: list[Any], error: type[StreamError]
) -> None:
    path = tmp_path / "a.rec"
    times = Timeouts(between_tokens=0.1)
    async with ScriptedServer(script) as server:
        with pytest.raises(error) as first:
            await client_for(server, record=path, timeouts=times).stream("Hi")
    async with Simulator(replay=path) as simulator:
        with pytest.raises(error) as again:
            await client_for(simulator, timeouts=times).stream("Hi")
    assert first.value.partial is not None
    assert again.value.partial is not None
    assert again.value.partial.text == first.value.partial.text


async def test_another_client_gets_the_same_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.rec"
    await record(path, "Hi")
    (exchange,) = read_recording(path)
    async with (
        Simulator(replay=path, replay_by="hash") as simulator,
        aiohttp.ClientSession() as http,
    ):
        body = {**json.loads(exchange.body or ""), "stream": True}
        body.pop("stream_options")
        async with http.post(f"{simulator.base_url}/chat/completions", json=body) as response:
            assert response.status == 200
            assert await response.read() == exchange.data


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"speed": 0}, "speed"),
        ({"speed": "fast"}, "speed"),
        ({"replay_by": "chance"}, "replay_by"),
        ({"faults": "reset:1"}, "faults"),
        ({"raw": [b"x"]}, "raw"),
    ],
)
async def test_what_makes_no_sense_is_told(
    tmp_path: Path, arguments: dict[str, Any], word: str
) -> None:
    await record(tmp_path / "a.rec", "Hi")
    with pytest.raises(ValueError, match=word):
        Simulator(replay=tmp_path / "a.rec", **arguments)


@pytest.mark.slow
async def test_from_the_shell_recorded_and_replayed(
    run: Run, command_name: tuple[str, ...], tmp_path: Path
) -> None:
    path = tmp_path / "a.rec"
    async with Simulator(tokens=20) as simulator:
        first = await run(
            *command_name, "stream", "Hi", "--record", str(path), env=simulated(simulator)
        )
    assert first.code == 0
    args = ("simulate", "--replay", str(path), "--speed", "max", "--by", "loop")
    pipe = asyncio.subprocess.PIPE
    simulate = await asyncio.create_subprocess_exec(
        *command_name, *args, stdout=pipe, stderr=pipe, env=clean_environment()
    )
    assert simulate.stdout is not None
    try:
        async with asyncio.timeout(20):
            said = (await simulate.stdout.readuntil(b"OPENAI_API_KEY=")).decode()
        found = re.search(r"^export OPENAI_BASE_URL=(\S+)$", said, re.MULTILINE)
        assert found
        env = clean_environment(OPENAI_BASE_URL=found[1], OPENAI_API_KEY="sk-any-key-at-all")
        for _ in range(2):
            again = await run(*command_name, "stream", "Anything", env=env)
            assert (again.code, again.out) == (0, first.out)
    finally:
        simulate.terminate()
        await simulate.communicate()


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (("--replay", "nowhere.rec"), "nowhere.rec"),
        (("--replay", "{path}", "--speed", "often"), "often"),
        (("--replay", "{path}", "--fault", "reset:1"), "--fault"),
        (("--replay", __file__), "no recording"),
    ],
)
async def test_simulate_refuses_a_replay_that_makes_no_sense(
    run: Run, command_name: tuple[str, ...], tmp_path: Path, args: tuple[str, ...], word: str
) -> None:
    path = tmp_path / "a.rec"
    await record(path, "Hi")
    done = await run(*command_name, "simulate", *(arg.format(path=path) for arg in args))
    assert done.code == 2
    assert len(done.err.splitlines()) == 1
    assert word in done.err


@pytest.mark.slow
async def test_many_replays_at_once_keep_their_pace(tmp_path: Path) -> None:
    path = tmp_path / "a.rec"
    await record(path, *(f"p{n}" for n in range(5)), text=None, tokens=20, gap=0.01)
    async with Simulator(replay=path, replay_by="loop") as simulator:
        client = client_for(simulator)
        responses = await asyncio.gather(*(client.stream("Hi") for _ in range(20)))
    assert all(0.15 < response.elapsed < 1.5 for response in responses)
