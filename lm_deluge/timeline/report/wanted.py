"""Which streams the parts of a page show, so that they are read once more with their text."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from lm_deluge.timeline.measures.comparing.comparisons import Comparisons
from lm_deluge.timeline.measures.metrics import Measured
from lm_deluge.timeline.report.by_prompt import streams_of_changes
from lm_deluge.timeline.report.examples import streams_of_examples
from lm_deluge.timeline.report.watched import watched_ids

__all__ = ["wanted_ids"]

#: Functions of what was measured, the baseline and the comparisons that return ids of streams.
#: A part of the page that shows particular streams has its own here.
_PARTS: tuple[Callable[[Measured, Measured | None, Comparisons], Iterable[str]], ...] = (
    watched_ids,
    streams_of_changes,
    streams_of_examples,
)


def wanted_ids(
    measured: Measured, baseline: Measured | None, comparisons: Comparisons
) -> frozenset[str]:
    """Return the ids of the streams that parts of the page ask for, beside those of the sample."""
    return frozenset().union(*(part(measured, baseline, comparisons) for part in _PARTS))
