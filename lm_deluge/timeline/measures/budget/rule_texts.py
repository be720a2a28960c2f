"""What a rule says: ``ttft.p95>0.8``, or ``stalls.streams=20%`` against a baseline."""

from __future__ import annotations

import re

from attrs import field, frozen

from lm_deluge.timeline.measures.names import (
    SHARES,
    STREAM_COUNTS,
    better_is_higher,
    check_name,
    is_count,
    unit,
)
from lm_deluge.timeline.measures.targets import parse_number

__all__ = [
    "FailIf",
    "MaxRegression",
    "Rule",
    "counts_streams",
    "opposite_of",
    "parse_fail_if",
    "parse_max_regression",
]

_FAIL_IF = re.compile(r"\s*([\w.]+)\s*(>=|<=|>|<)\s*(.+?)\s*")
_REGRESSION = re.compile(r"\s*([\w.]+)\s*=\s*(.+?)\s*")

_MAY_BE_MANY = ("streams", "completed", "seen.streams", "seen.readers")


@frozen
class FailIf:
    """Broken in every group whose ``metric`` is ``sign`` ``limit``; ``text``: the rule as given.

    ``share``: the limit is a share of the group's streams, where the metric counts streams. ``name``
    and ``why``: what a budget calls the rule, and its reason. ``group``: only groups of this name, or
    that match it as a pattern (``gpt-*``).
    """

    text: str
    metric: str
    sign: str
    limit: float
    share: bool = False
    name: str | None = field(default=None, kw_only=True)
    why: str | None = field(default=None, kw_only=True)
    group: str | None = field(default=None, kw_only=True)


@frozen
class MaxRegression:
    """Broken in every group that got worse than the baseline by more than ``allowed``.

    ``allowed`` is a share of the baseline's value if ``relative``, else in the metric's unit. Counts
    of streams are compared as shares of the group if ``relative``: logs are not equally long.
    ``name``, ``why``, ``group``: as of ``FailIf``.
    """

    text: str
    metric: str
    allowed: float
    relative: bool
    name: str | None = field(default=None, kw_only=True)
    why: str | None = field(default=None, kw_only=True)
    group: str | None = field(default=None, kw_only=True)


Rule = FailIf | MaxRegression


def parse_fail_if(text: str) -> FailIf:
    """Read ``"ttft.p95>0.8"``; ``ValueError`` says what is wrong with it.

    What a rule says is what fails; ``opposite_of`` knows one that fails where all is well.
    """
    match = _FAIL_IF.fullmatch(text)
    if match is None:
        message = f"rule {text!r}: expected METRIC>NUMBER (or <, >=, <=), such as ttft.p95>0.8"
        raise ValueError(message)
    metric, sign, number = match.groups()
    _check(metric, text)
    limit, given = parse_number(number, f"rule {text!r}")
    _check_unit(metric, given, text)
    share = given == "%" and counts_streams(metric)
    if given == "%" and not share and metric not in SHARES:
        message = f"rule {text!r}: {metric} is not a share; give a plain number"
        raise ValueError(message)
    if share or metric in SHARES:
        _check_share(metric, number, limit, text)
    elif is_count(metric) and limit != int(limit):
        message = f"rule {text!r}: {metric} is a count of whole things; {number} is none"
        if counts_streams(metric):
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


def counts_streams(metric: str) -> bool:
    """Whether the metric counts streams, so that a rule may ask for their share."""
    return metric in STREAM_COUNTS or metric.startswith("errors.")


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


def opposite_of(rule: Rule) -> str | None:
    """Return what was likely meant by a rule that fails on the better side of its limit; else ``None``.

    ``ttft.p95>0.8`` for ``ttft.p95<0.8``: people write what shall be, and a rule says what is not to be.
    """
    if not isinstance(rule, FailIf) or rule.metric.endswith(".n"):
        return None
    metric, is_higher = rule.metric, better_is_higher(rule.metric)
    if metric in _MAY_BE_MANY or not (is_higher or unit(metric) == "s"):
        return None
    if (rule.sign in (">", ">=")) != is_higher:
        return None
    limit = rule.text.partition(rule.sign)[2].strip()
    return f"{metric}{'<' if is_higher else '>'}{limit}"


def _check_share(metric: str, number: str, limit: float, text: str) -> None:
    """Refuse what no share can be: such a rule would hold, or break, whatever was measured."""
    if 0 <= limit <= 1:
        return
    instead = f"; did you mean {number}%?" if 1 < limit <= 100 and "%" not in number else ""
    message = f"rule {text!r}: {metric} is a share, between 0 and 1 or 0% and 100%{instead}"
    raise ValueError(message)
