"""All comparisons that a report makes, corrected for being so many.

Whoever compares seven groups in eight figures looks at 168 differences, and of 168 that are none a
few look like one. So each has the probability that chance alone makes it so large (exact for shares
of streams, by ranks for the rest: streams are ranked, not gaps), Holm's method corrects all of them
together, and only what is left is called a difference.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

from attrs import define, field

from lm_deluge.timeline.measures.comparing.chance import (
    fisher,
    holm,
    rank_sum,
    share_interval,
)
from lm_deluge.timeline.measures.comparing.compare import (
    COMPARED,
    SIGNIFICANT,
    Comparison,
    compare_groups,
    hits,
    pair_groups,
)
from lm_deluge.timeline.measures.comparing.pairs import PairedComparison, Prompts, prompts_of
from lm_deluge.timeline.measures.groups import Group
from lm_deluge.timeline.measures.metrics import Measured, tag_values
from lm_deluge.timeline.measures.names import PER_STREAM, look_up
from lm_deluge.timeline.measures.numeric import Floats, np

__all__ = ["TOLD", "Comparisons", "Pair", "compare_all"]

TOLD = (
    "failed_share",
    "retried_share",
    "ttft.p50",
    "ttft.p95",
    "gap.p95",
    "tpot.p50",
    "stalls.streams",
    "qoe.mean",
)
"""What the findings are about, the most important first."""

MOST_GROUPS = 12
"""Compared with each other, at least."""

MOST_PAIRS = MOST_GROUPS * (MOST_GROUPS - 1) // 2
"""66 pairs are more than anybody reads."""


@define
class Pair:
    """Two groups, and how ``new`` differs from ``old``, by metric. ``old`` is before, or by name.

    ``prompts``: the same compared prompt by prompt, where both answered the same ones.
    """

    new: Group
    old: Group
    comparisons: dict[str, Comparison] = field(factory=dict)
    prompts: Prompts | None = None

    def with_interval(self, metric: str) -> Comparison:
        """Return a comparison; its interval is worked out when it is first asked for."""
        comparison = self.comparisons[metric]
        if comparison.low is None and comparison.difference is not None:
            found = compare_groups(self.new, self.old, metric)
            comparison.low, comparison.high = found.low, found.high
        return comparison


@define
class Comparisons:
    """The pairs that were compared, and ``left_out``, the groups that were not.

    ``n``: how many comparisons had data on both sides; all of them are corrected together.
    """

    measured: Measured
    pairs: list[Pair]
    left_out: list[str]
    n: int = 0

    def clear(self) -> Iterator[tuple[Pair, Comparison]]:
        """Yield what is called a difference, by metric, the least likely to be chance first."""
        order = {metric: place for place, metric in enumerate(COMPARED)}
        found = [
            (pair, comparison)
            for pair in self.pairs
            for comparison in pair.comparisons.values()
            if comparison.corrected is not None and comparison.corrected <= SIGNIFICANT
        ]
        found.sort(key=lambda entry: (order[entry[1].metric], entry[1].chance))
        for pair, comparison in found:
            if pair.with_interval(comparison.metric).is_clear:
                yield pair, comparison

    @property
    def not_clear(self) -> int:
        """How many comparisons are not clear, those prompt by prompt among them: what Holm has left."""
        return sum(
            each.corrected is not None and each.corrected > SIGNIFICANT
            for pair in self.pairs
            for each in (
                *pair.comparisons.values(),
                *(pair.prompts.comparisons.values() if pair.prompts is not None else ()),
            )
        )

    def to_json(self) -> dict[str, Any]:
        """Return ``n``, the ``correction``, what is ``clear``, and each group's ``intervals``."""
        return {
            "n": self.n,
            "correction": "Holm",
            "groups_left_out": self.left_out,
            "clear": [
                {
                    "metric": comparison.metric,
                    "new": pair.new.name,
                    "old": pair.old.name,
                    "difference": comparison.difference,
                    "interval": [comparison.low, comparison.high],
                    "p_corrected": comparison.corrected,
                }
                for pair, comparison in self.clear()
            ],
            "intervals": {
                name: {
                    share: list(share_interval(hits(group, share) or 0, group.streams))
                    for share in ("failed_share", "retried_share")
                }
                for name, group in self.measured.groups.items()
            },
        }


def compare_all(measured: Measured, baseline: Measured | None = None) -> Comparisons:
    """Compare every group with every other, or with its counterpart in ``baseline``.

    Of groups by several tags, each is compared with those that differ in the first tag alone:
    variants within each region. Where that is more than ``MOST_PAIRS`` pairs, those of the groups with the
    most streams are compared. Groups that answered the same prompts are compared prompt by prompt, too.
    """
    if baseline is not None:
        paired = pair_groups(measured, baseline).values()
        pairs = [Pair(new, old) for new, old in paired if new is not None and old is not None]
        return _compared(Comparisons(measured, pairs, []), COMPARED)
    groups = sorted(measured.groups.values(), key=lambda group: (-group.streams, group.name))
    rests = {name: tuple(tag_values(name, measured.by)[1:]) for name in measured.groups}
    if (
        max(Counter(rests.values()).values(), default=0) < 2
    ):  # nothing to compare within: all with all
        rests = dict.fromkeys(rests, ())
    kept = _kept(groups, rests)
    pairs = [
        Pair(new, old)
        for old, new in combinations(sorted(kept, key=lambda group: group.name), 2)
        if rests[old.name] == rests[new.name]
    ]
    left_out = sorted(group.name for group in groups[len(kept) :])
    return _compared(Comparisons(measured, pairs, left_out), TOLD)


def _kept(groups: Sequence[Group], rests: Mapping[str, tuple[str, ...]]) -> Sequence[Group]:
    """Return as many of the first groups as have at most 66 pairs, each with those of the same rest."""
    pairs = 0
    seen: Counter[tuple[str, ...]] = Counter()
    for place, group in enumerate(groups):
        alike = rests[group.name]
        pairs += seen[alike]
        seen[alike] += 1
        if pairs > MOST_PAIRS:
            return groups[:place]
    return groups


def _compared(comparisons: Comparisons, metrics: tuple[str, ...]) -> Comparisons:
    judged: list[Comparison | PairedComparison] = []
    for pair in comparisons.pairs:
        for metric in metrics:
            new, old = (look_up(group.summary(), metric) for group in (pair.new, pair.old))
            comparison = pair.comparisons[metric] = Comparison(metric, new, old)
            if comparison.difference is not None:
                comparison.chance = _chance(pair.new, pair.old, metric)
                judged.append(comparison)
    is_named = comparisons.measured.pair is not None
    for pair in comparisons.pairs:
        pair.prompts = prompts_of(pair.new, pair.old, is_named=is_named)
        if pair.prompts is not None:
            paired = pair.prompts.comparisons.values()
            judged += [each for each in paired if each.chance is not None]
    corrected = holm([comparison.chance or 0.0 for comparison in judged])
    for made, chance in zip(judged, corrected, strict=True):
        made.corrected = chance
    comparisons.n = len(judged)
    return comparisons


def _chance(new: Group, old: Group, metric: str) -> float:
    """Return how likely a difference like this is if streams of both groups are drawn alike."""
    count, other = hits(new, metric), hits(old, metric)
    if count is not None and other is not None:
        return fisher(count, new.streams, other, old.streams)
    name, _, statistic = metric.partition(".")
    if name == "gap":
        return rank_sum(*_shares_above(new, old, float(statistic[1:])))
    if (name in new.never or name in old.never) and _is_upset(new, old, name, statistic):
        return 1.0
    values, others = (
        np.append(group.values(name), np.full(group.never.get(name, 0), np.inf))
        for group in (new, old)
    )
    shifted = rank_sum(values, others)
    if name not in PER_STREAM or statistic in ("mean", "p50"):
        return shifted
    # A tail can differ where the middle does not: so look at it, too, and pay for two looks.
    pooled = np.sort(np.concatenate((values, others)))
    edge = pooled[int(float(statistic[1:]) / 100 * (len(pooled) - 1))]
    above, others_above = int((values > edge).sum()), int((others > edge).sum())
    return min(1.0, 2 * min(shifted, fisher(above, len(values), others_above, len(others))))


def _is_upset(new: Group, old: Group, name: str, statistic: str) -> bool:
    """Whether a difference turns about, or goes, once what never came counts as late."""
    seen = (
        look_up(new.summary(), f"{name}.{statistic}"),
        look_up(old.summary(), f"{name}.{statistic}"),
    )
    with_all = (group.percentile(name, float(statistic[1:])) for group in (new, old))
    (a, b), (c, d) = seen, with_all
    return a is None or b is None or c is None or d is None or (a < b) != (c < d) or c == d


def _shares_above(new: Group, old: Group, q: float) -> tuple[Floats, Floats]:
    """Return for each stream the share of its gaps above the percentile of both groups' gaps.

    One number a stream: the gaps of one stream are not independent.
    """
    edge = float(np.percentile(np.concatenate((new.values("gap"), old.values("gap"))), q))
    return _share_above(new, edge), _share_above(old, edge)


def _share_above(group: Group, edge: float) -> Floats:
    counts = np.array(group.gap_counts)
    streams = np.repeat(np.arange(len(counts)), counts)
    above = np.bincount(streams, weights=group.values("gap") > edge, minlength=len(counts))
    return np.asarray(above[counts > 0] / counts[counts > 0])
