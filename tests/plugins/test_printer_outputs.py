"""``StdoutPrinter`` with objects that only write, and in notebooks."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from lm_deluge_plugins import StdoutPrinter
from support.printing import printing
from support.scripted import (
    END,
    HEADERS,
    ScriptedServer,
    answer,
    ending,
    events,
    http,
)


class OnlyWrites:
    """Has ``write`` and nothing else."""

    def __init__(self, answer: object = None) -> None:
        self.parts: list[str] = []
        self.answer = answer

    def write(self, text: str) -> object:
        self.parts.append(text)
        return self.answer


class Grudging(OnlyWrites):
    """Has all the rest, and none of it works."""

    encoding = "no such encoding"

    def isatty(self) -> bool:
        raise ValueError("cannot tell")

    def fileno(self) -> int:
        raise OSError("no number")


class Ascii(Grudging):
    """Takes ASCII alone, and does not say so."""

    def write(self, text: str) -> object:
        text.encode("ascii")
        return super().write(text)


class Everything(OnlyWrites):
    """Has any attribute, none of which makes sense."""

    def __getattr__(self, name: str) -> Any:
        return lambda *args: None


@pytest.mark.parametrize("by_default", [True, False], ids=["sys.stdout", "file"])
@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (OnlyWrites, "aé🤖b"),
        (lambda: OnlyWrites(0), "aé🤖b"),
        (lambda: OnlyWrites(1), "aé🤖b"),
        (lambda: OnlyWrites("?"), "aé🤖b"),
        (Grudging, "aé🤖b"),
        (Ascii, "a??b"),
        (Everything, "aé🤖b"),
    ],
)
async def test_any_object_with_write_will_do(
    make: Any, expected: str, by_default: bool, monkeypatch: Any
) -> None:
    screen = make()
    if by_default:
        monkeypatch.setattr(sys, "stdout", screen)
    async with ScriptedServer(answer("a", "é🤖", "b")) as server:
        printer = StdoutPrinter(None if by_default else screen)
        response = await printing(server, printer=printer).stream("hi")
    assert "".join(screen.parts) == expected
    assert response.completion == "aé🤖b"
    assert response.handler_failures == []


def test_a_file_without_write_is_refused_where_it_is_given() -> None:
    with pytest.raises(TypeError, match=r"file must be .* with write; not int"):
        StdoutPrinter(3)  # type: ignore[arg-type]


class Notebook:
    """Makes a message of each flush, as the stream of a Jupyter kernel does."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.written = ""
        self.failing = False

    def write(self, text: str) -> int:
        self.written += text
        return len(text)

    def flush(self) -> None:
        if self.failing:
            raise ValueError("gone")
        if self.written:
            self.messages.append(self.written)
            self.written = ""

    def isatty(self) -> bool:
        return False


async def test_a_notebook_gets_few_messages_and_the_whole_text() -> None:
    notebook, words = Notebook(), [f"{n} " for n in range(2000)]
    steps = [HEADERS, *(http(events(word)) for word in words), http(ending()) + END]
    begun = time.perf_counter()
    async with ScriptedServer(steps) as server:
        response = await printing(server, printer=StdoutPrinter(notebook)).stream("hi")
    tenths = (time.perf_counter() - begun) / 0.1
    assert "".join(notebook.messages) == response.completion == "".join(words)
    assert len(notebook.messages) <= tenths + 2


async def test_a_notebook_is_shown_a_token_though_none_follows_it() -> None:
    notebook, seen = Notebook(), asyncio.Event()
    steps = [HEADERS, http(events("Once")), seen, http(ending()) + END]
    async with ScriptedServer(steps) as server:
        printer = StdoutPrinter(notebook)
        task = asyncio.ensure_future(printing(server, printer=printer).stream("hi"))
        async with asyncio.timeout(2):
            while notebook.messages != ["Once"]:
                await asyncio.sleep(0.01)
        seen.set()
        await task


async def test_a_notebook_that_goes_is_a_failure_of_the_printer_alone() -> None:
    notebook = Notebook()
    notebook.failing = True
    async with ScriptedServer(answer("a", "b")) as server:
        response = await printing(server, printer=StdoutPrinter(notebook)).stream("hi")
    assert response.completion == "ab"
    assert [failure.method for failure in response.handler_failures] == ["on_complete"]


CELL = """
import sys
from lm_deluge import LLMClient
response = await LLMClient("gpt-4o", base_url=URL, api_key="sk-test-123456").stream("hi")
assert response.handler_failures == [], response.handler_failures
"""


@pytest.mark.slow
async def test_2000_tokens_in_a_real_notebook_are_few_outputs(tmp_path: Path) -> None:
    pytest.importorskip("ipykernel", reason="needs the extra test")
    nbformat = pytest.importorskip("nbformat", reason="needs the extra test")
    nbclient = pytest.importorskip("nbclient", reason="needs the extra test")
    words = [f"{n} " for n in range(2000)]
    steps = [HEADERS, *(http(events(word)) for word in words), http(ending()) + END]
    async with ScriptedServer(steps) as server:
        path = f"import sys; sys.path[:0] = {sys.path!r}\nURL = {server.base_url!r}"
        cells = [nbformat.v4.new_code_cell(source) for source in (path, CELL)]
        notebook = nbformat.v4.new_notebook(cells=cells)
        ran = nbclient.NotebookClient(notebook, timeout=120, coalesce_streams=False)
        await ran.async_execute(cwd=str(tmp_path))
    outputs = notebook.cells[1].outputs
    assert "".join(output.text for output in outputs) == "".join(words)
    assert len(outputs) < 100
