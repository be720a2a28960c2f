"""The report as a table that a pull request shows: GitHub's Markdown, safe whatever names hold.

Names of groups are code spans and sentences are escaped, so that nothing from a log is formatted,
mentions a person, links an issue, loads a picture or breaks the table.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from lm_deluge.timeline.measures.budget.rules import Judged
from lm_deluge.timeline.measures.comparing.comparisons import Comparisons
from lm_deluge.timeline.measures.groups import Group
from lm_deluge.timeline.measures.metrics import Measured
from lm_deluge.timeline.measures.names import in_words
from lm_deluge.timeline.measures.printing.figures import (
    settings_in_words,
    without_failed,
)
from lm_deluge.timeline.measures.printing.way_rows import (
    HEADS,
    clocks_in_words,
    seen_of,
    station_rows,
    told_groups,
)
from lm_deluge.timeline.measures.wording import (
    NOTHING,
    difference,
    interval,
    number,
    percent,
    printable,
    seconds,
)

__all__ = ["code", "escaped", "markdown_report"]

_MOST_GROUPS = 40
"""Rows of the table; a comment on GitHub has at most 65,536 characters."""
_MOST_CHANGES = 40
_MOST_VERDICTS = 5
_MOST_PROBLEMS = 10
_MOST_FINDINGS = 40
_MOST_NAME = 200
_MOST_SENTENCE = 2_000

_COLUMNS = (
    "streams",
    "failed",
    "TTFT p50",
    "TTFT p95",
    "gap p95",
    "stalled",
    "rate p50",
    "QoE",
)
_SPECIAL = re.compile(r"([\\`*_\[\]<>|~#&!])")
_BREAK = "\N{ZERO WIDTH SPACE}"


def markdown_report(
    measured: Measured,
    findings: Sequence[str] = (),
    comparisons: Comparisons | None = None,
    judged: Sequence[Judged] = (),
    *,
    headline: Sequence[str] = (),
    compared: bool = False,
) -> str:
    """Return the report in Markdown, ending with a newline.

    First the verdict: the first sentence of ``headline`` in bold, and a few others below; then the
    rules as ``judged``, a table of all groups, what is clearly different from the baseline where
    ``comparisons`` are with one (``compared``), and the ``findings``, folded.
    """
    parts = [f"**{escaped(sentence)}**" for sentence in headline[:1]]
    parts.append(
        "\n".join(f"- {escaped(sentence)}" for sentence in headline[1 : 1 + _MOST_VERDICTS])
    )
    parts.append("\n".join(_rules(judged)))
    if measured.groups:
        parts.append("\n".join(_groups(measured)))
        if told := told_groups(measured):
            parts.append("\n".join(_way(measured, told[:_MOST_GROUPS])))
        if compared and comparisons is not None:
            parts.append("\n".join(_changes(measured, comparisons)))
    else:
        parts.append("The log holds no stream.")
    listed = "\n".join(f"- {escaped(finding)}" for finding in findings[:_MOST_FINDINGS])
    if (more := len(findings) - _MOST_FINDINGS) > 0:
        listed += f"\n- and {more:,} more"
    parts.append(_folded(f"Findings ({len(findings)})", listed) if listed else "")
    parts.append(f"<sub>{escaped(settings_in_words(measured))}</sub>")
    return "\n\n".join(part for part in parts if part) + "\n"


def code(text: str, *, in_table: bool = False) -> str:
    """Return text as a code span on one line; in a table ``|`` is escaped, too."""
    text = printable(" ".join(text.split()))
    if len(text) > _MOST_NAME:
        text = f"{text[: _MOST_NAME - 1]}…"
    if not text:
        return "(empty)"
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * (longest + 1)
    room = " " if "`" in (text[0], text[-1]) else ""
    if in_table:
        text = text.replace("|", r"\|")
    return f"{fence}{room}{text}{room}{fence}"


def escaped(text: str) -> str:
    """Return a sentence as it reads: not formatted, no link, no mention, on one line."""
    text = printable(" ".join(text.split()))
    if len(text) > _MOST_SENTENCE:
        text = f"{text[: _MOST_SENTENCE - 1]}…"
    text = _SPECIAL.sub(r"\\\1", text)
    # GitHub makes links of these whatever is escaped; a space of no width keeps them apart.
    text = re.sub(r"@(?=\w)", f"@{_BREAK}", text)
    text = re.sub(r"#(?=\d)", f"#{_BREAK}", text)
    text = re.sub(r"(?i)\b(GH)-(?=\d)", rf"\1{_BREAK}-", text)
    return re.sub(r"(?i)(www\.|://)", rf"{_BREAK}\1", text)


def _rules(judged: Sequence[Judged]) -> Iterator[str]:
    if not judged:
        return
    broken = [each for each in judged if each.is_broken]
    held = len(judged) - len(broken)
    rules = f"{len(judged)} rule{'' if len(judged) == 1 else 's'}"
    if broken and len(judged) == 1:
        yield "❌ **The rule is broken**"
    elif broken:
        yield f"❌ **{len(broken)} of {rules} broken**"
    else:
        yield f"✅ **{rules} held**" if held > 1 else "✅ **The rule held**"
    yield ""
    for each in [*broken, *(each for each in judged if not each.is_broken)]:
        rule = each.rule
        named = f"{escaped(rule.name)}, " if rule.name is not None else ""
        where = f" in {code(rule.group)}" if rule.group is not None else ""
        why = f" *{escaped(rule.why)}*" if rule.why else ""
        if not each.is_broken:
            yield f"- ✅ {named}{code(rule.text)}{where} holds"
            continue
        found = "; ".join(
            escaped(problem.words)
            if problem.group is None
            else f"{code(problem.group)} {escaped(problem.words)}"
            for problem in each.problems[:_MOST_PROBLEMS]
        )
        if (more := len(each.problems) - _MOST_PROBLEMS) > 0:
            found += f"; and {more:,} more"
        yield f"- ❌ {named}{code(rule.text)}{where}: {found}.{why}"


def _groups(measured: Measured) -> Iterator[str]:
    kind = code(measured.kind, in_table=True) if measured.by else "model"
    columns = [*_COLUMNS, *(["goodput"] if measured.settings.targets else [])]
    yield f"| {kind} | {' | '.join(columns)} |"
    yield f"|:--|{'--:|' * len(columns)}"
    groups = list(measured.groups.values())
    if len(groups) > _MOST_GROUPS:
        largest = sorted(groups, key=lambda group: -group.streams)[:_MOST_GROUPS]
        groups = sorted(largest, key=lambda group: group.name)
    for group in groups:
        yield f"| {code(group.name, in_table=True)} | {' | '.join(_figures(group))} |"
    if len(groups) < len(measured.groups):
        yield ""
        yield (
            f"The {len(groups)} largest of {len(measured.groups):,} groups; all of them are in the "
            "page, the CSV and the JSON."
        )


def _way(measured: Measured, groups: list[Group]) -> Iterator[str]:
    """Yield where the wait comes from, p50 and p95 in a cell."""
    clocks = clocks_in_words(groups)
    yield f"The way to the screen, p50 / p95{f' ({escaped(clocks)})' if clocks else ''}:"
    yield ""
    kind = code(measured.kind, in_table=True) if measured.by else "model"
    yield f"| {kind} | seen | of | {' | '.join(HEADS)} |"
    yield f"|:--|--:|:--|{'--:|' * len(HEADS)}"
    for group in groups:
        rows = list(station_rows(group))
        for half, whole in zip(rows[::2], rows[1::2], strict=True):
            cells = [
                escaped(low if low == high == NOTHING else f"{low} / {high}")
                for low, high in zip(half.cells, whole.cells, strict=True)
            ]
            first = [code(group.name, in_table=True), seen_of(group), half.what]
            yield f"| {' | '.join((*first, *cells))} |"


def _figures(group: Group) -> Iterator[str]:
    summary = group.summary()
    share = f" ({percent(group.failed / group.streams)})" if group.failed else ""
    yield f"{group.streams:,}"
    yield f"{group.failed:,}{share}"
    yield seconds(summary["ttft"]["p50"])
    yield seconds(summary["ttft"]["p95"])
    yield seconds(summary["gap"]["p95"])
    yield percent(summary["stalls"]["streams"])
    yield number("rate.p50", summary["rate"]["p50"])
    yield number("qoe.mean", summary["qoe"]["mean"])
    if group.settings.targets:
        yield number("goodput", group.goodput)


def _changes(measured: Measured, comparisons: Comparisons) -> Iterator[str]:
    clear = list(comparisons.clear())
    if not clear:
        yield f"Among {comparisons.n} comparisons with the baseline nothing is clearly different."
        return
    yield f"Clearly different from the baseline, among {comparisons.n} comparisons (Holm):"
    yield ""
    kind = code(measured.kind, in_table=True) if measured.by else "model"
    yield f"| {kind} | metric | before | now | change | 95 % interval |"
    yield "|:--|:--|--:|--:|--:|--:|"
    starred = False
    for pair, comparison in clear[:_MOST_CHANGES]:
        metric = comparison.metric
        before = without_failed(pair.old, metric, comparison.old)
        now = without_failed(pair.new, metric, comparison.new)
        starred = starred or "*" in before + now
        cells = (
            code(pair.new.name, in_table=True),
            escaped(in_words(metric)),
            escaped(before),
            escaped(now),
            difference(metric, comparison.difference),
            interval(metric, comparison.low, comparison.high),
        )
        yield f"| {' | '.join(cells)} |"
    if len(clear) > _MOST_CHANGES:
        yield ""
        yield f"{len(clear) - _MOST_CHANGES} more are in the page and the CSV."
    if starred:
        yield ""
        yield r"\*: without streams that failed before it."


def _folded(summary: str, text: str) -> str:
    return f"<details><summary>{summary}</summary>\n\n{text}\n\n</details>"
