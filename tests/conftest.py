"""What all tests find: no settings of the machine, programs to run, an authority nobody trusts."""

from __future__ import annotations

import gc
import io
import logging
import os
import signal
import subprocess
import sys
import venv
from collections.abc import Generator, Iterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lm_deluge.cli import main
from lm_deluge.http.certificates import CERTIFICATE_VARIABLES
from lm_deluge.http.proxies import PROXY_VARIABLES
from lm_deluge.signals import SIGNALS
from support.extras import ModuleOfTests, reason_behind, skip_without, why_missing
from support.programs import (
    ROOT,
    Call,
    Finished,
    Run,
    bare_environment,
    clean_environment,
    run_program,
)

if TYPE_CHECKING:
    import trustme


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Know the settings of plugins that are not installed, which would be errors."""
    if not pluginmanager.hasplugin("timeout"):
        parser.addini("timeout", "needs pytest-timeout")


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module:
    """Skip a file of tests for a missing extra, and say which."""
    module: ModuleOfTests = ModuleOfTests.from_parent(parent, path=module_path)
    return module


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Skip a test that imports, or asks the library for, what a missing extra would bring."""
    report = yield
    reason = reason_behind(call.excinfo.value) if call.excinfo is not None else None
    if reason is not None:
        path, line, _ = item.location
        report.outcome, report.longrepr = "skipped", (path, (line or 0) + 1, reason)
    return report


def pytest_configure(config: pytest.Config) -> None:
    """Let Ctrl-C be heard in a background job, too: its shell has SIGINT ignored, and every program
    started from here would inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if not config.pluginmanager.hasplugin("timeout"):
        config.addinivalue_line("markers", "timeout: needs pytest-timeout")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """What ``-n auto`` means: many tests wait for a program, a clock or a browser most of their time."""
    return (os.cpu_count() or 1) + 1


#: Fixtures of this file by which a test starts an interpreter, most of a second of a slow machine.
STARTERS = ("run", "python", "command_name")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Make tests that start programs slow, but for the first of each module."""
    fixtures = getattr(item, "_fixtureinfo", None)
    defined = {} if fixtures is None else fixtures.name2fixturedefs
    if any(name in defined and defined[name][-1].baseid == "tests" for name in STARTERS):
        item.add_marker("program")
    module = item.getparent(pytest.Module)
    if module is not None and item.get_closest_marker("program"):
        if module.stash.setdefault(HAS_PROGRAM, False):
            item.add_marker("slow")
        module.stash[HAS_PROGRAM] = True


HAS_PROGRAM = pytest.StashKey[bool]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give slow tests more time than the others, unless they say how much."""
    for item in items:
        if " at 0x" in item.nodeid:
            raise pytest.UsageError(
                f"{item.nodeid} has another name in each process: give it an id"
            )
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(900))


OPENAI = ("API_KEY", "BASE_URL", "ORG_ID", "PROJECT_ID", "CUSTOM_HEADERS")
OTHERS = (
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_BASE_URL",
    "GEMINI_API_KEY",
    "GOOGLE_API_KEY",
    "GOOGLE_GEMINI_BASE_URL",
)


@pytest.fixture(autouse=True)
def no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what the machine's environment says of servers and of the way to them, and its date."""
    # Long before the last day of any model.
    monkeypatch.setattr("lm_deluge.models.retiring.today", lambda: date(2026, 1, 1))
    openai = (f"OPENAI_{name}" for name in OPENAI)
    for name in (*PROXY_VARIABLES, *CERTIFICATE_VARIABLES, *openai, *OTHERS):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def nothing_was_told_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin each test as a new process does: what is told once was told nobody, whatever ran before."""
    monkeypatch.setattr("lm_deluge.values.once._told", set())
    monkeypatch.setattr("lm_deluge.client.refused._refused", set())


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """Signs certificates; no system knows it."""
    made: trustme.CA = pytest.importorskip("trustme", reason=why_missing("trustme")).CA()
    return made


@pytest.fixture
def bundle(authority: trustme.CA, tmp_path: Path) -> Path:
    """The authority's certificate as a file."""
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(path)
    return path


@pytest.fixture(scope="session", autouse=True)
def hypothesis_has_begun() -> None:
    """Let it take hold of its random numbers, and look for who holds them, before anything is set aside."""
    try:
        from hypothesis import given, strategies
    except ImportError:
        return
    given(strategies.none())(lambda _: None)()


@pytest.fixture(scope="module", autouse=True)
def only_what_a_module_makes_is_collected() -> None:
    """Set aside what exists: thousands of tests and a dozen packages, which collections would go through."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def no_stream_is_left() -> Iterator[None]:
    """A stream that a module's tests leave alive would spoil those that count what is left, in some orders.

    An error that is kept, as a parameter of a test is, keeps the frames that it passed, and their streams.
    """
    yield
    if any(signal._weak_senders for signal in SIGNALS):
        gc.collect()
    left = {ref() for signal in SIGNALS for ref in signal._weak_senders.values()}
    assert not left, f"streams are alive: {left}"


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
    skip_without("click", "rich")
    script = Path(sys.executable).parent / "lm-deluge"
    return (str(script),) if script.exists() else (sys.executable, "-m", "lm_deluge.cli")


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Call]:
    """``call("report", …, stdin=b"", OPENAI_API_KEY="…")``: ``lm-deluge`` within this process, for what
    reads files and arguments only; most of a short program's time is its start."""
    skip_without("click", "rich")

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
