"""A report's page: the streams that it shows are read once more, with their text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lm_deluge.cli.reporting.spooling import rewound, spooled
from lm_deluge.timeline.reading import LogReader, read_timelines

if TYPE_CHECKING:
    from lm_deluge.timeline.measures.comparing.comparisons import Comparisons
    from lm_deluge.timeline.measures.metrics import Measured

__all__ = ["readable_twice", "write_page"]


def readable_twice(reader: LogReader) -> LogReader:
    """Return a reader of the same logs, pipes and standard input kept in temporary files."""
    try:
        return read_timelines([spooled(source) for source in reader.sources], text=False)
    except OSError as error:
        raise click.UsageError(f"cannot read the log: {error}") from None


def write_page(
    page: Path,
    reader: LogReader,
    new: Measured,
    old: Measured | None,
    comparisons: Comparisons,
    *,
    told: Sequence[str],
    shown: Mapping[str, Any],
    text: bool,
    old_reader: LogReader | None = None,
) -> None:
    """Write the page on ``new``, which ``reader`` has read; ``text``: whether texts are in it.

    ``shown``: what else ``html_page`` takes, by keyword. ``old_reader`` has read ``old``: its streams
    are then watched beside those of ``new``.
    """
    from lm_deluge.timeline.measures.sampling import Sample
    from lm_deluge.timeline.report.by_prompt import streams_of_changes
    from lm_deluge.timeline.report.page import html_page
    from lm_deluge.timeline.report.wanted import wanted_ids
    from lm_deluge.timeline.report.watched import watched_ids

    sample = Sample.of(new)
    ids = sample.ids | wanted_ids(new, old, comparisons)
    sample.fill(read_timelines(rewound(reader.sources), text=text, only=ids))
    before = None
    if old is not None and old_reader is not None:
        before = Sample.of(old)
        changed = streams_of_changes(new, old, comparisons)
        wanted = before.ids | set(watched_ids(old)) | set(changed)
        before.fill(read_timelines(rewound(old_reader.sources), text=text, only=wanted))
    made = html_page(
        new,
        told,
        sample,
        baseline=old,
        comparisons=comparisons,
        baseline_sample=before,
        text=text,
        **shown,
    )
    page.write_text(made, encoding="utf-8")
