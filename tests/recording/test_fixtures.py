"""``lm_deluge.testing``: pytest fixtures for users' own suites."""

from __future__ import annotations

import sys
from pathlib import Path

from lm_deluge import LLMClient
from lm_deluge.simulator import Simulator
from lm_deluge.testing import StartReplay
from support.programs import Finished, Run, clean_environment


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

pytestmark = pytest.mark.simulator(text="Of the module.", seed=3)


def ask():
    import json, os, urllib.request
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}
    headers = {"Authorization": "Bearer " + os.environ["OPENAI_API_KEY"],
               "Content-Type": "application/json"}
    request = urllib.request.Request(
        os.environ["OPENAI_BASE_URL"] + "/chat/completions", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=10) as reply:
        return json.load(reply)["choices"][0]["message"]["content"]


@pytest.mark.asyncio
@pytest.mark.simulator(text="Short.")
async def test_marker(simulator):
    assert (await LLMClient("gpt-4o", printer=None).stream("Hi")).completion == "Short."


def test_plain_function(simulator):
    assert ask() == "Of the module."
    assert simulator.requests[0].path == "/v1/chat/completions"


@pytest.mark.simulator(text="Of the class.")
class TestMerging:
    @pytest.mark.simulator("status:500")
    def test_markers_add_up(self, simulator):
        import urllib.error
        with pytest.raises(urllib.error.HTTPError, match="500") as caught:
            ask()
        caught.value.close()

    @pytest.mark.simulator(text="Of the function.")
    def test_the_closest_counts(self, simulator):
        assert ask() == "Of the function."

    @pytest.mark.simulator(text="Of the function.")
    @pytest.mark.parametrize(
        "said", [pytest.param("Of the case.", marks=pytest.mark.simulator(text="Of the case.")),
                 "Of the function."])
    def test_a_case_is_closer(self, simulator, said):
        assert ask() == said


@pytest.mark.asyncio(loop_scope="module")
class TestModuleLoop:
    async def test_first(self, simulator):
        assert (await LLMClient("gpt-4o", printer=None).stream("Hi")).completion
        await simulator.wait_request()

    async def test_second(self, simulator):
        assert (await LLMClient("gpt-4o", printer=None).stream("Hi")).completion


@pytest.mark.asyncio(loop_scope="session")
async def test_session_loop(simulator):
    client = LLMClient("gpt-4o", printer=None)
    assert (await client.stream("Hi")).completion == "Of the module."
    await client.close()
    await simulator.wait_closed_connections()


def test_replay_without_async(simulator, replay, tmp_path):
    import asyncio
    path = tmp_path / "a.rec"
    asyncio.run(LLMClient("gpt-4o", printer=None, record=path).stream("Hi"))
    server = replay(path, by="hash")
    again = asyncio.run(LLMClient("gpt-4o", printer=None).stream("Hi"))
    assert again.completion == "Of the module."
    assert server.request_count == 1


def test_is_known(pytestconfig):
    assert any(line.startswith("simulator(") for line in pytestconfig.getini("markers"))
"""


async def _suite(run: Run, folder: Path, suite: str) -> Finished:
    (folder / "conftest.py").write_text('pytest_plugins = ["lm_deluge.testing"]\n', "utf-8")
    (folder / "test_it.py").write_text(suite, "utf-8")
    return await run(
        sys.executable, "-X", "dev", "-m", "pytest", "-q", "--strict-markers", "-W", "error",
        "-o", "asyncio_default_fixture_loop_scope=function",  # or pytest-asyncio asks for it
        "-p", "no:cacheprovider", str(folder), cwd=folder, env=clean_environment(),
    )  # fmt: skip


async def test_a_suite_registers_them_as_a_plugin(run: Run, tmp_path: Path) -> None:
    done = await _suite(run, tmp_path, SUITE)
    assert done.code == 0, done.out
    assert "11 passed" in done.out


async def test_they_need_no_plugin_for_async_tests(run: Run, tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -p no:asyncio\n", "utf-8")
    suite = "def test_it(simulator):\n    assert simulator.base_url.startswith('http://127.')\n"
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["lm_deluge.testing"]\n', "utf-8")
    (tmp_path / "test_it.py").write_text(suite, "utf-8")
    done = await run(
        sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path),
        cwd=tmp_path, env=clean_environment(),
    )  # fmt: skip
    assert "1 passed" in done.out, done.out


#: What makes no sense, and what is said of it.
MARKERS = {
    '"reset:1", "eof:2"': "2 arguments without a name: only the first, faults, needs none",
    '"reset:1", faults="eof:2"': "faults is given twice, as 'reset:1' and 'eof:2'",
    'txet="Hi"': "no argument 'txet'; it takes port, host, seed, text",
    '"rest:1"': "no fault is called 'rest'; there are: ",
    "tokens=-1": "tokens must be an integer >= 0, or None, not -1",
}


async def test_a_marker_that_makes_no_sense_says_so(run: Run, tmp_path: Path) -> None:
    suite = "import pytest\n" + "".join(
        f"@pytest.mark.simulator({marker})\ndef test_{at}(simulator): pass\n"
        for at, marker in enumerate(MARKERS)
    )
    done = await _suite(run, tmp_path, suite)
    assert f"{len(MARKERS)} errors" in done.out
    assert [complaint for complaint in MARKERS.values() if complaint not in done.out] == []


async def test_lm_deluge_imports_no_pytest_and_says_what_is_missing(run: Run) -> None:
    program = """
import sys
import lm_deluge, lm_deluge.recording, lm_deluge.simulator, lm_deluge_plugins
assert "pytest" not in sys.modules
sys.modules["pytest"] = None
try:
    import lm_deluge.testing
except ModuleNotFoundError as error:
    print(error)
"""
    done = await run(sys.executable, "-c", program, env=clean_environment())
    assert done.out == "lm_deluge.testing needs pytest: pip install pytest\n"
