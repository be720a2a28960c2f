"""What the report's tables and its page say alike: figures with their intervals, and rows of them."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from lm_deluge.timeline.measures.comparing.chance import share_interval
from lm_deluge.timeline.measures.error_words import error_kinds
from lm_deluge.timeline.measures.groups import Group
from lm_deluge.timeline.measures.metrics import Measured
from lm_deluge.timeline.measures.wording import number, percent, seconds

__all__ = [
    "SHOWN",
    "error_rows",
    "known_of",
    "settings_in_words",
    "share_with_interval",
    "without_failed",
]

SHOWN = (
    ("ttft", "TTFT", "TTFT, first output"),
    ("ttfa", "TTFA", "TTFA (TTFO), first visible token"),
    ("gap", "gap", "gaps between tokens"),
    ("icl", "ICL", "ICL, between network reads"),
    ("tpot", "TPOT", "TPOT, per piece"),
    ("tpot_per_token", "TPOT/tok", "TPOT, per token"),
    ("e2e", "E2E", "E2E, whole answer"),
    ("rate", "tokens/s", "output rate"),
    ("starvation", "starved", "reader starvation"),
    ("qoe", "QoE", "QoE (1 is best)"),
    ("handlers", "handlers", "handlers held the event loop"),
    ("loop_lag", "loop lag", "loop lag, beyond handlers"),
)
"""Metric, its name in a narrow table, and in a wide one."""


def settings_in_words(measured: Measured) -> str:
    """Return what was read, and what it was measured with."""
    settings = measured.settings
    return (
        f"{measured.lines:,} lines read, {measured.skipped_lines:,} skipped. A stall is a gap above "
        f"{settings.stall:g} s; the reader takes {settings.read_rate:g} tokens/s and expects the "
        f"first after {settings.expected_ttft:g} s."
    )


def share_with_interval(count: int, streams: int) -> str:
    """Return a share of streams and its 95 % interval: ``5.0 % (1.7 to 14 %)``."""
    low, high = share_interval(count, streams)
    return f"{percent(count / streams)} ({percent(low).removesuffix(' %')} to {percent(high)})"


def known_of(known: int, streams: int, text: str) -> str:
    """Return a figure, and of how many streams it is where that is not all of them."""
    return text if known in (0, streams) else f"{text} (n={known:,})"


def without_failed(group: Group, metric: str, value: float | None) -> str:
    """Return a figure, with a star where streams that failed before it are left out."""
    mark = "*" if metric.partition(".")[0] in group.never else ""
    return f"{number(metric, value).removesuffix(' tokens/s')}{mark}"


def error_rows(group: Group) -> Iterator[tuple[str, str, str, str, str, str]]:
    """Yield, for each kind of failure, the most frequent first: what happened in words, its names in
    the log, streams, share, and the medians of the pieces and of the seconds before it.
    """
    for kind in error_kinds(group):
        yield (
            kind.words,
            kind.logged,
            f"{kind.count:,}",
            percent(kind.count / group.streams),
            f"{median(kind.tokens):,.0f}",
            seconds(median(kind.seconds)),
        )
