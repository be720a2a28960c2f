"""``lm-deluge report``: timeline logs measured, compared, drawn, and held to a budget."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lm_deluge.timeline.reading import read_timelines

if TYPE_CHECKING:
    from lm_deluge.timeline.metrics import Measured, Settings

__all__ = ["report"]

_BROKEN = 1


@click.command()
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
@click.option("--expected-ttft", metavar="SECONDS", type=float, help="When the reader expects text.")
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
    try:
        from lm_deluge.timeline import metrics, rules, targets
        from lm_deluge.timeline.findings import findings
    except ImportError as error:
        raise click.ClickException(str(error)) from None

    if max_regression and baseline is None:
        raise click.UsageError("--max-regression compares with a log: give --baseline, too")
    numbers = {"stall": stall, "read_rate": read_rate, "expected_ttft": expected_ttft}
    try:
        settings = metrics.Settings(
            targets=tuple(map(targets.parse_target, target)),
            **{name: value for name, value in numbers.items() if value is not None},
        )
        checks = [
            *map(rules.parse_fail_if, fail_if),
            *map(rules.parse_max_regression, max_regression),
        ]
        if not settings.targets and any(rule.metric == "goodput" for rule in checks):
            raise click.UsageError("a rule on goodput needs at least one --target")
    except ValueError as error:
        raise click.UsageError(str(error)) from None

    sample = None
    if html is not None:
        try:
            from lm_deluge.timeline.sampling import Sample
        except ImportError as error:
            raise click.ClickException(str(error)) from None
        sample = Sample()
    old = _measure([baseline], by, settings) if baseline is not None else None
    new = _measure(logs, by, settings, sample)
    told = findings(new, old)
    broken = rules.broken_rules(new, checks, old)
    if as_json:
        click.echo(json.dumps(new.to_json(told), indent=2, ensure_ascii=False, allow_nan=False))
    else:
        _print(new, told, old)
    if html is not None and sample is not None:
        _write(html, new, told, sample, old, broken)
    for line in broken:
        click.echo(f"lm-deluge report: {line}", err=True)
    context.exit(_BROKEN if broken else 0)
