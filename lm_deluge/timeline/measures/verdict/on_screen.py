"""Where readers' screens show a difference that the arrivals at our process do not: what a verdict adds."""

from __future__ import annotations

from lm_deluge.timeline.measures.comparing.compare import compare_groups
from lm_deluge.timeline.measures.comparing.comparisons import Pair
from lm_deluge.timeline.measures.comparing.noticeable import noticed, threshold_of
from lm_deluge.timeline.measures.verdict.phrases import listed, seconds_phrase
from lm_deluge.timeline.measures.verdict.reasons import Side

__all__ = ["ON_SCREEN", "on_screen"]

#: Metric on the screen, that at our process, and what is said of it.
_SEEN = (
    ("seen.ttfa.p50", "ttfa.p50", "the first text is painted", "sooner"),
    ("seen.gap.painted.p95", "gap.p95", "the longest 5 % of gaps are", "shorter"),
)

ON_SCREEN = "; that is at our process: on the screen"
"""How what a verdict adds begins."""

_FEWEST = 5


def on_screen(pair: Pair, marks: dict[Side, str]) -> str:
    """Say which side a reader's screen favours where our process does not show it; ``""`` for nothing.

    Told is what excludes 0 by its 95 % interval, is noticed, and is more than the same at our process by
    as much as is noticed. ``marks``: what stands for the two sides in a sentence.
    """
    if any(len(group.way.joined.views) < _FEWEST for group in (pair.new, pair.old)):
        return ""
    told: dict[Side, list[str]] = {"new": [], "old": []}
    for seen, arrived, what, better in _SEEN:
        there, here = (compare_groups(pair.new, pair.old, each) for each in (seen, arrived))
        if there.new is None or there.old is None or there.difference is None:
            continue
        settings = pair.new.settings
        least = threshold_of(
            seen[5:], there.new, there.old, stall=settings.stall, reading=1 / settings.read_rate
        )
        if least is not None and seen == "seen.ttfa.p50":  # from one clock to another
            least += sum(group.way.bound or 0.0 for group in (pair.new, pair.old))
        beyond = there.difference - (here.difference or 0.0)
        if least is None or abs(beyond) < least or noticed(there.low, there.high, least) != "yes":
            continue
        side: Side = "new" if there.difference < 0 else "old"
        told[side].append(f"{what} {seconds_phrase(there.difference)} s {better}")
    said = [f"with {marks[side]} {listed(words)}" for side, words in told.items() if words]
    return f"{ON_SCREEN} {listed(said)}" if said else ""
