"""A finding: a sentence that knows which streams show what it says."""

from __future__ import annotations

from typing import Self

__all__ = ["Finding", "subject_of"]

_SUBJECTS = {
    "failed_share": "broke",
    "retried_share": "retried",
    "stalls": "stalled",
    "gap": "stalled",
    "starvation": "stalled",
    "ttft": "began",
    "ttfa": "began",
}


class Finding(str):
    """A sentence, and its ``subject``: a key of ``examples.SUBJECTS``, or ``None`` where no stream shows it.

    A text like any other for whoever prints it.
    """

    __slots__ = ("subject",)

    subject: str | None

    def __new__(cls, text: str, subject: str | None = None) -> Self:
        """Return ``text`` with its subject."""
        made = super().__new__(cls, text)
        made.subject = subject
        return made


def subject_of(metric: str) -> str | None:
    """Return what streams show of a metric, named as in a rule; ``None`` where they show nothing."""
    return _SUBJECTS.get(metric.partition(".")[0])
