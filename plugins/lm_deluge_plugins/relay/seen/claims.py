"""Which pieces readers have told of: each once, whatever they send. Pure."""

from __future__ import annotations

from typing import Final

from attrs import define, field

__all__ = ["MOST_READERS", "MOST_RUNS", "Claims", "claimed"]

#: Readers of one log whose beacons are written down.
MOST_READERS: Final = 64

#: Runs of pieces that one reader tells of with gaps between them.
MOST_RUNS: Final = 100


def claimed(runs: str, first: int, last: int) -> str | None:
    """Return runs of pieces (``"0-9,12-20"``) with one more; ``None`` where some of it is there already."""
    known = [tuple(int(each) for each in run.split("-")) for run in runs.split(",") if run]
    if len(known) >= MOST_RUNS or any(first <= end and start <= last for start, end in known):
        return None
    if known and known[-1][1] + 1 == first:
        first = known.pop()[0]
    return ",".join(f"{start}-{end}" for start, end in [*known, (first, last)])


@define(eq=False)
class Claims:
    """What the readers of one log have told of."""

    _readers: dict[str, int] = field(factory=dict[str, int])
    _runs: dict[tuple[str, str], str] = field(factory=dict[tuple[str, str], str])

    def claim(self, reader: str, stream_id: str, first: int, last: int) -> int | None:
        """Note pieces of a stream; return the reader's number, ``None`` where that is not to be written."""
        if reader not in self._readers and len(self._readers) >= MOST_READERS:
            return None
        runs = claimed(self._runs.get((reader, stream_id), ""), first, last)
        if runs is None:
            return None
        self._runs[reader, stream_id] = runs
        return self._readers.setdefault(reader, len(self._readers))
