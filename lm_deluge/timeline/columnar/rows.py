"""Pieces of many streams in columns, a row a piece."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import define, field, fields_dict, frozen

from lm_deluge.logs.assembly import LoggedPiece
from lm_deluge.timeline.measures.numeric import Counts, Floats, Small, np

__all__ = ["ASIDE", "CALL", "REASONING", "REFUSAL", "TOKEN", "RowList", "Rows"]

TOKEN, REASONING, REFUSAL, CALL, ASIDE = range(5)
"""Events: a visible token, reasoning, a refusal, output of another kind, and what is no output."""


@frozen
class Rows:
    """Columns of one length.

    ``line``: what the line is known by (``LogFiles``), negative for what a recording's line holds.
    ``stream``: a number that stands for its id. ``event``: one of the five. ``t``, ``d``, ``busy``:
    seconds, NaN where left out. ``i``, ``read``: -1 where left out.
    """

    line: Counts
    stream: Counts
    event: Small
    t: Floats
    i: Counts
    read: Counts
    d: Floats
    busy: Floats

    def __len__(self) -> int:
        return len(self.line)

    def take(self, which: Any) -> Rows:
        """Return the rows that a mask, slice or array of indexes picks."""
        return Rows(*(getattr(self, name)[which] for name in _NAMES))

    @classmethod
    def joined(cls, parts: Sequence[Rows]) -> Rows:
        """Return the rows of all parts, one after the other."""
        if len(parts) == 1:
            return parts[0]
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in _NAMES))


_NAMES = tuple(fields_dict(Rows))
_TYPES = {"event": np.int8, "t": float, "d": float, "busy": float}


@define
class RowList:
    """Rows that come one by one."""

    columns: list[list[Any]] = field(factory=lambda: [[] for _ in _NAMES])

    def __len__(self) -> int:
        return len(self.columns[0])

    def add(self, line: int, stream: int, event: int, piece: LoggedPiece) -> None:
        values = (
            line,
            stream,
            event,
            piece.t,
            -1 if piece.i is None else piece.i,
            -1 if piece.read is None else piece.read,
            np.nan if piece.d is None else piece.d,
            np.nan if piece.busy is None else piece.busy,
        )
        for column, value in zip(self.columns, values, strict=True):
            column.append(value)

    def rows(self) -> Rows:
        return Rows(
            *(
                np.array(column, _TYPES.get(name, np.int64))
                for name, column in zip(_NAMES, self.columns, strict=True)
            )
        )
