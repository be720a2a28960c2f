"""What one stream adds to each column of its group."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from attrs import field, frozen

from lm_deluge.timeline.measures.targets import Target
from lm_deluge.values.timeline import (
    EXPECTED_TTFT,
    READING_RATE,
    STALL_THRESHOLD,
    Timeline,
)

__all__ = ["BURST_PAUSE", "COMPLETED_ONLY", "Settings", "numbers_of"]

COMPLETED_ONLY = ("tpot", "tpot_per_token", "e2e", "rate")
"""Columns of completed streams."""

BURST_PAUSE = 0.05
"""Seconds; network reads closer than this belong to one burst of tokens."""


def _not_below_zero(_: Any, attribute: Any, value: float) -> None:
    if not 0 <= value < float("inf"):
        message = f"{attribute.name}: finite seconds, not below 0; got {value!r}"
        raise ValueError(message)


def _above_zero(_: Any, attribute: Any, value: float) -> None:
    if not 0 < value < float("inf"):
        message = f"{attribute.name}: finite tokens a second, above 0; got {value!r}"
        raise ValueError(message)


@frozen
class Settings:
    """What a report measures with; ``ValueError`` where it makes no sense.

    ``stall``: seconds, a longer gap is a stall. ``read_rate``: the reader's tokens a second.
    ``expected_ttft``: seconds until the first piece that the reader expects. ``targets``: what a
    stream must meet to count for goodput.
    """

    stall: float = field(default=STALL_THRESHOLD, validator=_not_below_zero)
    read_rate: float = field(default=READING_RATE, validator=_above_zero)
    expected_ttft: float = field(default=EXPECTED_TTFT, validator=_not_below_zero)
    targets: tuple[Target, ...] = ()


def numbers_of(timeline: Timeline, settings: Settings) -> dict[str, float | None]:
    """Return a stream's number of each column of ``Group``; what is left out is undefined."""
    numbers: dict[str, float | None] = {
        "ttft": timeline.ttft,
        "ttfa": timeline.ttfa,
        "qoe": timeline.qoe(settings.expected_ttft, settings.read_rate),
        "starvation": timeline.starvation(settings.read_rate),
        "handlers": timeline.handlers,
        "loop_lag": timeline.loop_lag,
        "coalescing": timeline.coalescing,
        "tokens_per_piece": timeline.tokens_per_piece,
        "held": timeline.held,
        "held_up": timeline.held_up,
        "cost": timeline.cost,
        "prompt_chars": timeline.prompt_chars,
        "failed": float(timeline.failed),
        "queued": timeline.queued,
    }
    if timeline.completed:
        for name in COMPLETED_ONLY:
            numbers[name] = getattr(timeline, name)
    gaps = timeline.gaps
    if gaps:
        stalls = [gap for gap in gaps if gap > settings.stall]
        numbers["stalls"] = len(stalls)
        numbers["stalled"] = sum(stalls)
    if len(timeline) > 1:
        numbers["span"] = timeline.times[-1] - timeline.times[0]
        numbers["burst"], numbers["silence"] = _bursts(timeline)
    return numbers


def _bursts(timeline: Timeline) -> tuple[float, float | None]:
    """Return tokens per burst, and seconds from the end of one to the next, on average."""
    pauses = [after - before for before, after in pairwise(timeline.times)]
    pauses = [pause for pause in pauses if pause > BURST_PAUSE]
    silence = sum(pauses) / len(pauses) if pauses else None
    return len(timeline) / (len(pauses) + 1), silence
