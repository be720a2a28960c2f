"""Where a report goes: a page, tables on a terminal, JSON, CSV, Markdown."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from attrs import field, frozen

from lm_deluge.cli.files import check_anew, distinct
from lm_deluge.cli.reporting.pages import write_page
from lm_deluge.cli.reporting.tabular import (
    STDOUT,
    add_to_summary,
    check_stdout_once,
    check_table,
    csv_of,
    has_summary,
    markdown_of,
    put,
)
from lm_deluge.cli.terminal import make_console

if TYPE_CHECKING:
    from lm_deluge.timeline.measures.budget.rules import Judged
    from lm_deluge.timeline.measures.comparing.comparisons import Comparisons
    from lm_deluge.timeline.measures.metrics import Measured
    from lm_deluge.timeline.measures.verdict.verdict import Verdict
    from lm_deluge.timeline.reading import LogReader

__all__ = ["Made", "Outputs"]

_PAGE_BEGINS = (b"<!doctype html", b"<html")


@frozen
class Made:
    """A report before it is written: what was measured, compared, found, how the rules did, the verdict.

    ``logs``, ``baseline_logs``: what the logs are called.
    """

    new: Measured
    old: Measured | None
    comparisons: Comparisons
    told: Sequence[str]
    judged: Sequence[Judged]
    verdicts: Sequence[Verdict]
    logs: Sequence[str]
    baseline_logs: Sequence[str]

    @property
    def broken(self) -> list[str]:
        """One line for every broken rule."""
        return [str(each) for each in self.judged if each.is_broken]


@frozen
class Outputs:
    """What was asked for: paths, ``STDOUT`` for the dash; ``text``: prompts and answers on the page.

    ``title`` and ``note``: what the page is called, and what is said at its head.
    """

    as_json: bool
    html: Path | None
    csv: Path | None
    md: Path | None
    text: bool = field(default=True, kw_only=True)
    title: str | None = field(default=None, kw_only=True)
    note: str | None = field(default=None, kw_only=True)

    def check_options(self) -> None:
        """Raise ``click.UsageError`` for options that do not go together."""
        about_page = {
            "--no-text": not self.text,
            "--title": self.title is not None,
            "--note": self.note is not None,
        }
        for name, is_given in about_page.items():
            if is_given and self.html is None:
                raise click.UsageError(f"{name} is about the page: give --html, too")
        if self.title is not None and not self.title.strip():
            raise click.UsageError("--title: a page is called something; got an empty title")
        tables = {"--csv -": self.csv == STDOUT, "--md -": self.md == STDOUT}
        check_stdout_once({"--json": self.as_json, **tables})

    def check_none(self) -> None:
        """Raise ``click.UsageError`` if anything was asked for: the live view is on the terminal."""
        asked = {"--json": self.as_json, "--html": self.html, "--csv": self.csv, "--md": self.md}
        for option, value in asked.items():
            if value:
                raise click.UsageError(f"--watch shows what is now; it writes no {option}")

    def check_files(
        self, reader: LogReader, old_reader: LogReader | None, budget: Path | None
    ) -> None:
        """See that all can be written, and that nothing that is read is overwritten."""
        _check_page(self.html)
        check_table("--csv", self.csv)
        check_table("--md", self.md)
        sources = [*reader.sources, *(old_reader.sources if old_reader is not None else [])]
        reads = {f"the log {source}": source for source in sources if isinstance(source, Path)}
        if budget is not None:
            reads["the budget"] = budget
        files = {"--html": self.html, "--csv": self.csv, "--md": self.md}
        written = {name: path for name, path in files.items() if path != STDOUT}
        distinct(written, reads=reads, stdin="-" in sources)

    def write_files(
        self, made: Made, reader: LogReader, old_reader: LogReader | None = None
    ) -> None:
        """Write the page, which reads what the readers have read once more, tables and a job's summary."""
        if self.html is not None:
            write_page(
                self.html,
                reader,
                made.new,
                made.old,
                made.comparisons,
                told=made.told,
                shown=self._shown(made),
                text=self.text,
                old_reader=old_reader,
            )
        if self.csv is not None and self.csv != STDOUT:
            put(_csv(made), self.csv)
        if self.md is not None and self.md != STDOUT:
            put(_markdown(made), self.md)
        if made.judged and has_summary():
            add_to_summary(_markdown(made))

    def show(self, made: Made) -> None:
        """Print what goes to standard output: the tables, unless something else was asked for."""
        if self.as_json:
            from lm_deluge.timeline.measures.findings.about_pairs import pairs_json

            document = made.new.to_json(
                made.told,
                made.comparisons.to_json(),
                [each.to_json() for each in made.verdicts],
                pairs_json(made.comparisons),
            )
            click.echo(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False))
        elif self.csv == STDOUT:
            put(_csv(made), STDOUT)
        elif self.md == STDOUT:
            put(_markdown(made), STDOUT)
        else:
            _print_tables(made)

    def name_files(self) -> None:
        """Say where the files are."""
        for path, what in ((self.html, "page"), (self.csv, "table"), (self.md, "summary")):
            if path is not None and path != STDOUT:
                click.echo(f"lm-deluge report: the {what} is in {path}", err=True)

    def _shown(self, made: Made) -> dict[str, object]:
        """Return what the page shows beside what was measured, as ``html_page`` takes it."""
        shown: dict[str, object] = {
            "broken": made.broken,
            "verdicts": made.verdicts,
            "logs": made.logs,
            "baseline_logs": made.baseline_logs,
        }
        named = {"title": self.title, "note": self.note}
        return shown | {name: text for name, text in named.items() if text is not None}


def _csv(made: Made) -> str:
    return csv_of(made.new, made.old, made.comparisons)


def _markdown(made: Made) -> str:
    return markdown_of(
        made.new,
        made.old,
        made.comparisons,
        told=made.told,
        judged=made.judged,
        headline=[verdict.sentence for verdict in made.verdicts],
    )


def _check_page(page: Path | None) -> None:
    """See that the page, if one is asked for, can be written, and that nothing is lost by it."""
    if page is None:
        return
    if page == STDOUT:
        raise click.UsageError("--html: the page goes into a file, not to standard output")
    check_anew("--html", page, _PAGE_BEGINS, what="the page", kind="HTML page")


def _print_tables(made: Made) -> None:
    from lm_deluge.timeline.measures.printing.tables import print_report

    # Into a pipe or file a table is as wide as it needs to be.
    console = make_console(highlight=True, width=None if sys.stdout.isatty() else 200)
    print_report(console, made.new, made.told, made.old, made.comparisons, made.verdicts)
