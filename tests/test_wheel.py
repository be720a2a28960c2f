"""The wheel: nothing missing from it, nothing in it that is not ours, and it runs where it is alone."""

from __future__ import annotations

import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from lm_deluge import __version__
from lm_deluge._version import DISTRIBUTION
from lm_deluge.simulator import Simulator
from support.programs import ROOT, Run, bare_environment

pytestmark = pytest.mark.slow

PACKAGES = {
    "lm_deluge": ROOT / "lm_deluge",
    "lm_deluge_plugins": ROOT / "plugins/lm_deluge_plugins",
}

#: Tests of the package as users have it: its protocol, its client over sockets, every example, every name.
ON_THE_WHEEL = ["wire", "values", "client", "docs/test_examples.py", "test_public_names.py"]


def files_of(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_every_file_of_both_packages_is_in_it(wheel: Path) -> None:
    expected = {
        f"{name}/{path.relative_to(folder)}"
        for name, folder in PACKAGES.items()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    packed = {name for name in files_of(wheel) if ".dist-info/" not in name}
    assert packed == expected
    assert {
        "lm_deluge/models/models.json",
        "lm_deluge/py.typed",
        "lm_deluge_plugins/py.typed",
    } <= packed


def test_it_installs_two_packages_and_no_plugins_or_tests(wheel: Path) -> None:
    top = {name.partition("/")[0] for name in files_of(wheel)}
    assert top == {*PACKAGES, f"lm_deluge_streaming-{__version__}.dist-info"}


def test_metadata_names_license_readme_and_extras(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        text = archive.read(f"lm_deluge_streaming-{__version__}.dist-info/METADATA").decode()
        entry_points = archive.read(
            f"lm_deluge_streaming-{__version__}.dist-info/entry_points.txt"
        ).decode()
    metadata = Parser().parsestr(text)
    assert metadata["Name"] == DISTRIBUTION
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Requires-Python"] == ">=3.11"
    assert {"cli", "report", "test", "dev"} <= set(metadata.get_all("Provides-Extra", []))
    assert "independent implementation" in str(metadata.get_payload())
    assert "lm-deluge = lm_deluge.cli:main" in entry_points


async def test_an_index_would_take_both_archives(wheel: Path, run: Run) -> None:
    pytest.importorskip("twine", reason="needs the extra dev")
    archives = sorted(map(str, wheel.parent.glob("lm_deluge_streaming-*")))
    assert len(archives) == 2
    done = await run(sys.executable, "-m", "twine", "check", "--strict", *archives)
    assert (done.code, done.out.count("PASSED")) == (0, 2), done.out


async def test_without_extras_a_program_runs(run: Run, bare_python: Path, tmp_path: Path) -> None:
    async with Simulator(text="Alone.") as simulator:
        env = bare_environment(OPENAI_BASE_URL=simulator.base_url, OPENAI_API_KEY="any")
        done = await run(
            bare_python, "-X", "dev", "-W", "error", ROOT / "examples" / "basic_streaming.py",
            env=env, cwd=tmp_path,
        )  # fmt: skip
    assert (done.code, done.complaints) == (0, "")
    assert done.out.startswith("Alone.\n")


async def test_without_extras_the_command_says_what_to_install(
    run: Run, bare_python: Path, tmp_path: Path
) -> None:
    done = await run(bare_python.parent / "lm-deluge", "demo", env=bare_environment(), cwd=tmp_path)
    assert done.code == 1
    assert done.err == (
        "lm-deluge: the command line needs the package click, which is not installed: "
        "pip install click rich\n"
    )


async def test_without_extras_every_module_can_be_imported_or_says_what_it_needs(
    run: Run, bare_python: Path, tmp_path: Path
) -> None:
    """Of an optional package nothing is needed until it is used; ``cli`` alone is all about one."""
    program = """
import importlib, pkgutil
import lm_deluge, lm_deluge_plugins
for package in (lm_deluge, lm_deluge_plugins):
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if found.name.startswith("lm_deluge.cli."):
            continue
        try:
            importlib.import_module(found.name)
        except ImportError as error:
            assert "pip install" in str(error), (found.name, error)
"""
    done = await run(bare_python, "-c", program, env=bare_environment(), cwd=tmp_path)
    assert (done.code, done.err) == (0, "")


async def test_with_its_extra_the_command_runs(run: Run, full_python: Path, tmp_path: Path) -> None:
    done = await run(full_python.parent / "lm-deluge", "demo", env=bare_environment(), cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    assert "How it felt" in done.out


async def test_the_tests_pass_on_the_installed_wheel(
    run: Run, full_python: Path, tmp_path: Path
) -> None:
    """The script, not ``python -m pytest``, and from elsewhere: neither puts the tree on the path."""
    done = await run(
        full_python.parent / "pytest", "-q", "-c", ROOT / "pyproject.toml",
        "-o", f"pythonpath={ROOT / 'tests'}", "-o", f"cache_dir={tmp_path / 'cache'}",
        *(ROOT / "tests" / name for name in ON_THE_WHEEL),
        env=bare_environment(), cwd=tmp_path, seconds=300,
    )  # fmt: skip
    assert done.code == 0, done.out + done.err
    assert " passed" in done.out
    where = await run(
        full_python, "-c", "import lm_deluge; print(lm_deluge.__file__)", env=bare_environment(),
        cwd=tmp_path,
    )  # fmt: skip
    assert where.out.startswith(str(full_python.parent.parent))
