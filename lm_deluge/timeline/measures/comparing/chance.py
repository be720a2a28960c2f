"""How likely chance alone is: tests and intervals for shares and ranks, and many of them at once.

All are two-sided and need no simulation, so that a small probability can be told from a tiny one,
which is what a correction for many comparisons asks for.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import erfc, sqrt

from lm_deluge.timeline.measures.numeric import Counts, Floats, np

__all__ = ["difference_of_shares", "fisher", "fisher_more", "holm", "rank_sum", "share_interval"]

_Z = 1.959963984540054
"""The normal distribution holds 95 % within so many standard deviations."""


def fisher(hits: int, n: int, other_hits: int, other_n: int) -> float:
    """Return the chance of shares at least as far apart, if they are the same (Fisher's exact test).

    ``hits`` of ``n`` streams against ``other_hits`` of ``other_n``; exact for the smallest counts.
    """
    total, drawn = n + other_n, hits + other_hits
    lowest, highest = max(0, drawn - other_n), min(drawn, n)
    factorials = np.concatenate(([0.0], np.cumsum(np.log(np.arange(1, total + 1)))))
    k = np.arange(lowest, highest + 1)
    ways = _log_choose(factorials, n, k) + _log_choose(factorials, other_n, drawn - k)
    ways -= _log_choose(factorials, total, np.array(drawn))
    # Those that are no likelier than what was seen; equal ones differ by rounding.
    seen = ways[hits - lowest] + 1e-7
    return min(1.0, float(np.exp(ways[ways <= seen]).sum()))


def fisher_more(hits: int, n: int, other_hits: int, other_n: int) -> float:
    """Return the chance of ``hits`` or more of ``n``, if the shares are the same (one-sided)."""
    total, drawn = n + other_n, hits + other_hits
    factorials = np.concatenate(([0.0], np.cumsum(np.log(np.arange(1, total + 1)))))
    k = np.arange(hits, min(drawn, n) + 1)
    ways = _log_choose(factorials, n, k) + _log_choose(factorials, other_n, drawn - k)
    return min(1.0, float(np.exp(ways - _log_choose(factorials, total, np.array(drawn))).sum()))


def rank_sum(values: Floats, others: Floats) -> float:
    """Return the chance of ranks at least as far apart, if both are drawn from one distribution.

    Wilcoxon's rank sum (Mann and Whitney's U) by the normal approximation, with the corrections
    for ties and continuity; without a spread, or without values, 1.
    """
    n, m = len(values), len(others)
    total = n + m
    if not n or not m:
        return 1.0
    pooled = np.concatenate((values, others))
    _, inverse, counts = np.unique(pooled, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    excess = abs(float(ranks[:n].sum()) - n * (total + 1) / 2) - 0.5
    ties = float((counts.astype(np.float64) ** 3 - counts).sum())
    variance = n * m / 12 * (total + 1 - ties / (total * (total - 1)))
    if excess <= 0 or variance <= 0:
        return 1.0
    return erfc(excess / sqrt(2 * variance))


def holm(chances: Sequence[float]) -> list[float]:
    """Return the chances corrected for being so many (Holm, Scand. J. Statist. 6, 1979).

    Whoever calls those up to 0.05 a difference is wrong about any of them in 5 % of reports at most.
    """
    corrected = [1.0] * len(chances)
    worst = 0.0
    ordered = sorted(range(len(chances)), key=chances.__getitem__)
    for place, index in enumerate(ordered):
        worst = max(worst, min(1.0, chances[index] * (len(chances) - place)))
        corrected[index] = worst
    return corrected


def share_interval(hits: int, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson, JASA 22, 1927); n is not 0."""
    share, square = hits / n, _Z**2
    middle = (share + square / (2 * n)) / (1 + square / n)
    half = _Z / (1 + square / n) * sqrt(share * (1 - share) / n + square / (4 * n * n))
    # Exactly, at the ends: in floats ``middle - half`` of no hits may be 3e-15, and a report would say so.
    return 0.0 if hits == 0 else max(0.0, middle - half), 1.0 if hits == n else min(
        1.0, middle + half
    )


def difference_of_shares(hits: int, n: int, other_hits: int, other_n: int) -> tuple[float, float]:
    """Return the 95 % interval of ``hits/n - other_hits/other_n``.

    Newcombe's hybrid of two Wilson intervals (Statistics in Medicine 17, 1998, method 10): right
    for 1 of 3 and for 0 of 60, of which a bootstrap knows nothing.
    """
    share, other = hits / n, other_hits / other_n
    low, high = share_interval(hits, n)
    other_low, other_high = share_interval(other_hits, other_n)
    down = sqrt((share - low) ** 2 + (other_high - other) ** 2)
    up = sqrt((high - share) ** 2 + (other - other_low) ** 2)
    return share - other - down, share - other + up


def _log_choose(factorials: Floats, n: int, k: Counts) -> Floats:
    """Return the logarithm of n over k, from the logarithms of factorials."""
    return np.asarray(factorials[n] - factorials[k] - factorials[n - k])
