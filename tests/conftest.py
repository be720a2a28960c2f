"""What the tests of whole programs share: running one, and the place of the source tree."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path

import attrs
import pytest

import lm_deluge
import lm_deluge_plugins
from lm_deluge.simulator import Simulator

ROOT = Path(__file__).parent.parent


#: What asyncio's debug mode says of a loaded machine.
_SLOW_STEP = re.compile(r"^(asyncio: |lm-deluge: )?Executing <.* took [\d.]+ seconds$\n?", re.MULTILINE)


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


def clean_environment(**variables: str) -> dict[str, str]:
    """Return an environment without the settings of whoever runs the tests."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OPENAI_", "LM_DELUGE_", "PYTHON", "PYTEST"))
    }
    homes = (lm_deluge.__file__, lm_deluge_plugins.__file__)
    path = os.pathsep.join(str(Path(str(home)).parent.parent) for home in homes)
    return {
        **kept,
        "PYTHONPATH": path,
        "LANG": "C.UTF-8",
        "NO_COLOR": "1",
        "COLUMNS": "80",
        **variables,
    }


def simulated(simulator: Simulator, **variables: str) -> dict[str, str]:
    """Return an environment in which the simulator is OpenAI."""
    return clean_environment(
        OPENAI_BASE_URL=simulator.base_url, OPENAI_API_KEY="sk-test-0123456789", **variables
    )


Run = Callable[..., Awaitable[Finished]]


async def _run(
    *command: str | Path,
    env: Mapping[str, str] | None = None,
    stdin: str | bytes = b"",
    cwd: Path | None = None,
    seconds: float = 60.0,
) -> Finished:
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


@pytest.fixture
def run() -> Run:
    """Run a program to its end: ``await run(*command, env=, stdin=, cwd=, seconds=)``."""
    return _run


@pytest.fixture
def python() -> tuple[str, ...]:
    """The interpreter with everything switched on that a user could see a warning from."""
    return (sys.executable, "-X", "dev", "-W", "error")


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    """A simulator with default settings."""
    async with Simulator() as running:
        yield running


@pytest.fixture
def command_name() -> tuple[str, ...]:
    """The command ``lm-deluge``: the installed script, or the same without an installation."""
    script = Path(sys.executable).parent / "lm-deluge"
    return (str(script),) if script.exists() else (sys.executable, "-m", "lm_deluge.cli")
