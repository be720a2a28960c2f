"""A run that goes on asks what has no answer yet: neither more nor less."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lm_deluge.cli.options import DEFAULT_MODEL
from lm_deluge.simulator import Simulator
from support.programs import Call, Finished, Run, simulated

Asked = Callable[..., tuple[Finished, int]]

ROWS = [{"prompt": "one", "id": "a"}, {"messages": [{"role": "user", "content": "two"}]}]

JSON = ("--system", "Reply in json.")
O3 = ("-m", "o3")


def write(path: Path, values: list[Any]) -> None:
    path.write_text("".join(json.dumps(value) + "\n" for value in values), "utf-8")


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]


@pytest.fixture
def asked(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Asked]:
    """``done, requests = asked("--again", prompts=…, keep="--out")``: one run, and what it sent."""
    monkeypatch.chdir(tmp_path)
    with Simulator(text="yes") as simulator:

        def ask(
            *args: str, prompts: list[Any] | None = None, keep: str = "--out"
        ) -> tuple[Finished, int]:
            write(tmp_path / "p.jsonl", ROWS if prompts is None else prompts)
            before = simulator.request_count
            served = {"OPENAI_BASE_URL": simulator.base_url, "OPENAI_API_KEY": "sk-1"}
            done = call("run", "p.jsonl", keep, "kept.jsonl", *args, **served)
            return done, simulator.request_count - before

        yield ask


@pytest.mark.parametrize(
    ("keep", "first", "then", "named"),
    [
        ("--out", (), ("--temperature", "1.9"), "temperature 1.9, there not given"),
        ("--out", ("--temperature", "0.7"), (), "temperature not given, there 0.7"),
        ("--log", ("--temperature", "0.7"), ("--temperature", "1.9"), "temperature 1.9, there 0.7"),
        ("--out", ("--max-tokens", "5"), ("--max-tokens", "6"), "max_new_tokens 6, there 5"),
        ("--out", ("--system", "Be brief."), ("--system", "Be long."), 'system "Be long."'),
        ("--out", (*JSON, "--json"), JSON, "json_mode not given, there true"),
        ("--log", (*O3, "--effort", "low"), (*O3, "--effort", "high"), "reasoning_effort"),
    ],
)
def test_other_parameters_are_another_question(
    asked: Asked,
    tmp_path: Path,
    keep: str,
    first: tuple[str, ...],
    then: tuple[str, ...],
    named: str,
) -> None:
    done, count = asked(*first, keep=keep)
    assert (done.code, count) == (0, 2), done.err
    kept = (tmp_path / "kept.jsonl").read_bytes()

    done, count = asked(*then, keep=keep)
    assert (done.code, count, len(done.err.splitlines())) == (2, 0, 1)
    assert named in done.err
    assert "--again" in done.err
    assert (tmp_path / "kept.jsonl").read_bytes() == kept

    done, count = asked(*then, "--again", keep=keep)
    assert (done.code, count) == (0, 2)
    assert (tmp_path / "kept.jsonl").read_bytes().startswith(kept)
    for args in (first, then, (*then, "--again"), (*first, "--again")):  # both are answered
        done, count = asked(*args, keep=keep)
        assert (done.code, count) == (0, 0), done.err


@pytest.mark.parametrize(
    ("key", "first", "then"),
    [
        ("extra_body", {"user": "one"}, {"user": "two"}),
        ("response_format", {"type": "json_object"}, {"type": "text"}),
        (
            "tools",
            [{"type": "function", "function": {"name": "look"}}],
            [{"type": "function", "function": {"name": "see"}}],
        ),
    ],
)
def test_what_a_line_asks_for_is_part_of_the_question(
    asked: Asked, tmp_path: Path, key: str, first: Any, then: Any
) -> None:
    for value, again, code, sent in (
        (first, (), 0, 1), (first, (), 0, 0), (then, (), 2, 0), (then, ("--again",), 0, 1),
        (then, (), 0, 0),
    ):  # fmt: skip
        done, count = asked(*again, prompts=[{"prompt": "Reply in json.", key: value}])
        assert (done.code, count) == (code, sent), done.err
    assert [row["params"][key] for row in rows(tmp_path / "kept.jsonl")] == [first, then]


def test_again_goes_on_where_it_stopped(asked: Asked, tmp_path: Path) -> None:
    many = [{"prompt": f"p{n}"} for n in range(5)]
    asked(prompts=many)
    asked("--temperature", "1", "--again", prompts=many)
    lines = (tmp_path / "kept.jsonl").read_text("utf-8").splitlines(keepends=True)
    (tmp_path / "kept.jsonl").write_text("".join(lines[:7]) + lines[7][:40], "utf-8")
    done, count = asked("--temperature", "1", prompts=many)
    assert (done.code, count) == (2, 0)
    done, count = asked("--temperature", "1", "--again", prompts=many)
    assert (done.code, count) == (0, 3)
    assert "no whole rows" in done.err
    kept = (tmp_path / "kept.jsonl").read_text("utf-8")
    assert kept.startswith("".join(lines[:7]) + lines[7][:40] + "\n")


def test_where_and_how_patiently_it_is_asked_changes_no_question(asked: Asked) -> None:
    asked()
    with Simulator(text="yes") as elsewhere:
        args = ("--base-url", elsewhere.base_url, "--concurrency", "1", "--rpm", "100000")
        done, count = asked(*args, "--tpm", "10000000")
    assert (done.code, count, elsewhere.request_count) == (0, 0, 0)


def test_another_model_is_asked_beside(asked: Asked, tmp_path: Path) -> None:
    asked()
    done, count = asked("-m", "gpt-4o", "-m", "gpt-4o-mini", "--temperature", "1", "--again")
    assert (done.code, count) == (0, 4)
    done, count = asked("-m", "gpt-4.1")
    assert (done.code, count) == (0, 2)
    assert len(rows(tmp_path / "kept.jsonl")) == 8


@pytest.mark.parametrize("keep", ["--out", "--log"])
def test_equal_lines_are_samples_and_all_survive(asked: Asked, tmp_path: Path, keep: str) -> None:
    same = [{"prompt": "dice", "id": "d", "tags": {"n": n}} for n in range(4)]
    done, count = asked(prompts=same[:3], keep=keep)
    assert (done.code, count) == (0, 3)
    done, count = asked(prompts=same, keep=keep)
    assert (done.code, count) == (0, 1)
    done, count = asked(prompts=same, keep=keep)
    assert (done.code, count) == (0, 0)
    if keep == "--out":
        # One of them is lost: it, and not another, is asked again.
        left = [row for row in rows(tmp_path / "kept.jsonl") if row["sample"] != 1]
        write(tmp_path / "kept.jsonl", left)
        done, count = asked(prompts=same)
        assert (done.code, count) == (0, 1)
        assert rows(tmp_path / "kept.jsonl")[-1]["tags"] == {"n": 1}


def test_a_row_tells_what_was_asked_how_and_where(asked: Asked, tmp_path: Path) -> None:
    picture = "data:image/png;base64," + "A" * 4000
    parts = [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": picture}},
    ]
    prompts = [*ROWS, {"messages": [{"role": "user", "content": parts}], "id": 7}]
    done, _ = asked("--temperature", "0.5", prompts=prompts)
    assert done.code == 0
    found = {row["id"]: row for row in rows(tmp_path / "kept.jsonl")}
    assert found["a"]["prompt"] == "one"
    assert found["1"]["prompt"] == "two"
    digest = hashlib.sha256(picture.encode()).hexdigest()
    assert found["7"]["prompt"] == f"What is it?\n[image_url sha256:{digest}]"
    said = json.dumps([{"role": "user", "content": "one"}], sort_keys=True).encode()
    assert found["a"]["prompt_hash"] == hashlib.sha256(said).hexdigest()[:16]
    for row in found.values():
        assert row["params"] == {"temperature": 0.5}
        assert row["base_url"].startswith("http://127.0.0.1:")
        assert row["sample"] == 0


def test_with_a_log_alone_answers_go_to_standard_output(asked: Asked, tmp_path: Path) -> None:
    done, count = asked("--temperature", "0.5", keep="--log")
    assert (done.code, count) == (0, 2)
    assert {json.loads(line)["completion"] for line in done.out.splitlines()} == {"yes"}
    starts = [row for row in rows(tmp_path / "kept.jsonl") if row["e"] == "start"]
    assert [row["tags"]["job"]["params"] for row in starts] == [{"temperature": 0.5}] * 2
    done, count = asked("--temperature", "0.5", keep="--log")
    assert (done.code, count, done.out) == (0, 0, "")


def old_row(digest: str, **fields: Any) -> dict[str, Any]:
    return {"id": "a", "prompt": digest, "model": DEFAULT_MODEL, "ok": True, **fields}


def test_rows_of_older_versions_are_known_by_their_hash(asked: Asked, tmp_path: Path) -> None:
    one = [{"role": "user", "content": "one"}]
    system = [{"role": "system", "content": "Be brief."}, *one]
    digests = [
        hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]
        for said in (one, system)
    ]
    write(tmp_path / "kept.jsonl", [old_row(digests[0])])
    assert asked()[1] == 1  # of two
    write(tmp_path / "kept.jsonl", [old_row(digests[1])])
    done, count = asked("--system", "Be brief.")
    assert count == 1
    assert "1 answers in kept.jsonl do not say their parameters" in done.err
    write(tmp_path / "kept.jsonl", [old_row(digests[1])])
    assert asked("--system", "Be brief.", "--again")[1] == 2
    assert asked("--system", "Be brief.", "--again")[1] == 0
    # As many samples are answered as there are rows of them.
    write(tmp_path / "kept.jsonl", [old_row(digests[0]), old_row(digests[0])])
    assert asked(prompts=[ROWS[0]] * 3)[1] == 1
    write(tmp_path / "kept.jsonl", [old_row(digests[0], ok=False)])
    assert asked()[1] == 2


def test_what_is_no_row_is_told_and_stays(asked: Asked, tmp_path: Path) -> None:
    odd = b'\xff\xfe not text\n[1, 2]\n{"foreign": true}\n\n"text"\n{"ok": true}\n'
    odd += b"[" * 100_000 + b"\n" + b'{"id": "a", "prompt": "one", "mod'
    (tmp_path / "kept.jsonl").write_bytes(odd)
    done, count = asked()
    assert (done.code, count) == (0, 2)
    assert "kept.jsonl has 7 lines that are no whole rows of answers, the first is line 1" in (
        done.err
    )
    assert (tmp_path / "kept.jsonl").read_bytes().startswith(odd + b"\n")
    assert asked()[1] == 0


def test_no_lines_at_all_are_told(asked: Asked) -> None:
    done, count = asked(prompts=[])
    assert (done.code, count) == (2, 0)
    assert "no prompts" in done.err


@pytest.mark.slow
async def test_all_samples_survive_kills(
    start, run: Run, command_name: tuple[str, ...], tmp_path: Path
) -> None:
    """Killed at any moment, as often as you like: in the end each is there once, in whole lines."""
    write(tmp_path / "p.jsonl", [{"prompt": "dice", "id": "d"}] * 30)
    out = tmp_path / "out.jsonl"
    args = ("run", str(tmp_path / "p.jsonl"), "--out", str(out), "--concurrency", "4", "--quiet")
    async with Simulator(text="yes", ttft=0.05) as simulator:
        for count in (5, 11, 18):
            killed = await start(*args, env=simulated(simulator))
            async with asyncio.timeout(30):
                while not out.exists() or out.read_bytes().count(b"\n") < count:
                    await asyncio.sleep(0.01)
            killed.process.kill()
            await killed.ended()
        done = await run(*command_name, *args, env=simulated(simulator))
    assert (done.code, done.err) == (0, "")
    assert sorted(row["sample"] for row in rows(out)) == list(range(30))
