"""What Windows' event loop lacks is done otherwise: the command line with a loop that takes no signals."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from lm_deluge.simulator import Simulator
from support.extras import needs
from support.programs import clean_environment, simulated

pytestmark = needs("click", "rich")

#: The command line under an event loop that knows of signals what Windows' loops know.
PROGRAM = """
import asyncio

def lacking(self, *args):
    raise NotImplementedError

asyncio.SelectorEventLoop.add_signal_handler = lacking
asyncio.SelectorEventLoop.remove_signal_handler = lacking

from lm_deluge.cli import main
main()
"""


@pytest.fixture
def command_name() -> tuple[str, ...]:
    """What the fixture ``start`` starts here."""
    return (sys.executable, "-c", PROGRAM)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
async def test_simulate_serves_until_it_is_stopped(start, how: signal.Signals) -> None:
    simulate = await start("simulate", env=clean_environment())
    await simulate.until("OPENAI_API_KEY=")
    simulate.process.send_signal(how)
    assert await simulate.ended() == 0
    assert simulate.err == "stopped\n"


async def test_the_first_ctrl_c_waits_for_running_answers_and_the_second_does_not(
    start, tmp_path: Path
) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("a\nb\nc\n", "utf-8")
    args = ("run", str(prompts), "--out", str(tmp_path / "answers.jsonl"))
    async with Simulator(text="a b c", faults="stall:1") as simulator:
        running = await start(*args, env=simulated(simulator))
        await simulator.wait_request(3, timeout=20)
        running.interrupt()
        await running.until("Ctrl-C again")
        running.interrupt()
        assert await running.ended() == 130
    assert "Traceback" not in running.err
