"""``lm-deluge run``: many prompts, as a process of its own."""

from __future__ import annotations

import csv
import json
import time
from pathlib import Path
from typing import Any

import pytest

from lm_deluge.cli.options import DEFAULT_MODEL
from lm_deluge.cli.throttle import Bucket
from lm_deluge.simulator import Simulator
from support.programs import Call, Run, clean_environment, simulated


def echo(body: Any) -> str:
    return f"re: {body['messages'][-1]['content']}"


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]


def jsonl(path: Path, *values: Any) -> str:
    path.write_text("".join(json.dumps(value) + "\n" for value in values), "utf-8")
    return str(path)


async def test_every_prompt_is_asked_of_every_model(
    run: Run, command_name: tuple[str, ...], tmp_path: Path
) -> None:
    prompts = jsonl(
        tmp_path / "prompts.jsonl",
        {"prompt": "one", "id": "first", "tags": {"variant": "A"}},
        {"messages": [{"role": "user", "content": "two"}]},
    )
    out, log = tmp_path / "out.jsonl", tmp_path / "log.jsonl"
    models = ("-m", "gpt-4o", "-m", "gpt-4o-mini", "--system", "Be brief.")
    async with Simulator(text=echo) as simulator:
        done = await run(
            *command_name, "run", prompts, *models, "--out", str(out), "--log", str(log),
            env=simulated(simulator),
        )  # fmt: skip
        systems = {request.json["messages"][0]["content"] for request in simulator.requests}
    assert (done.code, done.out) == (0, "")
    assert systems == {"Be brief."}
    found = {(row["id"], row["model"]): row for row in rows(out)}
    assert {key: row["completion"] for key, row in found.items()} == {
        ("first", "gpt-4o"): "re: one",
        ("first", "gpt-4o-mini"): "re: one",
        ("1", "gpt-4o"): "re: two",
        ("1", "gpt-4o-mini"): "re: two",
    }
    assert all(row["ok"] and row["cost"] > 0 and row["usage"] for row in found.values())
    assert all(row["finish_reason_raw"] == "stop" for row in found.values())
    assert all(row["stop_details"] is None for row in found.values())
    starts = [row for row in rows(log) if row["e"] == "start"]
    assert [row["tags"]["variant"] for row in starts if row["tags"]["job"]["id"] == "first"] == [
        "A"
    ] * 2
    (last,) = done.err.splitlines()
    assert last.startswith("lm-deluge: 4 of 4 answers in ")
    assert "0 failed" in last
    assert "$" in last


@pytest.mark.parametrize("kind", ["csv", "text", "stdin"])
async def test_other_formats(
    run: Run, command_name: tuple[str, ...], tmp_path: Path, kind: str
) -> None:
    texts = ['one, "two"', "three\u2028four", "five"]
    path, args, stdin = tmp_path / "prompts.txt", (), ""
    if kind == "csv":
        path = tmp_path / "prompts.csv"
        with path.open("w", encoding="utf-8-sig", newline="") as file:
            csv.writer(file).writerows([("lang", "prompt"), *(("en", text) for text in texts)])
    elif kind == "text":
        path.write_bytes("\r\n\r\n".join(texts).encode())
    else:
        args, stdin = ("--format", "text"), "\n".join(texts)
    out = tmp_path / "out.jsonl"
    async with Simulator(text=echo) as simulator:
        done = await run(
            *command_name, "run", "-" if kind == "stdin" else str(path), *args, "--out", str(out),
            "--quiet", env=simulated(simulator), stdin=stdin,
        )  # fmt: skip
    assert (done.code, done.out, done.err) == (0, "", "")
    assert sorted(row["completion"] for row in rows(out)) == sorted(f"re: {t}" for t in texts)
    if kind == "csv":
        assert rows(out)[0]["tags"] == {"lang": "en"}


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("p.jsonl", b'{"prompt": "a"}\n{"prompt": \n', ("line 2", "not JSON")),
        ("p.jsonl", b'{"prompt": "a"}\n\n{"prompt": ""}\n', ("line 3", "empty")),
        ("p.jsonl", b'{"text": "a"}\n', ("line 1", "`text`", "--prompt '{text}'")),
        ("p.jsonl", b'{"messages": [{"role": "clown", "content": "x"}]}\n', ("line 1", "clown")),
        ("p.jsonl", b'{"prompt": "a", "tags": {"job": 1}}\n', ("line 1", "'job'")),
        ("p.jsonl", b"[1]\n", ("line 1", "object")),
        ("p.csv", b"question\nwhy\n", ("line 2", "`prompt`", "--prompt '{question}'")),
        ("p.csv", b'prompt,id\n"a\nb",1\nc\n', ("line 4", "cells")),
        ("p.txt", b"fine\n\xff\xfe\n", ("line 2", "UTF-8")),
        ("p.xml", b"<prompt/>", ("--format",)),
    ],
)
def test_a_line_that_makes_no_sense_is_told_before_anything_is_sent(
    call: Call, tmp_path: Path, name: str, data: bytes, words: tuple[str, ...]
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    done = call("run", path, OPENAI_API_KEY="sk-1", OPENAI_BASE_URL="http://127.0.0.1:9/v1")
    assert done.code == 2
    assert len(done.err.splitlines()) == 1
    for word in words:
        assert word in done.err


async def test_failures_are_listed_and_asked_again_by_the_next_run(
    run: Run, command_name: tuple[str, ...], tmp_path: Path
) -> None:
    prompts = jsonl(tmp_path / "p.jsonl", *({"prompt": f"p{n}"} for n in range(4)))
    out = tmp_path / "out.jsonl"
    args = (*command_name, "run", prompts, "--out", str(out), "--concurrency", "1")
    async with Simulator(text=echo, faults=[None, "reset:1"]) as simulator:
        first = await run(*args, env=simulated(simulator))
        assert simulator.request_count == 4
        second = await run(*args, env=simulated(simulator))
        assert simulator.request_count == 5
        third = await run(*args, env=simulated(simulator))
        assert simulator.request_count == 5
    assert (first.code, second.code, third.code) == (1, 0, 0)
    assert "3 of 4 answers" in first.err
    assert f"lm-deluge: 1 {DEFAULT_MODEL}: ConnectionLostError: " in first.err
    assert "1 of 1 answers" in second.err
    assert "3 were complete before" in second.err
    failed = [row for row in rows(out) if not row["ok"]]
    assert [(row["error"], row["partial"]) for row in failed] == [("ConnectionLostError", "re")]


@pytest.mark.slow
async def test_the_log_alone_is_enough_to_go_on(
    run: Run, command_name: tuple[str, ...], tmp_path: Path
) -> None:
    log = tmp_path / "log.jsonl"
    prompts = jsonl(tmp_path / "p.jsonl", {"prompt": "a"}, {"prompt": "b", "id": 7})
    args = (*command_name, "run", "--log", str(log))
    async with Simulator(text=echo, faults=["eof:1", None]) as simulator:
        assert (await run(*args, prompts, env=simulated(simulator))).code == 1
        assert (await run(*args, prompts, env=simulated(simulator))).code == 0
        assert simulator.request_count == 3
        # Another text under the same id, and another model, are other answers.
        jsonl(tmp_path / "p.jsonl", {"prompt": "a"}, {"prompt": "c", "id": 7})
        assert (await run(*args, prompts, env=simulated(simulator))).code == 0
        assert simulator.request_count == 4
        assert (await run(*args, prompts, "-m", "gpt-4o", env=simulated(simulator))).code == 0
        assert simulator.request_count == 6


@pytest.mark.slow
async def test_ctrl_c_lets_the_running_answers_end_and_says_how_to_go_on(
    start, run: Run, command_name: tuple[str, ...], tmp_path: Path
) -> None:
    prompts = jsonl(tmp_path / "p.jsonl", *({"prompt": f"p{n}"} for n in range(12)))
    out = tmp_path / "out.jsonl"
    args = ("run", prompts, "--out", str(out), "--concurrency", "3")
    async with Simulator(text="a b c", ttft=0.2) as simulator:
        running = await start(*args, env=simulated(simulator))
        await simulator.wait_request(3, timeout=20)
        running.interrupt()
        await running.until("Ctrl-C again")
        assert await running.ended() == 130
        asked = simulator.request_count
        assert asked < 12
        assert len(rows(out)) == asked
        assert all(row["ok"] for row in rows(out))
        assert "the same command again goes on from here" in running.err
        assert "Traceback" not in running.err
        done = await run(*command_name, *args, env=simulated(simulator))
        assert (done.code, simulator.request_count) == (0, 12)


async def test_a_second_ctrl_c_ends_them_at_once(start, tmp_path: Path) -> None:
    prompts = jsonl(tmp_path / "p.jsonl", *({"prompt": f"p{n}"} for n in range(5)))
    log = tmp_path / "log.jsonl"
    async with Simulator(text="a b c", faults="stall:1") as simulator:
        running = await start("run", prompts, "--log", str(log), env=simulated(simulator))
        await simulator.wait_request(5, timeout=20)
        running.interrupt()
        await running.until("Ctrl-C again")
        pressed = time.monotonic()
        running.interrupt()
        assert await running.ended() == 130
        assert time.monotonic() - pressed < 3
    assert "5 answers are missing" in running.err
    assert [row["error"] for row in rows(log) if row["e"] == "error"] == ["StreamCancelled"] * 5


async def test_a_refused_key_stops_the_run(
    run: Run, command_name: tuple[str, ...], tmp_path: Path
) -> None:
    prompts = jsonl(tmp_path / "p.jsonl", *({"prompt": f"p{n}"} for n in range(30)))
    async with Simulator(api_key="sk-the-right-one") as simulator:
        done = await run(
            *command_name, "run", prompts, "--concurrency", "2", env=simulated(simulator)
        )
        assert simulator.request_count <= 4
    assert done.code == 1
    assert "AuthenticationError" in done.err
    assert "sk-test-0123456789" not in done.err


async def test_without_a_key_nothing_begins(
    run: Run, command_name: tuple[str, ...], tmp_path: Path
) -> None:
    prompts = jsonl(tmp_path / "p.jsonl", {"prompt": "a"})
    done = await run(*command_name, "run", prompts, env=clean_environment())
    assert done.code == 1
    assert "OPENAI_API_KEY" in done.err


async def test_on_a_terminal_there_is_a_bar(start, tmp_path: Path) -> None:
    prompts = jsonl(tmp_path / "p.jsonl", *({"prompt": f"p{n}"} for n in range(6)))
    async with Simulator(text="a b c", ttft=0.1) as simulator:
        env = {**simulated(simulator), "TERM": "xterm"}
        running = await start("run", prompts, "--concurrency", "2", env=env, terminal=True)
        assert await running.ended() == 0
    assert "6/6" in running.out
    assert "0 failed" in running.out
    assert "lm-deluge: 6 of 6 answers" in running.out


async def test_requests_leave_no_faster_than_the_limit_allows(
    run: Run, command_name: tuple[str, ...], tmp_path: Path
) -> None:
    prompts = jsonl(tmp_path / "p.jsonl", *({"prompt": f"p{n}"} for n in range(7)))
    models = ("-m", "gpt-4o", "-m", "gpt-4o-mini")
    async with Simulator(text="hi") as simulator:
        done = await run(
            *command_name, "run", prompts, *models, "--rpm", "600", env=simulated(simulator)
        )
        moments = [request.at for request in simulator.requests]
    assert done.code == 0
    # 10 a second, of both models together: the first second's worth at once, then 4 more.
    assert len(moments) == 14
    assert moments[-1] - moments[0] >= 0.35


async def test_a_bucket_gives_what_the_minute_allows_and_makes_debts_wait() -> None:
    bucket = Bucket(600)  # 10 a second
    begun = time.monotonic()
    for _ in range(10):
        await bucket.take(1)  # the first second's worth is there
    assert time.monotonic() - begun < 0.08
    await bucket.take(1)
    assert 0.07 <= time.monotonic() - begun < 0.5
    bucket.spend(2)
    await bucket.take(1)
    assert time.monotonic() - begun >= 0.36
    bucket.spend(-50)  # given back, but never more than it holds
    begun = time.monotonic()
    for _ in range(12):
        await bucket.take(1)
    assert time.monotonic() - begun >= 0.15


@pytest.mark.slow
async def test_tokens_are_estimated_and_then_corrected(
    run: Run, command_name: tuple[str, ...], tmp_path: Path
) -> None:
    prompts = jsonl(tmp_path / "p.jsonl", *({"prompt": f"p{n}"} for n in range(4)))
    args = ("--tpm", "60000", "--concurrency", "1", "--max-tokens", "1000")
    usage = {"prompt_tokens": 10, "completion_tokens": 990, "total_tokens": 1000}
    async with Simulator(text="hi", usage=usage) as simulator:
        done = await run(*command_name, "run", prompts, *args, env=simulated(simulator))
        moments = [request.at for request in simulator.requests]
    assert done.code == 0
    # 1,000 tokens a second, 1,000 each: the first is estimated at 300, the debt is paid after it.
    assert moments[-1] - moments[0] >= 1.5


@pytest.mark.parametrize(
    ("variable", "args", "models"),
    [
        ("o3", (), {"o3"}),
        ("gpt-4o o3", (), {"gpt-4o", "o3"}),
        ("gpt-4o", ("-m", "o3"), {"o3"}),
    ],
)
def test_the_model_may_come_from_the_environment(
    call: Call, tmp_path: Path, variable: str, args: tuple[str, ...], models: set[str]
) -> None:
    prompts = jsonl(tmp_path / "p.jsonl", {"prompt": "a"})
    with Simulator() as simulator:
        env = {"OPENAI_BASE_URL": simulator.base_url, "OPENAI_API_KEY": "sk-1"}
        done = call("run", prompts, "--quiet", *args, LM_DELUGE_MODEL=variable, **env)
        asked = {request.json["model"] for request in simulator.requests}
    assert (done.code, asked) == (0, models)
