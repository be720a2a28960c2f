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

__all__ = [
    "ATTENTION",
    "FLOW_OF_THOUGHT",
    "INSTANT",
    "PROPORTION",
    "Noticed",
    "noticed",
    "threshold_of",
]

INSTANT = 0.1
"""Seconds; what comes sooner feels like at once (Miller 1968; Nielsen 1993)."""

FLOW_OF_THOUGHT = 1.0
"""Seconds; a longer wait interrupts the flow of thought (Miller 1968; Nielsen 1993)."""

ATTENTION = 10.0
"""Seconds; during a longer wait people turn to something else (Miller 1968; Nielsen 1993)."""

PROPORTION = 0.2
"""Of the longer one of two waits; they are taken for the same below (Seow 2008)."""

_TIMES = ("ttft", "ttfa", "gap", "e2e", "starvation")

Noticed = Literal["yes", "maybe", "no", "unknown"]


def threshold_of(
    metric: str, one: float, other: float, *, stall: float, reading: float
) -> float | None:
    """Return how large a difference of two values a reader notices; ``None``: no source says.

    Symmetric in the values. In the metric's unit; ``stall``: seconds, what counts as a stall;
    ``reading``: seconds in which the reader takes in a piece.
    """
    if metric == "failed_share" or (metric == "stalls.streams" and stall >= INSTANT):
        return 0.0
    if metric.partition(".")[0] in _TIMES:
        return max(INSTANT, PROPORTION * max(one, other))
    if metric.startswith("tpot."):
        return max(reading - min(one, other), PROPORTION * max(one, other))
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
