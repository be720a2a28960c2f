"""Two variants that answered the same prompts, for the parts of the page that show it."""

from __future__ import annotations

import random
from typing import Any

from lm_deluge.timeline import Timeline
from support.timelines import timeline

WORDS = (
    "The sea is salt because rivers carry minerals from the rocks that they wear away, and the water "
    "that leaves as vapour leaves them behind."
).split(" ")
ASKED = (
    "Why is the sea salt?", "Explain TCP to a child", "Summarise this contract in five points",
    "ما هو الذكاء الاصطناعي؟", "Write a haiku about rain 🌧️", "Fix the bug in this function",
    "Plan three days in Lisbon", "What is the capital of Australia?",
)  # fmt: skip


def answered(n: int, *, seed: int = 1, repeats: int = 1, text: bool = True) -> list[Timeline]:
    """``n`` prompts answered by A and B: B begins sooner, stalls now and then, and breaks more often."""
    numbers = random.Random(seed)
    made = []
    for k in range(n):
        hard = numbers.lognormvariate(-0.5, 0.6)
        made += [
            _answer(numbers, k, variant, repeat, hard, text=text)
            for variant in "AB"
            for repeat in range(repeats)
        ]
    return made


def _answer(
    numbers: random.Random, k: int, variant: str, repeat: int, hard: float, *, text: bool
) -> Timeline:
    t = hard * numbers.uniform(0.8, 1.2) * (0.6 if variant == "B" else 1.0)
    arrivals, pieces = [], []
    for place, word in enumerate(WORDS * 2):
        arrivals.append(t)
        pieces.append(f" {word}" if place else word)
        t += numbers.expovariate(25)
        if variant == "B" and numbers.random() < 0.015:
            t += numbers.uniform(1.2, 4.0)
    fields: dict[str, Any] = {}
    if numbers.random() < (0.12 if variant == "B" else 0.03):
        kept = numbers.choice([0, 9, 20])
        arrivals, pieces = arrivals[:kept], pieces[:kept]
        fields = {
            "failed": "ConnectionLostError" if kept else "RateLimitError",
            "phase": "between_tokens" if kept else "first_token",
            "ended": (arrivals[-1] if arrivals else 0.4) + 0.7,
        }
    if not text:
        fields["texts"] = None
    asked = f"{ASKED[k % len(ASKED)]}{f' ({k})' if k >= len(ASKED) else ''}"
    return timeline(
        arrivals, pieces=pieces, stream=f"{variant}{k}.{repeat}", tags={"variant": variant},
        prompt=asked if text else None, prompt_hash=f"{k:016x}", **fields,
    )  # fmt: skip
