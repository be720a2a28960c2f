"""The report on a terminal: rich tables that fit into 80 columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lm_deluge.timeline.measures.comparing.compare import COMPARED
from lm_deluge.timeline.measures.comparing.comparisons import Comparisons, compare_all
from lm_deluge.timeline.measures.comparing.pairs import Prompts
from lm_deluge.timeline.measures.findings.about_pairs import NAMES, amount, unpaired_text
from lm_deluge.timeline.measures.groups import Group
from lm_deluge.timeline.measures.metrics import Measured
from lm_deluge.timeline.measures.names import STATISTICS
from lm_deluge.timeline.measures.printing.figures import (
    SHOWN,
    error_rows,
    known_of,
    settings_in_words,
    share_with_interval,
    without_failed,
)
from lm_deluge.timeline.measures.printing.rich_tables import Console, Table, Text, box
from lm_deluge.timeline.measures.printing.told import print_findings, print_verdicts
from lm_deluge.timeline.measures.printing.way_rows import (
    GAPS,
    HEADS,
    clocks_in_words,
    gap_rows,
    seen_briefly,
    station_rows,
    told_groups,
)
from lm_deluge.timeline.measures.verdict.verdict import Verdict
from lm_deluge.timeline.measures.wording import (
    difference,
    interval,
    number,
    percent,
    printable,
    seconds,
)

__all__ = ["print_report"]

_MOST_PAIRS = 6

#: Into 80 columns go seven; the deviation is on the page and in what machines read.
_STATISTICS = tuple(name for name in STATISTICS if name != "std")


def print_report(
    console: Console,
    measured: Measured,
    findings: Sequence[str],
    baseline: Measured | None = None,
    comparisons: Comparisons | None = None,
    verdicts: Sequence[Verdict] = (),
) -> None:
    """Print the verdict, counts, distributions, errors, the comparison with ``baseline``, findings."""
    print_verdicts(console, verdicts, comparisons)
    if measured.groups:
        console.print(_streams(measured))
        console.print(_outcomes(measured))
        console.print(_stalls(measured))
        if any(group.seconds is not None for group in measured.groups.values()):
            console.print(_throughput(measured))
        if measured.settings.targets:
            console.print(_targets(measured))
        console.print(_distributions(measured))
        if groups := told_groups(measured):
            console.print(_way(measured, groups))
            console.print(_gaps_on_the_way(measured, groups))
        if any(group.failures for group in measured.groups.values()):
            console.print(_errors(measured))
        for pair in (comparisons.pairs if comparisons is not None else [])[:_MOST_PAIRS]:
            if pair.prompts is not None and pair.prompts.keys:
                before = f"{pair.old.name} before" if baseline is not None else pair.old.name
                console.print(_by_prompt(pair.prompts, pair.new.name, before))
        if baseline is not None:
            console.print(_comparison(measured, comparisons or compare_all(measured, baseline)))
    print_findings(console, findings)
    console.print()
    console.print(Text(settings_in_words(measured), style="dim"))


def _table(title: str, *columns: str, left: int = 1) -> Table:
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        header_style="dim",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for position, column in enumerate(columns):
        if position < left:
            # Of two, the first is our own words, and short; a tag or model can be long.
            first_of_two = position == 0 and left == 2
            table.add_column(Text(column), overflow="fold", min_width=5, no_wrap=first_of_two)
        else:
            table.add_column(Text(column), justify="right", no_wrap=True)
    return table


def _row(table: Table, cells: Iterable[str], *, style: str = "", last: bool = False) -> None:
    table.add_row(*(Text(printable(cell), style=style) for cell in cells), end_section=last)


def _kind(measured: Measured) -> str:
    return printable(measured.kind)


def _streams(measured: Measured) -> Table:
    columns = ["streams", "whole", "failed", "left", "no end", "silent", "tokens/piece", "cost"]
    table = _table("Streams", _kind(measured), *columns)
    for group in measured.groups.values():
        summary = group.summary()
        weight = summary["tokens_per_piece"]
        known = len(group.values("tokens_per_piece"))
        names = ("streams", "completed", "failed", "cancelled", "unfinished", "censored")
        cost = number("cost", summary["cost"])
        cells = [
            group.name,
            *(f"{summary[name]:,}" for name in names),
            "1 (assumed)" if weight is None else f"{weight:.3g} (n={known:,})",
            known_of(len(group.values("cost")), group.streams, cost),
        ]
        _row(table, cells)
    return table


def _outcomes(measured: Measured) -> Table:
    title = "Failed and retried (share of the streams, 95 % interval)"
    table = _table(title, _kind(measured), "n", "failed", "share", "retried", "share")
    for group in measured.groups.values():
        cells = [group.name, f"{group.streams:,}"]
        for count in (group.failed, group.retried):
            cells += [f"{count:,}", share_with_interval(count, group.streams)]
        _row(table, cells)
    return table


def _targets(measured: Measured) -> Table:
    title = f"Targets: {' and '.join(map(str, measured.settings.targets))}"
    table = _table(title, _kind(measured), "streams", "met them", "share", "goodput")
    for group in measured.groups.values():
        share = percent(group.good / group.streams)
        counts = (f"{group.streams:,}", f"{group.good:,}")
        _row(table, [group.name, *counts, share, number("goodput", group.goodput)])
    return table


def _throughput(measured: Measured) -> Table:
    table = _table("Throughput of the run", _kind(measured), "seconds", "requests", "output tokens")
    for group in measured.groups.values():
        cells = (
            seconds(group.seconds),
            number("request_throughput", group.request_throughput),
            number("output_token_throughput", group.output_token_throughput),
        )
        _row(table, [group.name, *cells])
    return table


def _stalls(measured: Measured) -> Table:
    columns = ("n", "streams with one", "stalls", "in all", "longest", "shared reads")
    title = f"Stalls above {measured.settings.stall:g} s, and coalescing"
    table = _table(title, _kind(measured), *columns)
    for group in measured.groups.values():
        summary = group.summary()
        stalls = summary["stalls"]
        cells = (
            group.name,
            f"{group.streams:,}",
            percent(stalls["streams"]),
            number("stalls.count", stalls["count"]),
            seconds(stalls["total"]),
            seconds(stalls["longest"]),
            percent(summary["coalescing"]),
        )
        _row(table, cells)
    return table


def _distributions(measured: Measured) -> Table:
    # A rate's unit is in its name: ten times "tokens/s" does not fit.
    title = f"Distributions, by {_kind(measured)}"
    if any(group.never for group in measured.groups.values()):
        title += " (n +k: k streams failed before it)"
    table = _table(title, "metric", "", *_STATISTICS, left=2)
    names = list(measured.groups)
    for metric, words, _ in SHOWN:
        for name in names:
            group = measured.groups[name]
            values = group.summary()[metric]
            cells = [
                number(f"{metric}.{key}", values[key]).removesuffix(" tokens/s")
                for key in _STATISTICS
            ]
            cells[0] += _beside(group, metric)
            first, last = name == names[0], name == names[-1]
            _row(table, [words if first else "", name, *cells], last=last and len(names) > 1)
    return table


def _way(measured: Measured, groups: Sequence[Group]) -> Table:
    title = "The way to the screen: where the wait comes from"
    if clocks := clocks_in_words(groups):
        title += f"\n({clocks})"
    table = _table(title, _kind(measured), "", *HEADS, left=2)
    table.columns[0].no_wrap, table.columns[1].no_wrap = False, True
    for group in groups:
        rows = list(station_rows(group))
        for position, row in enumerate(rows):
            first = {0: group.name, 1: seen_briefly(group)}.get(position, "")
            last = position == len(rows) - 1 and len(groups) > 1
            _row(table, [first, f"{row.what.split()[-1]} {row.q}", *row.cells], last=last)
    return table


def _gaps_on_the_way(measured: Measured, groups: Sequence[Group]) -> Table:
    title = f"Gaps at each station, and stalls (above {measured.settings.stall:g} s)"
    table = _table(title, _kind(measured), "station", *GAPS, left=2)
    table.columns[0].no_wrap = False
    for group in groups:
        rows = list(gap_rows(group))
        for position, cells in enumerate(rows):
            first = "" if position else group.name
            last = position == len(rows) - 1 and len(groups) > 1
            _row(table, [first, *cells], last=last)
    return table


def _beside(group: Group, metric: str) -> str:
    """Return how many streams failed without the figure: they are not in its percentiles."""
    never = group.never.get(metric, 0)
    return f" +{never:,}" if never else ""


def _errors(measured: Measured) -> Table:
    columns = ("what happened (in the log)", "streams", "share", "pieces", "after")
    title = "Errors: how streams broke off (pieces and seconds before it: medians)"
    table = _table(title, _kind(measured), *columns, left=2)
    table.columns[0].no_wrap, table.columns[0].max_width = False, 24
    for group in measured.groups.values():
        for words, logged, *cells in error_rows(group):
            _row(table, [group.name, f"{words} ({logged})", *cells])
    return table


def _by_prompt(prompts: Prompts, name: str, other: str) -> Table:
    title = f"Prompt by prompt, {len(prompts.keys):,} that both answered"
    if left := unpaired_text(prompts, name, other):
        title += f"\n({left})"
    table = _table(
        printable(title), "", name, other, "change", "95 % interval", "better/worse/alike"
    )
    for metric, each in prompts.comparisons.items():
        cells = (
            NAMES[metric],
            amount(metric, each.new),
            amount(metric, each.old),
            difference(metric, each.difference),
            interval(metric, each.low, each.high),
            f"{each.better}/{each.worse}/{each.same}",
        )
        _row(table, cells, style="bold" if each.is_clear else "")
    return table


def _comparison(measured: Measured, comparisons: Comparisons) -> Table:
    columns = ("before", "now", "change", "95 % interval")
    title = (
        "Compared with the baseline\n(bold: clear also among "
        f"{comparisons.n} comparisons, by Holm's method)"
    )
    if any(pair.new.never or pair.old.never for pair in comparisons.pairs):
        title += "\n(*: without streams that failed before it)"
    table = _table(title, "metric", _kind(measured), *columns, left=2)
    pairs = comparisons.pairs
    for metric in COMPARED:
        for position, pair in enumerate(pairs):
            comparison = pair.with_interval(metric)
            cells = (
                "" if position else metric,
                pair.new.name,
                without_failed(pair.old, metric, comparison.old),
                without_failed(pair.new, metric, comparison.new),
                difference(metric, comparison.difference).removesuffix(" tokens/s"),
                interval(metric, comparison.low, comparison.high).removesuffix(" tokens/s"),
            )
            style = "bold" if comparison.is_clear else ""
            _row(table, cells, style=style, last=position == len(pairs) - 1 and len(pairs) > 1)
    return table
