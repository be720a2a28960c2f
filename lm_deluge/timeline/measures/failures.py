"""The streams of a group that ended in the same way, but for the answer that became whole."""

from __future__ import annotations

from array import array

from attrs import define, field

from lm_deluge.values.timeline import CANCELLED

__all__ = ["Failures"]


@define
class Failures:
    """The streams of one error class and phase, those that were cancelled among them.

    ``tokens``: pieces received, ``seconds``: from t0 to the ending, ``ids``; one entry per stream.
    """

    error: str
    phase: str | None
    tokens: array[int] = field(factory=lambda: array("Q"))
    seconds: array[float] = field(factory=lambda: array("d"))
    ids: list[str] = field(factory=list, repr=False)

    @property
    def cancelled(self) -> bool:
        """Whether nothing failed: the callers left."""
        return self.error == CANCELLED
