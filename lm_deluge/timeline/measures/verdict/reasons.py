"""What speaks for one of two groups: each metric that counts, by rank, and whether readers notice."""

from __future__ import annotations

from math import isfinite
from typing import Any, Literal

from attrs import define, frozen

from lm_deluge.timeline.measures.comparing.chance import fisher_more
from lm_deluge.timeline.measures.comparing.compare import (
    SIGNIFICANT,
    Comparison,
    compare_groups,
    hits,
)
from lm_deluge.timeline.measures.comparing.comparisons import Pair
from lm_deluge.timeline.measures.comparing.noticeable import Noticed, noticed, threshold_of
from lm_deluge.timeline.measures.comparing.pairs import PairedComparison, reading_pace
from lm_deluge.timeline.measures.groups import Group
from lm_deluge.timeline.measures.names import better_is_higher
from lm_deluge.timeline.measures.numeric import np
from lm_deluge.timeline.measures.verdict.enough import MOST_MORE, more_for_share, more_for_time

__all__ = ["RULES", "SUSPICION", "Level", "Reason", "Rule", "Side", "other", "reasons_of"]

Level = Literal["failures", "waits", "flow", "beside"]
Side = Literal["new", "old"]


@frozen
class Rule:
    """A metric that counts. ``level``: what it belongs to; ``beside`` is told and decides nothing."""

    metric: str
    level: Level


RULES = (
    Rule("failed_share", "failures"),
    Rule("ttft.p50", "waits"),
    Rule("ttft.p95", "waits"),
    Rule("stalls.streams", "flow"),
    Rule("gap.p95", "flow"),
    Rule("tpot.p50", "flow"),
    Rule("retried_share", "beside"),
    Rule("qoe.mean", "beside"),
)
"""What a verdict rests on, what counts most first: failures, then waits, then flow."""

SUSPICION = 0.2
"""More failures are suspicious where chance makes so many in fewer than one of five reports."""

_MOST_RESAMPLED = 200


@define
class Reason:
    """How two groups differ in one metric, and what that is worth.

    ``new``, ``old``: the values; ``difference``, ``low``, ``high``: new - old with its 95 % interval
    (``None`` where there is none). ``threshold``: what a reader notices, ``None`` where no source
    says. ``is_clear``: chance does not explain it, also among all comparisons. ``is_suspicious``: a
    share that is not clear, and that chance makes so much larger in fewer than one of five reports.
    ``counts``: of a share, streams that were hit and streams, new and old. ``by_prompt``: the median
    difference between answers to the same prompt, where both groups answered the same ``prompts``: the
    interval is its, and streams without a counterpart are left out; of a share only where it is clear
    by prompt alone. ``more``: how many more streams a
    group (more ``prompts``) would decide it, ``None`` where nothing is open.
    """

    metric: str
    level: Level
    new: float
    old: float
    low: float | None
    high: float | None
    threshold: float | None
    is_clear: bool
    is_suspicious: bool = False
    counts: tuple[tuple[int, int], tuple[int, int]] | None = None
    by_prompt: float | None = None
    prompts: int | None = None
    more: int | None = None

    @property
    def difference(self) -> float:
        """New - old, or the difference prompt by prompt."""
        return self.new - self.old if self.by_prompt is None else self.by_prompt

    @property
    def better(self) -> Side | None:
        """The side with the better value; ``None`` where they are equal."""
        if not self.difference:
            return None
        return "new" if (self.difference > 0) == better_is_higher(self.metric) else "old"

    @property
    def noticed(self) -> Noticed:
        """Whether a reader notices; every clear difference of shares that matter is."""
        if self.counts is not None and self.threshold is not None:
            return "yes" if self.is_clear else "maybe"
        return noticed(self.low, self.high, self.threshold)

    @property
    def decides(self) -> bool:
        """Whether a verdict can rest on it: clear, and noticed by readers, or maybe so."""
        return self.level != "beside" and self.is_clear and self.noticed in ("yes", "maybe")

    @property
    def is_unclear(self) -> bool:
        """Whether there is a difference, and chance may explain it."""
        return bool(self.difference) and not self.is_clear

    @property
    def is_open(self) -> bool:
        """Whether more streams could make it decide."""
        if self.level == "beside" or self.is_clear or self.threshold is None:
            return False
        return self.is_suspicious if self.counts is not None else self.noticed in ("yes", "maybe")

    def to_json(self, names: dict[Side, str]) -> dict[str, Any]:
        """Return the object of ``--json``; ``names``: what new and old are called."""
        return {
            "metric": self.metric,
            "level": self.level,
            "better": names[self.better] if self.better else None,
            "new": self.new,
            "old": self.old,
            "difference": self.difference,
            "prompts": self.prompts,
            "interval": None if self.low is None else [self.low, self.high],
            "threshold": self.threshold,
            "clear": self.is_clear,
            "noticed": self.noticed,
            "decides": self.decides,
            "more_streams": None if self.more is None else min(self.more, MOST_MORE),
            "more_than_that": self.more is not None and self.more > MOST_MORE,
        }


def other(side: Side) -> Side:
    """Return the other side."""
    return "old" if side == "new" else "new"


def reasons_of(pair: Pair, *, left: int) -> list[Reason]:
    """Return what is known of a pair, by the rank of ``RULES``.

    ``left``: how many of all comparisons are not clear, for what more streams would need.
    """
    made = (_reason(pair, rule) for rule in RULES if rule.metric in pair.comparisons)
    reasons = [reason for reason in made if reason is not None]
    for reason in reasons:
        if reason.is_open or (reason.level == "failures" and reason.is_unclear):
            reason.more = _more(pair, reason, left)
    return reasons


def starts_with_text(*groups: Group) -> bool:
    """Whether the first output of every stream is visible text, not reasoning."""
    return all(
        np.array_equal(group.column("ttft"), group.column("ttfa"), equal_nan=True)
        for group in groups
    )


def _reason(pair: Pair, rule: Rule) -> Reason | None:
    comparison = pair.comparisons[rule.metric]
    if comparison.new is None or comparison.old is None:
        return None
    low, high = _interval(pair, rule, comparison)
    settings = pair.new.settings
    reason = Reason(
        metric=rule.metric,
        level=rule.level,
        new=comparison.new,
        old=comparison.old,
        low=low,
        high=high,
        threshold=threshold_of(
            rule.metric,
            comparison.new,
            comparison.old,
            stall=settings.stall,
            reading=reading_pace(pair.new, pair.old),
        ),
        is_clear=comparison.corrected is not None and comparison.is_clear,
    )
    counts = [hits(group, rule.metric) for group in (pair.new, pair.old)]
    paired = _by_prompt(pair, rule.metric)
    if counts[0] is None or counts[1] is None:
        if paired is not None:
            reason.by_prompt, reason.prompts = paired.difference, paired.n
            reason.low, reason.high = paired.low, paired.high
            reason.is_clear = paired.is_clear
        return reason
    both = ((counts[0], pair.new.streams), (counts[1], pair.old.streams))
    reason.counts = both
    if not reason.is_clear and paired is not None and paired.is_clear:
        # Counts are told of all streams: so they must point the same way.
        reason.is_clear = (paired.difference or 0.0) * reason.difference > 0
        if reason.is_clear:
            reason.by_prompt, reason.prompts = paired.difference, paired.n
            reason.low, reason.high = paired.low, paired.high
    more, fewer = both if reason.difference >= 0 else both[::-1]
    if reason.difference and not reason.is_clear:
        reason.is_suspicious = fisher_more(*more, *fewer) <= SUSPICION
    return reason


def _interval(pair: Pair, rule: Rule, comparison: Comparison) -> tuple[float | None, float | None]:
    """Return the interval; what is not clear is not worth a long bootstrap of many streams."""
    may_be_clear = comparison.corrected is not None and comparison.corrected <= SIGNIFICANT
    if comparison.low is None and not may_be_clear:
        if rule.level == "beside":
            return None, None
        found = compare_groups(pair.new, pair.old, rule.metric, most_resampled=_MOST_RESAMPLED)
        return found.low, found.high
    comparison = pair.with_interval(rule.metric)
    return comparison.low, comparison.high


def _by_prompt(pair: Pair, metric: str) -> PairedComparison | None:
    """Return the comparison prompt by prompt, if there is one with an interval."""
    paired = pair.prompts.comparisons.get(metric) if pair.prompts is not None else None
    if paired is None:
        return None
    ends = (paired.difference, paired.low, paired.high)
    return paired if all(end is not None and isfinite(end) for end in ends) else None


def _more(pair: Pair, reason: Reason, left: int) -> int | None:
    streams = (pair.new.streams, pair.old.streams)
    if reason.counts is not None:
        (hit, _), (other_hit, _) = reason.counts
        return more_for_share((hit, other_hit), streams, left=left)
    if reason.low is None or reason.high is None or reason.threshold is None:
        return None
    chance = pair.comparisons[reason.metric].chance
    if reason.prompts is not None and (paired := _by_prompt(pair, reason.metric)) is not None:
        chance, streams = paired.chance, (reason.prompts, reason.prompts)
    return more_for_time(
        reason.difference,
        reason.low,
        reason.high,
        reason.threshold,
        chance=1.0 if chance is None else chance,
        left=left,
        streams=streams,
    )
