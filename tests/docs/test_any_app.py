"""docs/measure-any-app.md: its app is watched unchanged, and its container is let in."""

from __future__ import annotations

import asyncio
import re
import shlex
import shutil
import signal
import sys
from pathlib import Path

import aiohttp
import pytest

from lm_deluge.simulator import Simulator
from support.guides import check_pictures, made, pictures_in
from support.pages import blocks
from support.programs import ROOT, Run, clean_environment

PAGE = ROOT / "docs" / "measure-any-app.md"
SCRIPT = ROOT / "docs" / "guide" / "make_any_app.py"


def holds(page: str) -> None:
    """Whether the page's parts say what its sentences make of them."""
    parts = {name: " ".join(part.split()) for name, part in made(page).items()}
    assert list(parts) == ["watch", "report", "compare"]
    assert "$ lm-deluge proxy --log timelines.jsonl lm-deluge passes requests on" in parts["watch"]
    assert re.search(r"\d+ streams ended · lm-deluge report timelines.jsonl", parts["watch"])
    assert "$ lm-deluge report timelines.jsonl --html report.html" in parts["report"]
    assert "looks like a buffering proxy" in parts["report"]
    assert "variant direct feels better than variant gateway: first text" in parts["compare"]


def test_it_shows_what_its_sentences_say() -> None:
    holds(PAGE.read_text("utf-8"))


def test_its_pictures_are_there_and_small() -> None:
    check_pictures(PAGE, (PAGE.parent / "guide/any-app").iterdir())


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_its_commands_run_and_find_why_the_app_stutters(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("openai", reason="openai is not installed (extra test)")
    done = await run(sys.executable, SCRIPT, "--quick", tmp_path, cwd=tmp_path, seconds=200)
    assert done.code == 0, done.err
    holds((tmp_path / PAGE.name).read_text("utf-8"))


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_the_whole_script_takes_new_pictures(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("openai", reason="openai is not installed (extra test)")
    if shutil.which("chromium") is None:
        pytest.skip("no chromium on this machine (Debian: apt-get install chromium)")
    done = await run(sys.executable, SCRIPT, tmp_path, cwd=tmp_path, seconds=390)
    assert done.code == 0, done.err
    fresh = {f"guide/any-app/{path.name}" for path in (tmp_path / "guide/any-app").iterdir()}
    assert fresh == set(pictures_in(PAGE.read_text("utf-8")))


async def test_its_container_lets_the_app_in_by_the_name_it_is_called_by(
    command_name: tuple[str, ...], tmp_path: Path
) -> None:
    (compose,) = (block.text for block in blocks(PAGE) if block.language == "yaml")
    (told,) = re.findall(r"OPENAI_BASE_URL: http://(\S+):4141/v1$", compose, re.M)
    (service,) = re.findall(r"^  (\w+):\n    build:", compose, re.M)
    (command,) = re.findall(r"command: lm-deluge (proxy .*)", compose)
    (stop,) = re.findall(r"stop_signal: (\w+)", compose)
    assert told == service
    log = tmp_path / "timelines.jsonl"
    words = shlex.split(command.replace(":4141", ":0").replace("/logs/timelines.jsonl", str(log)))
    async with Simulator(text="The sea is blue.") as simulator:
        proxy = await asyncio.create_subprocess_exec(
            *command_name, *words, "--upstream", simulator.base_url,
            env=clean_environment(), stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert proxy.stdout is not None
        said = (await proxy.stdout.readline()).decode()
        (port,) = re.findall(r":(\d+)", said)
        statuses = []
        async with aiohttp.ClientSession() as session:
            for host in (f"{service}:{port}", "elsewhere.example"):
                answer = await session.post(
                    f"http://127.0.0.1:{port}/v1/chat/completions",
                    headers={"Host": host, "Authorization": "Bearer k"},
                    json={
                        "model": "gpt-4o",
                        "stream": True,
                        "messages": [{"role": "user", "content": "Hi"}],
                    },
                )
                statuses.append((answer.status, "blue" in await answer.text()))
        proxy.send_signal(signal.Signals[stop])
        await proxy.communicate()
    assert proxy.returncode == 0
    assert [statuses[0], statuses[1][1]] == [(200, True), False]
    assert statuses[1][0] in (403, 421)
    assert log.read_text("utf-8").count('"e":"complete"') == 1
