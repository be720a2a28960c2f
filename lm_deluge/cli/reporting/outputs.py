"""Where a report goes: a page, tables on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lm_deluge.cli.terminal import make_console

if TYPE_CHECKING:
    from lm_deluge.timeline.measures.comparisons import Comparisons
    from lm_deluge.timeline.measures.metrics import Measured

__all__ = ["check_page", "print_tables"]

_PAGE_BEGINS = (b"<!doctype html", b"<html")


def check_page(page: Path | None) -> None:
    """See that the page, if one is asked for, can be written, and that nothing is lost by it."""
    if page is None:
        return
    if str(page) == "-":
        raise click.UsageError("--html: the page goes into a file, not to standard output")
    if not page.parent.is_dir():
        raise click.UsageError(f"--html: there is no directory {str(page.parent)!r} for {page}")
    try:
        if not page.exists():
            page.open("xb").close()
            page.unlink()
        elif page.is_file():
            with page.open("r+b") as file:
                begins = file.read(64).lstrip().lower()
            if begins and not begins.startswith(_PAGE_BEGINS):
                raise click.UsageError(
                    f"--html: {page} exists and is no HTML page; it is not overwritten"
                )
    except OSError as error:
        raise click.UsageError(f"--html: the page cannot be written: {error}") from None


def print_tables(
    new: Measured, told: Sequence[str], old: Measured | None, comparisons: Comparisons
) -> None:
    from lm_deluge.timeline.measures.tables import print_report

    # Into a pipe or file a table is as wide as it needs to be.
    console = make_console(highlight=True, width=None if sys.stdout.isatty() else 200)
    print_report(console, new, told, old, comparisons)
