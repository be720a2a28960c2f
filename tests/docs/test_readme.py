"""README.md and the guides in docs/ are programs: each block of Python runs, each command, too."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from lm_deluge.simulator import Simulator
from support.pages import BLOCKS, PAGES, PYTHON, README, Block, blocks
from support.programs import Run, simulated

#: Runs files one after the other, each as a notebook would: ``await`` outside of functions is allowed.
NOTEBOOK = """
import ast, asyncio, inspect, pathlib, sys
for path in sys.argv[1:]:
    source = pathlib.Path(path).read_text("utf-8")
    code = compile(source, path, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    result = eval(code, {"__name__": "__main__"})
    if inspect.iscoroutine(result):
        asyncio.run(result)
"""


SUITES = [block for block in PYTHON if "def test_" in block.text]
PROGRAMS = [block for block in PYTHON if "def test_" not in block.text]
SHELL = [
    block
    for block in BLOCKS
    if block.language == "sh" and block.heading not in ("Try it", "Run the tests")
]


@pytest.mark.parametrize(
    "usage",
    [
        pytest.param(True, marks=pytest.mark.slow, id="usage and price"),
        pytest.param(False, id="neither"),
    ],
)
@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=[pytest.mark.slow] if page.name == "errors.md" else [])
        for page in sorted({block.page for block in PROGRAMS})
    ],
    ids=lambda page: page.name,
)
async def test_python_blocks_run(
    page: Path, run: Run, python: tuple[str, ...], tmp_path: Path, *, usage: bool
) -> None:
    programs = [block for block in PROGRAMS if block.page == page]
    for block in programs:
        (tmp_path / str(block)).write_text(block.text, "utf-8")
    async with Simulator(seed=1, tokens=12, usage=usage) as simulator:
        done = await run(
            *python, "-c", NOTEBOOK, *map(str, programs), env=simulated(simulator), cwd=tmp_path
        )
    assert (done.code, done.complaints) == (0, ""), done.out


@pytest.mark.parametrize("block", SUITES, ids=str)
async def test_python_block_of_tests_passes(
    block: Block, run: Run, python: tuple[str, ...], tmp_path: Path
) -> None:
    program = tmp_path / "test_block.py"
    program.write_text(block.text, "utf-8")
    async with Simulator(seed=1, tokens=12) as simulator:
        done = await run(
            *python, "-m", "pytest", "-q", "-p", "lm_deluge.testing",
            "-o", "asyncio_default_fixture_loop_scope=function",  # or pytest-asyncio asks for it
            "-p", "no:cacheprovider", str(program), env=simulated(simulator), cwd=tmp_path,
        )  # fmt: skip
    assert (done.code, done.complaints) == (0, ""), done.out
    assert " passed" in done.out


@pytest.mark.slow
@pytest.mark.parametrize("block", SHELL, ids=str)
async def test_shell_block_runs(
    block: Block, run: Run, command_name: tuple[str, ...], tmp_path: Path
) -> None:
    """As one script, which stops at the first command that fails."""
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "lm-deluge"
    script.write_text(f'#!/bin/sh\nexec {shlex.join(command_name)} "$@"\n', "utf-8")
    script.chmod(0o755)
    async with Simulator(seed=1, tokens=12) as simulator:
        env = simulated(simulator)
        env["PATH"] = f"{script.parent}:{env['PATH']}"
        done = await run("bash", "-c", f"set -euo pipefail\n{block.text}", env=env, cwd=tmp_path)
    assert done.code == 0, done.err
    assert "Traceback" not in done.err
    assert done.out


@pytest.mark.parametrize("heading", ["Try it", "Run the tests"])
def test_section_holds_one_command_line(heading: str) -> None:
    found = [block for block in blocks(README) if block.heading == heading]
    assert [block.language for block in found] == ["sh"]
    assert len(found[0].text.splitlines()) == 1
    assert "python3 -m venv" in found[0].text  # nothing but Python and pip is asked for


def test_the_readme_says_which_project_this_is() -> None:
    text = " ".join(README.read_text("utf-8").split())
    assert "an independent implementation of the streaming API that lm-deluge documents" in text
    assert "not the package index's project of that name" in text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text("utf-8"))
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (page.parent / target).exists()] == []


async def test_the_recipe_for_prices_prices_an_answer(
    run: Run, python: tuple[str, ...], tmp_path: Path
) -> None:
    pytest.importorskip("genai_prices", reason="needs the genai-prices package (extra test)")
    (recipe,) = [block for block in PYTHON if "import genai_prices" in block.text]
    (tmp_path / "recipe.py").write_text(recipe.text, "utf-8")
    async with Simulator(text="Hello!") as simulator:
        done = await run(
            *python, "-c", NOTEBOOK, "recipe.py", env=simulated(simulator), cwd=tmp_path
        )
    assert (done.code, done.complaints) == (0, "")
    assert re.search(r"\$\d\.\d+", done.out)
