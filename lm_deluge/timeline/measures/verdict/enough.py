"""How many more streams would decide what is open, if the differences stay as they are.

Both groups get the same number k of streams more. An interval's variance goes with 1/n + 1/m, so
k follows from the factor f by which the variance must shrink::

    1/(n+k) + 1/(m+k) = (1/n + 1/m) / f

A difference of times becomes clear where f = max((z / z_0)², (h / |d|)²): z is what Holm's method asks
of the next comparison, z_0 what the ranks give now, h half the interval's width, d the difference. It
is shown to be smaller than the threshold T that a reader notices where f = (h / (T - |d|))². Of the
two, what comes first decides.

Shares need n = z² 2 p (1 - p) / d² in each group, p their mean, corrected for Fisher's test to
n/4 (1 + √(1 + 4 / (n |d|)))² (Casagrande, Pike and Smith, Biometrics 34, 1978).
"""

from __future__ import annotations

from math import ceil, inf, isfinite, log10, sqrt
from statistics import NormalDist

from lm_deluge.timeline.measures.comparing.chance import rank_sum
from lm_deluge.timeline.measures.comparing.compare import SIGNIFICANT
from lm_deluge.timeline.measures.numeric import np

__all__ = [
    "MOST_MORE",
    "can_be_clear",
    "least_streams",
    "more_for_share",
    "more_for_time",
    "rounded",
]

MOST_MORE = 10_000
"""More streams than this are told as "more than": nobody waits for them."""

_SMALLEST = 1e-12


def needed_z(left: int) -> float:
    """Return the z that Holm's method asks of the next of ``left`` comparisons that are not clear."""
    return NormalDist().inv_cdf(1 - SIGNIFICANT / (2 * max(1, left)))


def more_for_time(
    difference: float,
    low: float,
    high: float,
    threshold: float,
    *,
    chance: float,
    left: int,
    streams: tuple[int, int],
) -> int:
    """Return how many more streams a group would decide a difference of times.

    ``difference`` with its 95 % interval ``low`` to ``high``, ``threshold``: what a reader notices,
    ``chance``: that of the difference, ``left``: comparisons that are not clear, ``streams``: of
    each group. At most ``MOST_MORE + 1``.
    """
    half, size = (high - low) / 2, abs(difference)
    z = NormalDist().inv_cdf(1 - min(1.0, max(chance, _SMALLEST)) / 2)
    clear = alike = inf
    if size > 0 and z > 0:
        clear = max((needed_z(left) / z) ** 2, (half / size) ** 2)
    if size < threshold:
        alike = (half / (threshold - size)) ** 2
    return _more(min(clear, alike), *streams)


def more_for_share(hits: tuple[int, int], streams: tuple[int, int], *, left: int) -> int:
    """Return how many more streams a group would make a difference of shares clear.

    ``hits`` of ``streams``, of each group; ``left``: comparisons that are not clear. At most
    ``MOST_MORE + 1``.
    """
    shares = [count / n for count, n in zip(hits, streams, strict=True)]
    size = abs(shares[0] - shares[1])
    mean = sum(hits) / sum(streams)
    if not size:
        return MOST_MORE + 1
    n = needed_z(left) ** 2 * 2 * mean * (1 - mean) / size**2
    needed = n / 4 * (1 + sqrt(1 + 4 / (n * size))) ** 2
    return _more((1 / streams[0] + 1 / streams[1]) * needed / 2, *streams)


def _more(factor: float, n: int, m: int) -> int:
    """Return the least k of the formula above."""
    if not isfinite(factor):
        return MOST_MORE + 1
    if factor <= 1:
        return 1
    wanted = (1 / n + 1 / m) / factor
    half = (n + m) / 2 - 1 / wanted
    k = -half + sqrt(half**2 - n * m + (n + m) / wanted)
    return min(MOST_MORE + 1, max(1, ceil(k)))


def rounded(streams: int) -> str:
    """Return a number of streams as people say it: ``a few``, ``about 140``, ``more than 10,000``."""
    if streams > MOST_MORE:
        return f"more than {MOST_MORE:,}"
    if streams < 10:
        return "a few"
    step = 10 ** (int(log10(streams)) - 1)
    return f"about {ceil(streams / step) * step:,}"


def can_be_clear(n: int, m: int, comparisons: int) -> bool:
    """Whether so few streams can show anything: whether ranks that do not even overlap would."""
    chance = rank_sum(np.arange(n, dtype=np.float64), np.arange(n, n + m, dtype=np.float64))
    return chance * max(1, comparisons) <= SIGNIFICANT


def least_streams(comparisons: int) -> int:
    """Return how many streams each group needs at least, so that anything can be clear."""
    n = 2
    while not can_be_clear(n, n, comparisons):
        n += 1
    return n
