"""The report as CSV and as Markdown: into a file, to standard output, into a job's summary."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from lm_deluge.cli.files import check_anew
from lm_deluge.timeline.measures.wording import printable

if TYPE_CHECKING:
    from lm_deluge.timeline.measures.budget.rules import Judged
    from lm_deluge.timeline.measures.comparing.comparisons import Comparisons
    from lm_deluge.timeline.measures.metrics import Measured

__all__ = [
    "STDOUT",
    "add_to_summary",
    "check_stdout_once",
    "check_table",
    "csv_of",
    "has_summary",
    "markdown_of",
    "put",
]

STDOUT: Final = Path("-")

#: The first line of Markdown that is ours: nothing else is overwritten, and a bot finds its comment.
_MARK: Final = "<!-- lm-deluge report -->"
_BEGINS: Final = {
    "--csv": (b"group,", "CSV of a report"),
    "--md": (_MARK.encode(), "Markdown of a report"),
}

_SUMMARY: Final = "GITHUB_STEP_SUMMARY"


def check_stdout_once(asked: Mapping[str, bool]) -> None:
    """Raise ``click.UsageError`` if more than one of the outputs asked for is standard output."""
    there = [name for name, is_there in asked.items() if is_there]
    if len(there) > 1:
        listed = f"{', '.join(there[:-1])} and {there[-1]}"
        raise click.UsageError(
            f"{listed} all go to standard output; write all but one of them into files"
            if len(there) > 2
            else f"{listed} both go to standard output; write one of them into a file"
        )


def check_table(option: str, path: Path | None) -> None:
    """See that the file, if one is asked for, can be written, and that nothing is lost by it.

    As the page: an empty file and an earlier report of the same kind are overwritten, nothing else.
    """
    if path is not None and path != STDOUT:
        begins, kind = _BEGINS[option]
        check_anew(option, path, (begins.lower(),), what="the file", kind=kind)


def csv_of(new: Measured, old: Measured | None, comparisons: Comparisons) -> str:
    """Return the report as CSV."""
    from lm_deluge.timeline.measures.printing.csv_table import csv_table

    return csv_table(new, comparisons if old is not None else None)


def markdown_of(
    new: Measured,
    old: Measured | None,
    comparisons: Comparisons,
    *,
    told: Sequence[str],
    judged: Sequence[Judged],
    headline: Sequence[str] = (),
) -> str:
    """Return the report as Markdown, with the line by which it is known as ours."""
    from lm_deluge.timeline.measures.printing.markdown import markdown_report

    has_baseline = old is not None
    report = markdown_report(
        new, told, comparisons, judged, headline=headline, compared=has_baseline
    )
    return f"{_MARK}\n{report}"


def put(text: str, path: Path) -> None:
    """Write a table into its file, or to standard output, line ends as they are."""
    data = text.encode("utf-8", "replace")
    if path == STDOUT:
        click.echo(data, nl=False)
        return
    try:
        path.write_bytes(data)
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error}") from None


def has_summary() -> bool:
    """Whether this runs in a GitHub job, which has a summary."""
    return bool(os.environ.get(_SUMMARY))


def add_to_summary(markdown: str) -> None:
    """Append Markdown to the summary of a GitHub job, where this runs in one.

    A summary that cannot be written is told and no more: what a gate says does not depend on it.
    """
    path = os.environ.get(_SUMMARY)
    if not path:
        return
    try:
        with Path(path).open("ab") as file:
            file.write(f"{markdown}\n".encode("utf-8", "replace"))
    except (OSError, ValueError) as error:
        said = printable(str(error))
        click.echo(f"lm-deluge report: {_SUMMARY} cannot be written: {said}", err=True)
