"""No option that was given is dropped without a word."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from lm_deluge.cli.app import cli
from lm_deluge.cli.command import Command
from support.programs import Call

NAMES = ("demo", "stream", "chat", "run", "simulate", "report", "replay")
NOWHERE = {"OPENAI_API_KEY": "sk-1", "OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}


def commands() -> dict[str, click.Command]:
    found = {name: cli.get_command(None, name) for name in NAMES}  # type: ignore[arg-type]
    return {name: command for name, command in found.items() if command is not None}


def single_options() -> list[tuple[str, str]]:
    return [
        (name, parameter.opts[-1])
        for name, command in commands().items()
        for parameter in command.params
        if isinstance(parameter, click.Option)
        and not (parameter.is_flag or parameter.multiple or parameter.count)
    ]


def test_every_command_looks_at_what_is_given_twice() -> None:
    assert list(commands()) == list(NAMES)
    for name, command in commands().items():
        assert isinstance(command, Command), name


@pytest.mark.parametrize(("command", "option"), single_options())
def test_an_option_of_one_value_is_not_given_twice(call: Call, command: str, option: str) -> None:
    done = call(command, option, "1", option, "2", **NOWHERE)
    assert done.code == 2
    assert len(done.err.splitlines()) == 1
    assert option in done.err
    assert "twice" in done.err


def test_short_and_long_are_one_option(call: Call) -> None:
    done = call("stream", "Why?", "-m", "gpt-4o", "--model=gpt-4o-mini", **NOWHERE)
    assert (done.code, "--model is given twice" in done.err) == (2, True)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("simulate --speed 2", "--speed"),
        ("simulate --speed 1", "--speed"),  # its default, but asked for
        ("simulate --by loop", "--by"),
        ("simulate --fault-rate 0.5", "--fault"),
        ("simulate --fault-rate 0.5 --fault none --fault reset", "--fault none"),
        ("simulate --text a --tokens 2", "--tokens"),
        ("simulate --replay FILE --ttft 1", "--ttft"),
        ("simulate --replay FILE --gap 1", "--gap"),
        ("simulate --replay FILE --seed 1", "--seed"),
        ("simulate --replay FILE --text a", "--text"),
        ("simulate --replay FILE --tokens 1", "--tokens"),
        ("simulate --replay FILE --reasoning 1", "--reasoning"),
        ("simulate --replay FILE --api-key k", "--api-key"),
        ("simulate --replay FILE --model-less", "--model-less"),
        ("simulate --replay FILE --fault reset", "--fault"),
        ("simulate --replay FILE --fault-rate 0.5", "--fault-rate"),
        ("stream --no-stdin", "--no-stdin"),
        ("stream - --no-stdin", "--no-stdin"),
        ("stream a b", "unexpected extra argument"),
        ("run FILE --format text --again", "--again"),
        ("run FILE --format text -m gpt-4o -m gpt-4o", "gpt-4o is given twice"),
        ("run FILE", "--format"),
        ("run FILE --format text --rpm nan", "--rpm"),
        ("run FILE --format text --tpm inf", "--tpm"),
        ("run FILE --format text --rpm 0", "--rpm"),
        ("run FILE --format text --temperature nan", "--temperature"),
        ("run FILE --format text --concurrency 0", "--concurrency"),
        ("run no-such-file --format text", "no-such-file"),
        ("stream Why --temperature nan", "--temperature"),
    ],
)
def test_what_would_have_no_effect_is_refused(
    call: Call, tmp_path: Path, line: str, words: str
) -> None:
    file = tmp_path / "file"
    file.write_text("why?\n")
    args = [str(file) if word == "FILE" else word for word in line.split()]
    done = call(*args, **NOWHERE)
    assert done.code == 2, done.err
    assert len(done.err.splitlines()) == 1
    assert words in done.err
    assert done.out == ""
