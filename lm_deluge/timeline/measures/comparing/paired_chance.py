"""How likely chance alone is where two groups answered the same prompts: tests and intervals by prompt.

All tests are two-sided and exact where that is cheap, a normal approximation beyond.
"""

from __future__ import annotations

from math import comb, erfc, sqrt

from lm_deluge.timeline.measures.comparing.chance import share_interval
from lm_deluge.timeline.measures.numeric import Counts, Floats, np

__all__ = ["paired_shares", "signed_rank", "within_prompts"]

#: Differences that are ranked exactly; the states grow with the square of their number.
_MOST_RANKED = 100
#: Prompts whose hits are convolved exactly.
_MOST_STRATA = 2_000
_MOST_STREAMS = 500


def signed_rank(differences: Floats) -> float:
    """Return the chance of signed ranks at least as far from even, if each difference's sign is a coin.

    Wilcoxon's signed rank test (Biometrics Bulletin 1, 1945); differences of 0 are left out, equal ones
    share their ranks. Exact up to 100 differences, with ties (the coins are counted out); beyond, the
    normal approximation with the corrections for ties and continuity. Infinite differences rank last.
    """
    differences = differences[differences != 0]
    n = len(differences)
    if not n:
        return 1.0
    _, inverse, counts = np.unique(np.abs(differences), return_inverse=True, return_counts=True)
    doubled = (2 * np.cumsum(counts) - counts + 1)[inverse]  # twice the rank: a whole number
    positive = int(doubled[differences > 0].sum())
    total = n * (n + 1)
    if n <= _MOST_RANKED:
        return _coins(doubled, positive)
    variance = float((doubled.astype(np.float64) ** 2).sum()) / 4
    excess = abs(positive - total / 2) - 1
    return erfc(excess / sqrt(2 * variance)) if excess > 0 else 1.0


def _coins(weights: Counts, seen: int) -> float:
    """Return the chance that a sum of weights, each in or out by a coin, is as far from even."""
    total = int(weights.sum())
    ways = np.zeros(total + 1)
    ways[0] = 1.0
    reached = 1  # no sum is larger so far
    for weight in weights.tolist():
        ways[weight : weight + reached] += ways[:reached].copy()
        reached += weight
    ways *= 0.5 ** len(weights)
    far = abs(2 * seen - total)
    sums = np.arange(total + 1)
    return min(1.0, float(ways[np.abs(2 * sums - total) >= far].sum()))


def within_prompts(hits: Counts, n: Counts, other_hits: Counts, other_n: Counts) -> float:
    """Return the chance of hits at least as unevenly split, if within each prompt the groups are alike.

    One entry a prompt: ``hits`` of ``n`` streams against ``other_hits`` of ``other_n``. Given the hits
    of a prompt, those of one group are hypergeometric; their sum over prompts is compared with its
    expectation. With one stream a group and prompt this is McNemar's exact test (Psychometrika 12,
    1947), with one prompt Fisher's, its tails by the distance from what is expected; with repeats the
    exact conditional test for matched sets (Cox and Snell, Analysis of Binary Data, 1989, chapter 2).
    Beyond 2,000 prompts that tell anything, normal.
    """
    both, all_hits = n + other_n, hits + other_hits
    tells = (all_hits > 0) & (all_hits < both) & (n > 0) & (other_n > 0)
    hits, n, both, all_hits = hits[tells], n[tells], both[tells], all_hits[tells]
    if not len(hits):
        return 1.0
    expected = float((all_hits * n / both).sum())
    seen = abs(float(hits.sum()) - expected)
    if len(hits) > _MOST_STRATA or both.max() > _MOST_STREAMS:
        shares = all_hits / both
        variance = float((n * (both - n) * shares * (1 - shares) / (both - 1)).sum())
        excess = seen - 0.5
        return erfc(excess / sqrt(2 * variance)) if excess > 0 and variance > 0 else 1.0
    chances = np.ones(1)
    least = 0
    for drawn, mine, total in zip(all_hits.tolist(), n.tolist(), both.tolist(), strict=True):
        low, high = max(0, drawn - (total - mine)), min(drawn, mine)
        ways = [comb(mine, k) * comb(total - mine, drawn - k) for k in range(low, high + 1)]
        all_ways = sum(ways)
        chances = np.convolve(chances, [way / all_ways for way in ways])
        least += low
    sums = np.arange(len(chances)) + least
    return min(1.0, float(chances[np.abs(sums - expected) >= seen - 1e-9].sum()))


def paired_shares(both: int, only: int, only_other: int, neither: int) -> tuple[float, float]:
    """Return the 95 % interval of a difference of two shares of the same prompts.

    Prompts hit in ``both`` groups, in the first ``only``, in the other only, in ``neither``. Newcombe's
    method 10 for paired data (Statistics in Medicine 17, 1998, pages 2635 to 2650): two Wilson
    intervals, joined by the correlation of the hits.
    """
    n = both + only + only_other + neither
    share, other = (both + only) / n, (both + only_other) / n
    low, high = share_interval(both + only, n)
    other_low, other_high = share_interval(both + only_other, n)
    product = (both + only) * (only_other + neither) * (both + only_other) * (only + neither)
    phi = 0.0
    if product:
        cross: float = both * neither - only * only_other
        cross = max(cross - n / 2, 0.0) if cross > 0 else cross
        phi = cross / sqrt(product)
    down = _joined(share - low, other_high - other, phi)
    up = _joined(high - share, other - other_low, phi)
    return share - other - down, share - other + up


def _joined(one: float, other: float, phi: float) -> float:
    return sqrt(max(0.0, one**2 - 2 * phi * one * other + other**2))
