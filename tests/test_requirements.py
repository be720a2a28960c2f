"""What pyproject.toml promises of Pythons and packages is what .ci/suites runs."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from typing import Any

import pytest

from support.programs import ROOT

PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PROJECT = PYPROJECT["project"]
SCRIPT = ROOT / ".ci" / "promised"

needs_script = pytest.mark.skipif(not SCRIPT.exists(), reason="in the source tree only")


def promised(what: str) -> list[str]:
    command = (sys.executable, str(SCRIPT), str(ROOT / "pyproject.toml"), what)
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def test_every_requirement_has_a_lowest_version_and_no_highest() -> None:
    extras = PROJECT["optional-dependencies"].values()
    for requirement in [*PROJECT["dependencies"], *(line for extra in extras for line in extra)]:
        assert re.fullmatch(r"[\w.-]+(\[\w+\])?>=[\d.]+(; .*)?", requirement), requirement


@needs_script
def test_the_pythons_are_those_of_the_classifiers_and_the_first_is_the_lowest_allowed() -> None:
    versions = promised("versions")
    classifiers = PROJECT["classifiers"]
    assert all(
        f"Programming Language :: Python :: {version}" in classifiers for version in versions
    )
    assert PROJECT["requires-python"] == f">={versions[0]}"
    assert PYPROJECT["tool"]["pyright"]["pythonVersion"] == versions[0]
    assert PYPROJECT["tool"]["ruff"]["target-version"] == f"py{versions[0].replace('.', '')}"


@needs_script
def test_the_lowest_versions_are_the_bounds_of_all_that_the_tests_use() -> None:
    everything, lowest = promised("all"), promised("lowest")
    assert lowest == [line.replace(">=", "==") for line in everything]
    assert set(PROJECT["dependencies"]) < set(everything)


@needs_script
def test_the_core_has_no_package_of_an_extra_but_what_runs_tests() -> None:
    assert promised("core")[: len(PROJECT["dependencies"])] == PROJECT["dependencies"]
    rest = {re.split(r">=", line)[0] for line in promised("core")} - {
        re.split(r">=", line)[0] for line in PROJECT["dependencies"]
    }
    assert rest == {"pytest", "pytest-asyncio", "pytest-xdist", "aioresponses"}
