"""``lm-deluge`` itself, ``demo`` and ``simulate``."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import sys
from pathlib import Path

import pytest

from lm_deluge import LLMClient, __version__
from lm_deluge.errors import ConnectionLostError, NotFoundError
from support.extras import skip_without
from support.programs import Call, Run, clean_environment

COMMANDS = ("demo", "stream", "chat", "run", "simulate", "proxy", "web", "report", "replay")


async def test_help_lists_the_commands_and_the_exit_codes(
    run: Run, command_name: tuple[str, ...]
) -> None:
    done = await run(*command_name, "--help")
    assert (done.code, done.err) == (0, "")
    for command in COMMANDS:
        assert re.search(rf"^  {command} ", done.out, re.MULTILINE)
    assert "141" in done.out


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(call: Call, command: str) -> None:
    done = call(command, "-h")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"Usage: lm-deluge {command}")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_in_words_and_not_in_names_of_types(call: Call, command: str) -> None:
    done = call(command, "--help")
    assert not re.search(r"RANGE|default: \(", done.out)


@pytest.mark.parametrize(
    ("command", "option"),
    [
        ("stream", "--temperature"),
        ("stream", "--max-tokens"),
        ("run", "--rpm"),
        ("simulate", "--port"),
    ],
)
def test_a_word_in_the_place_of_a_number_is_told_as_such(
    call: Call, command: str, option: str
) -> None:
    done = call(command, option, "hot")
    assert done.code == 2
    assert re.search(r"'hot' is not a valid (number|integer)\.", done.err)


async def test_version(run: Run, command_name: tuple[str, ...]) -> None:
    done = await run(*command_name, "--version")
    assert (done.code, done.out) == (0, f"lm-deluge, version {__version__}\n")


def test_no_command_shows_the_help(call: Call) -> None:
    done = call()
    assert done.code == 2
    assert done.out.startswith("Usage: lm-deluge")


def test_unknown_command_is_one_line(call: Call) -> None:
    done = call("strem")
    assert done.code == 2
    assert len(done.err.splitlines()) == 1
    assert "strem" in done.err


@pytest.mark.parametrize("missing", ["click", "rich"])
async def test_missing_extra_names_the_packages(run: Run, missing: str) -> None:
    skip_without(*{"click", "rich"} - {missing})
    program = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from lm_deluge.cli import main; sys.argv = ['lm-deluge', 'demo']; main()"
    )
    done = await run(sys.executable, "-c", program)
    assert done.code == 1
    assert done.err == (
        f"lm-deluge: the command line needs the package {missing}, which is not installed: "
        "pip install click rich\n"
    )


@pytest.mark.slow
async def test_demo_needs_nothing(run: Run, command_name: tuple[str, ...], tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    done = await run(*command_name, "demo", "--log", str(log), env=clean_environment())
    assert (done.code, done.complaints) == (0, "")
    story, _, rest = done.out.partition("How it felt")
    assert len(story) > 300
    for row in ("time to first token", "gap between pieces", "output rate", "stalls", "experience"):
        assert row in rest
    events = [json.loads(line)["e"] for line in log.read_text("utf-8").splitlines() if line]
    assert (events[0], events[-1], events.count("token")) == ("start", "complete", 110)


@pytest.mark.slow
async def test_demo_of_another_seed_tells_another_story(
    run: Run, command_name: tuple[str, ...]
) -> None:
    first, second, third = await asyncio.gather(
        *(run(*command_name, "demo", "--seed", seed) for seed in ("1", "1", "2"))
    )
    stories = [done.out.partition("How it felt")[0] for done in (first, second, third)]
    assert stories[0] == stories[1] != stories[2]


async def test_demo_stops_at_ctrl_c(start) -> None:
    demo = await start("demo", env=clean_environment())
    await demo.until(" ")
    demo.interrupt()
    assert await demo.ended() == 130
    assert demo.err == ""


async def url_of(simulate) -> str:
    await simulate.until("OPENAI_API_KEY=")
    found = re.search(r"^export OPENAI_BASE_URL=(\S+)$", simulate.out, re.MULTILINE)
    assert found
    return found[1]


@pytest.mark.parametrize(
    "model",
    ["openai:gpt-6-sol", "openai-responses:gpt-6-sol", "anthropic:claude-x", "gemini:gemini-x"],
)
async def test_simulate_tells_the_variables_by_which_every_dialect_reaches_it(
    start, model: str
) -> None:
    args = ("--ttft", "0", "--gap", "0", "--text", "Hello!", "--api-key", "sk-1", "--model-less")
    simulate = await start("simulate", *args, env=clean_environment())
    await simulate.until("GEMINI_API_KEY=sk-1\n")
    told = dict(re.findall(r"^export (\w+)=(\S+)$", simulate.out, re.MULTILINE))
    asked = await start("stream", "Hi", "-m", model, "--quiet", env=clean_environment(**told))
    assert await asked.ended() == 0, asked.err
    assert asked.out == "Hello!\n"
    simulate.interrupt()
    assert await simulate.ended() == 0


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
async def test_simulate_serves_until_it_is_stopped(start, how: signal.Signals) -> None:
    args = ("--ttft", "0", "--gap", "0", "--text", "Hello!")
    simulate = await start("simulate", *args, env=clean_environment())
    url = await url_of(simulate)
    async with LLMClient("gpt-4o", base_url=url, api_key="any", printer=None) as client:
        response = await client.stream("Hi")
        assert response.completion == "Hello!"
        await simulate.until("POST /v1/chat/completions  gpt-4o  200")
        simulate.process.send_signal(how)
        assert await simulate.ended() == 0
    assert simulate.err.endswith("stopped\n")
    assert "Traceback" not in simulate.err


async def test_simulate_stops_while_it_answers(start) -> None:
    simulate = await start("simulate", "--gap", "5", "--ttft", "0", env=clean_environment())
    url = await url_of(simulate)
    async with LLMClient("gpt-4o", base_url=url, api_key="any", printer=None) as client:
        with pytest.raises(ConnectionLostError):
            async with client.open_stream("Hi") as stream:
                async for _ in stream:
                    simulate.interrupt()
        assert await simulate.ended() == 0


async def test_simulate_plays_faults_in_turns(start) -> None:
    args = ("--fault", "reset:2", "--fault", "none", "--gap", "0", "--ttft", "0")
    simulate = await start("simulate", *args, env=clean_environment())
    client = LLMClient("gpt-4o", base_url=await url_of(simulate), api_key="x", printer=None)
    async with client:
        for _ in range(2):
            with pytest.raises(ConnectionLostError):
                await client.stream("Hi")
            assert (await client.stream("Hi")).finish_reason == "stop"
    await simulate.until("reset:2")


async def test_simulate_serves_other_models_when_told_to(start) -> None:
    for args, served in (((), False), (("--model-less",), True)):
        simulate = await start(
            "simulate", "--ttft", "0", "--gap", "0", *args, env=clean_environment()
        )
        url = await url_of(simulate)
        async with LLMClient("llama3.2", base_url=url, api_key="x", printer=None) as client:
            if served:
                assert (await client.stream("Hi")).model_external == "llama3.2"
            else:
                with pytest.raises(NotFoundError):
                    await client.stream("Hi")


@pytest.mark.parametrize(
    ("option", "value", "word"),
    [
        ("--fault", "explode", "no fault is called 'explode'"),
        ("--fault", "stall:x", "stall:x"),
        ("--gap", "often", "often"),
        ("--fault-rate", "0.5", "--fault"),
        ("--port", "99999", "99999"),
    ],
)
def test_simulate_refuses_what_makes_no_sense(
    call: Call, option: str, value: str, word: str
) -> None:
    done = call("simulate", option, value)
    assert done.code == 2
    assert len(done.err.splitlines()) == 1
    assert word in done.err


async def test_simulate_says_that_a_port_is_taken(run: Run, command_name: tuple[str, ...]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = await run(*command_name, "simulate", "--port", port)
    assert done.code == 1
    assert len(done.err.splitlines()) == 1
    assert "in use" in done.err
