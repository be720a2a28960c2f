"""No command writes into what it reads, nor two things into one file; and it is known beforehand."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from lm_deluge.cli.app import cli
from lm_deluge.simulator import Simulator
from support.programs import Call, Finished, Run, simulated

PROMPT = b'{"prompt": "a"}\n'

#: Nobody answers there: what is sent would fail with code 1.
NOWHERE = {"OPENAI_API_KEY": "sk-1", "OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}


def refused(done: Finished, *words: str) -> None:
    assert done.code == 2, done.err
    assert len(done.err.splitlines()) == 1, done.err
    for word in words:
        assert word in done.err


def same(path: Path) -> Path:
    return path


def relative(path: Path) -> Path:
    return Path(os.path.relpath(path))


def crooked(path: Path) -> Path:
    return path.parent / "folder" / ".." / path.name


def symbolic(path: Path) -> Path:
    link = path.with_name("symbolic.jsonl")
    link.symlink_to(path)
    return link


def hard(path: Path) -> Path:
    link = path.with_name("hard.jsonl")
    link.hardlink_to(path)
    return link


def through_a_linked_folder(path: Path) -> Path:
    link = path.parent / "linked"
    link.symlink_to(path.parent, target_is_directory=True)
    return link / path.name


WAYS = (same, relative, crooked, symbolic, hard, through_a_linked_folder)


@pytest.mark.parametrize("option", ["--out", "--log", "--record"])
@pytest.mark.parametrize("way", WAYS)
def test_no_output_of_a_run_is_its_file_of_prompts(
    call: Call, tmp_path: Path, option: str, way: Callable[[Path], Path]
) -> None:
    (tmp_path / "folder").mkdir()
    prompts = tmp_path / "p.txt"  # of which nobody can tell by looking that it holds prompts
    prompts.write_bytes(b"why?\n")
    refused(call("run", prompts, option, way(prompts), **NOWHERE), option, "prompts")
    assert prompts.read_bytes() == b"why?\n"


@pytest.mark.parametrize("command", ["run", "stream", "chat"])
@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("way", [same, relative, crooked, symbolic, through_a_linked_folder])
def test_no_two_outputs_are_one_file(
    call: Call, tmp_path: Path, command: str, there: bool, way: Callable[[Path], Path]
) -> None:
    (tmp_path / "folder").mkdir()
    prompts = tmp_path / "p.jsonl"
    prompts.write_bytes(PROMPT)
    target = tmp_path / "target"
    if there:
        target.touch()
    given = {"run": [prompts], "stream": ["Why?"], "chat": []}[command]
    done = call(command, *given, "--log", target, "--record", way(target), **NOWHERE)
    refused(done, "--log", "--record", "same file")
    if command == "run":
        refused(done, "--log", "same file")


@pytest.mark.parametrize(
    "line",
    [
        "run - --format text --out p.txt < p.txt",
        "run - --format text --log p.txt < p.txt",
        "run /dev/stdin --format text --record p.txt < p.txt",
        "run p.txt >> p.txt",
        "run - --format text < p.txt >> p.txt",
        "run p.txt --log log >> log",
        "run p.txt --log /dev/stdout | cat",
        "stream - --log p.txt < p.txt",
        "stream Why --record p.txt < p.txt",
        "stream Why --log log > log",
        "chat --log p.txt < p.txt",
        "chat --record log >> log < p.txt",
        "demo --log log > log",
    ],
)
async def test_redirections_are_files_like_the_others(
    run: Run, command_name: tuple[str, ...], tmp_path: Path, line: str
) -> None:
    for name, data in (("p.txt", b"why?\n"), ("p.jsonl", PROMPT)):
        (tmp_path / name).write_bytes(data)
    async with Simulator() as simulator:
        shell = f"set -o pipefail; {shlex.join(command_name)} {line}"
        done = await run("bash", "-c", shell, env=simulated(simulator), cwd=tmp_path)
    refused(done, "same file")
    assert simulator.request_count == 0
    assert (tmp_path / "p.txt").read_bytes() == b"why?\n"
    assert (tmp_path / "p.jsonl").read_bytes() == PROMPT


ANSWER = b'{"id": "0", "prompt": "a", "prompt_hash": "0", "model": "m", "ok": true}\n'
TOKEN = b'{"v":1,"e":"start","s":"1","t":0}\n{"v":1,"e":"token","s":"1","t":1,"text":"a"}\n'
READ = b'{"v":1,"e":"start","s":"1","t":0}\n{"v":1,"e":"read","s":"1","t":1,"text":"a"}\n'


@pytest.mark.parametrize(
    ("option", "data", "held"),
    [
        ("--out", PROMPT, "prompts"),
        ("--out", b'{"messages": []}\n', "prompts"),
        ("--out", b'{"prompt": "' + b"a" * 1_000_000 + b'"}\n', "prompts"),
        ("--out", TOKEN, "timelines"),
        ("--out", READ, "recordings"),
        ("--log", PROMPT, "prompts"),
        ("--log", ANSWER, "answers"),
        ("--log", READ, "recordings"),
        ("--record", b"half a li\n" + ANSWER, "answers"),
        ("--record", TOKEN, "timelines"),
    ],
)
def test_what_holds_something_else_is_not_added_to(
    call: Call, tmp_path: Path, option: str, data: bytes, held: str
) -> None:
    prompts, other = tmp_path / "p.jsonl", tmp_path / "other"
    prompts.write_bytes(PROMPT)
    other.write_bytes(data)
    refused(call("run", prompts, option, other, **NOWHERE), option, held)
    assert other.read_bytes() == data


def outputs() -> list[tuple[str, str]]:
    found = []
    for name in ("demo", "stream", "chat", "run"):
        command = cli.get_command(None, name)  # type: ignore[arg-type]
        assert command is not None
        found += [
            (name, parameter.opts[0])
            for parameter in command.params
            if parameter.opts[0] in ("--log", "--out", "--record")
        ]
    return found


@pytest.mark.parametrize(("command", "option"), outputs())
def test_what_cannot_be_written_is_found_before_the_work(
    call: Call, tmp_path: Path, command: str, option: str
) -> None:
    prompts = tmp_path / "p.jsonl"
    prompts.write_bytes(PROMPT)
    given = {"run": [prompts], "stream": ["Why?"]}.get(command, [])
    (tmp_path / "gone").symlink_to(tmp_path / "no" / "target")
    paths = [tmp_path / "no" / "file", tmp_path, prompts / "x", tmp_path / ("n" * 300)]
    for path in (*paths, tmp_path / "gone"):
        refused(call(command, *given, option, path, **NOWHERE), option)
    refused(call(command, *given, option, "-", **NOWHERE), "./-") if option != "--out" else None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gone", "p.jsonl"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_file_that_may_not_be_written_is_found_before_the_work(
    call: Call, tmp_path: Path
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    locked = tmp_path / "locked"
    locked.touch(mode=0o400)
    for path in (closed / "log", locked):
        refused(call("stream", "Why?", "--log", path, **NOWHERE), "--log")


async def test_answers_that_the_disk_does_not_take_go_to_standard_output(
    run: Run, command_name: tuple[str, ...], tmp_path: Path
) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full on this system")
    prompts = tmp_path / "p.txt"
    prompts.write_text("".join(f"{n}\n" for n in range(40)))
    async with Simulator(text="Yes.") as simulator:
        done = await run(
            *command_name, "run", str(prompts), "--out", "/dev/full", "--concurrency", "2",
            env=simulated(simulator),
        )  # fmt: skip
        asked = simulator.request_count
    assert done.code == 1
    assert "No space left" in done.err
    assert "Traceback" not in done.err
    assert asked < 40
    assert len(done.out.splitlines()) == asked
    assert all(json.loads(line)["completion"] == "Yes." for line in done.out.splitlines())


async def test_prompts_may_come_through_a_pipe_of_any_name(
    run: Run, command_name: tuple[str, ...], tmp_path: Path
) -> None:
    async with Simulator(text="Yes.") as simulator:
        line = f"{shlex.join(command_name)} run --format text --out >(cat > out) <(echo why)"
        line += "; wait; for _ in $(seq 50); do [ -s out ] && break; sleep 0.1; done"
        done = await run("bash", "-c", line, env=simulated(simulator), cwd=tmp_path)
        assert simulator.request_count == 1
    assert (done.out, "Traceback" in done.err) == ("", False)
    assert json.loads((tmp_path / "out").read_text())["prompt"] == "why"
