"""What a log says of its streams that a beacon is held against: pure."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

import msgspec
from attrs import define, field

from lm_deluge_plugins.relay.frames import Frame

__all__ = ["LogFacts", "LogStep"]

_UNKNOWN = 0.0


class _ToldItem(msgspec.Struct, gc=False):
    kind: str = ""
    id: str | None = None
    at: float = _UNKNOWN


class _ToldFrame(msgspec.Struct, gc=False):
    t: float = 0.0
    i: int | None = None
    items: list[_ToldItem] = []


_decode = msgspec.json.Decoder(_ToldFrame).decode


@define(eq=False)
class LogStep:
    """One stream of a log.

    ``at``: its t0, seconds since the epoch. ``pieces``: when each arrived, seconds from t0.
    """

    id: str
    at: float
    pieces: array[float] = field(factory=lambda: array("d"))


@define(eq=False)
class LogFacts:
    """All streams of one log, as far as it was read. ``after``: the number of the newest frame read."""

    steps: dict[str, LogStep] = field(factory=dict[str, LogStep])
    after: int = 0
    _step: LogStep | None = None

    def reach(self, stream_id: str | None, pieces: tuple[int, int] | None) -> bool:
        """Whether pieces of a stream, of the only one where it has no name, are among what was read."""
        if stream_id is None and len(self.steps) == 1:
            (stream_id,) = self.steps
        step = self.steps.get(stream_id or "")
        return step is not None and (pieces is None or pieces[1] < len(step.pieces))

    def add(self, frames: Iterable[Frame]) -> None:
        """Take in the frames that follow."""
        for frame in frames:
            if frame.number == self.after + 1:
                self.after = frame.number
                self._add(_decode(frame.data))

    def _add(self, told: _ToldFrame) -> None:
        index = told.i
        for item in told.items:
            if item.kind == "start" and item.id is not None:
                self._step = self.steps[item.id] = LogStep(item.id, item.at)
            elif item.kind == "text" and index is not None and self._step is not None:
                pieces = self._step.pieces
                # Where some were not told, they were there by now.
                pieces.extend([told.t] * (index + 1 - len(pieces)))
                index += 1
