"""Groups of streams that differ as told, for verdicts."""

from __future__ import annotations

from typing import Any

import numpy as np

from lm_deluge.timeline import Timeline
from support.timelines import timeline

__all__ = ["group"]


def group(
    name: str,
    n: int = 100,
    *,
    wait: float = 0.6,
    spread: float = 0.2,
    gap: float = 0.03,
    broke: int = 0,
    stalled: int = 0,
    retried: int = 0,
    tag: str = "variant",
    **fields: Any,
) -> list[Timeline]:
    """``n`` streams with this tag: the first pieces come after ``wait`` seconds, log-normal.

    ``gap``: seconds between pieces, exponential; ``broke``, ``stalled``, ``retried``: how many did.
    """
    random = np.random.default_rng([n, *name.encode()])
    made = []
    for k in range(n):
        gaps = random.exponential(gap, 20)
        gaps[10] += 1.5 + random.random() if k < stalled else 0.0
        arrivals = wait * random.lognormal(0, spread) + np.cumsum(gaps)
        failed = "ConnectionLostError" if n - k <= broke else None
        attempts = 2 if k < retried else 1
        made.append(
            timeline(
                arrivals.tolist(), failed=failed, attempts=attempts,
                **{"tags": {tag: name}, "stream": f"{name}-{k}", **fields},
            )
        )  # fmt: skip
    return made
