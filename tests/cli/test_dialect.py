"""``--dialect``: the commands that ask a model ask it by another API."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lm_deluge.simulator import Simulator
from support.programs import Call, Run, clean_environment

ASKING = ("stream", "chat", "run")


def arguments(command: str, folder: Path) -> tuple[str, ...]:
    """Ask "Why?" by a command; ``chat`` hears it from standard input."""
    if command != "run":
        return (command, "Why?") if command == "stream" else (command,)
    prompts = folder / "prompts.txt"
    prompts.write_text("Why?\n", "utf-8")
    return ("run", str(prompts), "--quiet")


@pytest.mark.parametrize("command", ASKING)
@pytest.mark.parametrize(
    ("dialect", "path", "variables"),
    [
        ("chat", "/v1/chat/completions", "OPENAI"),
        ("responses", "/v1/responses", "OPENAI"),
        ("messages", "/v1/messages", "ANTHROPIC"),
        ("gemini", "/v1beta/models/", "GEMINI"),
    ],
)
async def test_the_model_is_asked_by_that_api(
    run: Run,
    command_name: tuple[str, ...],
    tmp_path: Path,
    command: str,
    dialect: str,
    path: str,
    variables: str,
) -> None:
    async with Simulator(text="Because.", models=["claude-or-gpt"]) as simulator:
        url = simulator.base_url if variables == "OPENAI" else simulator.url
        done = await run(
            *command_name,
            *arguments(command, tmp_path),
            *("-m", "claude-or-gpt", "--dialect", dialect, "--base-url", url),
            env=clean_environment(**{f"{variables}_API_KEY": "k"}),
            stdin="Why?\n" if command == "chat" else "",
            cwd=tmp_path,
        )
    assert done.code == 0, done.err
    assert "Because." in done.out
    assert [request.path.startswith(path) for request in simulator.requests] == [True]


@pytest.mark.parametrize("command", ASKING)
def test_a_dialect_that_nobody_has_is_named(call: Call, tmp_path: Path, command: str) -> None:
    done = call(*arguments(command, tmp_path), "--dialect", "latin", OPENAI_API_KEY="k")
    assert done.code == 2
    (line,) = done.err.splitlines()
    for word in ("'latin'", "chat", "responses", "messages", "gemini"):
        assert word in line


@pytest.mark.parametrize("command", ASKING)
async def test_a_prefix_does_the_same(
    run: Run, command_name: tuple[str, ...], tmp_path: Path, command: str
) -> None:
    async with Simulator(text="Because.") as simulator:
        done = await run(
            *command_name,
            *arguments(command, tmp_path),
            *("-m", "anthropic:claude-haiku-5-5"),
            env=clean_environment(ANTHROPIC_API_KEY="k", ANTHROPIC_BASE_URL=simulator.url),
            stdin="Why?\n" if command == "chat" else "",
            cwd=tmp_path,
        )
    assert done.code == 0, done.err
    (request,) = simulator.requests
    assert json.loads(request.body)["model"] == "claude-haiku-5-5"
