"""``Sightings``: what readers saw, handed to whoever wants it, and what was refused, counted."""

from __future__ import annotations

import logging
import time
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from inspect import isawaitable
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, cast

from lm_deluge_plugins.relay.seen.beacons import (
    Beacon,
    RefusedBeaconError,
    Sight,
    checked_sight,
    read_beacons,
)
from lm_deluge_plugins.relay.seen.steps import LogFacts

if TYPE_CHECKING:
    from lm_deluge_plugins.relay.stores.store import Store

__all__ = ["HearsSights", "Sightings", "WantsSights"]

logger = logging.getLogger("lm_deluge")

#: Logs whose facts are kept: those that beacons come for, again and again.
_MOST_LOGS: Final = 256

#: Seconds between two words about what was refused.
_QUIET: Final = 60.0


class WantsSights(Protocol):
    """A handler of what readers saw, as ``FileLogger`` is one."""

    def on_seen(self, sight: Sight) -> Awaitable[None] | None:
        """Hear what one reader's browser saw of some pieces of a stream."""


HearsSights: TypeAlias = WantsSights | Callable[[Sight], Awaitable[None] | None]


class Sightings:
    """Takes the beacons of a relay's readers.

    ``taken``: beacons that were handed on. ``refused``: those that were not, by reason: ``"no body"``,
    ``"too large"``, ``"no JSON"``, ``"wrong fields"``, ``"unknown stream"``, ``"unknown pieces"``,
    ``"wrong length"``, ``"wrong times"``, ``"wrong bound"``, ``"told before"``, ``"other origin"``,
    ``"not allowed"``, ``"handler failed"``, ``"no store"``.
    """

    def __init__(self, handler: HearsSights | None = None) -> None:
        self._hear = _hearer(handler)
        self.taken = 0
        self._refused: Counter[str] = Counter()
        self._untold: Counter[str] = Counter()
        self._told = float("-inf")
        self._facts: OrderedDict[str, LogFacts] = OrderedDict()

    @property
    def is_wanted(self) -> bool:
        """Whether anybody hears what was seen: without, browsers are not asked to tell."""
        return self._hear is not None

    @property
    def refused(self) -> Mapping[str, int]:
        """Beacons that were refused, by reason."""
        return MappingProxyType(self._refused)

    def refuse(self, reason: str) -> None:
        """Count a beacon that is refused; says so in the log of the program, once a minute at most."""
        self._refused[reason] += 1
        self._untold[reason] += 1
        now = time.monotonic()
        if now - self._told < _QUIET:
            return
        self._told = now
        counts = ", ".join(f"{name}: {count}" for name, count in self._untold.items())
        self._untold.clear()
        logger.warning("relay: beacons of browsers were refused (%s)", counts)

    async def take(self, store: Store, stream_id: str, body: bytes, *, now: float) -> None:
        """Take the body of a request that came ``now``, seconds since the epoch.

        Raises ``RefusedBeaconError`` for the first beacon in it that is refused, which is counted, and
        ``StoreError`` and ``UnknownStreamError`` as stores do.
        """
        try:
            for beacon in read_beacons(body):
                if beacon.i is not None:
                    await self._take(store, stream_id, beacon, now)
        except RefusedBeaconError as error:
            self.refuse(error.reason)
            raise

    async def _take(self, store: Store, stream_id: str, beacon: Beacon, now: float) -> None:
        facts = self._facts.get(stream_id) or LogFacts()
        if not facts.reach(beacon.s, beacon.i):
            # It may be about what has been said since the log was read.
            facts.add(await store.frames(stream_id, facts.after))
            self._facts[stream_id] = facts
            if len(self._facts) > _MOST_LOGS:
                self._facts.popitem(last=False)
        self._facts.move_to_end(stream_id)
        sight = checked_sight(beacon, facts.steps, now=now)
        reader = await store.claim(stream_id, beacon.r, sight.stream, sight.first, sight.last)
        if reader is None:
            raise RefusedBeaconError("told before")
        await self._hand_on(sight, reader)

    async def _hand_on(self, sight: Sight, reader: int) -> None:
        from attrs import evolve

        assert self._hear is not None
        try:
            heard = self._hear(evolve(sight, reader=reader))
            if isawaitable(heard):
                await heard
        except Exception as error:
            logger.debug("relay: a handler of what was seen failed", exc_info=error)
            raise RefusedBeaconError("handler failed") from error
        self.taken += 1


def _hearer(handler: HearsSights | None) -> Callable[[Sight], Any] | None:
    if handler is None:
        return None
    on_seen = getattr(handler, "on_seen", None)
    if callable(on_seen):
        return cast("Callable[[Sight], Any]", on_seen)
    if callable(handler):
        return handler
    raise TypeError(
        f"seen must be a handler with on_seen, as FileLogger is one, or a function, "
        f"not {type(handler).__name__}"
    )
