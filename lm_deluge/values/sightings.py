"""What browsers told of the pieces that they got: the ``seen`` lines of a timeline log, in memory."""

from __future__ import annotations

from array import array
from collections.abc import Collection

from attrs import define, field, frozen

__all__ = ["MOST_HELD", "LoggedSightings", "Sighting"]

MOST_HELD = 8_000_000
"""Pieces held at most, of all readers: 16 bytes each."""

_LINE_COSTS = 32
"""What a line costs beside its pieces, in pieces."""


@frozen
class Sighting:
    """Pieces of one stream as one reader had them, in order of their numbers.

    ``first``: the number of the first. ``arrived``: seconds in the stream's own clock at which each was in
    the browser; ``painted``: likewise on the screen, NaN where it never was. ``hidden``: whether the
    tab was hidden meanwhile. ``bound``: seconds by which the clocks may be apart. ``line``: what the
    log's line is known by. ``asked``: seconds at which the reader asked for the stream, NaN where unknown.
    """

    first: int
    arrived: array[float]
    painted: array[float]
    hidden: bool
    bound: float
    line: int
    asked: float = float("nan")


@define(eq=False)
class LoggedSightings:
    """LoggedSightings by stream and reader; ``MOST_HELD`` pieces at most, whatever a log holds.

    ``streams``: by id, then by the reader's number. ``version``: changes with what is held.
    """

    streams: dict[str, dict[int, list[Sighting]]] = field(factory=dict, repr=False)
    version: int = 0
    _held: int = 0

    def add(self, stream: str, reader: int, sighting: Sighting) -> bool:
        """Hold a sighting; return whether there is room for it."""
        cost = len(sighting.arrived) + _LINE_COSTS
        if self._held + cost > MOST_HELD:
            return False
        self._held += cost
        self.version += 1
        self.streams.setdefault(stream, {}).setdefault(reader, []).append(sighting)
        return True

    def of(self, stream: str) -> dict[int, list[Sighting]]:
        """Return the stream's sightings by reader; none, where nobody told of it."""
        return self.streams.get(stream, {})

    def keep(self, streams: Collection[str]) -> None:
        """Forget all other streams."""
        for stream in [known for known in self.streams if known not in streams]:
            for sightings in self.streams.pop(stream).values():
                self._held -= sum(len(each.arrived) + _LINE_COSTS for each in sightings)
            self.version += 1
