"""Two groups compared: differences with intervals that rest on *streams*.

Shares of streams have Newcombe's interval. Everything else is a bootstrap: the gaps of one stream are
not independent, so a resample draws whole streams with all their gaps (cluster bootstrap). Its
intervals are percentile intervals (Efron and Tibshirani, An Introduction to the Bootstrap, 1993,
chapter 13) of the difference of two independent resamples.
"""

from __future__ import annotations

from zlib import crc32

from attrs import define

from lm_deluge.timeline.measures.comparing.chance import difference_of_shares
from lm_deluge.timeline.measures.comparing.normal_draws import normal_means, normal_of_gaps
from lm_deluge.timeline.measures.groups import Group
from lm_deluge.timeline.measures.metrics import Measured
from lm_deluge.timeline.measures.names import PER_STREAM, POOLED, look_up
from lm_deluge.timeline.measures.numeric import (
    Counts,
    Floats,
    Histograms,
    np,
)
from lm_deluge.timeline.measures.other_names import own_name
from lm_deluge.timeline.measures.way.names import SEEN_CROSSING, SEEN_POOLED

__all__ = [
    "COMPARED",
    "RESAMPLES",
    "SIGNIFICANT",
    "Comparison",
    "compare_groups",
    "hits",
    "means",
    "pair_groups",
    "percentiles",
    "resample",
]

RESAMPLES = 2_000
"""How often streams are drawn anew for an interval."""

COMPARED = (
    "failed_share",
    "retried_share",
    "ttft.p50",
    "ttft.p95",
    "gap.p50",
    "gap.p95",
    "gap.p99",
    "tpot.p50",
    "e2e.p50",
    "rate.p50",
    "qoe.mean",
    "starvation.mean",
    "stalls.streams",
    "coalescing",
)
"""What a table of comparison shows."""

SIGNIFICANT = 0.05
"""A difference that chance explains in no more than this part of reports is called one."""

MOST_RESAMPLED = 5_000
"""Streams of a group that are drawn anew; of more, normal draws say the same and take no time."""

_BINS = 512
_CELLS = 4_000_000


@define
class Comparison:
    """How ``new`` differs from ``old`` in one metric.

    ``new``, ``old``: the values, ``None`` without data. ``difference``: new - old. ``low``,
    ``high``: its 95 % interval; ``None`` where there is none: fewer than two streams, or a metric
    (a count, a sum, a maximum, a time from one clock to another) whose bootstrap says nothing.
    ``chance``: how likely a difference like this one is if the groups are the same; ``corrected``: the
    same for the number of comparisons that were made with it. Both ``None`` where they are unknown.
    """

    metric: str
    new: float | None
    old: float | None
    low: float | None = None
    high: float | None = None
    chance: float | None = None
    corrected: float | None = None

    @property
    def difference(self) -> float | None:
        """New - old; ``None`` where one of them is."""
        return None if self.new is None or self.old is None else self.new - self.old

    @property
    def is_clear(self) -> bool:
        """Whether the interval excludes 0, and so many comparisons do not explain it."""
        if self.low is None or self.high is None or self.low <= 0 <= self.high:
            return False
        return self.corrected is None or self.corrected <= SIGNIFICANT


def compare_groups(
    new: Group,
    old: Group,
    metric: str,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    most_resampled: int = MOST_RESAMPLED,
) -> Comparison:
    """Compare one metric of two groups, named as in a rule: ``"ttft.p95"``.

    The same ``seed`` gives the same interval, whatever else is compared. A group of more than
    ``most_resampled`` streams is not drawn anew, where a normal distribution says the same. Raises
    ``ValueError`` for a metric that does not exist.
    """
    comparison = Comparison(metric, look_up(new.summary(), metric), look_up(old.summary(), metric))
    if comparison.difference is not None:
        own = own_name(metric)
        comparison.low, comparison.high = _interval(
            new, old, own, (resamples, most_resampled), seed
        )
    return comparison


def hits(group: Group, metric: str) -> int | None:
    """Return how many streams make up a share of streams; ``None`` for any other metric."""
    if metric == "stalls.streams":
        return int((group.values("stalls") > 0).sum()) if group.gaps else None
    return {"failed_share": group.failed, "retried_share": group.retried}.get(metric)


def _interval(
    new: Group, old: Group, metric: str, sizes: tuple[int, int], seed: int
) -> tuple[float, float] | tuple[None, None]:
    count, other = hits(new, metric), hits(old, metric)
    if count is not None and other is not None:
        if min(new.streams, old.streams) < 2:
            return None, None
        return difference_of_shares(count, new.streams, other, old.streams)
    places = (0, 1) if _mark(new) <= _mark(old) else (1, 0)
    streams = [
        _drawn(group, metric, sizes, (seed, crc32(metric.encode()), place))
        for group, place in zip((new, old), places, strict=True)
    ]
    if streams[0] is None or streams[1] is None:
        return None, None
    low, high = np.percentile(streams[0] - streams[1], (2.5, 97.5)).tolist()
    return low, high


def _mark(group: Group) -> tuple[int, int]:
    """Return what tells groups apart whichever is called new: swapped, they have the same draws."""
    return group.streams, crc32(group.column("e2e").tobytes() + group.column("qoe").tobytes())


def _drawn(
    group: Group, metric: str, sizes: tuple[int, int], seed: tuple[int, int, int]
) -> Floats | None:
    resamples, most_resampled = sizes
    key = (metric, resamples, group.streams > most_resampled, seed)
    if key not in group.drawn:  # a group that is compared with many is resampled once
        generator = np.random.default_rng(seed)
        group.drawn[key] = resample(group, metric, resamples, generator, most_resampled)
    return group.drawn[key]


def pair_groups(new: Measured, old: Measured) -> dict[str, tuple[Group | None, Group | None]]:
    """Pair the groups of two logs by name; where each log has just one, those two.

    A group that only one of them has is paired with ``None``.
    """
    if len(new.groups) == len(old.groups) == 1:
        ((name, group),) = new.groups.items()
        (other,) = old.groups.values()
        return {name: (group, other)}
    names = sorted({*new.groups, *old.groups})
    return {name: (new.groups.get(name), old.groups.get(name)) for name in names}


def resample(
    group: Group,
    metric: str,
    resamples: int,
    generator: np.random.Generator,
    most_resampled: int = MOST_RESAMPLED,
) -> Floats | None:
    """Return the metric of ``resamples`` resamples of the group's streams.

    Of more than ``most_resampled`` streams, means and percentiles of gaps are drawn from the normal
    distribution that they have.

    ``None`` for fewer than two streams with the metric, for shares of streams, counts, sums, maxima
    and deviations.
    """
    name, _, statistic = own_name(metric).partition(".")
    if name == "seen":
        return _of_way(group, metric, resamples, generator)
    if metric in ("coalescing", "tokens_per_piece"):
        return _means(group.values(metric), resamples, generator, most_resampled)
    if statistic == "mean" and name in PER_STREAM:
        return _means(group.values(name), resamples, generator, most_resampled)
    if name in POOLED and (statistic == "mean" or statistic.startswith("p")):
        gaps, counts = group.pooled(name)
        if len(counts) > most_resampled and len(gaps):
            return normal_of_gaps(gaps, counts, statistic, resamples, generator)
        return _gap_statistics(gaps, counts, statistic, resamples, generator)
    if name in PER_STREAM and statistic.startswith("p"):
        return percentiles(group.values(name), float(statistic[1:]), resamples, generator)
    return None


def _of_way(
    group: Group, metric: str, resamples: int, generator: np.random.Generator
) -> Floats | None:
    """Draw readers anew, with all their pieces; ``None`` of what crosses from one clock to another."""
    name, _, statistic = metric.rpartition(".")
    if not statistic.startswith("p") or name in SEEN_CROSSING:
        return None
    if name not in SEEN_POOLED:
        return percentiles(group.values(name), float(statistic[1:]), resamples, generator)
    values, counts = group.way.pooled(name)
    return _gap_statistics(values, counts, statistic, resamples, generator)


def _means(
    values: Floats, resamples: int, generator: np.random.Generator, most_resampled: int
) -> Floats | None:
    draw = normal_means if len(values) > most_resampled else means
    return draw(values, resamples, generator)


def means(values: Floats, resamples: int, generator: np.random.Generator) -> Floats | None:
    """Return the means of values drawn anew; ``None`` for fewer than two."""
    n = len(values)
    if n < 2:
        return None
    means = np.empty(resamples)
    step = max(1, _CELLS // n)
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        drawn = generator.integers(0, n, (rows, n))
        means[start : start + rows] = values[drawn].mean(axis=1)
    return means


def percentiles(
    values: Floats, q: float, resamples: int, generator: np.random.Generator
) -> Floats | None:
    """Draw the percentile of resamples without drawing the resamples.

    Drawing n values with replacement is looking up n uniform numbers in the sorted values, so the
    k-th smallest draw is the look-up of the k-th smallest uniform, which is Beta(k, n-k+1); given
    it, the next one lies Beta(1, n-k) of the rest further (David and Nagaraja, Order Statistics,
    2003, chapter 2). Exact, and the cost does not grow with n.
    """
    n = len(values)
    if n < 2:
        return None
    ordered = np.sort(values)
    rank = q / 100 * (n - 1)
    k = int(rank) + 1
    at = generator.beta(k, n - k + 1, resamples)
    lower = ordered[np.minimum((at * n).astype(int), n - 1)]
    if k == n:
        return np.asarray(lower)
    following = at + (1 - at) * generator.beta(1, n - k, resamples)
    upper = ordered[np.minimum((following * n).astype(int), n - 1)]
    return np.asarray(lower + (upper - lower) * (rank - int(rank)))


def _gap_statistics(
    gaps: Floats,
    counts: Counts,
    statistic: str,
    resamples: int,
    generator: np.random.Generator,
) -> Floats | None:
    """Resample streams with all their gaps.

    Each stream is a histogram over at most 512 bins of equal share, twelve times finer above the
    90th percentile; up to 512 different gaps are exact, else a percentile is off by at most a bin.
    """
    n = len(counts)
    if n < 2 or not counts.any():
        return None
    histograms, centers = _histograms(gaps, counts)
    results = np.empty(resamples)
    step = max(1, _CELLS // n)
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        drawn = generator.integers(0, n, (rows, n)) + np.arange(rows)[:, None] * n
        weights = np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n)
        drawn_gaps = (weights.astype(np.float32) @ histograms).astype(np.float64)
        results[start : start + rows] = _of_histograms(drawn_gaps, centers, statistic)
    return results


def _histograms(gaps: Floats, counts: Counts) -> tuple[Histograms, Floats]:
    """Return gaps per stream and bin, and the mean gap of each bin."""
    distinct = np.unique(gaps)
    if len(distinct) > _BINS:
        shares = np.concatenate([np.linspace(0, 0.9, _BINS // 2), np.linspace(0.9, 1, _BINS // 2)])
        distinct = np.unique(np.quantile(gaps, shares))
    bins = np.minimum(np.searchsorted(distinct, gaps), len(distinct) - 1)
    size = len(distinct)
    totals = np.bincount(bins, minlength=size)
    centers = np.bincount(bins, weights=gaps, minlength=size) / np.maximum(totals, 1)
    streams = np.repeat(np.arange(len(counts)), counts)
    cells = np.bincount(streams * size + bins, minlength=len(counts) * size)
    return cells.reshape(len(counts), size).astype(np.float32), centers


def _of_histograms(gaps: Floats, centers: Floats, statistic: str) -> Floats:
    totals = gaps.sum(axis=1)
    if statistic == "mean":
        return np.asarray(gaps @ centers / np.maximum(totals, 1))
    cumulated = gaps.cumsum(axis=1)
    ranks = np.maximum(float(statistic[1:]) / 100 * (totals - 1), 0)
    below = np.floor(ranks)
    lower, upper = (
        centers[np.minimum((cumulated < count[:, None]).sum(axis=1), len(centers) - 1)]
        for count in (below + 1, np.minimum(below + 2, totals))
    )
    return np.asarray(lower + (upper - lower) * (ranks - below))
