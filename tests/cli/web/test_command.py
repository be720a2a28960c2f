"""``lm-deluge web``: what it says, with a key and without, and how it ends."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from lm_deluge.simulator import Simulator
from support.programs import Call, Run, clean_environment, simulated
from support.relaying import check_log
from support.web_page import ask, read


async def address(running: Any) -> str:
    """Return where the page is, once everything is told."""
    await running.until("simulator")
    found = re.search(r"http://\S+?(?=/[?\s])", running.out)
    assert found is not None
    return found[0]


@pytest.mark.slow
async def test_without_a_key_a_simulator_answers_and_the_log_is_what_the_report_reads(
    start, run: Run, command_name: tuple[str, ...], tmp_path: Path
) -> None:
    log = tmp_path / "log.jsonl"
    running = await start("web", "--no-open", "--log", str(log), env=clean_environment())
    url = await address(running)
    assert "No API key was found: the page talks to a simulator" in running.err
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{url}/about") as response:
            choices = (await response.json())["choices"]
        assert {choice["simulated"] for choice in choices} == {True}
        _, said = await ask(session, url, model="simulator-thinking")
        check_log(await read(session, url, said["id"]))
    running.interrupt()
    assert await running.ended() == 0
    assert f"1 stream ended · lm-deluge report {log}" in running.err
    rows = [json.loads(line) for line in log.read_text().splitlines() if line]
    assert [(row["e"], row["s"]) for row in rows][:: len(rows) - 1] == [
        ("start", said["id"]),
        ("complete", said["id"]),
    ]
    done = await run(*command_name, "report", str(log), env=clean_environment())
    assert done.code == 0
    assert "simulator-thinking" in done.out


@pytest.mark.slow
async def test_with_a_key_the_model_answers_and_the_key_stays_here(start, tmp_path: Path) -> None:
    async with Simulator(text="Hello", gap=0.2) as simulator:
        env = simulated(simulator)
        running = await start(
            "web", "gpt-6-sol", "anthropic:claude-sonnet-5-5", "--no-open", "--quiet",
            "--system", "Be brief.", "--record", str(tmp_path / "run.rec"), env=env,
        )  # fmt: skip
        url = await address(running)
        assert "The page talks to gpt-6-sol, anthropic:claude-sonnet-5-5, and to a simulator." in (
            running.err
        )
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{url}/about") as response:
                about = await response.text()
            assert [choice["name"] for choice in json.loads(about)["choices"]][:2] == [
                "gpt-6-sol", "anthropic:claude-sonnet-5-5",
            ]  # fmt: skip
            for model in ("gpt-6-sol", "anthropic:claude-sonnet-5-5"):
                _, said = await ask(session, url, model=model)
                events = await read(session, url, said["id"])
                check_log(events)
                assert env["OPENAI_API_KEY"] not in about + "".join(e.data for e in events)
            # Ctrl-C in the middle of an answer ends it, too.
            await ask(session, url, model="gpt-6-sol")
            running.process.send_signal(signal.SIGTERM)
            assert await running.ended(seconds=10) == 0
        assert [request.json.get("system") for request in simulator.requests][1:2] == ["Be brief."]
        async with asyncio.timeout(10):
            while not all(request.finished.is_set() for request in simulator.requests):
                await asyncio.sleep(0.01)


@pytest.mark.slow
async def test_a_model_without_its_key_is_told_and_others_answer(start) -> None:
    running = await start("web", "gpt-6-sol", "--no-open", "--port", "0", "--host", "0.0.0.0",
                          env=clean_environment())  # fmt: skip
    await running.until("Whoever has the link")
    assert "gpt-6-sol cannot be asked: no API key: set the environment variable OPENAI_API_KEY" in (
        running.err
    )
    assert "/?token=" in running.out
    running.interrupt()
    assert await running.ended() == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--port", "70000"), "--port"),
        (("--port", "x"), "'x' is not a valid integer"),
        (("--allow-host", "http://box"), "--allow-host: the name of a host is expected"),
        (("--log", "."), "--log"),
        (("--host", ""), "--host: an address is expected"),
        (("--host", "a" * 70 + ".example"), "is no address of this machine"),
        (("--temperature", "9"), "--temperature"),
        (("--plain",), "No such option"),
        (("no-such-model",), "no-such-model"),
    ],
)
def test_wrong_usage_is_one_line(call: Call, arguments: tuple[str, ...], says: str) -> None:
    done = call("web", "--no-open", *arguments)
    assert done.code == 2
    assert says in done.err
    assert len(done.err.splitlines()) == 1


def test_a_port_that_is_taken_is_told(call: Call) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = call("web", "--no-open", "--port", str(port))
    assert done.code == 1
    assert str(port) in done.err
    assert "Traceback" not in done.err
