"""Verdicts for the page: a sentence, a picture of the reasons, and the reasons in words.

The picture has a row for each reason: the difference with its interval on an axis whose right side is
better for the verdict's subject, and in grey the band of what a reader does not notice. Each row has
a scale of its own: seconds and shares have none in common. Positions are percent of the width, so
that the same picture fits a phone and a slide, and its text keeps its size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lm_deluge.timeline.measures.comparing.comparisons import Comparisons
from lm_deluge.timeline.measures.names import better_is_higher
from lm_deluge.timeline.measures.verdict.phrases import amount_phrase, metric_label
from lm_deluge.timeline.measures.verdict.reasons import Reason, other
from lm_deluge.timeline.measures.verdict.verdict import Verdict
from lm_deluge.timeline.measures.verdict.verdict_lines import (
    WORTHS,
    ReasonLine,
    how_compared,
    shown_and_folded,
    telling_and_folded,
)

__all__ = ["verdict_part"]

_LABELS = {
    "better": "Better",
    "better_but_broken": "Better, but it breaks more",
    "trade_off": "A trade-off",
    "alike": "Alike",
    "undecided": "Undecided",
    "too_few": "Too few streams",
    "all_failed": "All failed",
    "no_data": "No data",
    "alone": "One group",
    "ranking": "All together",
}
_TONES = {
    "better": "better",
    "better_but_broken": "trouble",
    "trade_off": "worse",
    "all_failed": "trouble",
}
_ROW = 40
_MARGIN = 1.12
_BAND_SHARE = 0.3


def verdict_part(verdicts: Sequence[Verdict], comparisons: Comparisons | None) -> dict[str, Any]:
    """Return at most five verdicts as cards, the sentences of the others, and how all was compared."""
    shown, folded = telling_and_folded(verdicts)
    return {
        "cards": [_card(verdict) for verdict in shown],
        "folded": [verdict.parts for verdict in folded],
        "how": how_compared(comparisons) if comparisons is not None else "",
    }


def _card(verdict: Verdict) -> dict[str, Any]:
    shown, folded = shown_and_folded(verdict)
    is_worse = verdict.kind == "better" and verdict.better == "before"
    return {
        "label": "Worse" if is_worse else _LABELS[verdict.kind],
        "tone": "worse" if is_worse else _TONES.get(verdict.kind, "open"),
        "parts": verdict.parts,
        "sentence": verdict.sentence,
        "lines": [_words(line) for line in shown],
        "folded": [_words(line) for line in folded],
        "picture": _picture(verdict, shown),
    }


def _words(line: ReasonLine) -> dict[str, str]:
    return {"worth": line.worth, "mark": WORTHS[line.worth], "words": line.words}


def _picture(verdict: Verdict, lines: Sequence[ReasonLine]) -> dict[str, Any] | None:
    rows = [_row(verdict, line, position) for position, line in enumerate(lines)]
    if not rows or verdict.kind in ("all_failed", "no_data"):
        return None
    names = [verdict.names[side] for side in (other(verdict.subject), verdict.subject)]
    is_before = verdict.sides["old"] == "before" and verdict.names["old"] == "before"
    return {
        "rows": rows,
        "height": _ROW * len(rows) + 4,
        "ends": None if is_before else names,
    }


def _row(verdict: Verdict, line: ReasonLine, position: int) -> dict[str, Any]:
    reason = line.reason
    sign = _sign(verdict, reason)
    value = reason.difference * sign
    ends = [end * sign for end in (reason.low, reason.high) if end is not None]
    threshold = reason.threshold or 0.0
    reach = max([abs(value), *map(abs, ends), threshold / _BAND_SHARE * 0.5]) * _MARGIN or 1.0

    def place(at: float) -> float:
        return round(50 + 50 * at / reach, 2)

    tone = line.worth
    tone_class = (
        "trouble"
        if reason.level == "failures" and reason.better == other(verdict.subject)
        else tone
    )
    return {
        "y": _ROW * position,
        "label": metric_label(reason.metric, text=verdict.text),
        "amount": amount_phrase(reason, verdict.subject),
        "tone": tone_class,
        "is_clear": reason.is_clear,
        "at": place(value),
        "low": place(min(ends)) if ends else None,
        "high": place(max(ends)) if ends else None,
        "band": [place(-threshold), round(place(threshold) - place(-threshold), 2)]
        if threshold
        else None,
    }


def _sign(verdict: Verdict, reason: Reason) -> int:
    """Return what makes a difference positive where the verdict's subject is better."""
    for_new = 1 if better_is_higher(reason.metric) else -1
    return for_new if verdict.subject == "new" else -for_new
