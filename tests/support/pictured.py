"""Pages of the report for tests, and streams and names to put into them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from lm_deluge.timeline import (
    Measured,
    Sample,
    Timeline,
    broken_rules,
    findings_of,
    html_page,
    measure,
    parse_fail_if,
)
from support.timelines import timeline

__all__ = ["DANGEROUS", "HOSTILE", "page_of", "some", "study"]

HOSTILE = "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 2'>"
DANGEROUS = [
    HOSTILE, "</script><script>window.hacked = 3</script>", "{{ 7 * 7 }}@{name}$$\\frac{1}{2}$$",
    "\u202e\x00\x1b[31m'\"`", "]]>--><!--", "\ud83d",
]  # fmt: skip


def page_of(
    timelines: Sequence[Timeline], *, by: str | None = None, baseline: Measured | None = None
) -> str:
    sample = Sample()
    measured = measure(timelines, by=by, keep=sample.keep)
    broken = broken_rules(measured, [parse_fail_if("ttft.p95>0.3")])
    findings = findings_of(measured, baseline)
    return html_page(measured, findings, sample, baseline=baseline, broken=broken)


def some(n: int = 40, seed: int = 1) -> list[Timeline]:
    """Streams of two variants; some stall, some fail, one has no ending."""
    numbers = random.Random(seed)
    made = []
    for k in range(n):
        variant = "AB"[k % 2]
        t = numbers.uniform(0.2, 0.5 if variant == "B" else 0.9)
        arrivals = []
        for _ in range(numbers.randrange(5, 60)):
            arrivals.append(t)
            t += numbers.expovariate(30) + (2.0 if numbers.random() < 0.02 else 0.0)
        failed = "ConnectionLostError" if numbers.random() < 0.1 else None
        made.append(
            timeline(
                arrivals, tags={"variant": variant}, stream=f"s{k}", failed=failed, ended=t + 0.1,
                phase="between_tokens" if failed else None, cost=0.001, output_tokens=len(arrivals),
            )
        )  # fmt: skip
    made.append(timeline([0.4, 0.5], ending=None, tags={"variant": "A"}, stream="open"))
    made.append(timeline([], failed="RateLimitError", phase="first_token", tags={"variant": "A"}))
    return made


def study(n: int, names: Sequence[str], seed: int = 1) -> list[Timeline]:
    """Streams of the variants ``names`` as people have them: tails, stalls, failures, silence."""
    numbers = random.Random(seed)
    made = []
    for k in range(n):
        place = k % len(names)
        t = numbers.lognormvariate(-1 + 0.3 * (place % 5), 0.4)
        arrivals = []
        for _ in range(numbers.randrange(5, 200)):
            arrivals.append(t)
            t += numbers.expovariate(25 + 5 * (place % 3))
            t += numbers.uniform(1, 4) if numbers.random() < 0.004 else 0.0
        how = numbers.random()
        ending: dict[str, Any] = {"ended": t}
        if how < 0.05:
            ending = {"failed": "ConnectionLostError", "phase": "between_tokens", "ended": t + 1}
        elif how < 0.08:
            arrivals = []
            ending = {"failed": "APITimeoutError", "phase": "first_token", "ended": 30.0}
        elif how < 0.10:
            ending = {"failed": "StreamCancelled", "phase": "between_tokens", "ended": t}
        elif how < 0.11:
            ending = {"ending": None}
        elif k == 7:
            ending = {"failed": "APITimeoutError", "phase": "between_tokens", "ended": 600.0}
        words = ["Hello ", "and ", "more\n", "κόσμε ", "🙂 ", "<b>"]
        made.append(
            timeline(
                arrivals, pieces=[numbers.choice(words) for _ in arrivals], stream=f"s{k}",
                tags={"variant": names[place]}, model="gpt-4o-mini", cost=0.001,
                output_tokens=len(arrivals) or None, prompt_hash=f"hash-{k // len(names) % 30}",
                prompt=f"What is <b>{k // len(names) % 30}</b> times seven? " * 3, **ending,
            )
        )  # fmt: skip
    return made
