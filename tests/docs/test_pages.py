"""The pages name what is there: links lead to files, designs to tests, and every error has its place."""

from __future__ import annotations

import inspect
import re
import runpy
from pathlib import Path

import pytest

from lm_deluge import errors
from support.programs import ROOT

PAGES = sorted(
    page
    for page in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "lm_deluge/README.md")
)
#: The designs whose every statement names the tests that prove it.
DESIGNS = ("architecture.md", "contract.md", "metrics.md", "wire.md")

_FENCE = re.compile(r"^ *```.*?^ *```", re.M | re.S)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def _links(page: Path) -> list[str]:
    """Return the targets of links that are relative, without what follows a ``#``."""
    targets = _LINK.findall(_FENCE.sub("", page.read_text("utf-8")))
    return [path for target in targets if ":" not in target and (path := target.partition("#")[0])]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_to_a_file(page: Path) -> None:
    assert [link for link in _links(page) if not (page.parent / link).exists()] == []


@pytest.mark.parametrize(
    "page", sorted((ROOT / "docs").rglob("*.md")), ids=lambda page: str(page.relative_to(ROOT))
)
def test_every_page_is_in_the_index_or_in_that_of_its_folder(page: Path) -> None:
    indices = [ROOT / "docs/index.md", page.parent / "README.md", page.parent.parent / "README.md"]
    listed = {
        (index.parent / link).resolve()
        for index in indices
        if index.exists()
        for link in _links(index)
    }
    assert page in listed | {ROOT / "docs/index.md"}


@pytest.mark.parametrize("name", DESIGNS)
def test_every_statement_of_a_design_names_the_tests_that_prove_it(name: str) -> None:
    """A statement is an item of a list or a row of a table."""
    page = ROOT / "docs/design" / name
    text = _FENCE.sub("", page.read_text("utf-8"))
    items = re.findall(r"^(?:\d+\.|-) .*(?:\n +\S.*)*", text, re.M)
    assert items
    assert [item for item in items if "/tests/" not in item] == []


@pytest.mark.parametrize("name", DESIGNS)
def test_a_design_is_linked_by_the_tests_it_names_alone(name: str) -> None:
    linked = [link for link in _links(ROOT / "docs/design" / name) if "/tests/" in link]
    assert [link for link in linked if not re.search(r"/test_\w+\.py$", link)] == []


@pytest.mark.parametrize("where", ["lm_deluge", "plugins", "tests"])
def test_a_page_that_a_source_file_cites_exists(where: str) -> None:
    cited = {
        path
        for file in (ROOT / where).rglob("*.py")
        for path in re.findall(r"\bdocs/(?:design/)?[\w-]+\.md\b", file.read_text("utf-8"))
    }
    assert cited
    assert sorted(path for path in cited if not (ROOT / path).is_file()) == []


def test_the_picture_of_the_architecture_has_the_rooms_as_they_are() -> None:
    """``python docs/design/architecture.py`` draws it anew."""
    drawn = runpy.run_path(str(ROOT / "docs/design/architecture.py"))
    picture = (ROOT / "docs/design/architecture.svg").read_text("utf-8")
    assert picture == drawn["picture"]()
    rooms = {name for name, _, _ in drawn["rooms"]()}
    assert {room for _, room, _, _ in drawn["WAY"] if room} <= rooms
    assert "prefers-color-scheme: dark" in picture


CLASSES = [name for name in errors.__all__ if inspect.isclass(getattr(errors, name))]


@pytest.mark.parametrize("name", CLASSES)
def test_every_error_is_drawn_in_the_tree_of_the_page_of_errors(name: str) -> None:
    page = (ROOT / "docs/errors.md").read_text("utf-8")
    (tree,) = (block for block in _FENCE.findall(page) if "UnsupportedModelError" in block)
    assert re.search(rf"\b{name}\b", tree)


#: Classes that others are made of: what to do is said of these others.
ABSTRACT = {"StreamError", "APIError", "APIStatusError"}


@pytest.mark.parametrize("name", sorted(set(CLASSES) - ABSTRACT))
def test_the_page_of_errors_says_what_to_do_about_each(name: str) -> None:
    page = (ROOT / "docs/errors.md").read_text("utf-8")
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    assert any(f"`{name}`" in row for row in rows)


#: Pages that say in which file of ``lm_deluge/`` or ``tests/`` something is decided or tested.
NAMING = sorted((ROOT / "docs/design").rglob("*.md"))
#: A file in backticks, and what may stand after it: names of what is in it, in backticks too.
_NAMED = re.compile(r"`([\w./]+\.(?:py|json))`((?:,? `[A-Za-z_][\w.]*`(?!\.py))*)")


def _found(name: str) -> Path | None:
    places = (ROOT / folder / name for folder in (".", "lm_deluge", "tests"))
    return next((place for place in places if place.is_file()), None)


@pytest.mark.parametrize("page", NAMING, ids=lambda page: page.name)
def test_a_file_that_a_design_names_exists_and_holds_what_it_says(page: Path) -> None:
    wrong = []
    for name, inside in _NAMED.findall(page.read_text("utf-8")):
        file = _found(name)
        if file is None:
            wrong.append(name)
            continue
        source = file.read_text("utf-8")
        wrong += [
            f"{name}: {part}"
            for whole in re.findall(r"`([^`]+)`", inside)
            if not whole.endswith((".py", ".json"))
            for part in whole.split(".")
            if not re.search(rf"\b{re.escape(part)}\b", source)
        ]
    assert wrong == []
