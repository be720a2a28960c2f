"""Files of prompts: what is in them is asked whole, or refused with its line."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from lm_deluge.simulator import Simulator
from support.programs import Call

NOWHERE = {"OPENAI_API_KEY": "sk-1", "OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}

HALF = "\\ud83d"  # the first half of an emoji, as JSON writes it


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (f'{{"prompt": "{HALF}"}}', "'prompt'"),
        (f'{{"prompt": "a", "tags": {{"mood": "{HALF}"}}}}', "'tags'"),
        (f'{{"prompt": "a", "tags": {{"{HALF}": 1}}}}', "'tags'"),
        (f'{{"prompt": "a", "tags": {{"deep": [{{"er": ["{HALF}"]}}]}}}}', "'tags'"),
        (f'{{"prompt": "a", "id": "x{HALF}"}}', "'id'"),
        (f'{{"messages": [{{"role": "user", "content": "{HALF}"}}]}}', "'messages'"),
        (f'{{"messages": [{{"role": "user", "name": "{HALF}", "content": "a"}}]}}', "'messages'"),
        (f'{{"prompt": "a", "extra_body": {{"user": "{HALF}"}}}}', "'extra_body'"),
        ('{"prompt": "a", "prompt": "b"}', "'prompt' is there twice"),
        ('{"prompt": "a", "tags": {"x": 1, "x": 2}}', "'x' is there twice"),
        ('{"prompt": "a", "tags": {"x": NaN}}', "NaN"),
        ('{"prompt": "a", "tags": {"x": -Infinity}}', "-Infinity"),
        ('{"prompt": "a", "tags": {"x": 1e999}}', "1e999"),
        ('{"prompt": "a", "tags": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested too deeply"),
        ('{"prompt": "a", "tags": ' + '{"a":' * 950 + "1" + "}" * 950 + "}", "nested too deeply"),
        ('{"prompt": "a", "tools": {"type": "function"}}', "tools must be a list"),
        ('{"prompt": "a", "tool_choice": "auto"}', "tool_choice is given without tools"),
        ('{"prompt": "a", "response_format": {}}', "response_format has no 'type'"),
        ('{"prompt": "a", "extra_body": {"stream": false}}', "'stream'"),
        ('{"prompt": "a", "id": 1.5}', "'id'"[1:-1]),
    ],
)
def test_a_line_that_cannot_be_asked_or_kept_is_told_before_anything_is_sent(
    call: Call, tmp_path: Path, line: str, words: str
) -> None:
    file = tmp_path / "p.jsonl"
    file.write_text('{"prompt": "fine"}\n' + line + "\n")
    done = call("run", file, **NOWHERE)
    assert done.code == 2, done.err[:500]
    assert len(done.err.splitlines()) == 1
    assert f"{file}, line 2: " in done.err
    assert words in done.err
    assert done.out == ""


def test_a_column_that_is_there_twice_is_told(call: Call, tmp_path: Path) -> None:
    file = tmp_path / "p.csv"
    file.write_text("prompt,lang,lang\nwhy?,en,de\n")
    done = call("run", file, **NOWHERE)
    assert (done.code, "`lang` twice" in done.err) == (2, True)


def ask(call: Call, path: Path, *args: str) -> Any:
    with Simulator(text="yes") as simulator:
        served = {"OPENAI_BASE_URL": simulator.base_url, "OPENAI_API_KEY": "sk-1"}
        done = call("run", path, *args, "--quiet", **served)
    assert (done.code, done.err) == (0, "")
    return simulator, [json.loads(line) for line in done.out.split("\n") if line]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "text"])
def test_long_texts_are_asked_whole(call: Call, tmp_path: Path, kind: str) -> None:
    text = "tell me more " * 40_000  # 520 kB; Python's own limit of a CSV cell is 128 kB
    path = tmp_path / f"p.{'txt' if kind == 'text' else kind}"
    if kind == "csv":
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([("prompt", "note"), (text, text)])
    elif kind == "jsonl":
        path.write_text(json.dumps({"prompt": text, "tags": {"note": text}}) + "\n")
    else:
        path.write_text(text + "\n")
    simulator, (row,) = ask(call, path)
    assert simulator.requests[0].json["messages"][0]["content"] == text
    assert row["prompt"] == text
    if kind != "text":
        assert row["tags"] == {"note": text}


def test_what_a_line_asks_for_is_sent(call: Call, tmp_path: Path) -> None:
    tools = [{"type": "function", "function": {"name": "look"}}]
    path = tmp_path / "p.jsonl"
    row = {"prompt": "a", "tools": tools, "tool_choice": "none", "extra_body": {"user": "me"}}
    path.write_text(json.dumps(row) + "\n")
    simulator, _ = ask(call, path)
    sent = simulator.requests[0].json
    assert (sent["tools"], sent["tool_choice"], sent["user"]) == (tools, "none", "me")


def test_numbers_of_any_size_come_back_as_they_were(call: Call, tmp_path: Path) -> None:
    tags = {"big": 12345678901234567890123, "small": -0.5, "text": "ü 🎨 \u2028"}
    path, log = tmp_path / "p.jsonl", tmp_path / "log.jsonl"
    path.write_text(json.dumps({"prompt": "a", "id": 10**30, "tags": tags}) + "\n")
    _, (row,) = ask(call, path, "--log", str(log))
    assert (row["id"], row["tags"]) == (str(10**30), tags)
    start = json.loads(next(line for line in log.read_text().split("\n") if line))
    assert {**start["tags"], "job": 0} == {**tags, "job": 0}
