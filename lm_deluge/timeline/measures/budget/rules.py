"""Rules that hold a budget: fail where ``ttft.p95>0.8``, or where stalls got 20 % worse."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import partial
from math import inf
from typing import TypeVar

from attrs import frozen

from lm_deluge.timeline.measures.budget.rule_texts import (
    FailIf,
    MaxRegression,
    Rule,
    counts_streams,
)
from lm_deluge.timeline.measures.comparing.compare import compare_groups, pair_groups
from lm_deluge.timeline.measures.groups import Group
from lm_deluge.timeline.measures.metrics import Measured
from lm_deluge.timeline.measures.names import (
    better_is_higher,
    bound_of,
    is_percentage,
    look_up,
    no_such_error,
    share_of,
    unit,
)
from lm_deluge.timeline.measures.other_names import own_name
from lm_deluge.timeline.measures.targets import SIGNS
from lm_deluge.timeline.measures.wording import below_clocks, streams_text

__all__ = ["Judged", "Problem", "broken_rules", "judge_rules", "number_text"]

_T = TypeVar("_T")

_MOST_NAMES = 12
_SHARED = ("failed", "retried")  # counts whose share is a metric, too


@frozen
class Problem:
    """What a rule found: in which ``group`` (``None``: in the whole log), and in words.

    ``no_data``: the rule is broken only because there is nothing to judge by.
    """

    group: str | None
    words: str
    no_data: bool = False

    def __str__(self) -> str:
        return self.words if self.group is None else f"{self.group}: {self.words}"


@frozen
class Judged:
    """A rule, and the ``problems`` it found; without any, it holds."""

    rule: Rule
    problems: tuple[Problem, ...]

    @property
    def is_broken(self) -> bool:
        """Whether there is a problem."""
        return bool(self.problems)

    @property
    def called(self) -> str:
        """The rule as a line begins: ``first text (ttft.p95>0.8)``, or its text alone."""
        rule = self.rule
        return rule.text if rule.name is None else f"{rule.name} ({rule.text})"

    def __str__(self) -> str:
        found = "; ".join(map(str, self.problems)) or "holds"
        return f"{self.called}: {found}" + (f" ({self.rule.why})" if self.rule.why else "")


def broken_rules(
    new: Measured,
    rules: Sequence[Rule],
    baseline: Measured | None = None,
) -> list[str]:
    """Return one line for every broken rule; a rule without data to judge by is broken, too.

    Raises what ``judge_rules`` does.
    """
    return [str(judged) for judged in judge_rules(new, rules, baseline) if judged.is_broken]


def judge_rules(
    new: Measured,
    rules: Sequence[Rule],
    baseline: Measured | None = None,
) -> list[Judged]:
    """Return every rule with what it found; a rule without data to judge by is broken, too.

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
    found = []
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
        found.append(Judged(rule, tuple(problems)))
    return found


def number_text(metric: str, value: float) -> str:
    """Return a value with its unit, shares in percent."""
    if is_percentage(metric):
        return f"{value:.1%}"
    return f"{value:.4g} {unit(metric)}".rstrip()


def _asked(rule: Rule, groups: Mapping[str, _T]) -> dict[str, _T]:
    """Return the groups that the rule is about."""
    pattern = rule.group
    if pattern is None or pattern in groups:
        return {name: groups[name] for name in groups if pattern in (None, name)}
    return {name: group for name, group in groups.items() if fnmatchcase(name, pattern)}


def _no_group(rule: Rule, groups: Iterable[str]) -> Problem:
    names = list(groups)
    there = ", ".join(names[:_MOST_NAMES]) + (", …" if len(names) > _MOST_NAMES else "")
    return Problem(
        None, f"no data, no group is named {rule.group!r}; there are {there}", no_data=True
    )


def _judge(rule: FailIf, measured: Measured) -> Iterable[Problem]:
    if not measured.groups:
        yield Problem(None, "no data, the log holds no stream", no_data=True)
        return
    groups = _asked(rule, measured.groups)
    if not groups:
        yield _no_group(rule, measured.groups)
    for name, group in groups.items():
        value = _value(group, rule.metric, share=rule.share)
        if value is None:
            yield from _without_value(rule, name, group)
        elif SIGNS[rule.sign](value, rule.limit):
            if value == inf:
                yield Problem(name, _never(group, rule.metric))
            elif rule.share:
                count = look_up(group.summary(), rule.metric) or 0.0
                words = f"{value:.1%} ({count:.0f} of {streams_text(group.streams)})"
                yield Problem(name, words)
            else:
                words = f"{number_text(rule.metric, value)} ({streams_text(group.streams)})"
                yield Problem(name, words)


def _without_value(rule: FailIf, name: str, group: Group) -> Iterable[Problem]:
    """Judge what is not told: below the clocks' bound it is, at most, that."""
    bound = bound_of(group.summary(), rule.metric)
    if bound is None:
        yield Problem(name, f"no data for {rule.metric}", no_data=True)
    elif SIGNS[rule.sign](bound, rule.limit):
        yield Problem(name, f"{rule.metric} is {below_clocks(bound)}", no_data=True)


def _judge_regression(rule: MaxRegression, new: Measured, old: Measured) -> Iterable[Problem]:
    if not new.groups or not old.groups:
        where = "baseline" if new.groups else "log"
        yield Problem(None, f"no data, the {where} holds no stream", no_data=True)
        return
    pairs = _asked(rule, pair_groups(new, old))
    if not pairs:
        yield _no_group(rule, pair_groups(new, old))
    share = rule.relative and counts_streams(rule.metric)
    for name, (group, before) in pairs.items():
        if group is None or before is None:
            where = "log" if before is None else "baseline"
            yield Problem(name, f"only in the {where}", no_data=True)
            continue
        value, was = (_value(each, rule.metric, share=share) for each in (group, before))
        if value is None or was is None or was == value == inf:
            where = "log" if value is None else "baseline"
            yield Problem(name, f"no data for {rule.metric} in the {where}", no_data=True)
            continue
        difference = value - was
        worse = -difference if better_is_higher(rule.metric) else difference
        allowed = rule.allowed * abs(was) if rule.relative else rule.allowed
        if worse > allowed:
            text = partial(_share_text, rule.metric) if share else partial(number_text, rule.metric)
            if value == inf:
                yield Problem(name, f"{text(was)} -> {_never(group, rule.metric)}")
                continue
            change = f"{difference / was:+.1%}" if was else "from nothing"
            beside = f"{change}{_interval(group, before, rule.metric, share=share)}"
            yield Problem(name, f"{text(was)} -> {text(value)} ({beside})")


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
