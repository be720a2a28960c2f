"""``lm-deluge report --watch`` on a terminal and in a pipe, while a real logger writes the log."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest

from lm_deluge import LLMClient
from lm_deluge.errors import StreamError
from lm_deluge.simulator import Simulator
from lm_deluge_plugins import FileLogger
from support.extras import needs
from support.programs import clean_environment

pytestmark = needs("numpy", "rich")

RULE = ("--fail-if", "failed>0")


def terminal() -> dict[str, str]:
    environment = clean_environment()
    del environment["NO_COLOR"]
    return {**environment, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"}


async def answered(log: Path, simulator: Simulator, count: int = 1) -> None:
    """Ask a few questions, logged as an application would."""
    with FileLogger(log, tags={"variant": "B"}) as logger:
        client = LLMClient(
            "gpt-4o", api_key="sk-test-123456", base_url=simulator.base_url, printer=None,
            handlers=[logger],
        )  # fmt: skip
        async with client:
            for _ in range(count):
                with contextlib.suppress(StreamError):
                    await client.stream("Why?")


async def test_a_terminal_shows_what_is_logged_and_q_ends_it(start, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    watching = await start(
        "report", str(log), "--watch", "--by", "variant", *RULE, "--interval", "0.1",
        env=terminal(), terminal=True,
    )  # fmt: skip
    await watching.until("no file yet")
    async with Simulator(text="One two three.", gap=0.01, faults=[None, "status:400"]) as simulator:
        await answered(log, simulator)
        await watching.until("Rules: 0 broken, 1 not")
        await answered(log, simulator)
        await watching.until("the server could make no sense of the request")
    await watching.until("✗ failed>0: B: 1 (2 streams), since")
    watching.type("q")
    assert await watching.ended() == 1
    assert "broken rule: failed>0: B: 1 (2 streams)" in watching.out


async def test_a_stream_is_seen_while_it_runs(start, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    gate = asyncio.Event()
    watching = await start(
        "report", str(log), "--watch", "--interval", "0.1", env=clean_environment()
    )
    async with Simulator(raw=[b'data: {"choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\n', gate,
                              b"data: [DONE]\n\n"]) as simulator:  # fmt: skip
        asking = asyncio.create_task(answered(log, simulator))
        await watching.until("gpt-4o: 1 running, silent for")
        gate.set()
        await asking
    await watching.until("1 ended")
    watching.interrupt()
    assert await watching.ended() == 0
    assert watching.err == ""
    assert all(line.startswith("20") for line in watching.out.splitlines())


@pytest.mark.parametrize("settings", [{"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=str)
async def test_no_escape_sequence_where_none_is_wanted(
    start, tmp_path: Path, settings: dict[str, str]
) -> None:
    env = {**terminal(), **settings}
    log = str(tmp_path / "log")
    watching = await start("report", log, "--watch", "--interval", "0.1", env=env, terminal=True)
    await watching.until("nothing yet")
    watching.interrupt()
    assert await watching.ended() == 0
    assert "\x1b" not in watching.out


async def test_a_reader_of_lines_may_leave(
    run, command_name: tuple[str, ...], tmp_path: Path
) -> None:
    command = " ".join(
        (*command_name, "report", str(tmp_path / "log"), "--watch", "--interval", "0.1")
    )
    done = await run("bash", "-c", f"{command} | head -2; echo ${{PIPESTATUS[0]}}")
    first, second, code = done.out.splitlines()
    assert "nothing yet" in first
    assert "nothing yet" in second
    assert (code, done.complaints) == ("141", "")


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (["-", "--watch"], "standard input cannot be followed"),
        (["log", "--watch", "--json"], "it writes no --json"),
        (["log", "--watch", "--csv", "-"], "it writes no --csv"),
        (["log", "--watch", "--last", "soon"], "'soon' is no time above 0, such as 90s, 5m or 2h"),
        (["log", "--watch", "--last", "0"], "is no time above 0"),
        (["log", "--last", "5m"], "give --watch, too"),
        (["log", "--interval", "2"], "give --watch, too"),
        (["log", "--watch", "--interval", "0"], "--interval"),
        (["log", "--watch", "--fail-if", "tftt.p95>1"], "did you mean ttft.p95"),
        (["log", "--watch", "--fail-if", "errors.Nonsense>1"], "no error is named 'Nonsense'"),
        ([".", "--watch"], "is no file that grows"),
    ],
)
def test_wrong_usage_is_one_line(call, args: list[str], why: str) -> None:
    done = call("report", *args)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert why in done.err
