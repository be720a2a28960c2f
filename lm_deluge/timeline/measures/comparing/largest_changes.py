"""The prompts that changed most from one group to another, and a stream of each that shows it."""

from __future__ import annotations

from attrs import frozen

from lm_deluge.timeline.measures.comparing.pairs import (
    WAIT,
    Prompts,
    differences_of,
    values_by_prompt,
    values_by_stream,
)
from lm_deluge.timeline.measures.groups import Group
from lm_deluge.timeline.measures.numeric import Counts, np

__all__ = ["MOST_CHANGES", "Change", "largest_changes"]

MOST_CHANGES = 5
_MOST_BROKEN = 2


@frozen
class Change:
    """A prompt, as its place in ``Prompts.keys``, and a stream of each group, by id.

    ``why``: ``"broke"`` (more of its streams broke in one group than in the other) or ``"wait"``.
    ``size``: the difference, new - old: of the share that broke, or of the seconds that a reader waited.
    """

    key: int
    why: str
    size: float
    new: str
    old: str


def largest_changes(prompts: Prompts) -> list[Change]:
    """Return up to five prompts: two that broke in one group alone at most, then the largest waits.

    A reader's wait is that for the first text and that for more of it (TTFA and starvation); of the
    repeats of a prompt, the one nearest to their median is shown.
    """
    if not prompts.keys:
        return []
    broke = differences_of(*values_by_prompt(prompts, "failed_share"))
    waited = differences_of(*values_by_prompt(prompts, WAIT))
    size = np.where(np.isnan(broke), 0.0, np.abs(broke))
    changes = [
        _change(prompts, int(key), "broke", float(broke[key]))
        for key in np.argsort(-size, kind="stable")[:_MOST_BROKEN]
        if size[key] > 0
    ]
    taken = {change.key for change in changes}
    size = np.where(np.isfinite(waited), np.abs(waited), 0.0)
    for key in np.argsort(-size, kind="stable"):
        if len(changes) == MOST_CHANGES or not size[key]:
            break
        if int(key) not in taken:
            changes.append(_change(prompts, int(key), "wait", float(waited[key])))
    return changes


def _change(prompts: Prompts, key: int, why: str, size: float) -> Change:
    new, old = prompts.places(key)
    return Change(
        key,
        why,
        size,
        _stream(prompts.new, new, broken=why == "broke" and size > 0),
        _stream(prompts.old, old, broken=why == "broke" and size < 0),
    )


def _stream(group: Group, places: Counts, *, broken: bool) -> str:
    """Return the id of the stream to show: one that broke, or that nearest to the median wait."""
    failed = group.column("failed")[places] > 0
    kept = places[failed == broken] if (failed == broken).any() else places
    waits = np.nan_to_num(values_by_stream(group, WAIT)[kept], posinf=1e9)
    return group.ids[int(kept[np.argmin(np.abs(waits - np.median(waits)))])]
