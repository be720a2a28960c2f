"""``lm-deluge report``: timeline logs measured, compared, drawn, and held to a budget."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lm_deluge.cli.command import Command
from lm_deluge.timeline.reading import read_timelines

if TYPE_CHECKING:
    from lm_deluge.timeline.metrics import Measured, Settings
    from lm_deluge.timeline.rules import FailIf, MaxRegression
    from lm_deluge.timeline.sampling import Sample

__all__ = ["report"]

_BROKEN = 1


@click.command(cls=Command)
@click.argument("logs", metavar="LOG...", nargs=-1, required=True)
@click.option("--by", metavar="TAG", help="Group by this tag; without it, by model.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, nothing else.")
@click.option(
    "--html",
    metavar="OUT",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write one self-contained page with charts.",
)
@click.option("--baseline", metavar="OLD", help="Compare with this log (path or glob).")
@click.option(
    "--fail-if",
    metavar="RULE",
    multiple=True,
    help="Exit with 1 where it holds, such as 'ttft.p95>0.8'. Repeatable.",
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
@click.option("--stall", metavar="SECONDS", type=float, help="A longer gap is a stall.")
@click.option("--read-rate", metavar="TOK/S", type=float, help="How fast the reader reads.")
@click.option(
    "--expected-ttft", metavar="SECONDS", type=float, help="When the reader expects text."
)
@click.pass_context
def report(
    context: click.Context,
    *,
    logs: tuple[str, ...],
    by: str | None,
    as_json: bool,
    html: Path | None,
    baseline: str | None,
    fail_if: tuple[str, ...],
    max_regression: tuple[str, ...],
    target: tuple[str, ...],
    stall: float | None,
    read_rate: float | None,
    expected_ttft: float | None,
) -> None:
    """Report how streams felt, from timeline logs.

    LOG is a path, a glob pattern, or - for standard input. Exit codes: 0 all rules hold, 1 a rule is
    broken (one line each on stderr), 2 wrong usage.
    """
    if max_regression and baseline is None:
        raise click.UsageError("--max-regression compares with a log: give --baseline, too")
    try:
        # Here, not above: they need the packages of the extra ``report``.
        from lm_deluge.timeline.findings import findings_of
        from lm_deluge.timeline.rules import broken_rules
        from lm_deluge.timeline.sampling import Sample

        numbers = {"stall": stall, "read_rate": read_rate, "expected_ttft": expected_ttft}
        settings = _settings(target, {k: v for k, v in numbers.items() if v is not None})
        rules = _rules(fail_if, max_regression, settings)
        if html is not None:
            from lm_deluge.timeline.page import html_page
    except ImportError as error:
        raise click.ClickException(str(error)) from None
    except ValueError as error:
        raise click.UsageError(str(error)) from None

    sample = Sample()
    old = _measure([baseline], by, settings) if baseline is not None else None
    new = _measure(logs, by, settings, sample if html is not None else None)
    told = findings_of(new, old)
    broken = broken_rules(new, rules, old)
    if as_json:
        click.echo(json.dumps(new.to_json(told), indent=2, ensure_ascii=False, allow_nan=False))
    else:
        _print(new, told, old)
    if html is not None:
        page = html_page(new, told, sample, baseline=old, broken=broken)
        html.write_text(page, encoding="utf-8")
        click.echo(f"lm-deluge report: the page is in {html}", err=True)
    for line in broken:
        click.echo(f"lm-deluge report: broken rule: {line}", err=True)
    context.exit(_BROKEN if broken else 0)


def _settings(targets: Sequence[str], numbers: dict[str, float]) -> Settings:
    from lm_deluge.timeline.metrics import Settings
    from lm_deluge.timeline.targets import parse_target

    return Settings(targets=tuple(map(parse_target, targets)), **numbers)


def _rules(
    fail_if: Sequence[str], max_regression: Sequence[str], settings: Settings
) -> list[FailIf | MaxRegression]:
    from lm_deluge.timeline.rules import parse_fail_if, parse_max_regression

    rules: list[FailIf | MaxRegression] = [parse_fail_if(rule) for rule in fail_if]
    rules += [parse_max_regression(rule) for rule in max_regression]
    if not settings.targets and any(rule.metric == "goodput" for rule in rules):
        raise ValueError("a rule on goodput needs at least one --target")
    return rules


def _measure(
    logs: Sequence[str], by: str | None, settings: Settings, sample: Sample | None = None
) -> Measured:
    from lm_deluge.timeline.metrics import measure

    try:
        reader = read_timelines(logs, text=sample is not None)
        keep = sample.keep if sample is not None else None
        return measure(reader, by=by, settings=settings, keep=keep)
    except OSError as error:
        raise click.UsageError(f"cannot read the log: {error}") from None


def _print(new: Measured, told: Sequence[str], old: Measured | None) -> None:
    from rich.console import Console

    from lm_deluge.timeline.tables import print_report

    # Into a pipe or file a table is as wide as it needs to be.
    console = Console() if sys.stdout.isatty() else Console(width=200)
    print_report(console, new, told, old)
