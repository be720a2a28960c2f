"""What a reader notices: how large a difference has to be, and whose word that is.

Waits and gaps: a difference of 0.1 s (Miller, AFIPS Fall Joint Computer Conference 33, 1968; Nielsen,
Usability Engineering, 1993, chapter 5) that is also a fifth of the longer one (Seow, Designing and
Engineering Time, 2008: the 20 % rule, a Weber fraction). Every failure counts: its reader has no
answer. Every stall counts that is beyond what feels instant. A pace is noticed where a fifth is, and the
slower text is slower than its reader, who is an option (4.8 tokens a second: Andes, arXiv 2404.16283v2;
238 words a minute: Brysbaert, Journal of Memory and Language 109, 2019). A retry is noticed as a wait
only, and TTFT has that already. Of QoE no study says which difference is noticed: it decides nothing.

The anchors are of people at computers, not of readers of models; where both rules apply, both must
hold. Shares have no band: a clear difference of them counts, however small.
"""

from __future__ import annotations

from typing import Literal

from lm_deluge.timeline.measures.numeric import Floats, np

__all__ = [
    "ATTENTION",
    "FLOW_OF_THOUGHT",
    "INSTANT",
    "PROPORTION",
    "Noticed",
    "noticed",
    "threshold_of",
    "thresholds_of",
]

INSTANT = 0.1
"""Seconds; what comes sooner feels like at once (Miller 1968; Nielsen 1993)."""

FLOW_OF_THOUGHT = 1.0
"""Seconds; a longer wait interrupts the flow of thought (Miller 1968; Nielsen 1993)."""

ATTENTION = 10.0
"""Seconds; during a longer wait people turn to something else (Miller 1968; Nielsen 1993)."""

PROPORTION = 0.2
"""Of the longer one of two waits; they are taken for the same below (Seow 2008)."""

_TIMES = ("ttft", "ttfa", "gap", "e2e", "starvation", "wait")

Noticed = Literal["yes", "maybe", "no", "unknown"]


def threshold_of(
    metric: str, one: float, other: float, *, stall: float, reading: float
) -> float | None:
    """Return what ``thresholds_of`` does, of one value and another."""
    found = thresholds_of(metric, np.array([one]), np.array([other]), stall=stall, reading=reading)
    return None if found is None else float(found[0])


def thresholds_of(
    metric: str, one: Floats, other: Floats, *, stall: float, reading: float
) -> Floats | None:
    """Return how large a difference of each two values a reader notices; ``None``: no source says.

    Symmetric in the values. In the metric's unit; ``stall``: seconds, what counts as a stall;
    ``reading``: seconds in which the reader takes in a piece. Infinite where a moment never came.
    """
    longer = np.maximum(one, other)
    if metric == "failed_share" or (metric == "stalls.streams" and stall >= INSTANT):
        return np.zeros_like(longer)
    if metric.partition(".")[0] in _TIMES:
        return np.maximum(INSTANT, PROPORTION * longer)
    if metric.startswith("tpot."):
        # A difference that leaves the slower text as fast as its reader is noticed by nobody.
        return np.maximum(reading - np.minimum(one, other), PROPORTION * longer)
    return None


def noticed(low: float | None, high: float | None, threshold: float | None) -> Noticed:
    """Tell whether a reader notices a difference, by its whole interval ``low`` to ``high``.

    ``"yes"``: its end next to 0 is noticed; ``"maybe"``: only the far end is; ``"no"``: neither is.
    """
    if low is None or high is None or threshold is None:
        return "unknown"
    near = 0.0 if low <= 0 <= high else min(abs(low), abs(high))
    if near > 0 and near >= threshold:
        return "yes"
    return "maybe" if max(abs(low), abs(high)) >= threshold else "no"
