"""How a command ends: by the code that is written, in one line, and never with a traceback."""

from __future__ import annotations

import asyncio
import json
import shlex
from pathlib import Path

import pytest

from lm_deluge.simulator import Simulator
from support.extras import needs
from support.programs import Call, Run, clean_environment, simulated

LINES = {
    "help": "--help",
    "demo": "demo",
    "stream": "stream Why",
    "chat": "chat <<< Hello",
    "run": "run p.txt",
    "report": "report log.jsonl",
    "simulate": "simulate",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "p.txt").write_text("".join(f"p{n}\n" for n in range(30)))
    lines = [
        {"v": 1, "e": "start", "s": "1", "t": 0.0, "model": "m", "tags": {}},
        {"v": 1, "e": "token", "s": "1", "t": 0.5, "i": 0, "read": 0, "text": "a"},
        {"v": 1, "e": "complete", "s": "1", "t": 0.6, "attempts": 1},
    ]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return tmp_path


@pytest.mark.parametrize("name", LINES)
async def test_a_pipe_that_was_closed_before_the_first_word_is_141(
    run: Run, command_name: tuple[str, ...], folder: Path, name: str
) -> None:
    """The reader is gone before anything is written: so it is at any later point."""
    async with Simulator(text="Yes.") as simulator:
        line = f"{{ sleep 0.3; {shlex.join(command_name)} {LINES[name]}; }} | true"
        shell = f'{line}; echo "${{PIPESTATUS[0]}}"'
        done = await run("bash", "-c", shell, env=simulated(simulator), cwd=folder)
    assert (done.out, done.err) == ("141\n", "")


@pytest.mark.parametrize("settings", ["NO_COLOR=1", "FORCE_COLOR=1"])
@pytest.mark.parametrize(
    "line",
    ["report log.jsonl | head -1", "run p.txt --concurrency 2 | head -1", "demo | head -c 9"],
)
async def test_a_pipe_that_is_closed_later_is_141(
    run: Run, command_name: tuple[str, ...], folder: Path, line: str, settings: str
) -> None:
    async with Simulator(text="Yes. " * 2000, ttft=0.05) as simulator:
        shell = f'{settings} {shlex.join(command_name)} {line}; echo " ${{PIPESTATUS[0]}}"'
        done = await run("bash", "-c", shell, env=simulated(simulator), cwd=folder)
        asked = simulator.request_count
    # A report is short: all of it may be in the pipe before its reader leaves.
    assert done.out.rpartition(" ")[2] in (("141\n", "0\n") if "report" in line else ("141\n",))
    assert "Traceback" not in done.err
    assert asked < 30


@pytest.mark.parametrize("closed", ["2>&-", "2> >(true)"])
@pytest.mark.parametrize(
    ("line", "code"), [("stream Why", 0), ("stream --nosuch", 2), ("run p.txt", 0)]
)
async def test_a_closed_stderr_changes_no_code(
    run: Run, command_name: tuple[str, ...], folder: Path, line: str, code: int, closed: str
) -> None:
    async with Simulator(text="Yes.") as simulator:
        shell = f"{shlex.join(command_name)} {line} {closed} > out; echo $?"
        done = await run("bash", "-c", shell, env=simulated(simulator), cwd=folder)
    assert done.out == f"{code}\n"


@pytest.mark.parametrize("line", ["run p.txt", "stream Why", "chat <<< Hello"])
async def test_answers_without_a_standard_output_need_a_file(
    run: Run, command_name: tuple[str, ...], folder: Path, line: str
) -> None:
    async with Simulator(text="Yes.") as simulator:
        env = simulated(simulator)
        shell = f"{shlex.join(command_name)} {line}"
        done = await run("bash", "-c", f"{shell} >&-", env=env, cwd=folder)
        assert (done.code, simulator.request_count) == (2, 0)
        assert "standard output is closed" in done.err
        kept = "--out out" if line.startswith("run") else "--log log"
        done = await run("bash", "-c", f"{shell} {kept} >&-", env=env, cwd=folder)
        assert done.code == 0, done.err
        assert simulator.request_count


async def test_answers_are_written_to_standard_output_as_they_end(start, folder: Path) -> None:
    async with Simulator(text="Yes.", ttft=0.3) as simulator:
        args = ("run", str(folder / "p.txt"), "--concurrency", "1")
        running = await start(*args, env=simulated(simulator))
        await running.until('"completion": "Yes."')
        assert running.process.returncode is None
        running.interrupt()
        assert await running.ended() == 130
    assert all(json.loads(line)["ok"] for line in running.out.splitlines())
    assert "--out FILE" in running.err


@pytest.mark.parametrize(
    "line",
    [
        "run",
        "run nosuch.jsonl",
        "run .",
        "run p.txt extra",
        "run p.txt --out",
        "run p.txt --temperature hot",
        "run p.txt -m claude-3",
        "run p.txt --base-url ftp://x",
        "stream Why -m nosuch-model",
        "stream Why --max-tokens 1e9",
        f"stream Why --max-tokens {'9' * 5000}",
        "chat --system",
        "demo --seed x",
        "simulate --gap nan",
        "simulate --replay p.txt",
        "report nosuch.jsonl",
        "nosuch",
        "--nosuch",
    ],
)
def test_wrong_input_is_one_line_and_2(
    call: Call, folder: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    monkeypatch.chdir(folder)
    done = call(*line.split(), OPENAI_API_KEY="sk-1")
    assert done.code == 2
    assert len(done.err.splitlines()) == 1
    assert done.out == ""


async def _redirects(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer whatever is asked with a redirect whose header no text can hold."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    body = await reader.readexactly(length)
    if b"good" in body:
        data = b'data: {"choices":[{"index":0,"delta":{"content":"yes"},"finish_reason":null}]}\n\n'
        data += b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
        data += b"data: [DONE]\n\n"
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
            + data
        )
    else:
        writer.write(
            b"HTTP/1.1 302 Found\r\nLocation: /caf\xff\r\nX-Request-Id: \xff\r\n"
            b"Content-Length: 0\r\nConnection: close\r\n\r\n"
        )
    await writer.drain()
    writer.close()


async def test_a_row_that_fails_in_whatever_way_ends_no_run(
    run: Run, command_name: tuple[str, ...], tmp_path: Path
) -> None:
    server = await asyncio.start_server(_redirects, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    (tmp_path / "p.txt").write_text(
        "".join(f"{'good' if n % 2 else 'bad'} {n}\n" for n in range(12))
    )
    out, log = tmp_path / "out.jsonl", tmp_path / "log.jsonl"
    env = clean_environment(OPENAI_API_KEY="sk-1", OPENAI_BASE_URL=f"http://127.0.0.1:{port}/v1")
    async with server:
        done = await run(
            *command_name,
            "run",
            str(tmp_path / "p.txt"),
            "--out",
            str(out),
            "--log",
            str(log),
            env=env,
        )
    assert done.code == 1
    assert "Traceback" not in done.err
    found = [json.loads(line) for line in out.read_bytes().decode().splitlines()]
    assert len(found) == 12
    assert [row["ok"] for row in sorted(found, key=lambda row: int(row["id"]))] == [False, True] * 6


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
async def test_each_shell_gets_a_script_for_completion(
    run: Run, command_name: tuple[str, ...], shell: str
) -> None:
    env = clean_environment(_LM_DELUGE_COMPLETE=f"{shell}_source")
    done = await run(*command_name, env=env)
    assert (done.code, done.err) == (0, "")
    assert "_LM_DELUGE_COMPLETE" in done.out
    assert f"{shell}_complete" in done.out
    assert "lm-deluge" in done.out


@pytest.mark.parametrize(
    ("words", "found"),
    [("lm-deluge r", {"run", "report", "replay"}), ("lm-deluge run --rec", {"--record"}),
     ("lm-deluge stream --effort l", {"low"}), ("lm-deluge report --html", {"--html"})],
)  # fmt: skip
async def test_commands_options_and_values_are_completed(
    run: Run, command_name: tuple[str, ...], words: str, found: set[str]
) -> None:
    env = clean_environment(
        _LM_DELUGE_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=str(words.count(" "))
    )
    done = await run(*command_name, env=env)
    assert {line.split(",")[1] for line in done.out.splitlines()} == found


@pytest.mark.parametrize("asked", ["nonsense", "bash_nonsense", "ksh_source"])
def test_what_no_shell_asks_is_refused(call: Call, asked: str) -> None:
    done = call(_LM_DELUGE_COMPLETE=asked)
    assert (done.code, done.out, len(done.err.splitlines())) == (2, "", 1)
    assert asked in done.err


@needs("click", "rich")
@pytest.mark.parametrize("name", ["lm_deluge", "lm_deluge.cli"])
async def test_the_package_is_the_command_too(run: Run, python: tuple[str, ...], name: str) -> None:
    done = await run(*python, "-m", name, "stream", "--nosuch")
    assert done.code == 2
    assert done.err.startswith("lm-deluge: No such option")
    done = await run(*python, "-m", name, "--help")
    assert done.out.startswith("Usage: lm-deluge ")
