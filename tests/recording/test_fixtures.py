"""``lm_deluge.testing``: pytest fixtures for users' own suites."""

from __future__ import annotations

import sys
from pathlib import Path

from lm_deluge import LLMClient
from lm_deluge.simulator import Simulator
from lm_deluge.testing import StartReplay
from programs import Run, clean_environment


async def test_the_environment_leads_to_the_simulator(simulator: Simulator) -> None:
    response = await LLMClient("gpt-4o", printer=None).stream("Hi")
    assert simulator.request_count == 1
    assert response.completion


async def test_replay_serves_a_recording(
    simulator: Simulator, replay: StartReplay, tmp_path: Path
) -> None:
    path = tmp_path / "a.rec"
    client = LLMClient("gpt-4o", printer=None, record=path)
    first = [await client.stream(prompt) for prompt in ("one", "two")]
    server = await replay(path, by="hash")
    again = await LLMClient("gpt-4o", printer=None).stream("two")
    assert again.completion == first[1].completion
    assert (simulator.request_count, server.request_count) == (2, 1)


SUITE = """
import pytest
from lm_deluge import LLMClient

@pytest.mark.asyncio
@pytest.mark.simulator(text="Short.")
async def test_marker(simulator):
    assert (await LLMClient("gpt-4o", printer=None).stream("Hi")).completion == "Short."

def test_is_known(pytestconfig):
    assert any(line.startswith("simulator(") for line in pytestconfig.getini("markers"))
"""


async def test_a_suite_registers_them_as_a_plugin(run: Run, tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["lm_deluge.testing"]\n', "utf-8")
    (tmp_path / "test_it.py").write_text(SUITE, "utf-8")
    done = await run(
        sys.executable, "-m", "pytest", "-q", "--strict-markers", "-W", "error",
        "-o", "asyncio_default_fixture_loop_scope=function",  # or pytest-asyncio asks for it
        "-p", "no:cacheprovider", str(tmp_path), cwd=tmp_path, env=clean_environment(),
    )  # fmt: skip
    assert done.code == 0, done.out
    assert "2 passed" in done.out


async def test_lm_deluge_imports_no_pytest_and_says_what_is_missing(run: Run) -> None:
    program = """
import sys
sys.modules["pytest_asyncio"] = None
import lm_deluge, lm_deluge.recording, lm_deluge.simulator, lm_deluge_plugins
assert "pytest" not in sys.modules
try:
    import lm_deluge.testing
except ModuleNotFoundError as error:
    print(error)
"""
    done = await run(sys.executable, "-c", program, env=clean_environment())
    assert done.out == "lm_deluge.testing needs pytest_asyncio: pip install pytest pytest-asyncio\n"
