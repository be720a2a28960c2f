"""Rules that hold a budget: fail where ``ttft.p95>0.8``, or where stalls got 20 % worse."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import partial
from math import inf

from attrs import frozen

from lm_deluge.timeline.measures.compare import compare_groups, pair_groups
from lm_deluge.timeline.measures.groups import Group
from lm_deluge.timeline.measures.metrics import Measured
from lm_deluge.timeline.measures.names import (
    SHARES,
    STREAM_COUNTS,
    better_is_higher,
    check_name,
    is_count,
    is_percentage,
    look_up,
    no_such_error,
    share_of,
    unit,
)
from lm_deluge.timeline.measures.other_names import own_name
from lm_deluge.timeline.measures.targets import SIGNS, parse_number
from lm_deluge.timeline.measures.wording import streams_text

__all__ = [
    "FailIf",
    "MaxRegression",
    "broken_rules",
    "number_text",
    "parse_fail_if",
    "parse_max_regression",
]

_FAIL_IF = re.compile(r"\s*([\w.]+)\s*(>=|<=|>|<)\s*(.+?)\s*")
_SHARED = ("failed", "retried")  # counts whose share is a metric, too
_REGRESSION = re.compile(r"\s*([\w.]+)\s*=\s*(.+?)\s*")


@frozen
class FailIf:
    """Broken in every group whose ``metric`` is ``sign`` ``limit``; ``text``: the rule as given.

    ``share``: the limit is a share of the group's streams, where the metric counts streams.
    """

    text: str
    metric: str
    sign: str
    limit: float
    share: bool = False


@frozen
class MaxRegression:
    """Broken in every group that got worse than the baseline by more than ``allowed``.

    ``allowed`` is a share of the baseline's value if ``relative``, else in the metric's unit. Counts
    of streams are compared as shares of the group if ``relative``: logs are not equally long.
    """

    text: str
    metric: str
    allowed: float
    relative: bool


def parse_fail_if(text: str) -> FailIf:
    """Read ``"ttft.p95>0.8"``; ``ValueError`` says what is wrong with it."""
    match = _FAIL_IF.fullmatch(text)
    if match is None:
        message = f"rule {text!r}: expected METRIC>NUMBER (or <, >=, <=), such as ttft.p95>0.8"
        raise ValueError(message)
    metric, sign, number = match.groups()
    _check(metric, text)
    limit, given = parse_number(number, f"rule {text!r}")
    _check_unit(metric, given, text)
    share = given == "%" and _counts_streams(metric)
    if given == "%" and not share and metric not in SHARES:
        message = f"rule {text!r}: {metric} is not a share; give a plain number"
        raise ValueError(message)
    if share or metric in SHARES:
        _check_share(metric, number, limit, text)
    elif is_count(metric) and limit != int(limit):
        message = f"rule {text!r}: {metric} is a count of whole things; {number} is none"
        if _counts_streams(metric):
            message += f" (as a share of the streams: {metric}{sign}{limit * 100:.4g}%)"
        raise ValueError(message)
    return FailIf(text.strip(), metric, sign, limit, share)


def parse_max_regression(text: str) -> MaxRegression:
    """Read ``"stalls.streams=20%"`` or ``"ttft.p95=0.1"``; ``ValueError`` says what is wrong."""
    match = _REGRESSION.fullmatch(text)
    if match is None:
        message = f"rule {text!r}: expected METRIC=NUMBER or METRIC=NUMBER%, such as ttft.p95=20%"
        raise ValueError(message)
    metric, number = match.groups()
    _check(metric, text)
    allowed, given = parse_number(number, f"rule {text!r}")
    if allowed < 0:
        message = f"rule {text!r}: how much worse it may get is not negative"
        raise ValueError(message)
    _check_unit(metric, given, text)
    if given != "%" and metric in SHARES:
        _check_share(metric, number, allowed, text)
    return MaxRegression(text.strip(), metric, allowed, relative=given == "%")


def broken_rules(
    new: Measured,
    rules: Sequence[FailIf | MaxRegression],
    baseline: Measured | None = None,
) -> list[str]:
    """Return one line for every broken rule; a rule without data to judge by is broken, too.

    In a percentile of TTFT, TTFA or E2E a failed stream whose moment never came counts as later than
    any limit. Raises ``ValueError`` for a ``MaxRegression`` without a baseline, for a rule on goodput
    where there are no targets, and for an error that neither ``lm_deluge.errors`` nor a log knows.
    """
    logged = {
        error
        for measured in (new, baseline)
        if measured is not None
        for group in measured.groups.values()
        for error in group.summary()["errors"]
    }
    for rule in rules:
        if wrong := no_such_error(rule.metric, logged):
            message = f"rule {rule.text!r}: {wrong}"
            raise ValueError(message)
    lines = []
    for rule in rules:
        if rule.metric == "goodput" and not new.settings.targets:
            message = f"rule {rule.text!r}: goodput needs at least one target"
            raise ValueError(message)
        if isinstance(rule, FailIf):
            problems = _judge(rule, new)
        elif baseline is None:
            message = f"rule {rule.text!r}: a regression needs a baseline to compare with"
            raise ValueError(message)
        else:
            problems = _judge_regression(rule, new, baseline)
        found = "; ".join(problems)
        if found:
            lines.append(f"{rule.text}: {found}")
    return lines


def number_text(metric: str, value: float) -> str:
    """Return a value with its unit, shares in percent."""
    if is_percentage(metric):
        return f"{value:.1%}"
    return f"{value:.4g} {unit(metric)}".rstrip()


def _judge(rule: FailIf, measured: Measured) -> Iterable[str]:
    if not measured.groups:
        yield "no data, the log holds no stream"
    for name, group in measured.groups.items():
        value = _value(group, rule.metric, share=rule.share)
        if value is None:
            yield f"{name}: no data for {rule.metric}"
        elif SIGNS[rule.sign](value, rule.limit):
            if value == inf:
                yield f"{name}: {_never(group, rule.metric)}"
            elif rule.share:
                count = look_up(group.summary(), rule.metric) or 0.0
                yield f"{name}: {value:.1%} ({count:.0f} of {streams_text(group.streams)})"
            else:
                yield f"{name}: {number_text(rule.metric, value)} ({streams_text(group.streams)})"


def _judge_regression(rule: MaxRegression, new: Measured, old: Measured) -> Iterable[str]:
    if not new.groups or not old.groups:
        yield f"no data, the {'baseline' if new.groups else 'log'} holds no stream"
        return
    share = rule.relative and _counts_streams(rule.metric)
    for name, (group, before) in pair_groups(new, old).items():
        if group is None or before is None:
            yield f"{name}: only in the {'log' if before is None else 'baseline'}"
            continue
        value, was = (_value(each, rule.metric, share=share) for each in (group, before))
        if value is None or was is None or was == value == inf:
            where = "log" if value is None else "baseline"
            yield f"{name}: no data for {rule.metric} in the {where}"
            continue
        difference = value - was
        worse = -difference if better_is_higher(rule.metric) else difference
        allowed = rule.allowed * abs(was) if rule.relative else rule.allowed
        if worse > allowed:
            text = partial(_share_text, rule.metric) if share else partial(number_text, rule.metric)
            if value == inf:
                yield f"{name}: {text(was)} -> {_never(group, rule.metric)}"
                continue
            change = f"{difference / was:+.1%}" if was else "from nothing"
            yield (
                f"{name}: {text(was)} -> {text(value)} "
                f"({change}{_interval(group, before, rule.metric, share=share)})"
            )


def _interval(group: Group, before: Group, metric: str, *, share: bool) -> str:
    has_share = share and metric in _SHARED
    comparison = compare_groups(group, before, f"{metric}_share" if has_share else metric)
    if comparison.low is None or comparison.high is None:
        return ""
    low, high = (number_text(comparison.metric, end) for end in (comparison.low, comparison.high))
    return f", 95 % interval of the difference {low} to {high}"


def _value(group: Group, metric: str, *, share: bool) -> float | None:
    """Return what a rule judges; infinite where failed streams never got so far."""
    if share:
        return share_of(group.summary(), metric)
    name, _, statistic = own_name(metric).partition(".")
    if name in group.never and statistic.startswith("p"):
        return group.percentile(name, float(statistic[1:]))
    return look_up(group.summary(), metric)


def _never(group: Group, metric: str) -> str:
    name, _, statistic = own_name(metric).partition(".")
    came = {"ttft": "without any output", "ttfa": "without visible text"}.get(name, "unfinished")
    of = f"{group.never[name]} of {streams_text(group.streams)}"
    return f"{statistic} falls among the {of} that failed {came}"


def _share_text(metric: str, value: float) -> str:
    return f"{value:.1%}"


def _check(metric: str, text: str) -> None:
    try:
        check_name(metric)
    except ValueError as error:
        message = f"rule {text!r}: {error}"
        raise ValueError(message) from None


def _check_unit(metric: str, given: str | None, text: str) -> None:
    if given in ("s", "ms") and unit(metric) != "s":
        message = f"rule {text!r}: {metric} is not in seconds; give a plain number"
        raise ValueError(message)


def _check_share(metric: str, number: str, limit: float, text: str) -> None:
    """Refuse what no share can be: such a rule would hold, or break, whatever was measured."""
    if 0 <= limit <= 1:
        return
    instead = f"; did you mean {number}%?" if 1 < limit <= 100 and "%" not in number else ""
    message = f"rule {text!r}: {metric} is a share, between 0 and 1 or 0% and 100%{instead}"
    raise ValueError(message)


def _counts_streams(metric: str) -> bool:
    return metric in STREAM_COUNTS or metric.startswith("errors.")
