"""Tests of what an extra brings are skipped where it is missing, with a reason; other errors stay errors."""

from __future__ import annotations

import pytest

from support import extras


@pytest.fixture
def without_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == "numpy" else True)


def test_the_reason_names_the_module_and_its_extra(without_numpy: None) -> None:
    assert extras.why_missing("numpy.typing") == "numpy is not installed (extra report)"
    with pytest.raises(pytest.skip.Exception, match="numpy is not installed"):
        extras.skip_without("click", "numpy")


def test_it_is_found_behind_the_librarys_own_error(without_numpy: None) -> None:
    error = ImportError("what to install")
    error.__cause__ = ModuleNotFoundError("No module named 'numpy'", name="numpy")
    assert extras.reason_behind(error) is not None


@pytest.mark.parametrize("missing", ["numpy", "jinja2"])
def test_a_program_that_needs_it_is_skipped_for_it(without_numpy: None, missing: str) -> None:
    mark = extras.needs("click", missing).mark
    assert mark.args == (missing == "numpy",)
    assert mark.kwargs["reason"] == (
        "numpy is not installed (extra report)" if mark.args[0] else ""
    )


@pytest.mark.parametrize("name", ["lm_deluge.nothing", "colections", "numpy.nothing", None])
def test_no_other_missing_module_is_a_reason(
    name: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: True)
    assert extras.reason_behind(ModuleNotFoundError("none", name=name)) is None
    assert extras.reason_behind(AssertionError()) is None
