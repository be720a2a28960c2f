"""What tests of whole programs share."""

from __future__ import annotations

import signal
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from programs import ROOT, Run, bare_environment, run_program


def pytest_configure() -> None:
    """Let Ctrl-C be heard in a background job, too: its shell has SIGINT ignored, and every program
    started from here would inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give slow tests more time than the others, unless they say how much."""
    for item in items:
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(900))


@pytest.fixture
def run() -> Run:
    """Run a program to its end: ``await run(*command, env=, stdin=, cwd=, seconds=)``."""
    return run_program


@pytest.fixture
def python() -> tuple[str, ...]:
    """The interpreter with everything switched on that a user could see a warning from."""
    return (sys.executable, "-X", "dev", "-W", "error")


@pytest.fixture
def command_name() -> tuple[str, ...]:
    """The command ``lm-deluge``: the installed script, or the same without an installation."""
    script = Path(sys.executable).parent / "lm-deluge"
    return (str(script),) if script.exists() else (sys.executable, "-m", "lm_deluge.cli")


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as a release is: from the source distribution."""
    pytest.importorskip("build", reason="needs the extra dev")
    folder = tmp_path_factory.mktemp("dist")
    _check(sys.executable, "-m", "build", "--outdir", folder, ROOT)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def bare_python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a fresh virtual environment that has the wheel and nothing else."""
    return _installed(tmp_path_factory.mktemp("bare"), str(wheel))


@pytest.fixture(scope="session")
def full_python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with the extras ``cli``, ``report`` and ``test``."""
    return _installed(tmp_path_factory.mktemp("full"), f"{wheel}[cli,report,test]")


def _installed(folder: Path, what: str) -> Path:
    venv.create(folder, with_pip=True, symlinks=True)
    python = folder / "bin" / "python"
    _check(python, "-m", "pip", "install", "-q", "--disable-pip-version-check", what)
    return python


def _check(*command: str | Path) -> None:
    done = subprocess.run(
        list(map(str, command)), env=bare_environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
