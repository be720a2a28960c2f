"""What an answer felt like to somebody who reads it at a steady pace.

``arrivals`` are t_1 … t_n in seconds, not empty; ``step`` is w/r, the seconds that the reader takes
for a piece. The formulas are those of docs/design/metrics.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from operator import gt

__all__ = ["quality", "seconds_starved"]


def seconds_starved(arrivals: Sequence[float], step: float) -> float:
    """Return the seconds that a reader who starts at t_1 waits for text that is not there yet."""
    waited = 0.0
    done = arrivals[0]
    if not any(map(gt, arrivals, count(done, step))):  # a fast model: no need for the slow loop
        return 0.0
    for arrival in arrivals:
        if arrival > done:
            waited += arrival - done
            done = arrival
        done += step
    return waited


def quality(arrivals: Sequence[float], step: float, expected_ttft: float) -> float:
    """Return QoE in [0, 1] of the pieces that came (Andes, arXiv 2404.16283v2)."""
    # D_1 = max(t_1, T) is the general rule, for a reader who was done just before T. Ideal and
    # digest take the same additions, so that a stream that is never late gives exactly 1.
    digest = ideal = expected_ttft - step
    total = late = 0.0
    if not any(map(gt, arrivals, count(expected_ttft, step))):
        return 1.0
    for arrival in arrivals:
        ideal += step
        digest += step
        if arrival > digest:
            digest = arrival
        total += digest
        late += digest - ideal
    return max(0.0, 1.0 - late / total) if late > 0 else 1.0
