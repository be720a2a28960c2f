"""The recipes of docs/measure-any-app.md, run as they stand: one variable leads each through the proxy.

By hand, because their packages are fetched from elsewhere: ``npm install openai ai @ai-sdk/openai`` in
a folder for ``LM_DELUGE_NODE=FOLDER``, ``pip install langchain-openai litellm`` in an environment of its
own for ``LM_DELUGE_RECIPES=…/bin/python``, then ``pytest -m slow tests/outside/test_recipes.py``.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from lm_deluge.proxy import Proxy
from lm_deluge.simulator import Simulator
from lm_deluge_plugins import FileLogger
from support.pages import Block, blocks
from support.programs import ROOT, Run, clean_environment

_PROGRAMS = {
    block.heading: block
    for block in blocks(ROOT / "docs/measure-any-app.md")
    if block.language in ("js", "py")
}
_NODE = os.environ.get("LM_DELUGE_NODE")
_PYTHON = os.environ.get("LM_DELUGE_RECIPES")

pytestmark = pytest.mark.slow


def _interpreter(block: Block) -> str:
    if block.language == "js" and _NODE is None:
        pytest.skip("LM_DELUGE_NODE names no folder with the packages")
    if block.language == "py" and _PYTHON is None:
        pytest.skip("LM_DELUGE_RECIPES names no interpreter with the packages")
    return "node" if block.language == "js" else str(_PYTHON)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("heading", sorted(_PROGRAMS))
async def test_a_recipe_is_watched(heading: str, run: Run, tmp_path: Path) -> None:
    block = _PROGRAMS[heading]
    interpreter = _interpreter(block)
    # Packages for Node are found beside the program.
    folder = Path(str(_NODE)) if block.language == "js" else tmp_path
    program = folder / f"lm_deluge_recipe.{'mjs' if block.language == 'js' else 'py'}"
    program.write_text(block.text, "utf-8")
    log = tmp_path / "log.jsonl"
    try:
        async with Simulator(text="The sea is blue.") as simulator:
            with FileLogger(log) as logger:
                async with Proxy(simulator.url, handlers=[logger]) as proxy:
                    env = clean_environment(OPENAI_BASE_URL=f"{proxy.url}/v1", OPENAI_API_KEY="k")
                    del env["PYTHONPATH"]
                    env["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # or it looks for one on the web
                    done = await run(interpreter, program, env=env, cwd=tmp_path, seconds=100)
    finally:
        program.unlink()
    assert (done.code, done.out.strip()) == (0, "The sea is blue."), done.err
    rows = [json.loads(line) for line in log.read_text().splitlines() if line]
    assert [row["e"] for row in rows if row["e"] in ("start", "complete")] == ["start", "complete"]
