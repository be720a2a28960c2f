"""Rules that hold a budget: fail where ``ttft.p95>0.8``, or where stalls got 20 % worse."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from operator import ge, gt, le, lt

from attrs import frozen

from lm_deluge.timeline.compare import compare_groups, pair_groups
from lm_deluge.timeline.metrics import Group, Measured
from lm_deluge.timeline.names import (
    SHARES,
    better_is_higher,
    check_name,
    is_percentage,
    look_up,
    unit,
)
from lm_deluge.timeline.targets import parse_number

__all__ = [
    "FailIf",
    "MaxRegression",
    "broken_rules",
    "number_text",
    "parse_fail_if",
    "parse_max_regression",
]

_COMPARE: dict[str, Callable[[float, float], bool]] = {">": gt, ">=": ge, "<": lt, "<=": le}
_FAIL_IF = re.compile(r"\s*([\w.]+)\s*(>=|<=|>|<)\s*(.+?)\s*")
_REGRESSION = re.compile(r"\s*([\w.]+)\s*=\s*(.+?)\s*")


@frozen
class FailIf:
    """Broken in every group whose ``metric`` is ``sign`` ``limit``; ``text``: the rule as given."""

    text: str
    metric: str
    sign: str
    limit: float


@frozen
class MaxRegression:
    """Broken in every group that got worse than the baseline by more than ``allowed``.

    ``allowed`` is a share of the baseline's value if ``relative``, else in the metric's unit.
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
    if given == "%" and metric not in SHARES:
        message = f"rule {text!r}: {metric} is not a share; give a plain number"
        raise ValueError(message)
    _check_unit(metric, given, text)
    return FailIf(text.strip(), metric, sign, limit)


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
    return MaxRegression(text.strip(), metric, allowed, relative=given == "%")


def broken_rules(
    new: Measured,
    rules: Sequence[FailIf | MaxRegression],
    baseline: Measured | None = None,
) -> list[str]:
    """Return one line for every broken rule; a rule without data to judge by is broken, too.

    Raises ``ValueError`` for a ``MaxRegression`` without a baseline, and for a rule on goodput
    where there are no targets.
    """
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
        value = look_up(group.summary(), rule.metric)
        if value is None:
            yield f"{name}: no data for {rule.metric}"
        elif _COMPARE[rule.sign](value, rule.limit):
            yield f"{name}: {number_text(rule.metric, value)} ({_n(group)})"


def _judge_regression(rule: MaxRegression, new: Measured, old: Measured) -> Iterable[str]:
    if not new.groups or not old.groups:
        yield f"no data, the {'baseline' if new.groups else 'log'} holds no stream"
        return
    for name, (group, before) in pair_groups(new, old).items():
        if group is None or before is None:
            yield f"{name}: only in the {'log' if before is None else 'baseline'}"
            continue
        comparison = compare_groups(group, before, rule.metric)
        difference = comparison.difference
        if difference is None or comparison.old is None or comparison.new is None:
            where = "log" if comparison.new is None else "baseline"
            yield f"{name}: no data for {rule.metric} in the {where}"
            continue
        worse = -difference if better_is_higher(rule.metric) else difference
        allowed = rule.allowed * abs(comparison.old) if rule.relative else rule.allowed
        if worse > allowed:
            before_text = number_text(rule.metric, comparison.old)
            change = f"{difference / comparison.old:+.1%}" if comparison.old else "from nothing"
            interval = ""
            if comparison.low is not None and comparison.high is not None:
                low, high = (
                    number_text(rule.metric, end) for end in (comparison.low, comparison.high)
                )
                interval = f", 95 % interval of the difference {low} to {high}"
            now = number_text(rule.metric, comparison.new)
            yield f"{name}: {before_text} -> {now} ({change}{interval})"


def _n(group: Group) -> str:
    return f"{group.streams} stream{'' if group.streams == 1 else 's'}"


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
