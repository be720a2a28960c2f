"""What an extra brings, and the tests that are skipped where it is missing: with a reason, never an error."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib.util import find_spec

import pytest

from support.programs import ROOT

#: Modules that come with what an extra names.
_COMES_WITH = {"markdown_it": "rich"}


@cache
def modules_of_extras() -> dict[str, list[str]]:
    """Each module that an extra of pyproject.toml brings, by its name, with the extras that bring it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found: dict[str, list[str]] = {}
    for extra, requirements in project["optional-dependencies"].items():
        for requirement in requirements:
            name = re.match(r"[\w.-]+", requirement)
            assert name is not None, requirement
            found.setdefault(name[0].replace("-", "_"), []).append(extra)
    return found


def why_missing(module: str | None) -> str | None:
    """The reason to skip what needs that module; none where it is there, or where no extra brings it."""
    top = (module or "").partition(".")[0]
    top = _COMES_WITH.get(top, top)
    extras = modules_of_extras().get(top)
    if extras is None or find_spec(top) is not None:
        return None
    return f"{top} is not installed (extra {' or '.join(extras)})"


def reason_behind(error: BaseException | None) -> str | None:
    """The reason to skip what failed with that error; none if no missing extra is behind it."""
    while error is not None:
        reason = why_missing(error.name) if isinstance(error, ImportError) else None
        if reason is not None:
            return reason
        error = error.__cause__
    return None


def skip_without(*modules: str) -> None:
    """Skip the test that asks, with the reason, if one of them is missing."""
    for reason in map(why_missing, modules):
        if reason is not None:
            pytest.skip(reason)


def needs(*modules: str) -> pytest.MarkDecorator:
    """Mark a test that runs a program which uses them: it is skipped, with the reason, if one is missing."""
    reason = next(filter(None, map(why_missing, modules)), None)
    return pytest.mark.skipif(reason is not None, reason=reason or "")


class ModuleOfTests(pytest.Module):
    """A file of tests; one that imports what a missing extra would bring is skipped as a whole."""

    def collect(self) -> list[pytest.Item | pytest.Collector]:
        try:
            return list(super().collect())
        except self.CollectError as error:
            reason = reason_behind(error)
            if reason is None:
                raise
            pytest.skip(reason, allow_module_level=True)
