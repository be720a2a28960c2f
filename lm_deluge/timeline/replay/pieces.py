"""What had arrived of an answer at which second."""

from __future__ import annotations

from bisect import bisect_right

from attrs import frozen

from lm_deluge.values.timeline import Timeline

__all__ = ["ReplayedAnswer", "ReplayedPiece", "answer_of"]


@frozen
class ReplayedPiece:
    """What one network read brought: ``t`` seconds from t0, ``length`` in characters.

    ``text``: ``None`` from a log without texts.
    """

    t: float
    length: int
    text: str | None


@frozen
class ReplayedAnswer:
    """One choice of a stream, as its reader saw it come.

    ``pieces``: in order of arrival. ``choice``: which, and of how many ``choices``. ``exact``:
    whether each piece is what arrived; not so where the log's writer replaced a secret, which
    leaves the lengths of the pieces without their place in the text.
    """

    pieces: list[ReplayedPiece]
    choice: int = 0
    choices: int = 1
    exact: bool = True

    @property
    def has_text(self) -> bool:
        """Whether the log has the text, and not its lengths alone."""
        return all(piece.text is not None for piece in self.pieces)

    @property
    def text(self) -> str:
        """The whole text; ``""`` without texts."""
        return "".join(piece.text or "" for piece in self.pieces)

    def count_at(self, seconds: float) -> int:
        """How many pieces had arrived after so many seconds."""
        return bisect_right(self.pieces, seconds, key=lambda piece: piece.t)

    def text_at(self, seconds: float) -> str:
        """The text that had arrived after so many seconds; ``""`` without texts."""
        return "".join(piece.text or "" for piece in self.pieces[: self.count_at(seconds)])


def answer_of(timeline: Timeline) -> ReplayedAnswer:
    """Return the first choice of a stream that has text, piece by piece.

    Tokens of one network read are one piece: they were there at the same time.
    """
    choices = sorted(set(timeline.choices)) or [0]
    choice = choices[0]
    lengths: dict[int, int] = {}  # by slot
    for index, slot in enumerate(timeline.slots):
        if not timeline.choices or timeline.choices[index] == choice:
            lengths[slot] = lengths.get(slot, 0) + timeline.lengths[index]
    text = None if timeline.texts is None else timeline.texts.get(choice, "")
    total = sum(lengths.values())
    exact = text is None or len(text) == total
    pieces = []
    before = past = 0
    for slot, length in lengths.items():
        past += length
        part = None
        if text is not None:
            # Where the lengths do not add up to the text, in proportion: nothing better is known.
            end = past if exact else (round(len(text) * past / total) if total else len(text))
            part, before = text[before:end], end
        pieces.append(
            ReplayedPiece(timeline.times[slot], length if part is None else len(part), part)
        )
    return ReplayedAnswer(pieces, choice, len(choices), exact)
