"""``StdoutPrinter``: the answer on the screen, as it arrives, and nothing else."""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
import sys
import tty
from pathlib import Path
from typing import Any

import pytest

from lm_deluge import SamplingParams
from lm_deluge.errors import StreamCancelled
from lm_deluge_plugins import StdoutPrinter
from lm_deluge_plugins.terminals import harmless
from support.printing import Screen, printing
from support.scripted import (
    DONE,
    END,
    HANG,
    HEADERS,
    ScriptedServer,
    answer,
    delta,
    ending,
    events,
    http,
    sse,
)

#: What a terminal obeys: cursor, title, clipboard (OSC 52), C1 forms of the same, order of reading.
HOSTILE = (
    "\x1b[2J\x1b]0;title\x07\x1b]52;c;aGk=\x07\x9b2J\x9d52;c;aGk=\x9c\x90q\x9c"
    "\x00\x08\r\x0b\x0c\x7f\u202eevil\u202c\u2066x\u2069\u200f\u061c\u200e"
)


async def test_the_default_printer_writes_exactly_the_text_to_stdout(capsys: Any) -> None:
    async with ScriptedServer(answer("Once", " upon\n", " a  ")) as server:
        response = await printing(server).stream("hi")
    assert capsys.readouterr().out == "Once upon\n a  " == response.completion


async def test_without_a_printer_nothing_is_written(capsys: Any) -> None:
    async with ScriptedServer(answer("Once"), answer("Once"), answer("Once")) as server:
        await printing(server, printer=None).stream("hi")
        await printing(server).stream("hi", printer=None)
        await printing(server).open_stream("hi")
    assert capsys.readouterr() == ("", "")


async def test_handlers_do_not_take_the_printers_place(capsys: Any) -> None:
    screen = Screen()
    async with ScriptedServer(answer("Once")) as server:
        await printing(server).stream("hi", handlers=[StdoutPrinter(screen)])
    assert capsys.readouterr().out == "Once" == screen.getvalue()


async def test_every_token_is_flushed_at_once() -> None:
    screen = Screen()
    async with ScriptedServer([HEADERS, http(events("a", "b", "c") + ending()) + END]) as server:
        await printing(server, printer=StdoutPrinter(screen)).stream("hi")
    assert screen.flushed == ["a", "ab", "abc"]


async def test_a_token_is_on_the_screen_before_the_next_one_is_sent() -> None:
    screen, seen = Screen(), asyncio.Event()
    steps = [HEADERS, http(events("Once")), seen, http(events(" upon") + ending()) + END]
    async with ScriptedServer(steps) as server:
        client = printing(server, printer=StdoutPrinter(screen))
        task = asyncio.ensure_future(client.stream("hi"))
        async with asyncio.timeout(2):
            while screen.getvalue() != "Once":
                await asyncio.sleep(0.001)
        seen.set()
        await task
    assert screen.getvalue() == "Once upon"


async def test_a_refusal_is_printed_and_reasoning_and_tool_calls_are_not() -> None:
    screen = Screen()
    call = {"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}
    chunks = [
        delta(reasoning="hm"),
        delta(tool_calls=[call]),
        delta(refusal="I can"),
        delta(refusal="not"),
        delta(finish="stop"),
    ]
    body = b"".join(sse(chunk) for chunk in chunks) + DONE
    async with ScriptedServer([HEADERS, http(body) + END]) as server:
        await printing(server, printer=StdoutPrinter(screen)).stream("hi")
    assert screen.getvalue() == "I cannot"
    assert screen.flushed == ["I can", "I cannot"]


async def test_of_several_choices_the_first_is_printed() -> None:
    screen = Screen()
    chunks = [
        delta("b", index=1),
        delta("a"),
        delta(refusal="r1", index=1),
        delta(refusal="r0"),
        delta(finish="stop"),
        delta(index=1, finish="stop"),
    ]
    body = b"".join(sse(chunk) for chunk in chunks) + DONE
    async with ScriptedServer([HEADERS, http(body) + END]) as server:
        client = printing(
            server, printer=StdoutPrinter(screen), sampling_params=SamplingParams(n=2)
        )
        await client.stream("hi")
    assert screen.getvalue() == "ar0"


# Terminals


async def test_a_terminal_is_shown_control_characters_and_does_not_obey_them() -> None:
    controller, terminal = os.openpty()
    tty.setraw(terminal)  # no translation by the line discipline
    expected, written = harmless(f"a\tb\n{HOSTILE}é🤖").encode(), b""
    try:
        with os.fdopen(terminal, "w", encoding="utf-8", newline="") as file:
            async with ScriptedServer(answer("a\tb\n", HOSTILE, "é🤖")) as server:
                response = await printing(server, printer=StdoutPrinter(file)).stream("hi")
            while len(written) < len(expected):  # a terminal gives what it has, piece by piece
                written += await asyncio.to_thread(os.read, controller, 4096)
    finally:
        os.close(controller)
    assert response.completion == f"a\tb\n{HOSTILE}é🤖"
    shown = written.decode()
    assert shown.startswith("a\tb\n␛[2J␛]0;title␇␛]52;c;aGk=␇<U+009B>2J<U+009D>52")
    assert shown.endswith("é🤖")
    assert "evil" in shown
    dangerous = {char for char in shown if not char.isprintable()} - {"\t", "\n"}
    assert dangerous == set()


async def test_a_sequence_cut_in_two_tokens_is_no_more_dangerous() -> None:
    screen = Screen(terminal=True)
    async with ScriptedServer(answer("\x1b", "]52;c;", "aGk=", "\x07")) as server:
        await printing(server, printer=StdoutPrinter(screen)).stream("hi")
    assert screen.getvalue() == "␛]52;c;aGk=␇"


def test_every_control_character_but_tab_and_newline_is_made_visible() -> None:
    controls = [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))]
    for char in controls:
        shown = harmless(f"a{char}b")
        if char in "\t\n":
            assert shown == f"a{char}b"
        else:
            assert shown.isprintable()
            assert len(shown) >= 3
    # One picture for each: nothing is taken for something else.
    assert len({harmless(char) for char in controls}) == len(controls)


def test_plain_text_is_shown_as_it_is() -> None:
    for text in ("", "abc", "a\tb\nc", "naïve 日本語 🤖 \u00a0", "␛"):
        assert harmless(text) == text


async def test_a_refusal_is_made_harmless_too() -> None:
    screen = Screen(terminal=True)
    body = sse(delta(refusal="no\x1b[2J")) + sse(delta(finish="stop")) + DONE
    async with ScriptedServer([HEADERS, http(body) + END]) as server:
        await printing(server, printer=StdoutPrinter(screen)).stream("hi")
    assert screen.getvalue() == "no␛[2J"


# Pipes and files


async def test_a_pipe_gets_the_text_as_it_is() -> None:
    reader, writer = os.pipe()
    with os.fdopen(writer, "w", encoding="utf-8", newline="") as file:
        async with ScriptedServer(answer("a\r\n", HOSTILE, "é🤖")) as server:
            await printing(server, printer=StdoutPrinter(file)).stream("hi")
    with os.fdopen(reader, "rb") as read:
        assert read.read().decode() == f"a\r\n{HOSTILE}é🤖"


async def test_a_closed_pipe_cancels_the_stream_and_the_server_sees_it_go() -> None:
    reader, writer = os.pipe()
    closed = asyncio.Event()
    steps = [HEADERS, http(events("Once")), closed, http(events(" upon")), HANG]
    with os.fdopen(reader, "rb", buffering=0) as read, io.FileIO(writer, "w") as raw:
        file = io.TextIOWrapper(io.BufferedWriter(raw), encoding="utf-8")
        async with ScriptedServer(steps) as server:
            client = printing(server, printer=StdoutPrinter(file))
            task = asyncio.ensure_future(client.stream("hi"))
            assert await asyncio.to_thread(read.read, 4) == b"Once"
            read.close()
            closed.set()
            with pytest.raises(StreamCancelled, match="pipe was closed") as caught:
                await task
            await server.all_gone()
        with pytest.raises(BrokenPipeError):
            file.close()
    assert caught.value.partial is not None
    assert caught.value.partial.text == "Once upon"
    assert caught.value.handler_failures == []
    assert isinstance(caught.value.__cause__, BrokenPipeError)


@pytest.mark.parametrize(
    ("encoding", "expected"), [("ascii", b"a?b? ok"), ("latin-1", b"a\xe9b? ok")]
)
async def test_what_the_encoding_lacks_is_replaced(encoding: str, expected: bytes) -> None:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding)
    async with ScriptedServer(answer("aéb🤖", " ok")) as server:
        response = await printing(server, printer=StdoutPrinter(file)).stream("hi")
    assert raw.getvalue() == expected
    assert response.completion == "aéb🤖 ok"
    assert response.handler_failures == []


async def test_a_terminal_of_few_characters_gets_replacements() -> None:
    raw = io.BytesIO()

    class Terminal(io.TextIOWrapper):
        def isatty(self) -> bool:
            return True

    file = Terminal(raw, encoding="ascii")
    async with ScriptedServer(answer("a\x1bé")) as server:
        response = await printing(server, printer=StdoutPrinter(file)).stream("hi")
    assert raw.getvalue() == b"a??"
    assert response.handler_failures == []


async def test_a_program_without_a_console_streams_silently(monkeypatch: Any) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    async with ScriptedServer(answer("Once")) as server:
        response = await printing(server).stream("hi")
    assert response.completion == "Once"
    assert response.handler_failures == []


async def test_stdout_is_looked_up_at_each_write(monkeypatch: Any) -> None:
    printer, first, second = StdoutPrinter(), Screen(), Screen()
    async with ScriptedServer(answer("a"), answer("b")) as server:
        client = printing(server, printer=printer)
        for screen in (first, second):
            monkeypatch.setattr(sys, "stdout", screen)
            await client.stream("hi")
    assert (first.getvalue(), second.getvalue()) == ("a", "b")


async def test_a_file_that_is_false_is_a_file_all_the_same() -> None:
    class Empty(Screen):
        def __len__(self) -> int:
            return 0

    screen = Empty()
    async with ScriptedServer(answer("Once")) as server:
        await printing(server, printer=StdoutPrinter(screen)).stream("hi")
    assert screen.getvalue() == "Once"


async def test_a_full_disk_is_a_failure_of_the_printer_and_the_answer_is_whole() -> None:
    file = Path("/dev/full").open("w", encoding="utf-8")  # noqa: SIM115 - closing it fails, too
    async with ScriptedServer(answer("a", "b")) as server:
        response = await printing(server, printer=StdoutPrinter(file)).stream("hi")
    assert response.completion == "ab"
    (failure,) = response.handler_failures
    assert (failure.handler, failure.method, failure.type) == (
        "StdoutPrinter",
        "on_token",
        "OSError",
    )
    with pytest.raises(OSError, match="No space left"):
        file.close()


# Under -X dev asyncio warns of steps over 0.1 s, which says how busy the machine is.
PROGRAM = """
import asyncio, logging, sys
logging.getLogger("asyncio").setLevel(logging.ERROR)
from lm_deluge import LLMClient
response = asyncio.run(LLMClient("gpt-4o", base_url=sys.argv[1], api_key="sk-test-123456").stream("hi"))
assert response.completion == "aé\\nb", response
"""


async def test_a_program_with_an_ascii_stdout_runs_to_its_end() -> None:
    async with ScriptedServer(answer("aé\n", "b")) as server:
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-X", "dev", "-W", "error", "-c", PROGRAM, server.base_url],
            env={
                **os.environ,
                "PYTHONIOENCODING": "ascii",
                "PYTHONPATH": os.pathsep.join(sys.path),
            },
            capture_output=True,
            timeout=30,
            check=False,
        )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"a?\nb", b"")
