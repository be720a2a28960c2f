"""What a terminal shows: no escape sequences where none are wanted, and what a model is doing."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from lm_deluge.simulator import Simulator
from support.programs import clean_environment, simulated
from support.terminal import emulated

PLAIN = [{"NO_COLOR": "1", "TERM": "xterm-256color"}, {"TERM": "dumb"}]


def of_terminal(base: Mapping[str, str], settings: Mapping[str, str]) -> dict[str, str]:
    dropped = ("NO_COLOR", "TERM", "FORCE_COLOR", "COLORTERM")
    return {**{name: value for name, value in base.items() if name not in dropped}, **settings}


async def everything(start, command: str, settings: Mapping[str, str], tmp_path: Path) -> str:
    """Let a command show all that it can show on a terminal."""
    (tmp_path / "p.txt").write_text("a\nb\nc\n")
    faults = ["status:503:retry-after-ms=10", None, "status:400", None]
    async with Simulator(text="One two.", reasoning=3, gap=0.02, faults=faults) as simulator:
        env = of_terminal(simulated(simulator), settings)
        args = {
            "stream": ["Why?"],
            "run": [str(tmp_path / "p.txt"), "--concurrency", "1"],
            "simulate": ["--fault", "nosuch"],
            "report": [str(tmp_path / "log.jsonl")],
        }.get(command, [])
        if command == "report":
            logged = await start("stream", "Why?", "--log", *args, env=env)
            await logged.ended()
        running = await start(command, *args, env=env, terminal=True)
        if command == "chat":
            for line in ("Hello\n", "Again\n", "More\n", "quit\n"):
                await running.until("You: ")
                running.out = running.out.replace("You: ", "You. ")
                running.type(line)
        await running.ended()
        if command == "stream":
            failed = await start("stream", "Why?", env=env, terminal=True)
            await failed.ended()
            return running.out + failed.out
    return running.out


COMMANDS = ("stream", "chat", "run", "demo", "simulate", "report")


@pytest.mark.parametrize(
    ("command", "settings"),
    [
        *((command, PLAIN[0]) for command in COMMANDS if command != "demo"),
        pytest.param("demo", PLAIN[0], marks=pytest.mark.slow),
        ("stream", PLAIN[1]),
        ("run", PLAIN[1]),
    ],
    ids=str,
)
async def test_no_escape_sequence_where_none_is_wanted(
    start, tmp_path: Path, command: str, settings: Mapping[str, str]
) -> None:
    shown = await everything(start, command, settings, tmp_path)
    assert len(shown) > 20
    assert "\x1b" not in shown


@pytest.mark.parametrize("command", ["stream", "run"])
async def test_a_terminal_that_can_more_gets_more(start, tmp_path: Path, command: str) -> None:
    assert "\x1b[" in await everything(start, command, {"TERM": "xterm-256color"}, tmp_path)


def chunk(**delta: str) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": None}
    return b"data: " + json.dumps({"id": "1", "choices": [choice]}).encode() + b"\n\n"


END = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


def screen(text: str) -> list[str]:
    """Return the lines as they stand at the end."""
    return emulated(text, 4000, 24).lines


@pytest.mark.parametrize("settings", [{"TERM": "xterm"}, *PLAIN], ids=str)
async def test_a_model_that_thinks_is_seen_to_until_it_speaks(
    start, settings: Mapping[str, str]
) -> None:
    gate = asyncio.Event()
    raw = [chunk(role="assistant"), chunk(reasoning="Hm."), gate, chunk(content="Yes."), END]
    async with Simulator(raw=raw) as simulator:
        env = of_terminal(simulated(simulator), settings)
        running = await start("stream", "Why?", env=env, terminal=True)
        await running.until("thinking…")
        gate.set()
        assert await running.ended() == 0
    *thoughts, first, second = (line for line in screen(running.out) if line != "thinking…")
    # Reasoning is shown where it can be told from the answer.
    assert thoughts == ([] if settings in PLAIN else ["Hm.", ""])
    assert first == "Yes."
    assert re.match(r"first reasoning after \d+\.\d\d s · first token after \d+\.\d\d s", second)
    if settings["TERM"] != "dumb":  # there it stays, on a line of its own
        assert "thinking" not in "\n".join(screen(running.out))


async def test_both_times_are_told_and_differ(start) -> None:
    raw = [chunk(reasoning_content="Hm."), 0.6, chunk(content="Yes."), END]
    async with Simulator(raw=raw) as simulator:
        running = await start("stream", "Why?", env=simulated(simulator), terminal=True)
        assert await running.ended() == 0
    found = re.search(r"reasoning after ([\d.]+) s · first token after ([\d.]+) s", running.out)
    assert found
    assert float(found[2]) - float(found[1]) >= 0.55


@pytest.mark.parametrize(
    ("args", "code"), [(("--quiet",), 0), ((), 0)], ids=["quiet", "not a terminal"]
)
async def test_nobody_else_is_told_of_thoughts(start, args: tuple[str, ...], code: int) -> None:
    raw = [chunk(reasoning_content="Hm."), 0.1, chunk(content="Yes."), END]
    async with Simulator(raw=raw) as simulator:
        env = simulated(simulator)
        running = await start("stream", "Why?", *args, env=env, terminal=bool(args))
        assert await running.ended() == code
    assert (running.out, running.err) == ("Yes.\n", "")


async def test_the_word_goes_when_the_stream_breaks(start) -> None:
    raw = [chunk(reasoning_content="Hm."), 0.1, b'data: {"error": {"message": "boom"}}\n\n']
    async with Simulator(raw=raw) as simulator:
        running = await start("stream", "Why?", env=simulated(simulator), terminal=True)
        assert await running.ended() == 1
    assert "thinking" in running.out
    shown = "\n".join(screen(running.out))
    assert "thinking" not in shown
    assert "boom" in shown


async def test_the_second_answer_of_a_chat_thinks_like_the_first(start) -> None:
    raw = [chunk(reasoning_content="Hm."), 0.1, chunk(content="Yes."), END]
    async with Simulator(raw=raw) as simulator:
        chat = await start("chat", env=simulated(simulator), terminal=True)
        for line in ("One\n", "Two\n", "quit\n"):
            await chat.until("You: ")
            chat.out = chat.out.replace("You: ", "You. ")
            chat.type(line)
        assert await chat.ended() == 0
    assert chat.out.count("thinking…") == 2


EVIL = "\x1b]0;title\x07\x9b31m"


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"tool_calls": [("look", EVIL)]}, 0),
        pytest.param(
            {"raw": [b"data: " + json.dumps({"error": {"message": EVIL}}).encode() + b"\n\n"]},
            1,
            marks=pytest.mark.slow,  # it is asked for again, twice
        ),
    ],
    ids=["a tool call", "an error"],
)
async def test_what_servers_say_moves_no_cursor(start, said: dict[str, Any], code: int) -> None:
    """Nor sets a title: in errors, tool calls and rows of results it is shown, not obeyed."""
    async with Simulator(**said) as simulator:
        running = await start("stream", "Why?", env=simulated(simulator), terminal=True)
        assert await running.ended() == code
    assert "title" in running.out
    assert not set("\x1b\x07\x9b") & set(running.out)


@pytest.mark.parametrize(
    "settings", [{"TERM": "xterm"}, {"NO_COLOR": "1", "TERM": "xterm"}, {"TERM": "dumb"}], ids=str
)
async def test_rows_and_bar_share_a_terminal(
    start, tmp_path: Path, settings: Mapping[str, str]
) -> None:
    prompts = tmp_path / "p.txt"
    prompts.write_text("".join(f"p{n}\n" for n in range(5)))
    async with Simulator(text=f"a {'long ' * 60}answer", ttft=0.05) as simulator:
        env = of_terminal(simulated(simulator), settings)
        running = await start("run", str(prompts), "--concurrency", "1", env=env, terminal=True)
        assert await running.ended() == 0
    rows = [json.loads(line) for line in screen(running.out) if line.startswith("{")]
    assert len(rows) == 5
    assert {row["completion"] for row in rows} == {f"a {'long ' * 60}answer"}


@pytest.mark.slow
async def test_without_an_environment_of_a_terminal_nothing_breaks(start) -> None:
    env = clean_environment()
    env.pop("TERM", None)
    running = await start("demo", env=env, terminal=True)
    assert await running.ended() == 0
    assert "How it felt" in running.out


@pytest.mark.parametrize(("before", "after"), [(70, 34), (34, 70)])
async def test_an_answer_goes_on_in_a_window_that_changes_its_width(
    start, before: int, after: int
) -> None:
    gate = asyncio.Event()
    begun = "A short one.\n\nThe Rhine flows past many old towns, and has "
    rest = "its castles, of which each and every one has a story that is told.\n\nThe end.\n"
    async with Simulator(raw=[chunk(content=begun), gate, chunk(content=rest), END]) as simulator:
        env = of_terminal(simulated(simulator), {"TERM": "xterm-256color"})
        running = await start("stream", "Why?", env=env, terminal=True)
        running.resize(before, 24)
        await running.until("has")
        told = len(running.out)
        running.resize(after, 24)
        gate.set()
        assert await running.ended() == 0
    window = emulated(running.out[:told], before, 24)
    window.resize(after, 24)
    window.write(running.out[told:])
    lines = window.lines
    answer = lines[: next(at for at, line in enumerate(lines) if "first token" in line)]
    assert " ".join(answer).split() == (begun + rest).split()
    assert max(len(line) for line in answer if "story" in line or "castles" in line) <= after
    written = [line for line in answer if "castles" in line or "Rhine" in line]
    assert len(written) == (1 if after == 70 else 2)
