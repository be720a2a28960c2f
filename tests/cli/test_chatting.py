"""What a chat at a terminal takes besides messages: orders, files, templates, an earlier conversation."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from lm_deluge.cli.chatting.orders import Order, order_of
from lm_deluge.simulator import Simulator
from support.programs import Run, simulated
from support.terminal import emulated

TERMINALS = [{"NO_COLOR": "1", "TERM": "xterm"}, {"TERM": "xterm-256color"}]


def by_turn(body: dict[str, Any]) -> str:
    return f"Answer {sum(message['role'] == 'user' for message in body['messages'])}."


def at(simulator: Simulator, state: Path, settings: Mapping[str, str]) -> dict[str, str]:
    env = simulated(simulator, XDG_STATE_HOME=str(state))
    del env["NO_COLOR"]
    return {**env, **settings}


async def talk(chat: Any, *lines: str) -> str:
    """Type each line when it is asked for, and leave; return all that was said."""
    for line in (*lines, "quit"):
        await chat.until("You:")
        chat.out = chat.out.replace("You:", "You.")
        chat.type(line + "\r")
    assert await chat.ended() == 0, chat.out
    assert "Traceback" not in chat.out
    return chat.out


def contents(simulator: Simulator, number: int) -> list[str]:
    return [message["content"] for message in simulator.requests[number].json["messages"]]


@pytest.mark.parametrize("settings", TERMINALS, ids=str)
async def test_orders(start, tmp_path: Path, settings: dict[str, str]) -> None:
    saved = tmp_path / "talk.md"
    async with Simulator(text=by_turn) as simulator:
        chat = await start("chat", env=at(simulator, tmp_path, settings), terminal=True)
        out = await talk(
            chat, "/help", "/system Be brief.", "One", "/retry", "/model gpt-4o", "Two",
            f"/save {saved}", "/nosuch", "//home", "/new", "Three",
        )  # fmt: skip
        models = [request.json["model"] for request in simulator.requests]
    assert "/add FILE" in out
    assert "there is no /nosuch" in out
    assert contents(simulator, 0) == contents(simulator, 1) == ["Be brief.", "One"]
    assert contents(simulator, 2) == ["Be brief.", "One", "Answer 1.", "Two"]
    assert contents(simulator, 3)[-1] == "/home"
    assert contents(simulator, 4) == ["Be brief.", "Three"]
    assert models == ["gpt-5.4-mini", "gpt-5.4-mini", "gpt-4o", "gpt-4o", "gpt-4o"]
    assert saved.read_text().startswith("## system\n\nBe brief.\n\n## user\n\nOne\n")


@pytest.mark.parametrize("settings", TERMINALS, ids=str)
async def test_a_conversation_is_kept_and_goes_on(
    start, tmp_path: Path, settings: dict[str, str]
) -> None:
    async with Simulator(text=by_turn) as simulator:
        env = at(simulator, tmp_path, settings)
        await talk(await start("chat", "-m", "gpt-4o", env=env, terminal=True), "One")
        (kept,) = (tmp_path / "lm-deluge" / "chats").iterdir()
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        assert json.loads(kept.read_text())["model"] == "gpt-4o"
        out = await talk(await start("chat", "-c", env=env, terminal=True), "Two")
        assert [kept] == list((tmp_path / "lm-deluge" / "chats").iterdir())
    assert "after 1 message" in out
    assert contents(simulator, 1) == ["One", "Answer 1.", "Two"]
    assert simulator.requests[1].json["model"] == "gpt-4o"


@pytest.mark.parametrize("settings", TERMINALS, ids=str)
async def test_several_lines_are_one_message(
    start, tmp_path: Path, settings: dict[str, str]
) -> None:
    async with Simulator(text=by_turn) as simulator:
        chat = await start("chat", env=at(simulator, tmp_path, settings), terminal=True)
        await chat.until("You:")
        chat.type('"""One\r')
        await chat.until("...:")
        chat.type('two"""\r')
        await chat.until("Answer 1.")
        chat.out = chat.out.replace("You:", "You.", 1)
        await talk(chat)
    assert contents(simulator, 0) == ["One\ntwo"]


async def test_alt_enter_begins_a_line_and_what_was_said_is_remembered(
    start, tmp_path: Path
) -> None:
    async with Simulator(text=by_turn) as simulator:
        env = at(simulator, tmp_path, TERMINALS[1])
        await talk(await start("chat", env=env, terminal=True), "One\x1b\rtwo")
        await talk(await start("chat", env=env, terminal=True), "\x1b[A\x1b[A\x1b[A")
    assert contents(simulator, 0) == ["One\ntwo"]
    history = tmp_path / "lm-deluge" / "history"
    assert "One" in history.read_text()
    assert stat.S_IMODE(history.stat().st_mode) == 0o600


async def test_files_go_along(start, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("The sea is blue.\n")
    (tmp_path / "more.py").write_text("x = '```'\n")
    (tmp_path / "odd.bin").write_bytes(b"\xff\xfe\x00")
    async with Simulator(text=by_turn) as simulator:
        env = at(simulator, tmp_path, TERMINALS[0])
        chat = await start("chat", "-a", str(tmp_path / "notes.txt"), env=env, terminal=True)
        out = await talk(
            chat, f"/add {tmp_path / 'more.py'}", f"/add {tmp_path / 'odd.bin'}", "/add nosuch", "One", "Two"
        )  # fmt: skip
    assert contents(simulator, 0) == [
        "notes.txt:\n```\nThe sea is blue.\n```\n\nmore.py:\n````\nx = '```'\n````\n\nOne"
    ]
    assert contents(simulator, 1)[-1] == "Two"
    assert "neither text nor an image" in out
    assert "No such file" in out


async def test_a_template_frames_each_message(
    run: Run, command_name: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "t.txt").write_text("Translate: {input}!")
    async with Simulator(text=by_turn) as simulator:
        env = simulated(simulator)
        await run(*command_name, "chat", "-t", "Say {input}.", env=env, stdin="A {b}\n")
        await run(*command_name, "chat", "-t", f"@{tmp_path / 't.txt'}", env=env, stdin="/help\n")
    assert contents(simulator, 0) == ["Say A {b}."]
    assert contents(simulator, 1) == ["Translate: /help!"]


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (("-c",), "no conversation is kept"),
        (("-a", "nosuch.txt"), "No such file"),
        (("-t", "nothing"), "{input}"),
        (("-t", "@nosuch"), "No such file"),
    ],
)
async def test_what_cannot_be_is_told_before_the_first_question(
    run: Run, command_name: tuple[str, ...], tmp_path: Path, args: tuple[str, ...], word: str
) -> None:
    async with Simulator() as simulator:
        env = simulated(simulator, XDG_STATE_HOME=str(tmp_path))
        done = await run(*command_name, "chat", *args, env=env, stdin="Hello\n")
    assert done.code == 2
    assert word in done.err
    assert len(done.err.splitlines()) == 1
    assert simulator.request_count == 0


async def test_answers_are_drawn_and_a_stopped_one_is_kept(start, tmp_path: Path) -> None:
    async with Simulator(text=["slow ", *["**word** "] * 1000], gap=0.02) as simulator:
        chat = await start("chat", env=at(simulator, tmp_path, TERMINALS[1]), terminal=True)
        await chat.until("You:")
        chat.type("One\r")
        await chat.until("slow")
        await chat.until("word")
        chat.interrupt()
        await chat.until("[stopped]")
        chat.out = chat.out.replace("You:", "You.", 1)
        await talk(chat)
    shown = "\n".join(emulated(chat.out, 80, 24).lines)
    assert "slow word" in shown
    (kept,) = (tmp_path / "lm-deluge" / "chats").iterdir()
    assert json.loads(kept.read_text())["messages"][1]["content"].startswith("slow **word**")


@pytest.mark.skipif(os.name == "nt", reason="a folder is made read-only by its mode")
async def test_where_nothing_can_be_kept_the_chat_goes_on(start, tmp_path: Path) -> None:
    (tmp_path / "lm-deluge").write_text("a file in the place of the folder")
    async with Simulator(text=by_turn) as simulator:
        chat = await start("chat", env=at(simulator, tmp_path, TERMINALS[0]), terminal=True)
        out = await talk(chat, "One", "Two")
    assert "Answer 2." in out
    assert out.count("cannot be kept") == 1


@pytest.mark.parametrize(
    ("line", "order"),
    [
        ("/retry", Order("/retry", "")),
        ("/MODEL  gpt-4o ", Order("/model", "gpt-4o")),
        ("/exit", Order("/quit", "")),
        ("Quit", Order("/quit", "")),
        ("/modle x", Order("", "/modle")),
        ("/usr/bin is a folder", None),
        ("//retry", None),
        ("retry", None),
        ("", None),
    ],
)
def test_what_a_line_orders(line: str, order: Order | None) -> None:
    assert order_of(line) == order
