"""The SDKs for Node hear through the proxy what they hear without it, and the log names each of them.

By hand, because they are fetched from elsewhere: ``npm install openai @anthropic-ai/sdk @google/genai ai
@ai-sdk/openai`` in a folder, and ``LM_DELUGE_NODE=FOLDER pytest -m slow tests/outside/test_node_clients.py``.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from lm_deluge.proxy import Proxy
from lm_deluge.simulator import Simulator
from lm_deluge_plugins import FileLogger
from support.programs import Run, clean_environment

_FOLDER = os.environ.get("LM_DELUGE_NODE")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(_FOLDER is None, reason="LM_DELUGE_NODE names no folder with the packages"),
]

#: Five clients: healthy, reset, cut.
FAULTS = [None] * 5 + ["reset:3"] * 5 + ["drop:2"] * 5


async def test_every_sdk_hears_the_same(run: Run, tmp_path: Path) -> None:
    program = Path(str(_FOLDER)) / "lm_deluge_clients.mjs"
    shutil.copy(Path(__file__).with_name("clients.mjs"), program)  # packages are found beside it
    log = tmp_path / "log.jsonl"

    async def heard(url: str) -> list[Any]:
        env = clean_environment(
            OPENAI_BASE_URL=f"{url}/v1", OPENAI_API_KEY="k", ANTHROPIC_BASE_URL=url,
            ANTHROPIC_API_KEY="k", GOOGLE_GEMINI_BASE_URL=url, GEMINI_API_KEY="k",
        )  # fmt: skip
        done = await run("node", program, env=env)
        assert done.code == 0, done.err
        found: list[Any] = json.loads(done.out)
        return found

    try:
        async with Simulator(text="one two three four five", faults=FAULTS) as simulator:
            direct = await heard(simulator.url)
        async with Simulator(text="one two three four five", faults=FAULTS) as simulator:
            with FileLogger(log) as logger:
                async with Proxy(simulator.url, handlers=[logger]) as proxy:
                    assert await heard(proxy.url) == direct
    finally:
        program.unlink()
    assert [text for _, text in direct[:5]] == ["one two three four five"] * 5
    rows = [json.loads(line) for line in log.read_text().splitlines() if line]
    clients = [row["tags"]["client"] for row in rows if row["e"] == "start"]
    assert clients[:5] == [
        "openai-node",
        "openai-node",
        "anthropic-node",
        "google-genai-node",
        "ai-sdk",
    ]
    endings = [row["e"] for row in rows if row["e"] in ("complete", "error")]
    assert endings == ["complete"] * 5 + ["error"] * 10
