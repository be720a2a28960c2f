"""Servers that nobody here wrote: installed once into a folder of their own, and run.

``LM_DELUGE_OUTSIDE`` names the folder; then one that cannot be had is a failure, and no reason to skip.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import venv
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from support.programs import clean_environment

__all__ = ["npm_file", "npm_packages", "npm_program", "pip_program", "serving"]

_VARIABLE = "LM_DELUGE_OUTSIDE"
_SECONDS = 240


def _folder() -> Path:
    chosen = os.environ.get(_VARIABLE)
    return Path(chosen) if chosen else Path(tempfile.gettempdir(), "lm_deluge_outside")


def _cannot_be_had(reason: str) -> None:
    if os.environ.get(_VARIABLE):
        pytest.fail(f"{reason}, and {_VARIABLE} asks for it")
    pytest.skip(reason)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time: the workers of a run share the folder."""
    fcntl = pytest.importorskip("fcntl", reason="these servers are installed on POSIX alone")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _installed(package: str, install: Callable[[Path], Sequence[str]]) -> Path:
    """Return a package's own folder, for which ``install`` returns the command."""
    folder = _folder() / "".join(char if char.isalnum() else "-" for char in package)[:100]
    with _alone(folder):
        if not (folder / "done").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            try:
                subprocess.run(
                    install(folder), check=True, capture_output=True, text=True, timeout=_SECONDS
                )
            except (subprocess.SubprocessError, OSError) as error:
                said = str(getattr(error, "stderr", None) or error).strip()
                _cannot_be_had(f"{package} could not be installed ({said[-200:]})")
            (folder / "done").touch()
    return folder


def pip_program(package: str, program: str) -> Path:
    """Return a program of a package of the Python index, in an environment of its own."""

    def install(folder: Path) -> Sequence[str]:
        venv.create(folder, with_pip=True)
        return [str(folder / "bin" / "python"), "-m", "pip", "install", "-q", package]

    return _installed(package, install) / "bin" / program


def npm_program(package: str, program: str) -> Path:
    """Return a program of a package of npm."""
    return npm_file(package, f".bin/{program}")


def npm_file(package: str, path: str) -> Path:
    """Return a file of a package of npm, by its path in ``node_modules``."""
    return npm_packages(package) / "node_modules" / path


def npm_packages(*packages: str) -> Path:
    """Return a folder in which programs for node find packages of npm, each given as ``name@version``."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        _cannot_be_had("there is no npm to install a server with")
    said = [str(npm), "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"]
    return _installed("-".join(packages), lambda folder: [*said, str(folder), *packages])


@contextlib.contextmanager
def serving(
    command: Callable[[int], Sequence[str | Path]], *, seconds: float = 30, **environment: str
) -> Iterator[str]:
    """Run a server on a free port; yield its address once something listens there."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [*map(str, command(port))],
            stdout=said,
            stderr=subprocess.STDOUT,
            env={**clean_environment(), **environment},
            start_new_session=True,
        )
        try:
            until = time.monotonic() + seconds
            while not _listens(port):
                if process.poll() is not None or time.monotonic() > until:
                    said.seek(0)
                    pytest.fail(f"the server did not begin: {said.read()[-2000:]!r}")
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)  # it ends the processes that it has begun
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as asking:
        asking.settimeout(1)
        return asking.connect_ex(("127.0.0.1", port)) == 0
