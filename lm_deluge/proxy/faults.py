"""Faults that a proxy injects: those of the simulator that need no answer of their own."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from attrs import field, frozen

if TYPE_CHECKING:
    from lm_deluge.simulator import Fault

__all__ = ["CUTS", "EARLY", "INSERTED", "FaultDice", "InjectedFault", "faults_of"]

#: In the place of an answer: the upstream is not asked.
EARLY: Final = (
    "status",
    "redirect",
    "wrong-content-type",
    "json-error",
    "refuse",
    "reset-before-headers",
    "close-before-headers",
    "hang-before-headers",
)

#: After so many pieces of one, or in it.
CUTS: Final = ("hang-before-first-token", "stall", "reset", "drop", "half-close", "eof")
_DELAYS: Final = ("pause", "buffer")

#: An event more, after so many pieces.
INSERTED: Final = ("error-frame", "malformed-json")

_SHARE: Final = re.compile(r"(.*)@([0-9.]+)(%?)", re.S)
#: A share that is none, behind a name or an argument of one word.
_NO_SHARE: Final = re.compile(r"[\w-]+(?::[\w.]*)?@.*", re.S)


_ABOUT_SHARES: Final = "faults: a share is 0% to 100%, or 0 to 1, not as in {!r}"


@frozen
class InjectedFault:
    """``fault``: the simulator's. ``share``: of the requests that get it; ``None``: those that are left."""

    fault: Fault
    share: float | None = None

    @property
    def name(self) -> str:
        """What the log says."""
        return self.fault.spec

    @property
    def is_early(self) -> bool:
        """Whether it takes the place of an answer."""
        return self.fault.name in EARLY

    @property
    def argument(self) -> Any:
        """What the table of the simulator reads after the name."""
        return self.fault.argument


def _parsed(spec: object) -> InjectedFault:
    from lm_deluge.simulator import Fault  # a server, which most proxies do without

    if isinstance(spec, Fault):
        fault, share = spec, spec.p if spec.p < 1 else None
    elif isinstance(spec, str):
        found = _SHARE.fullmatch(spec)
        text, share = (
            (spec, None) if found is None else (found[1], _share(spec, found[2], found[3]))
        )
        if found is None and _NO_SHARE.fullmatch(spec):
            raise ValueError(_ABOUT_SHARES.format(spec))
        fault = Fault(text)
    else:
        raise TypeError(f"faults: texts like 'eof:3@5%' are expected, not {type(spec).__name__}")
    known = (*EARLY, *CUTS, *_DELAYS, *INSERTED)
    if fault.name not in known:
        raise ValueError(
            f"faults: {fault.name!r} is one of answers that a simulator makes; into those of others are "
            f"injected: {', '.join(known)}"
        )
    return InjectedFault(fault, share)


def _share(spec: str, number: str, percent: str) -> float:
    try:
        share = float(number) / (100 if percent else 1)
    except ValueError:
        share = math.nan
    if not 0 <= share <= 1:
        raise ValueError(_ABOUT_SHARES.format(spec))
    return share


def faults_of(given: Iterable[str | Fault] | str | Fault) -> tuple[InjectedFault, ...]:
    """Return the faults that are meant: ``"eof:3@5%"``, or several.

    Those without a share get in equal parts what the others leave. Raises ``TypeError`` or ``ValueError``.
    """
    listed = list(given) if isinstance(given, Iterable) and not isinstance(given, str) else [given]
    faults = [_parsed(spec) for spec in listed]
    taken = sum(fault.share or 0.0 for fault in faults)
    if taken > 1 + 1e-9:
        raise ValueError(f"faults: the shares add up to {taken:.0%}, and there are 100%")
    open_ones = sum(fault.share is None for fault in faults)
    rest = max(0.0, 1 - taken) / open_ones if open_ones else 0.0
    return tuple(
        InjectedFault(fault.fault, rest if fault.share is None else fault.share) for fault in faults
    )


@frozen
class FaultDice:
    """Draws for each request which fault it gets, if any."""

    faults: tuple[InjectedFault, ...] = field(default=(), converter=faults_of)
    _random: random.Random = field(factory=random.Random, repr=False, eq=False)

    def draw(self) -> InjectedFault | None:
        """Return the fault of the next request."""
        if not self.faults:
            return None
        drawn = self._random.random()
        for fault in self.faults:
            drawn -= fault.share or 0.0
            if drawn < 0:
                return fault
        return None
