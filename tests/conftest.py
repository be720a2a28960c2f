"""What tests of whole programs share."""

from __future__ import annotations

import io
import logging
import os
import signal
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from lm_deluge.cli import main
from programs import ROOT, Call, Finished, Run, bare_environment, clean_environment, run_program


def pytest_configure() -> None:
    """Let Ctrl-C be heard in a background job, too: its shell has SIGINT ignored, and every program
    started from here would inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """What ``-n auto`` means: many tests wait for a program, a clock or a browser most of their time."""
    return (os.cpu_count() or 1) + 1


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


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Call]:
    """``call("report", …, stdin=b"", OPENAI_API_KEY="…")``: ``lm-deluge`` within this process, for what
    reads files and arguments only; most of a short program's time is its start."""

    def run(*args: str | Path, stdin: bytes = b"", **variables: str) -> Finished:
        environment = clean_environment(**variables)
        for name in set(os.environ) - set(environment):
            monkeypatch.delenv(name)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["lm-deluge", *map(str, args)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Finished(ended.value.code, said.out, said.err)

    root = logging.getLogger()
    handlers = list(root.handlers)
    yield run
    root.handlers[:] = handlers


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
