"""The logs that a report is about: found, opened, measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lm_deluge.timeline.measures.wording import printable
from lm_deluge.timeline.reading import LogReader, read_timelines
from lm_deluge.values.spelling import nearest

if TYPE_CHECKING:
    from lm_deluge.cli.reporting.held import Standard
    from lm_deluge.timeline.measures.budget.rule_texts import FailIf, MaxRegression
    from lm_deluge.timeline.measures.metrics import Measured

__all__ = ["check_content", "log_names", "measure_log", "open_logs", "refuse_foreign"]

_MOST_TAGS = 12


def open_logs(logs: Sequence[str], baseline: Sequence[str]) -> tuple[LogReader, LogReader | None]:
    """Find the logs and see that they can be read; to measure them takes no text."""
    if [*logs, *baseline].count("-") > 1:
        raise click.UsageError("standard input (-) can be read once")
    try:
        readers = read_timelines(logs, text=False), read_timelines(baseline, text=False)
        for reader in readers:
            for source in reader.sources:
                if isinstance(source, Path) and (source.is_file() or source.is_dir()):
                    source.open("rb").close()
    except OSError as error:
        raise click.UsageError(f"cannot read the log: {error}") from None
    return readers[0], readers[1] if baseline else None


def log_names(reader: LogReader | None) -> list[str]:
    """Return what the logs are called: the names of their files, without where they are."""
    sources = reader.sources if reader is not None else []
    names = (
        source.name if isinstance(source, Path) else "standard input" if source == "-" else "a file"
        for source in sources
    )
    return list(dict.fromkeys(names))


def check_content(
    new: Measured, old: Measured | None, rules: Sequence[FailIf | MaxRegression]
) -> None:
    """Refuse to report on nothing, or by tags that no stream has."""
    from lm_deluge.timeline.measures.budget.rule_texts import MaxRegression

    named = [("--by", tag) for tag in new.by] + [
        ("--pair", tag) for tag in (new.pair,) if tag is not None
    ]
    for option, tag in named:
        if new.groups and tag not in new.tags and (option, tag) != ("--by", "model"):
            close = nearest(tag, sorted(new.tags), 3, cutoff=0.5)
            known = sorted(new.tags)[:_MOST_TAGS]
            more = f" and {len(new.tags) - len(known)} more" if len(new.tags) > len(known) else ""
            instead = f"there are {', '.join(known)}{more}" if known else "the log has no tags"
            if close:
                instead = f"did you mean {' or '.join(close)}?"
            raise click.UsageError(printable(f"{option}: no stream has the tag {tag!r}; {instead}"))
    # A rule without data is broken: that is told with the rule.
    if not new.groups and not rules:
        raise click.UsageError("the log holds no stream")
    compared = any(isinstance(rule, MaxRegression) for rule in rules)
    if old is not None and not old.groups and not compared:
        raise click.UsageError("the baseline holds no stream")


def refuse_foreign(reader: LogReader) -> None:
    """Refuse what was read and is no log."""
    if reader.foreign:
        place = reader.foreign[0]
        reasons = [skip.reason for skip in reader.skipped if skip.first.startswith(f"{place}:")]
        why = f" ({reasons[0]})" if reasons else ""
        raise click.UsageError(f"{place} is neither a timeline log nor a recording{why}")


def measure_log(reader: LogReader, held: Standard) -> Measured:
    from lm_deluge.timeline.measures.metrics import measure

    try:
        measured = measure(reader, by=held.by, pair=held.pair, settings=held.settings)
    except OSError as error:
        raise click.UsageError(f"cannot read the log: {error}") from None
    refuse_foreign(reader)
    return measured
