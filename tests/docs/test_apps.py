"""The programs in examples/apps/, each by its framework, over sockets: tokens as they arrive, and an end of
the stream when the reader leaves."""

from __future__ import annotations

import http.client
import importlib.util
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lm_deluge.simulator import Simulator
from support.programs import ROOT, simulated

pytestmark = pytest.mark.program

APPS = ROOT / "examples/apps"

SHORT = [f"word{number} " for number in range(10)]
LONG = ["word "] * 1000

#: The program, the command that serves it at a port, and where it is asked.
SERVED = {
    "fastapi_app": (
        "fastapi uvicorn",
        "-m uvicorn --app-dir {apps} fastapi_app:app --port {port}",
        "/ask",
    ),
    "flask_app": ("flask", "-m flask --app {apps}/flask_app.py run --port {port}", "/ask"),
    "django_app": ("django", "{apps}/django_app.py runserver --noreload {port}", "/ask"),
    "django_app, async": (
        "django uvicorn",
        "-m uvicorn --app-dir {apps} django_app:asgi --port {port} --lifespan off",
        "/ask-async",
    ),
}


def test_no_app_is_without_a_test() -> None:
    here = Path(__file__).read_text("utf-8")
    assert [
        path.stem for path in APPS.iterdir() if path.stem != "__pycache__" and path.stem not in here
    ] == []


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def served(kind: str, simulator: Simulator) -> Iterator[tuple[int, str]]:
    """Run an app; give its port, and the path at which it is asked."""
    packages, command, path = SERVED[kind]
    for package in packages.split():
        pytest.importorskip(package, reason="needs the extra test")
    port = _free_port()
    words = command.format(apps=APPS, port=port).split()
    with subprocess.Popen(
        [sys.executable, *words],
        env=simulated(simulator),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            _wait_for(port, process)
            yield port, path
        finally:
            process.terminate()
            said = process.communicate(timeout=20)[0]
    assert "Traceback" not in said, said


def _wait_for(port: int, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 40
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.05)


@pytest.mark.parametrize("kind", SERVED)
def test_tokens_come_as_they_arrive_and_a_reader_who_leaves_ends_the_stream(kind: str) -> None:
    with Simulator(text=lambda body: LONG if "long" in str(body) else SHORT, gap=0.05) as simulator:
        with served(kind, simulator) as (port, path):
            asking = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            asking.request("GET", f"{path}?question=short")
            answer = asking.getresponse()
            first = answer.read1().decode()
            came = time.monotonic()
            rest = answer.read().decode()
            took = time.monotonic() - came
            assert (answer.status, first + rest) == (200, "".join(SHORT))
            assert len(first) < 30
            assert took > 0.15  # the rest was not there yet
            asking.close()

            asking.request("GET", f"{path}?question=long")
            answer = asking.getresponse()
            assert answer.read1().startswith(b"word")
            begun = time.monotonic()
            asking.close()
            answer.close()
            while simulator.open_connections:
                assert time.monotonic() < begun + 10
                time.sleep(0.02)


@pytest.mark.slow
async def test_an_answer_in_a_notebook_is_one_output_that_is_drawn_a_few_times() -> None:
    pytest.importorskip("ipykernel", reason="needs the extra test")
    nbformat = pytest.importorskip("nbformat", reason="needs the extra test")
    nbclient = pytest.importorskip("nbclient", reason="needs the extra test")
    notebook = nbformat.read(APPS / "notebook.ipynb", as_version=4)
    words = [f"word{number} " for number in range(400)]
    drawn: list[str] = []

    class Client(nbclient.NotebookClient):  # type: ignore[misc, name-defined]
        def process_message(self, message: Any, *rest: Any) -> Any:
            if message["msg_type"] in ("display_data", "update_display_data"):
                drawn.append(message["content"]["data"].get("text/markdown", ""))
            return super().process_message(message, *rest)

    async with Simulator(text=words, gap=0.002) as simulator:
        variables = simulated(simulator)
        prepared = f"import os, sys; sys.path[:0] = {sys.path!r}; os.environ.update({variables!r})"
        notebook.cells.insert(0, nbformat.v4.new_code_cell(prepared))
        await Client(notebook, timeout=120).async_execute(cwd=str(APPS))
    asking = [cell for cell in notebook.cells if "client.stream(" in cell.source]
    assert len(asking) == 2
    for cell in asking:
        (output,) = cell.outputs
        assert output["data"]["text/markdown"] == "".join(words)
    assert drawn.count("".join(words)) == 2
    assert 4 < len(drawn) < 60  # of 800 tokens in about two seconds


async def test_a_terminal_app_shows_the_answer_and_escape_stops_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("textual", reason="needs the extra test")
    from textual.widgets import Markdown

    with Simulator(text=lambda body: LONG if "long" in str(body) else SHORT, gap=0.01) as simulator:
        for name, value in simulated(simulator).items():
            monkeypatch.setenv(name, value)
        spec = importlib.util.spec_from_file_location("textual_app", APPS / "textual_app.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        async with module.Ask().run_test() as pilot:
            shown = pilot.app.query_one(Markdown)
            await pilot.press(*"short", "enter")
            await _until(lambda: shown.source == "".join(SHORT), pilot)
            await pilot.press(*"long", "enter")
            await _until(lambda: shown.source.startswith("word word"), pilot)
            await pilot.press("escape")
            await _until(lambda: not simulator.open_connections, pilot)
            assert len(shown.source) < len("".join(LONG)) / 2


async def _until(condition: Callable[[], bool], pilot: Any) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        await pilot.pause(0.02)
