"""What is piped or redirected into a command is part of what it asks."""

from __future__ import annotations

import asyncio
import shlex
import time
from pathlib import Path
from typing import Any

import pytest

from lm_deluge.simulator import Simulator
from support.programs import Call, Finished, Run, clean_environment, simulated


def asked(simulator: Simulator) -> list[Any]:
    return [request.json["messages"][-1]["content"] for request in simulator.requests]


@pytest.mark.parametrize(
    ("args", "stdin", "prompt"),
    [
        (("Summarize:",), "The sea.\n", "Summarize:\n\nThe sea."),
        (("Summarize:",), "  indented\n\nmore \n\n", "Summarize:\n\n  indented\n\nmore"),
        (("Summarize:",), "\ufeffThe sea.\r\n", "Summarize:\n\nThe sea."),
        (("Summarize:",), "", "Summarize:"),
        (("Summarize:",), " \n\n", "Summarize:"),
        (("",), "The sea.\n", "The sea."),
        (("-",), "The sea.\n", "The sea."),
        ((), "The sea.\n", "The sea."),
        (("Summarize:", "--no-stdin"), "The sea.\n", "Summarize:"),
    ],
)
def test_what_comes_in_follows_the_prompt(
    call: Call, args: tuple[str, ...], stdin: str, prompt: str
) -> None:
    with Simulator(text="Yes.") as simulator:
        served = {"OPENAI_BASE_URL": simulator.base_url, "OPENAI_API_KEY": "sk-1"}
        done = call("stream", *args, stdin=stdin.encode(), **served)
    assert (done.code, done.out, done.err) == (0, "Yes.\n", "")
    assert asked(simulator) == [prompt]


@pytest.mark.parametrize("how", ["< doc", "<<< 'The sea.'", "< <(cat doc)", "0< /dev/stdin"])
async def test_redirections_come_in_like_pipes(
    run: Run, command_name: tuple[str, ...], tmp_path: Path, how: str
) -> None:
    (tmp_path / "doc").write_text("The sea.\n")
    async with Simulator(text="Yes.") as simulator:
        line = f"{shlex.join(command_name)} stream Summarize: {how}"
        env = simulated(simulator)
        done = await run("bash", "-c", line, env=env, stdin="The sea.\n", cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    assert asked(simulator) == ["Summarize:\n\nThe sea."]


@pytest.mark.parametrize("how", ["< /dev/null", "<&-"])
async def test_nothing_to_read_is_nothing_to_add(
    run: Run, command_name: tuple[str, ...], how: str
) -> None:
    async with Simulator(text="Yes.") as simulator:
        line = f"{shlex.join(command_name)} stream Why {how}"
        done = await run("bash", "-c", line, env=simulated(simulator), stdin="unread")
    assert (done.code, done.out, done.err) == (0, "Yes.\n", "")
    assert asked(simulator) == ["Why"]


@pytest.mark.parametrize("line", ["stream", "stream -", "chat", "run - --format text"])
async def test_a_closed_standard_input_breaks_nothing(
    run: Run, command_name: tuple[str, ...], line: str
) -> None:
    async with Simulator(text="Yes.") as simulator:
        shell = f"{shlex.join(command_name)} {line} <&-"
        done = await run("bash", "-c", shell, env=simulated(simulator))
    assert done.code == (0 if line == "chat" else 2)
    assert "Traceback" not in done.err
    assert simulator.request_count == 0


async def test_a_terminal_is_not_read(start) -> None:
    async with Simulator(text="Yes.") as simulator:
        running = await start("stream", "Why?", env=simulated(simulator), terminal=True)
        assert await running.ended() == 0
    assert asked(simulator) == ["Why?"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("args", "typed", "messages"),
    [
        (("stream", "Summarize:"), "The sea.\n", ["Summarize:\n\nThe sea."]),
        (("stream",), "Why?\n", ["Why?"]),
        (("chat",), "Hello\n", ["Hello"]),
        (("run", "-", "--format", "text", "--quiet"), "Why?\n", ["Why?"]),
    ],
)
async def test_a_silent_pipe_is_told_of_once(
    start, args: tuple[str, ...], typed: str, messages: list[str]
) -> None:
    async with Simulator(text="Yes.") as simulator:
        begun = time.monotonic()
        running = await start(*args, env=simulated(simulator), stdin=True)
        await running.until("waiting for")
        assert time.monotonic() - begun >= 2.0
        assert simulator.request_count == 0
        running.type(typed)
        running.process.stdin.close()
        assert await running.ended() == 0
    assert asked(simulator) == messages
    (line,) = running.err.splitlines()
    assert line.startswith("lm-deluge: waiting for ")
    assert "standard input" in line


@pytest.mark.slow
async def test_a_pipe_that_goes_on_is_not_told_of(start) -> None:
    async with Simulator(text="Yes.") as simulator:
        running = await start("stream", "Read:", env=simulated(simulator), stdin=True)
        for number in range(6):
            running.type(f"{number}\n")
            await asyncio.sleep(0.5)
        running.process.stdin.close()
        assert await running.ended() == 0
    assert running.err == ""
    assert asked(simulator) == ["Read:\n\n0\n1\n2\n3\n4\n5"]


async def test_wrong_usage_does_not_wait_for_the_pipe(start) -> None:
    for args, env, code in (
        (("-m", "claude-3"), {"OPENAI_API_KEY": "sk-1"}, 2),
        ((), {}, 1),
        (("--base-url", "nonsense"), {"OPENAI_API_KEY": "sk-1"}, 2),
    ):
        running = await start("stream", "Why?", *args, env=clean_environment(**env), stdin=True)
        assert await running.ended() == code


@pytest.mark.slow
async def test_ctrl_c_while_a_pipe_is_silent(start) -> None:
    async with Simulator() as simulator:
        running = await start("stream", "Why?", env=simulated(simulator), stdin=True)
        await running.until("waiting for")
        running.interrupt()
        assert await running.ended() == 130
    assert "Traceback" not in running.err
    assert simulator.request_count == 0


def piped(call: Call, data: bytes) -> tuple[Finished, list[Any]]:
    with Simulator(text="Yes.") as simulator:
        served = {"OPENAI_BASE_URL": simulator.base_url, "OPENAI_API_KEY": "sk-1"}
        done = call("stream", "Summarize:", stdin=data, **served)
    return done, asked(simulator)


def test_what_is_no_utf8_is_replaced_and_told(call: Call) -> None:
    done, prompts = piped(call, b"caf\xe9")
    assert prompts == ["Summarize:\n\ncaf\N{REPLACEMENT CHARACTER}"]
    assert done.code == 0
    assert "not UTF-8" in done.err
    assert "byte 3" in done.err


def test_what_is_no_text_is_refused(call: Call) -> None:
    done, prompts = piped(call, b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
    assert (done.code, prompts) == (2, [])
    assert "no text" in done.err
    assert len(done.err.splitlines()) == 1
