"""``lm-deluge report``: timeline logs measured, compared, drawn, and held to a budget."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import click

from lm_deluge.cli.command import Command, Finite, was_given
from lm_deluge.cli.reporting.held import Standard, held_of, read_budget, tell_opposites
from lm_deluge.cli.reporting.live import LAST, Duration, check_live, watch
from lm_deluge.cli.reporting.outputs import Made, Outputs
from lm_deluge.cli.reporting.pages import readable_twice
from lm_deluge.cli.reporting.sources import check_content, log_names, measure_log, open_logs
from lm_deluge.timeline.measures.wording import printable

__all__ = ["report"]

_BROKEN = 1


@click.command(cls=Command)
@click.argument("logs", metavar="LOG...", nargs=-1, required=True)
@click.option(
    "--by",
    metavar="TAG",
    multiple=True,
    help="Group by this tag; without it, by model. Repeatable: by both; the first is compared "
    "within the others.",
)
@click.option(
    "--pair",
    metavar="TAG",
    help="Compare prompt by prompt: streams with the same value of this tag answered the same prompt. "
    "Without it, the prompt's hash says so where the log has it.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, nothing else.")
@click.option(
    "--html",
    metavar="OUT",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write one self-contained page with charts.",
)
@click.option("--title", metavar="TEXT", help="What the page is called.")
@click.option("--note", metavar="TEXT", help="What the page says below its title.")
@click.option(
    "--no-text",
    is_flag=True,
    help="Leave prompts and answers out of the page.",
)
@click.option(
    "--csv",
    metavar="OUT",
    type=click.Path(dir_okay=False, writable=True, allow_dash=True, path_type=Path),
    help="Write all figures as CSV, a row each; - is standard output.",
)
@click.option(
    "--md",
    metavar="OUT",
    type=click.Path(dir_okay=False, writable=True, allow_dash=True, path_type=Path),
    help="Write the summary as Markdown for a pull request; - is standard output.",
)
@click.option(
    "--baseline",
    metavar="OLD",
    multiple=True,
    help="Compare with this log (path or glob). Repeatable: with all of them together.",
)
@click.option(
    "--budget",
    metavar="TOML",
    type=click.Path(dir_okay=False, exists=True, readable=True, path_type=Path),
    help="Hold the logs to the rules of this file (docs/budgets.md), --fail-if's beside them.",
)
@click.option(
    "--fail-if",
    metavar="RULE",
    multiple=True,
    help="Exit with 1 where it holds, such as 'ttft.p95>0.8' or 'failed>1%': what is not to be. Repeatable.",
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
@click.option(
    "--watch",
    "is_live",
    is_flag=True,
    help="Follow logs that grow and show their last minutes, until q or Ctrl-C.",
)
@click.option(
    "--last",
    metavar="TIME",
    type=Duration(),
    default=LAST,
    help="How far --watch looks back, such as 90s or 2h; without it 5m.",
)
@click.option(
    "--interval",
    metavar="SECONDS",
    type=Finite(min=0.1),
    help="How often --watch shows anew; without it 1 on a terminal, 10 elsewhere.",
)
@click.pass_context
def report(
    context: click.Context,
    *,
    logs: tuple[str, ...],
    by: tuple[str, ...],
    pair: str | None,
    as_json: bool,
    html: Path | None,
    title: str | None,
    note: str | None,
    no_text: bool,
    csv: Path | None,
    md: Path | None,
    budget: Path | None,
    baseline: tuple[str, ...],
    fail_if: tuple[str, ...],
    max_regression: tuple[str, ...],
    target: tuple[str, ...],
    stall: float | None,
    read_rate: float | None,
    expected_ttft: float | None,
    is_live: bool,
    last: float,
    interval: float | None,
) -> None:
    """Report how streams felt, from timeline logs.

    LOG is a path, a glob pattern, or - for standard input.

    \b
    lm-deluge report a.jsonl b.jsonl --by variant      compare by a tag
    lm-deluge report run.jsonl --html report.html      a page to show
    lm-deluge report new.jsonl --baseline old.jsonl --fail-if 'ttft.p95>0.8'

    Exit codes: 0 all rules hold, 1 a rule is
    broken (one line each on stderr; with --watch when it ends), 2 wrong usage, or what is given is
    no log.
    """
    if not is_live and (was_given("last") or was_given("interval")):
        raise click.UsageError("--last and --interval are about the live view: give --watch, too")
    if max_regression and not baseline:
        raise click.UsageError("--max-regression compares with a log: give --baseline, too")
    outputs = Outputs(as_json, html, csv, md, text=not no_text, title=title, note=note)
    outputs.check_options()
    try:
        # Here, not above: they need the packages of the extra ``report``.
        import_module("lm_deluge.timeline.measures.verdict.verdicts")
        if html is not None:
            import_module("lm_deluge.timeline.report.page")
        held = held_of(
            read_budget(budget),
            fail_if=fail_if,
            max_regression=max_regression,
            targets=target,
            numbers={"stall": stall, "read_rate": read_rate, "expected_ttft": expected_ttft},
            by=by,
            pair=pair,
        )
    except ImportError as error:
        raise click.ClickException(str(error)) from None
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    tell_opposites(held.rules)
    if is_live:
        outputs.check_none()
        if pair is not None:
            raise click.UsageError("--pair compares prompt by prompt, which --watch does not")
        broken = _watch(logs, baseline, held, last, interval)
    else:
        broken = _report(logs, baseline, held, outputs, budget)
    context.exit(_BROKEN if broken else 0)


def _watch(
    logs: Sequence[str],
    baseline: Sequence[str],
    held: Standard,
    last: float,
    interval: float | None,
) -> list[str]:
    """Show the last minutes until somebody ends it; return the rules that are broken then."""
    check_live(logs, held)
    old_reader = open_logs((), baseline)[1]
    old = measure_log(old_reader, held) if old_reader is not None else None
    broken = watch(logs, held, old, last=last, interval=interval)
    _tell(broken)
    return broken


def _report(
    logs: Sequence[str],
    baseline: Sequence[str],
    held: Standard,
    outputs: Outputs,
    budget: Path | None,
) -> list[str]:
    """Read, measure, compare, judge and write; return the rules that are broken."""
    from lm_deluge.timeline.measures.budget.rules import judge_rules
    from lm_deluge.timeline.measures.comparing.comparisons import compare_all
    from lm_deluge.timeline.measures.findings.findings import findings_of
    from lm_deluge.timeline.measures.verdict.verdicts import verdicts_of

    # All that can be wrong is found before the work, which may take a while.
    reader, old_reader = open_logs(logs, baseline)
    if old_reader is None and (name := held.compared):
        raise click.UsageError(
            f"--budget: the rule {name} compares with a log: give --baseline, too"
        )
    outputs.check_files(reader, old_reader, budget)
    names, old_names = log_names(reader), log_names(old_reader)
    if outputs.html is not None:
        reader = readable_twice(reader)
        old_reader = readable_twice(old_reader) if old_reader is not None else None
    old = measure_log(old_reader, held) if old_reader is not None else None
    new = measure_log(reader, held)
    check_content(new, old, held.rules)
    try:
        judged = judge_rules(new, held.rules, old)
    except ValueError as error:
        raise click.UsageError(printable(str(error))) from None
    comparisons = compare_all(new, old)
    broken = [str(each) for each in judged if each.is_broken]
    verdicts = verdicts_of(new, old, comparisons, broken=broken)
    told = findings_of(new, old, comparisons)
    made = Made(new, old, comparisons, told, judged, verdicts, names, old_names)
    outputs.write_files(made, reader, old_reader)
    try:
        outputs.show(made)
    except BrokenPipeError:
        if not broken:
            raise
    finally:  # whoever closed the pipe has still asked for these
        outputs.name_files()
        _tell(broken)
    return broken


def _tell(broken: Sequence[str]) -> None:
    for line in broken:
        click.echo(f"lm-deluge report: broken rule: {printable(line)}", err=True)
