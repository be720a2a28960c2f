"""Which of two groups is better, by the rules: failures first, then waits, then flow.

Only what is clear among all comparisons and what a reader notices decides. Who broke more often, and
who feels better, make the kind of verdict: ``KINDS`` is the whole table.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from attrs import frozen

from lm_deluge.timeline.measures.verdict.reasons import Reason, Side

__all__ = ["KINDS", "Decision", "Kind", "decide"]

Kind = Literal[
    "better",
    "better_but_broken",
    "trade_off",
    "alike",
    "undecided",
    "too_few",
    "all_failed",
    "no_data",
]

KINDS: dict[tuple[str, str], Kind] = {
    # who broke more often, and who feels better
    ("nobody", "nobody"): "undecided",
    ("nobody", "one"): "better",
    ("nobody", "both"): "trade_off",
    ("suspected", "nobody"): "undecided",
    ("suspected", "who broke"): "better_but_broken",
    ("suspected", "who did not"): "better",
    ("suspected", "both"): "trade_off",
    ("clear", "nobody"): "better",
    ("clear", "who broke"): "better_but_broken",
    ("clear", "who did not"): "better",
    ("clear", "both"): "better",
}
"""The kind of a verdict, by whether one group broke more often, and which feels better.

``undecided`` is ``alike`` where nothing could differ by what a reader notices, and ``too_few`` where
so few streams could show nothing; ``all_failed`` and ``no_data`` come before the table.
"""


@frozen
class Decision:
    """What the rules say of two groups.

    ``better``: the side that is better, or feels so; ``None`` where neither is. ``keep``: the side to
    stay with or to take, which is the other one where what feels better broke more often; ``None``
    where readers, or more streams, have to decide. ``by_failures``: whether failures decided.
    """

    kind: Kind
    better: Side | None = None
    keep: Side | None = None
    by_failures: bool = False


def decide(reasons: Sequence[Reason]) -> Decision:
    """Apply the rules to what is known of two groups; swapped, they give the mirrored decision."""
    failures = next((reason for reason in reasons if reason.level == "failures"), None)
    deciding = [reason for reason in reasons if reason.decides and reason.level != "failures"]
    sides = {reason.better for reason in deciding}
    whole = failures.better if failures is not None else None
    broke = "nobody"
    if failures is not None and whole is not None:
        broke = (
            "clear" if failures.is_clear else "suspected" if failures.is_suspicious else "nobody"
        )
    feels = "nobody"
    if len(sides) == 2:
        feels = "both"
    elif sides:
        feels = "one" if broke == "nobody" else "who did not" if sides == {whole} else "who broke"
    kind = KINDS[broke, feels]
    first = deciding[0].better if deciding else None
    if kind == "better_but_broken":
        return Decision(kind, first, whole)
    if kind == "trade_off":
        return Decision(kind, first)
    if kind == "better":
        by_failures = broke == "clear"
        side = whole if by_failures else first
        return Decision(kind, side, side, by_failures)
    return Decision("alike" if _is_alike(reasons) else "undecided")


def _is_alike(reasons: Sequence[Reason]) -> bool:
    """Whether no difference of times can be one that a reader notices, and no share looks like one."""
    times = [reason for reason in reasons if reason.counts is None and reason.level != "beside"]
    wait = next((reason for reason in times if reason.metric == "ttft.p50"), None)
    if wait is None or wait.noticed != "no":
        return False
    small = all(reason.noticed in ("no", "unknown") for reason in times)
    return small and not any(reason.is_open for reason in reasons)
