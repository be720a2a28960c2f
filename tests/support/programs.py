"""Running whole programs: their environment, and what they said."""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import attrs

import lm_deluge
import lm_deluge_plugins
from lm_deluge.simulator import Simulator

ROOT = Path(__file__).parents[2]


#: What asyncio's debug mode says of a loaded machine.
_SLOW_STEP = re.compile(
    r"^(asyncio: |lm-deluge: )?Executing <.* took [\d.]+ seconds$\n?", re.MULTILINE
)


@attrs.frozen
class Finished:
    """A process that has ended: ``code`` is below 0 for a signal."""

    code: int
    out: str
    err: str

    @property
    def complaints(self) -> str:
        """``err``, without remarks of asyncio's debug mode on how long a step took."""
        return _SLOW_STEP.sub("", self.err)


_SETTINGS = (
    "GITHUB_STEP_SUMMARY",
    "OPENAI_",
    "ANTHROPIC_",
    "GEMINI_",
    "GOOGLE_",
    "LM_DELUGE_",
    "PYTHON",
    "PYTEST",
)


_STATE = tempfile.mkdtemp(prefix="lm-deluge-state-")


def clean_environment(**variables: str) -> dict[str, str]:
    """Return an environment without the settings of whoever runs the tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_SETTINGS)}
    homes = (lm_deluge.__file__, lm_deluge_plugins.__file__)
    path = os.pathsep.join(str(Path(str(home)).parent.parent) for home in homes)
    return {
        **kept,
        "PYTHONPATH": path,
        "LANG": "C.UTF-8",
        "NO_COLOR": "1",
        "COLUMNS": "80",
        # Chats that are kept and their history; of no user.
        "XDG_STATE_HOME": _STATE,
        **variables,
    }


def simulated(simulator: Simulator, **variables: str) -> dict[str, str]:
    """Return an environment in which the simulator is OpenAI, Anthropic and Google."""
    key = "sk-test-0123456789"
    served = {
        "OPENAI_BASE_URL": simulator.base_url, "OPENAI_API_KEY": key,
        "ANTHROPIC_BASE_URL": simulator.url, "ANTHROPIC_API_KEY": key,
        "GOOGLE_GEMINI_BASE_URL": simulator.url, "GEMINI_API_KEY": key,
    }  # fmt: skip
    return clean_environment(**served | variables)


def bare_environment(**variables: str) -> dict[str, str]:
    """Return ``clean_environment`` without the source tree: what is imported must be installed."""
    return {
        name: value
        for name, value in clean_environment(**variables).items()
        if name != "PYTHONPATH"
    }


Run = Callable[..., Awaitable[Finished]]
Call = Callable[..., Finished]


async def run_program(
    *command: str | Path,
    env: Mapping[str, str] | None = None,
    stdin: str | bytes = b"",
    cwd: Path | None = None,
    seconds: float = 60.0,
) -> Finished:
    """Run a program to its end; it is killed after ``seconds``."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=dict(clean_environment() if env is None else env),
        cwd=cwd,
    )
    given = stdin.encode() if isinstance(stdin, str) else stdin
    try:
        async with asyncio.timeout(seconds):
            out, err = await process.communicate(given)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return Finished(process.returncode, out.decode(), err.decode())
