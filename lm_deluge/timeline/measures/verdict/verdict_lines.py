"""What stands under a verdict: its reasons, each with what it is worth, and what more data would decide."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from attrs import frozen

from lm_deluge.timeline.measures.comparing.comparisons import Comparisons
from lm_deluge.timeline.measures.verdict.phrases import more_phrase, phrase
from lm_deluge.timeline.measures.verdict.reasons import Reason
from lm_deluge.timeline.measures.verdict.verdict import Verdict

__all__ = [
    "MOST_SHOWN",
    "ReasonLine",
    "Worth",
    "how_compared",
    "lines_of",
    "shown_and_folded",
    "telling_and_folded",
]

MOST_SHOWN = 5
"""Verdicts, reasons and findings that are shown at once; the rest is folded."""

#: Kinds of verdicts that say only that nothing can be said.
_TELL_NOTHING: Final = ("too_few", "no_data")

Worth = Literal["better", "worse", "open", "small", "beside", "alike"]

WORTHS: dict[Worth, str] = {
    "better": "better",
    "worse": "worse",
    "open": "open",
    "small": "too small to notice",
    "beside": "decides nothing",
    "alike": "no clear difference",
}
"""What a reason is worth, in words, in the order in which reasons are shown."""


@frozen
class ReasonLine:
    """One reason: what it is ``worth`` to the verdict's subject, and its ``words``."""

    worth: Worth
    words: str
    reason: Reason

    @property
    def text(self) -> str:
        """The line: ``better: first text 0.26 s sooner (0.18–0.31)``."""
        return f"{WORTHS[self.worth]}: {self.words}"


def lines_of(verdict: Verdict) -> list[ReasonLine]:
    """Return the reasons: what decides, what is open, and the rest; each by the rank of the rules.

    Failures that may be chance stand with what decides: they count first.
    """
    lines = [_line(verdict, reason) for reason in verdict.reasons]
    places = {worth: place for place, worth in enumerate(WORTHS)}

    def place(line: ReasonLine) -> int:
        first = line.worth == "worse" or (line.worth == "open" and line.reason.level == "failures")
        return 0 if first else places[line.worth]

    return sorted(lines, key=place)


def shown_and_folded(verdict: Verdict) -> tuple[list[ReasonLine], list[ReasonLine]]:
    """Return at most five lines to show, and the rest.

    What is no clear difference is shown of failures alone, but where all is alike or open.
    """
    lines = lines_of(verdict)
    shown = lines
    if verdict.better is not None:
        shown = [line for line in lines if _is_worth_it(line)]
    shown = shown[:MOST_SHOWN]
    return shown, [line for line in lines if line not in shown]


def telling_and_folded(verdicts: Sequence[Verdict]) -> tuple[list[Verdict], list[Verdict]]:
    """Return the verdicts to show, at most five, and the rest.

    The first is shown, whatever it is; of the others those that tell something.
    """
    telling = [verdict for verdict in verdicts[1:] if verdict.kind not in _TELL_NOTHING]
    shown = [*verdicts[:1], *telling[: MOST_SHOWN - 1]]
    places = {id(verdict) for verdict in shown}
    return shown, [verdict for verdict in verdicts if id(verdict) not in places]


def how_compared(comparisons: Comparisons) -> str:
    """Return how many comparisons were made, how they were corrected, and what decides."""
    if not comparisons.n:
        return ""
    many = f"{comparisons.n:,} comparison{'' if comparisons.n == 1 else 's'}"
    return (
        f"{many}, corrected for being so many by Holm's method; 95 % intervals. What decides: failures "
        "first, then waits, then flow, where chance does not explain them and readers notice them "
        "(from 0.1 s and a fifth of the longer wait on)."
    )


def _is_worth_it(line: ReasonLine) -> bool:
    return line.worth != "alike" or line.reason.level == "failures"


def _line(verdict: Verdict, reason: Reason) -> ReasonLine:
    words = phrase(reason, verdict.subject, text=verdict.text)
    worth = _worth(verdict, reason)
    if worth in ("better", "worse") and reason.noticed == "maybe":
        words = f"{words}, which a reader may notice"
    if reason.more is not None:
        words = f"{words}; {more_phrase(reason, verdict.each)} would decide it"
    return ReasonLine(worth, words, reason)


def _worth(verdict: Verdict, reason: Reason) -> Worth:
    if reason.decides:
        return "better" if reason.better == verdict.subject else "worse"
    if reason.is_open and reason.more is not None:
        return "open"
    if reason.is_clear:
        return "beside" if reason.level == "beside" else "small"
    return "alike"
