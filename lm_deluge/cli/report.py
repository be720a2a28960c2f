"""``lm-deluge report``: timeline logs measured, compared, drawn, and held to a budget."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lm_deluge.cli.command import Command
from lm_deluge.cli.files import distinct
from lm_deluge.cli.terminal import make_console
from lm_deluge.timeline.measures.wording import printable
from lm_deluge.timeline.reading import LogReader, read_timelines
from lm_deluge.values.spelling import nearest

if TYPE_CHECKING:
    from lm_deluge.timeline.measures.comparisons import Comparisons
    from lm_deluge.timeline.measures.groups import Settings
    from lm_deluge.timeline.measures.metrics import Measured
    from lm_deluge.timeline.measures.rules import FailIf, MaxRegression
    from lm_deluge.timeline.measures.sampling import Sample

__all__ = ["report"]

_BROKEN = 1
_MOST_TAGS = 12
_PAGE_BEGINS = (b"<!doctype html", b"<html")


@click.command(cls=Command)
@click.argument("logs", metavar="LOG...", nargs=-1, required=True)
@click.option(
    "--by",
    metavar="TAG",
    multiple=True,
    help="Group by this tag; without it, by model. Repeatable: by both.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, nothing else.")
@click.option(
    "--html",
    metavar="OUT",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write one self-contained page with charts.",
)
@click.option(
    "--baseline",
    metavar="OLD",
    multiple=True,
    help="Compare with this log (path or glob). Repeatable: with all of them together.",
)
@click.option(
    "--fail-if",
    metavar="RULE",
    multiple=True,
    help="Exit with 1 where it holds, such as 'ttft.p95>0.8' or 'failed>1%'. Repeatable.",
)
@click.option(
    "--max-regression",
    metavar="RULE",
    multiple=True,
    help="Exit with 1 where a metric is worse than the baseline's by more than this, such as "
    "'stalls.streams=20%' or 'ttft.p95=100ms'. Repeatable.",
)
@click.option(
    "--target",
    metavar="RULE",
    multiple=True,
    help="What a good stream meets, such as 'ttft<=0.8'; adds goodput. Repeatable.",
)
@click.option(
    "--stall",
    metavar="SECONDS",
    type=float,
    help="A longer gap is a stall.",
)
@click.option(
    "--read-rate",
    metavar="TOK/S",
    type=float,
    help="How fast the reader reads.",
)
@click.option(
    "--expected-ttft",
    metavar="SECONDS",
    type=float,
    help="When the reader expects text.",
)
@click.pass_context
def report(
    context: click.Context,
    *,
    logs: tuple[str, ...],
    by: tuple[str, ...],
    as_json: bool,
    html: Path | None,
    baseline: tuple[str, ...],
    fail_if: tuple[str, ...],
    max_regression: tuple[str, ...],
    target: tuple[str, ...],
    stall: float | None,
    read_rate: float | None,
    expected_ttft: float | None,
) -> None:
    """Report how streams felt, from timeline logs.

    LOG is a path, a glob pattern, or - for standard input. Exit codes: 0 all rules hold, 1 a rule is
    broken (one line each on stderr), 2 wrong usage, or what is given is no log.
    """
    if max_regression and not baseline:
        raise click.UsageError("--max-regression compares with a log: give --baseline, too")
    try:
        # Here, not above: they need the packages of the extra ``report``.
        from lm_deluge.timeline.measures.comparisons import compare_all
        from lm_deluge.timeline.measures.findings import findings_of
        from lm_deluge.timeline.measures.rules import broken_rules
        from lm_deluge.timeline.measures.sampling import Sample

        numbers = {"stall": stall, "read_rate": read_rate, "expected_ttft": expected_ttft}
        settings = _settings(target, {k: v for k, v in numbers.items() if v is not None})
        rules = _rules(fail_if, max_regression, settings)
        if html is not None:
            from lm_deluge.timeline.report.page import html_page
    except ImportError as error:
        raise click.ClickException(str(error)) from None
    except ValueError as error:
        raise click.UsageError(str(error)) from None

    # All that can be wrong is found before the work, which may take a while.
    sample = Sample() if html is not None else None
    reader, old_reader = _open(logs, baseline, text=sample is not None)
    if html is not None:
        _check_page(html)
    sources = [*reader.sources, *(old_reader.sources if old_reader is not None else [])]
    reads = {f"the log {source}": source for source in sources if isinstance(source, Path)}
    distinct({"--html": html}, reads=reads, stdin="-" in sources)
    tags = tuple(dict.fromkeys(by))
    old = _measure(old_reader, tags, settings) if old_reader is not None else None
    new = _measure(reader, tags, settings, sample)
    _check_content(new, old, rules)
    try:
        broken = broken_rules(new, rules, old)
    except ValueError as error:
        raise click.UsageError(printable(str(error))) from None
    comparisons = compare_all(new, old)
    told = findings_of(new, old, comparisons)
    if html is not None and sample is not None:
        page = html_page(new, told, sample, baseline=old, comparisons=comparisons, broken=broken)
        html.write_text(page, encoding="utf-8")
    try:
        if as_json:
            document = new.to_json(told, comparisons.to_json())
            click.echo(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False))
        else:
            _print(new, told, old, comparisons)
    except BrokenPipeError:
        if not broken:
            raise
    finally:  # whoever closed the pipe has still asked for these
        if html is not None:
            click.echo(f"lm-deluge report: the page is in {html}", err=True)
        for line in broken:
            click.echo(f"lm-deluge report: broken rule: {printable(line)}", err=True)
    context.exit(_BROKEN if broken else 0)


def _open(
    logs: Sequence[str], baseline: Sequence[str], *, text: bool
) -> tuple[LogReader, LogReader | None]:
    """Find the logs and see that they can be read."""
    if [*logs, *baseline].count("-") > 1:
        raise click.UsageError("standard input (-) can be read once")
    try:
        readers = read_timelines(logs, text=text), read_timelines(baseline, text=False)
        for reader in readers:
            for source in reader.sources:
                if isinstance(source, Path) and (source.is_file() or source.is_dir()):
                    source.open("rb").close()
    except OSError as error:
        raise click.UsageError(f"cannot read the log: {error}") from None
    return readers[0], readers[1] if baseline else None


def _check_page(page: Path) -> None:
    """See that the page can be written, and that nothing is lost by it."""
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


def _check_content(
    new: Measured, old: Measured | None, rules: Sequence[FailIf | MaxRegression]
) -> None:
    """Refuse to report on nothing, or by tags that no stream has."""
    from lm_deluge.timeline.measures.rules import MaxRegression

    for tag in new.by:
        if new.groups and tag not in new.tags and tag != "model":
            close = nearest(tag, sorted(new.tags), 3, cutoff=0.5)
            known = sorted(new.tags)[:_MOST_TAGS]
            more = f" and {len(new.tags) - len(known)} more" if len(new.tags) > len(known) else ""
            instead = f"there are {', '.join(known)}{more}" if known else "the log has no tags"
            if close:
                instead = f"did you mean {' or '.join(close)}?"
            raise click.UsageError(printable(f"--by: no stream has the tag {tag!r}; {instead}"))
    # A rule without data is broken: that is told with the rule.
    if not new.groups and not rules:
        raise click.UsageError("the log holds no stream")
    compared = any(isinstance(rule, MaxRegression) for rule in rules)
    if old is not None and not old.groups and not compared:
        raise click.UsageError("the baseline holds no stream")


def _settings(targets: Sequence[str], numbers: dict[str, float]) -> Settings:
    from lm_deluge.timeline.measures.groups import Settings
    from lm_deluge.timeline.measures.targets import parse_target

    return Settings(targets=tuple(map(parse_target, targets)), **numbers)


def _rules(
    fail_if: Sequence[str], max_regression: Sequence[str], settings: Settings
) -> list[FailIf | MaxRegression]:
    from lm_deluge.timeline.measures.rules import parse_fail_if, parse_max_regression

    rules: list[FailIf | MaxRegression] = [parse_fail_if(rule) for rule in fail_if]
    rules += [parse_max_regression(rule) for rule in max_regression]
    if not settings.targets and any(rule.metric == "goodput" for rule in rules):
        raise ValueError("a rule on goodput needs at least one --target")
    return rules


def _measure(
    reader: LogReader, by: tuple[str, ...], settings: Settings, sample: Sample | None = None
) -> Measured:
    from lm_deluge.timeline.measures.metrics import measure

    try:
        keep = sample.keep if sample is not None else None
        measured = measure(reader, by=by, settings=settings, keep=keep)
    except OSError as error:
        raise click.UsageError(f"cannot read the log: {error}") from None
    if reader.foreign:
        place = reader.foreign[0]
        reasons = [skip.reason for skip in reader.skipped if skip.first.startswith(f"{place}:")]
        why = f" ({reasons[0]})" if reasons else ""
        raise click.UsageError(f"{place} is neither a timeline log nor a recording{why}")
    return measured


def _print(
    new: Measured, told: Sequence[str], old: Measured | None, comparisons: Comparisons
) -> None:
    from lm_deluge.timeline.measures.tables import print_report

    # Into a pipe or file a table is as wide as it needs to be.
    console = make_console(highlight=True, width=None if sys.stdout.isatty() else 200)
    print_report(console, new, told, old, comparisons)
