"""What a bootstrap of very many streams comes to, without drawing them.

A mean over n streams, and a share or a mean of their pooled gaps (a ratio of two sums over streams), is
normal for large n; its standard error is that of the streams' contributions (linearized for ratios:
Cochran, Sampling Techniques, 1977, chapter 6). A percentile of pooled gaps follows from the share of
gaps below it (Woodruff, JASA 47, 1952). The cost goes with the gaps, not with the resamples.
"""

from __future__ import annotations

from lm_deluge.timeline.measures.numeric import Counts, Floats, np

__all__ = ["normal_means", "normal_of_gaps"]


def normal_means(values: Floats, resamples: int, generator: np.random.Generator) -> Floats:
    """Return so many means of values drawn anew; at least two values."""
    error = values.std(ddof=1) / np.sqrt(len(values))
    return np.asarray(values.mean() + error * generator.standard_normal(resamples))


def normal_of_gaps(
    gaps: Floats,
    counts: Counts,
    statistic: str,
    resamples: int,
    generator: np.random.Generator,
) -> Floats:
    """Return so many means (``"mean"``) or percentiles (``"p95"``) of the gaps of streams drawn anew.

    ``gaps``: of all streams, in order; ``counts``: gaps of each stream, at least two streams.
    """
    drawn = generator.standard_normal(resamples)
    if statistic == "mean":
        mean, error = _ratio(gaps, counts)
        return np.asarray(mean + error * drawn)
    q = float(statistic[1:]) / 100
    edge = np.quantile(gaps, q)
    _, error = _ratio((gaps <= edge).astype(np.float64), counts)
    return np.quantile(gaps, np.clip(q + error * drawn, 0, 1))


def _ratio(values: Floats, counts: Counts) -> tuple[float, float]:
    """Return the mean of all values, and its standard error where whole streams are drawn."""
    n, total = len(counts), len(values)
    mean = float(values.mean())
    streams = np.repeat(np.arange(n), counts)
    sums = np.bincount(streams, weights=values, minlength=n)
    spread = float(((sums - mean * counts) ** 2).sum())
    return mean, float(np.sqrt(n / (n - 1) * spread) / total)
