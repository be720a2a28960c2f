"""A dialect of another package is spoken by its name, as soon as the package is installed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lm_deluge import LLMClient, RetryPolicy
from lm_deluge.dialects import DIALECTS, dialect_named
from lm_deluge.models.registry import register_model, unregister_model
from support.scripted import END, HEADERS, ScriptedServer, http

ANSWER = [HEADERS, http(b"data: Salve\n\nevent: end\ndata: 42\n\n") + END]

MODULE = """
from support.word_dialect import WordDialect

class Latin(WordDialect):
    name = "latin"

LATIN = Latin()
OTHER = WordDialect()
NOTHING = object()
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of installed packages that Python looks into."""
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    DIALECTS.pop("latin", None)


def install(site: Path, entry: str, *, package: str = "deluge-latin") -> None:
    """What an installer leaves of a package with one module and one entry point."""
    module = package.replace("-", "_")
    (site / f"{module}.py").write_text(MODULE, "utf-8")
    info = site / f"{module}-1.0.dist-info"
    info.mkdir()
    metadata = f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n"
    (info / "METADATA").write_text(metadata, "utf-8")
    (info / "entry_points.txt").write_text(f"[lm_deluge.dialects]\n{entry}\n", "utf-8")


async def test_an_installed_dialect_is_spoken(site: Path) -> None:
    install(site, "latin = deluge_latin:LATIN")
    assert "latin" not in DIALECTS
    async with ScriptedServer(ANSWER) as server:
        register_model("marcus", base_url=server.base_url, dialect="latin")
        try:
            client = LLMClient("marcus", api_key="k-123", printer=None, retries=RetryPolicy.none())
            response = await client.stream("Ave")
        finally:
            unregister_model("marcus")
    assert response.completion == "Salve"
    assert server.requests[0].line == "POST /v1/marcus/say?v=1 HTTP/1.1"
    assert dialect_named("latin") is dialect_named("latin")


def test_ours_are_not_taken_over(site: Path) -> None:
    install(site, "chat = deluge_latin:LATIN")
    assert type(dialect_named("chat")).__module__.startswith("lm_deluge.")


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ("latin = deluge_latin:GREEK", "AttributeError"),
        ("latin = no_such_module:LATIN", "ModuleNotFoundError"),
        ("latin = deluge_latin:Latin", "it is a class"),
        ("latin = deluge_latin:NOTHING", "it has no auth, write, answer, refusal, is_passing"),
        ("latin = deluge_latin:OTHER", "its own name is 'words'"),
    ],
)
def test_a_broken_one_is_named_with_its_package_and_what_is_wrong(
    site: Path, entry: str, why: str
) -> None:
    install(site, entry)
    value = entry.partition(" = ")[2]
    named = rf"dialect 'latin', {value} of deluge-latin, cannot be used: {why}"
    with pytest.raises(ImportError, match=named):
        dialect_named("latin")


def test_two_packages_with_one_name_are_both_named(site: Path) -> None:
    install(site, "latin = deluge_latin:LATIN")
    install(site, "latin = vulgar_latin:LATIN", package="vulgar-latin")
    both = r"in several packages: .*(deluge-latin|vulgar-latin), .*(deluge-latin|vulgar-latin)"
    with pytest.raises(ImportError, match=both):
        dialect_named("latin")


def test_a_name_that_nobody_has_says_where_it_was_looked_for(site: Path) -> None:
    install(site, "latin = deluge_latin:LATIN")
    with pytest.raises(ValueError, match=r"or an entry point of lm_deluge\.dialects, not 'greek'"):
        dialect_named("greek")
