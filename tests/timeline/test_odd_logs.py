"""Logs of the kinds that people have: each is reported on, in every form, without a word that is no word."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from support.browser import open_page
from support.odd_logs import ODD, many_streams, write_odd
from support.programs import Call

#: What a figure must not become on its way to a reader.
NO_WORD = re.compile(r"\b(nan|inf|None|null|undefined|NaN|Infinity|Traceback)\b")


class _Words(HTMLParser):
    """What a page says, without its scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self._aside = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._aside += tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._aside -= tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        if not self._aside:
            self.words.append(data)


def words_of(page: str) -> str:
    return " ".join(_Words(page).words)


def strange_word(text: str) -> str | None:
    """The first word that is none, with what stands around it."""
    found = NO_WORD.search(text)
    return text[max(0, found.start() - 60) : found.end() + 60] if found is not None else None


@pytest.mark.parametrize("by", ["model", "variant"])
@pytest.mark.parametrize("name", ODD)
def test_an_odd_log_is_reported_on_in_plain_words(
    report: Call, tmp_path: Path, name: str, by: str
) -> None:
    log = write_odd(tmp_path, name)
    arguments = ["--by", by] if b'"variant"' in log.read_bytes() else []
    done = report(log, *arguments)
    assert (done.code, done.complaints) == (0, "")
    assert strange_word(done.out) is None


@pytest.mark.parametrize("name", ODD)
def test_the_numbers_of_an_odd_log_are_numbers(report: Call, tmp_path: Path, name: str) -> None:
    done = report(write_odd(tmp_path, name), "--json")
    assert done.code == 0, done.err
    json.loads(done.out, parse_constant=pytest.fail)


@pytest.mark.slow
@pytest.mark.parametrize("name", ODD)
async def test_the_page_of_an_odd_log_draws_and_says_only_words(
    report: Call, tmp_path: Path, name: str
) -> None:
    log, page = write_odd(tmp_path, name), tmp_path / "page.html"
    arguments = ["--by", "variant"] if b'"variant"' in log.read_bytes() else []
    done = report(log, *arguments, "--html", page)
    assert done.code == 0, done.err
    assert strange_word(words_of(page.read_text("utf-8"))) is None
    async with open_page(page) as shown:
        assert shown.complaints == []


@pytest.mark.parametrize("name", ODD)
def test_an_odd_log_is_compared_with_a_tidy_one(
    report: Call, tmp_path: Path, old: Path, name: str
) -> None:
    log = write_odd(tmp_path, name)
    for logs in ((log, "--baseline", old), (old, "--baseline", log)):
        done = report(*logs)
        assert (done.code, done.complaints) == (0, "")
        assert strange_word(done.out) is None


@pytest.mark.slow
def test_ten_thousand_streams_are_reported_on(report: Call, tmp_path: Path) -> None:
    log, page = tmp_path / "many.jsonl", tmp_path / "page.html"
    log.write_bytes(many_streams(10_000))
    done = report(log, "--by", "variant", "--html", page)
    assert done.code == 0, done.err
    assert strange_word(done.out) is None
    assert page.stat().st_size <= 3_000_000
