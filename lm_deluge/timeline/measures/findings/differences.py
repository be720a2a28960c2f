"""What differs between groups, or since the baseline, in plain words."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from lm_deluge.timeline.measures.comparing.compare import Comparison, hits, pair_groups
from lm_deluge.timeline.measures.comparing.comparisons import TOLD, Comparisons, Pair
from lm_deluge.timeline.measures.findings.finding import Finding, subject_of
from lm_deluge.timeline.measures.groups import Group
from lm_deluge.timeline.measures.metrics import Measured
from lm_deluge.timeline.measures.names import (
    better_is_higher,
    in_words,
)
from lm_deluge.timeline.measures.wording import told_amount, told_interval

__all__ = ["about_comparisons", "about_differences", "about_outcomes"]

_OUTCOMES = {"failed_share": "failed", "retried_share": "were retried"}

# What is worth a sentence. These are judgements, not measurements.
_NOTABLE_CHANGE = 0.05
_NOTABLE_FAILURES = 0.05
_MOST_TOLD = 12
_MOST_PAIRS = 3
_MOST_NAMES = 8


def about_outcomes(comparisons: Comparisons, baseline: Measured | None) -> Iterator[Finding]:
    """Tell where more streams failed, then where more were retried: before anything else."""
    clear = list(comparisons.clear())
    for metric in _OUTCOMES:
        told = [entry for entry in clear if entry[1].metric == metric]
        for pair, comparison in told[:_MOST_TOLD]:
            outcome = _outcome(comparisons, pair, comparison, baseline)
            yield Finding(f"{outcome}.", subject_of(metric))
        yield from _further(len(told))
        if len(comparisons.pairs) > _MOST_PAIRS:
            continue
        named = {id(pair) for pair, _ in told}
        for pair in comparisons.pairs:
            if id(pair) not in named and (hits(pair.new, metric) or hits(pair.old, metric)):
                outcome = _outcome(comparisons, pair, pair.with_interval(metric), baseline)
                yield Finding(f"{outcome}. That is no clear difference.", subject_of(metric))


def about_differences(comparisons: Comparisons, baseline: Measured | None) -> Iterator[Finding]:
    """Tell the other clear differences, by figure; of very many, how many more there are."""
    told = (entry for entry in _told(comparisons) if entry[1].metric not in _OUTCOMES)
    for pair, comparison in islice(told, _MOST_TOLD):
        said = _difference(comparisons, pair, comparison, baseline)
        yield Finding(said, subject_of(comparison.metric))
    yield from _further(_MOST_TOLD + sum(1 for _ in told))
    if baseline is not None:
        for name, (group, before) in pair_groups(comparisons.measured, baseline).items():
            if group is None or before is None:
                where = "this log" if before is None else "the baseline"
                yield Finding(f"{name} is only in {where}: nothing to compare it with.")


def about_comparisons(comparisons: Comparisons, baseline: Measured | None) -> Iterator[Finding]:
    """Tell which groups were compared, how often, and how far from clear the rest is."""
    pairs = comparisons.pairs
    if not comparisons.n:
        return
    told = {id(pair) for pair, _ in _told(comparisons)}
    many = f"{comparisons.n} comparisons, corrected for being so many by Holm's method"
    if len(pairs) > _MOST_PAIRS:
        groups = "groups and their baselines" if baseline is not None else "pairs of groups"
        yield Finding(
            f"{'No clear difference: all' if not told else 'All'} {len(pairs)} {groups} were "
            f"compared ({many})."
        )
    else:
        if told:
            yield Finding(
                f"A difference is named only if it stands out of all that was compared ({many})."
            )
        for pair in pairs:
            if id(pair) not in told:
                yield from _alike(comparisons, pair, baseline, "" if told else f" ({many})")
    if comparisons.left_out:
        names = ", ".join(comparisons.left_out[:_MOST_NAMES])
        more = len(comparisons.left_out) - _MOST_NAMES
        yield Finding(
            "Only the groups with the most streams were compared; left out: "
            f"{names}{f' and {more} more' if more > 0 else ''}."
        )


def _told(comparisons: Comparisons) -> Iterator[tuple[Pair, Comparison]]:
    """Yield what is worth a sentence: every clear outcome, and other figures that differ notably."""
    for pair, comparison in comparisons.clear():
        if comparison.metric in _OUTCOMES or (
            comparison.metric in TOLD and _is_notable(comparison)
        ):
            yield pair, comparison


def _is_notable(comparison: Comparison) -> bool:
    return abs(comparison.difference or 0.0) >= _NOTABLE_CHANGE * abs(comparison.old or 0.0)


def _outcome(
    comparisons: Comparisons, pair: Pair, comparison: Comparison, baseline: Measured | None
) -> str:
    """Return ``29 of 40 streams of B failed, 1 of 40 of A: 70.0 points more, …``."""
    counts = [
        f"{hits(group, comparison.metric)} of {group.streams}" for group in (pair.new, pair.old)
    ]
    name = comparisons.measured.called(pair.new)
    other = "before" if baseline is not None else f"of {comparisons.measured.called(pair.old)}"
    difference = comparison.difference or 0.0
    direction = "more" if difference >= 0 else "fewer"
    return (
        f"{counts[0]} streams of {name} {_OUTCOMES[comparison.metric]}, {counts[1]} {other}: "
        f"{told_amount(comparison.metric, difference)} {direction}, "
        f"95 % interval {_interval(comparison)}"
    )


def _difference(
    comparisons: Comparisons, pair: Pair, comparison: Comparison, baseline: Measured | None
) -> str:
    difference = comparison.difference or 0.0
    metric = comparison.metric
    direction = "lower" if difference < 0 else "higher"
    words = in_words(metric)
    words = words if words.startswith("p9") else words[:1].upper() + words[1:]
    called = comparisons.measured.called
    than = "before" if baseline is not None else f"that of {called(pair.old)}"
    return (
        f"{words} of {called(pair.new)} is {told_amount(metric, difference)} "
        f"{direction} than {than}, 95 % interval {_interval(comparison)}"
        f"{_but(comparisons, pair, comparison, baseline)}."
    )


def _but(
    comparisons: Comparisons, pair: Pair, comparison: Comparison, baseline: Measured | None
) -> str:
    """Say of the group that looks better that it broke more often, if it did."""
    new_is_better = ((comparison.difference or 0.0) > 0) == better_is_higher(comparison.metric)
    better, worse = (pair.new, pair.old) if new_is_better else (pair.old, pair.new)
    if comparison.metric == "qoe.mean" or _failed(better) - _failed(worse) < _NOTABLE_FAILURES:
        return ""  # a failed stream's QoE is 0 already
    if baseline is not None:
        whose = f"{'' if new_is_better else 'before, '}{better.failed} of {better.streams} streams"
    else:
        whose = f"{better.failed} of the {better.streams} streams of "
        whose += comparisons.measured.called(better)
    return f"; but {whose} failed"


def _alike(
    comparisons: Comparisons, pair: Pair, baseline: Measured | None, many: str
) -> Iterator[Finding]:
    ttft = pair.with_interval("ttft.p50")
    if ttft.low is None or ttft.high is None:
        return
    name, other = (comparisons.measured.called(group) for group in (pair.new, pair.old))
    small = any(each is pair for each, entry in comparisons.clear() if entry.metric in TOLD)
    clear = f"difference above {_NOTABLE_CHANGE * 100:.0f} %" if small else "clear difference"
    sign = "−" if (ttft.difference or 0.0) < 0 else "+"
    between = (
        f"of {name} since the baseline" if baseline is not None else f"between {name} and {other}"
    )
    yield Finding(
        f"No {clear} {between}: {in_words(ttft.metric)} differs by "
        f"{sign}{told_amount(ttft.metric, ttft.difference or 0.0)}, 95 % interval {_interval(ttft)}{many}."
    )


def _further(count: int) -> Iterator[Finding]:
    if count > _MOST_TOLD:
        yield Finding(f"And {count - _MOST_TOLD} more such differences: --json lists them.")


def _failed(group: Group) -> float:
    return group.failed / group.streams


def _interval(comparison: Comparison) -> str:
    return told_interval(comparison.metric, comparison.low, comparison.high)
