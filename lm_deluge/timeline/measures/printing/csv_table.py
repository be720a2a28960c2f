"""What was measured as a tidy table for spreadsheets and data frames: a row a figure.

RFC 4180: comma, CRLF, quotes doubled. Values are raw: seconds, shares from 0 to 1, tokens a second;
an empty cell is what is not known.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

from lm_deluge.timeline.measures.comparing.compare import COMPARED
from lm_deluge.timeline.measures.comparing.comparisons import Comparisons, Pair
from lm_deluge.timeline.measures.groups import Group
from lm_deluge.timeline.measures.metrics import Measured, tag_values
from lm_deluge.timeline.measures.names import (
    DISTRIBUTIONS,
    METRICS,
    is_count,
    look_up,
    unit,
)
from lm_deluge.timeline.measures.way.names import SEEN_DISTRIBUTIONS

__all__ = ["COLUMNS", "csv_table"]

COLUMNS = (
    "metric",
    "statistic",
    "unit",
    "n",
    "value",
    "baseline",
    "difference",
    "difference_low",
    "difference_high",
    "clear",
)
"""The columns after ``group`` and the tags."""

#: A spreadsheet takes a text that begins so for a formula (OWASP, CSV injection).
_FORMULA = tuple("=+-@\uff1d\uff0b\uff0d\uff20\t\r\n")  # also as wide as East Asia's letters


def csv_table(measured: Measured, comparisons: Comparisons | None = None) -> str:
    """Return the table, header first.

    ``group`` is the group's name as everywhere in the report; a column a tag follows where ``by``
    names tags, called ``tag.NAME`` where the name is taken. The last five columns say how the
    figure differs from the baseline's, of the pairs in ``comparisons``: empty without them. A text
    that a spreadsheet would run as a formula begins with ``'``.
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\r\n")
    rows.writerow(["group", *map(_text, _tag_columns(measured.by)), *COLUMNS])
    pairs = {pair.new.name: pair for pair in comparisons.pairs} if comparisons is not None else {}
    for name, group in measured.groups.items():
        first = [_text(name), *(_text(value) for value in tag_values(name, measured.by))]
        rows.writerows([*first, *row] for row in _figures(group, pairs.get(name)))
    return text.getvalue()


def _tag_columns(by: tuple[str, ...]) -> list[str]:
    return [f"tag.{tag}" if tag in ("group", *COLUMNS) else tag for tag in by]


def _figures(group: Group, pair: Pair | None) -> Iterator[list[Any]]:
    summary = group.summary()
    for metric in (*METRICS, *(f"errors.{error}" for error in summary["errors"])):
        if metric.startswith("seen."):
            if "seen" in summary:
                yield _seen(group, metric, pair)
            continue
        head, _, statistic = metric.partition(".")
        if head == "errors":  # the class alone, not those derived from it
            value: float | None = summary["errors"][statistic]
        else:
            value = look_up(summary, metric)
        n = summary[head]["n"] if head in DISTRIBUTIONS else group.streams
        yield [
            head,
            _text(statistic or "value"),
            unit(metric),
            n,
            _figure(metric, value),
            *_compared(metric, pair),
        ]


def _seen(group: Group, metric: str, pair: Pair | None) -> list[Any]:
    """Return the row of a figure of the way, where a browser told any."""
    summary = group.summary()
    name, _, statistic = metric.rpartition(".")
    if name not in SEEN_DISTRIBUTIONS:
        name, statistic, n = metric, "value", group.streams
    else:
        n = int(look_up(summary, f"{name}.n") or 0)
    value = _figure(metric, look_up(summary, metric))
    return [name, statistic, unit(metric), n, value, *_compared(metric, pair)]


def _compared(metric: str, pair: Pair | None) -> list[Any]:
    if pair is None:
        return [""] * 5
    if metric.startswith("errors."):
        old: float | None = pair.old.summary()["errors"].get(metric.partition(".")[2], 0)
        new: float | None = pair.new.summary()["errors"][metric.partition(".")[2]]
        return [old, _difference(metric, new, old), "", "", ""]
    if metric not in COMPARED:
        old, new = (look_up(group.summary(), metric) for group in (pair.old, pair.new))
        return [_figure(metric, old), _difference(metric, new, old), "", "", ""]
    comparison = pair.with_interval(metric)
    return [
        *(_figure(metric, value) for value in (comparison.old, comparison.difference)),
        *("" if value is None else repr(value) for value in (comparison.low, comparison.high)),
        "" if comparison.low is None else str(comparison.is_clear).lower(),
    ]


def _difference(metric: str, new: float | None, old: float | None) -> str:
    return "" if new is None or old is None else _figure(metric, new - old)


def _figure(metric: str, value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.0f}" if is_count(metric) else repr(float(value))


def _text(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text
