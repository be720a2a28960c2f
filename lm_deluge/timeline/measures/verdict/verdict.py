"""A verdict of a report: who feels better, why, and what is open, in one sentence."""

from __future__ import annotations

import re
from typing import Any

from attrs import define, field

from lm_deluge.timeline.measures.verdict.reasons import Reason, Side

__all__ = ["Verdict"]

_MARK = re.compile("\0(.+?)\0")


@define
class Verdict:
    """What is to be said of two groups, of one alone, or of all together.

    ``kind``: one of ``decision.Kind``, ``"alone"`` (nothing to compare with) or ``"ranking"`` (of all
    groups). ``new``, ``old``: the groups compared (``old`` is before, or the first by name), ``None``
    otherwise. ``better``, ``worse``: what feels or is better, and the other; ``keep``: what to take or
    stay with. All three are names of groups, ``"before"`` for that of the baseline, ``None`` where
    the rules name none. ``reasons``: by rank. ``template``, ``names``: the sentence, and whom it names.
    ``sides``: what new and old are called. ``subject``: whom the sentence is about. ``text``: what comes
    first. ``each``: ``of each variant``, of more streams.
    """

    kind: str
    template: str
    names: dict[str, str]
    new: str | None = None
    old: str | None = None
    better: str | None = None
    worse: str | None = None
    keep: str | None = None
    reasons: list[Reason] = field(factory=list)
    sides: dict[Side, str] = field(factory=dict)
    subject: Side = "new"
    text: str = "text"
    each: str = ""

    @property
    def parts(self) -> list[tuple[str, bool]]:
        """The sentence in parts, and whether each is a name."""
        pieces = _MARK.split(f"{self.template}.")
        return [
            (self.names[piece] if position % 2 else piece, bool(position % 2))
            for position, piece in enumerate(pieces)
            if piece
        ]

    @property
    def sentence(self) -> str:
        """The verdict in one sentence."""
        return "".join(text for text, _ in self.parts)

    @property
    def open(self) -> list[Reason]:
        """What more streams could decide."""
        return [reason for reason in self.reasons if reason.more is not None]

    def to_json(self) -> dict[str, Any]:
        """Return the object of ``--json``, as docs/design/metrics.md has it."""
        return {
            "kind": self.kind,
            "sentence": self.sentence,
            "new": self.new,
            "old": self.old,
            "better": self.better,
            "worse": self.worse,
            "keep": self.keep,
            "reasons": [reason.to_json(self.sides) for reason in self.reasons],
        }
