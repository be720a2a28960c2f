"""One answer as a benchmark measured it, and the lines that a log would have of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import accumulate
from typing import Any, Final

import msgspec
from attrs import field, frozen

from lm_deluge.logs.record import SCHEMA_VERSION

__all__ = ["BenchmarkedAnswer", "NotMeasuredError", "count", "moments", "seconds", "wall_clock"]

_encode: Final = msgspec.json.Encoder().encode


class NotMeasuredError(ValueError):
    """A file of a benchmark has no times of single answers, or is of a shape that is not known."""


@frozen(kw_only=True)
class BenchmarkedAnswer:
    """What a tool tells of one answer; all seconds from its request on.

    ``pieces``: when each arrived, in order. ``characters``: of the whole text, which are spread evenly
    over the pieces; 0 where unknown. ``end``: when the answer or its failure was whole; the last piece
    where the tool does not tell. ``error``: what it failed with, as a class name. ``at``: the request
    on the wall clock.
    """

    model: str | None = None
    tags: Mapping[str, Any] = field(factory=dict)
    at: str | None = None
    queued: float = 0.0
    pieces: Sequence[float] = ()
    characters: int = 0
    end: float | None = None
    error: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None

    def lines(self, stream: str) -> Iterator[bytes]:
        """Yield the lines of a log, each with its newline."""

        def line(event: str, t: float, **fields: Any) -> bytes:
            told = {name: value for name, value in fields.items() if value is not None}
            return _encode({"v": SCHEMA_VERSION, "e": event, "s": stream, "t": t, **told}) + b"\n"

        yield line(
            "start", 0.0, model=self.model, queued=self.queued, at=self.at, tags=dict(self.tags)
        )
        total = len(self.pieces)
        for index, t in enumerate(self.pieces):
            length = (index + 1) * self.characters // total - index * self.characters // total
            yield line("token", t, i=index, len=length)
        last = self.pieces[-1] if self.pieces else 0.0
        end = max(last, self.end if self.end is not None else last)
        if self.error is not None:
            phase = "between_tokens" if self.pieces else "first_token"
            yield line("error", end, error=self.error, phase=phase, tokens=total, attempts=1)
            return
        usage = {"input_tokens": self.input_tokens, "output_tokens": self.output_tokens}
        yield line("complete", end, usage=usage, attempts=1)


def seconds(value: object) -> float | None:
    """Return a length of time; ``None`` for what is none: absent, text, negative, NaN, infinite."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if 0 <= value < float("inf") else None


def count(value: object) -> int | None:
    """Return a count; ``None`` for what is none."""
    whole = seconds(value)
    return None if whole is None else int(whole)


def moments(first: float, gaps: object) -> list[float]:
    """Return when pieces arrived, of the first one's moment and the gaps after it."""
    told = gaps if isinstance(gaps, list) else []
    lengths = [seconds(gap) for gap in told]
    if None in lengths:
        raise NotMeasuredError("a gap between pieces is no number of seconds")
    return list(accumulate((gap for gap in lengths if gap is not None), initial=first))


def wall_clock(since_1970: float) -> str:
    """Return a moment as a log has it: ISO 8601, UTC."""
    return datetime.fromtimestamp(since_1970, UTC).isoformat(timespec="milliseconds")
