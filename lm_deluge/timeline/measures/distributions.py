"""Many numbers in few: n, mean, deviation, percentiles."""

from __future__ import annotations

from typing import Any

from lm_deluge.timeline.measures.names import STATISTICS
from lm_deluge.timeline.measures.numeric import Floats, np

__all__ = ["distribution", "mean_of"]


def distribution(values: Floats) -> dict[str, Any]:
    """Return n, mean, standard deviation, percentiles (linear-interpolated) and max.

    The deviation is the population's, divided by n, as vLLM, AIPerf and GuideLLM have it. Where n is
    0, all else is ``None``.
    """
    if not len(values):
        return {"n": 0, **dict.fromkeys(STATISTICS[1:])}
    p50, p90, p95, p99 = np.percentile(values, (50, 90, 95, 99)).tolist()
    return {
        "n": len(values),
        "mean": float(values.mean()),
        "std": float(values.std()),
        "p50": p50,
        "p90": p90,
        "p95": p95,
        "p99": p99,
        "max": float(values.max()),
    }


def mean_of(values: Floats) -> float | None:
    """Return the mean, ``None`` of nothing."""
    return float(values.mean()) if len(values) else None
