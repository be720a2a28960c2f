"""The report on a terminal: rich tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any

from lm_deluge.timeline.compare import COMPARED, Comparison, compare_groups, pair_groups
from lm_deluge.timeline.metrics import Measured
from lm_deluge.timeline.names import in_words
from lm_deluge.timeline.wording import NOTHING, difference, number, percent, printable, seconds

try:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text
except ImportError as error:
    message = "the report's tables need rich: pip install rich"
    raise ImportError(message) from error

__all__ = ["print_report"]

DISTRIBUTIONS = (
    ("ttft", "TTFT, first output"),
    ("ttfa", "TTFA, first visible token"),
    ("gap", "gaps between tokens"),
    ("tpot", "TPOT, per piece"),
    ("tpot_per_token", "TPOT, per token"),
    ("e2e", "E2E, whole answer"),
    ("rate", "output rate"),
    ("starvation", "reader starvation"),
    ("qoe", "QoE (1 is best)"),
    ("handler_lag", "handler lag"),
)


def print_report(
    console: Console,
    measured: Measured,
    findings: Sequence[str],
    baseline: Measured | None = None,
) -> None:
    """Print counts, distributions, errors, the comparison with ``baseline``, and the findings."""
    if measured.groups:
        console.print(_streams(measured))
        console.print(_distributions(measured))
        if any(group.failed for group in measured.groups.values()):
            console.print(_errors(measured))
        if baseline is not None:
            console.print(_comparison(measured, baseline))
    console.print(Text("Findings", style="bold"))
    for finding in findings or ["Nothing stands out."]:
        # Into a pipe, one line each: for grep.
        console.print(Text(f"• {printable(finding)}"), soft_wrap=not console.is_terminal)
    console.print(Text(settings_in_words(measured), style="dim"))


def _table(title: str, *columns: str, left: int = 1) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", header_style="")
    for position, column in enumerate(columns):
        table.add_column(
            Text(column),
            justify="left" if position < left else "right",
            overflow="fold",
            no_wrap=position >= left,
        )
    return table


def _row(table: Table, cells: Iterable[str], *, last: bool = False) -> None:
    table.add_row(*(Text(printable(cell)) for cell in cells), end_section=last)


def _kind(measured: Measured) -> str:
    return printable(measured.by) if measured.by is not None else "model"


def _streams(measured: Measured) -> Table:
    columns = ["streams", "whole", "failed", "no ending", "no output", "stalls", "in all"]
    columns += ["longest", "stalled", "shared reads", "tokens/piece", "cost"]
    if measured.settings.targets:
        columns += ["met targets", "goodput"]
    table = _table("Streams", _kind(measured), *columns)
    for group in measured.groups.values():
        summary = group.summary()
        stalls = summary["stalls"]
        known = len(group.values("tokens_per_piece"))
        weight = summary["tokens_per_piece"]
        cells = [
            group.name,
            *(f"{count:,}" for count in (group.streams, group.completed, group.failed)),
            f"{group.unfinished:,}",
            f"{group.censored:,}",
            number("stalls.count", stalls["count"]),
            seconds(stalls["total"]),
            seconds(stalls["longest"]),
            percent(stalls["streams"]),
            percent(summary["coalescing"]),
            f"1 (assumed) n={group.streams - known:,}"
            if weight is None
            else f"{weight:.3g} (n={known:,})",
            number("cost", summary["cost"]),
        ]
        if measured.settings.targets:
            cells += [percent(group.good / group.streams), number("goodput", group.goodput)]
        _row(table, cells)
    return table


def _distributions(measured: Measured) -> Table:
    statistics = ("n", "mean", "p50", "p90", "p95", "p99", "max")
    table = _table("Distributions", "metric", _kind(measured), *statistics, left=2)
    summaries = {name: group.summary() for name, group in measured.groups.items()}
    for metric, words in DISTRIBUTIONS:
        for position, (name, summary) in enumerate(summaries.items()):
            values: dict[str, Any] = summary[metric]
            _row(
                table,
                [
                    "" if position else words,
                    name,
                    *(
                        number(f"{metric}.{statistic}", values[statistic])
                        for statistic in statistics
                    ),
                ],
                last=position == len(summaries) - 1 and len(summaries) > 1,
            )
    return table


def _errors(measured: Measured) -> Table:
    columns = ("error", "phase", "streams", "share", "pieces before (median)", "after (median)")
    table = _table("Errors", _kind(measured), *columns, left=3)
    for group in measured.groups.values():
        for failures in sorted(group.failures.values(), key=lambda kind: -len(kind.tokens)):
            count = len(failures.tokens)
            _row(
                table,
                [
                    group.name,
                    failures.error,
                    failures.phase or NOTHING,
                    f"{count:,}",
                    percent(count / group.streams),
                    f"{median(failures.tokens):,.0f}",
                    seconds(median(failures.seconds)),
                ],
            )
    return table


def _comparison(measured: Measured, baseline: Measured) -> Table:
    columns = ("before", "now", "change", "95 % interval of the change")
    table = _table(
        "Compared with the baseline (bold: clear)", "metric", _kind(measured), *columns, left=2
    )
    pairs = pair_groups(measured, baseline)
    for metric in COMPARED:
        rows = [
            (name, compare_groups(group, before, metric))
            for name, (group, before) in pairs.items()
            if group is not None and before is not None
        ]
        for position, (name, comparison) in enumerate(rows):
            table.add_row(
                Text("" if position else in_words(metric)),
                Text(printable(name)),
                Text(number(metric, comparison.old)),
                Text(number(metric, comparison.new)),
                Text(signed(comparison), style="bold" if comparison.is_clear else ""),
                Text(interval(comparison)),
                end_section=position == len(rows) - 1 and len(rows) > 1,
            )
    return table


def signed(comparison: Comparison) -> str:
    """Return the difference with its sign."""
    change = comparison.difference
    if change is None:
        return NOTHING
    return f"{'+' if change > 0 else ''}{difference(comparison.metric, change)}"


def interval(comparison: Comparison) -> str:
    """Return the difference's interval."""
    if comparison.low is None or comparison.high is None:
        return NOTHING
    low, high = (difference(comparison.metric, end) for end in (comparison.low, comparison.high))
    return f"{low} to {high}"


def settings_in_words(measured: Measured) -> str:
    settings = measured.settings
    return (
        f"{measured.lines:,} lines read, {measured.skipped_lines:,} skipped. A stall is a gap above "
        f"{settings.stall:g} s; the reader takes {settings.read_rate:g} tokens/s and expects the "
        f"first after {settings.expected_ttft:g} s."
    )
