"""The faults by name, with their arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import attrs

from lm_deluge.simulator.faults import choices as fault_choices
from lm_deluge.simulator.faults import replies as fault_replies
from lm_deluge.simulator.faults import streams as fault_streams
from lm_deluge.simulator.faults.arguments import ErrorReply, FaultKind
from lm_deluge.simulator.saying.answer import SimulatedAnswer
from lm_deluge.simulator.saying.steps import Reply
from lm_deluge.simulator.saying.words import rng_for
from lm_deluge.simulator.serving.received import ReceivedRequest
from lm_deluge.simulator.values import number

KINDS: dict[str, FaultKind] = fault_replies.KINDS | fault_streams.KINDS | fault_choices.KINDS


def _check_p(instance: Any, attribute: Any, value: float) -> None:
    number("p", value, 0, 1)


@attrs.frozen
class Fault:
    """One fault, and how probable it is.

    ``spec`` is ``NAME[:ARGUMENT…]`` from the table in `lm_deluge.simulator.faults`, ``p`` the
    probability with which a request gets it (drawn with the simulator's seed, per request).

    >>> Fault("stall:5", p=0.1).name
    'stall'

    Raises:
        TypeError, ValueError: the name is unknown, an argument makes no sense, or ``p`` is not in [0, 1].
    """

    spec: str
    p: float = attrs.field(default=1.0, validator=_check_p)
    name: str = attrs.field(init=False)
    _value: Any = attrs.field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.spec, str):
            raise TypeError(f"spec must be a str, not {type(self.spec).__name__}")
        name, *args = self.spec.split(":")
        if name not in KINDS:
            raise ValueError(f"no fault is called {name!r}; there are: {', '.join(sorted(KINDS))}")
        try:
            value = KINDS[name].parse(args)
        except ValueError as error:
            raise ValueError(f"fault {self.spec!r}: {error}") from None
        # The class is frozen for everyone else.
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "_value", value)

    @staticmethod
    def names() -> list[str]:
        """All names, sorted."""
        return sorted(KINDS)

    def __str__(self) -> str:
        return self.spec

    @property
    def argument(self) -> Any:
        """What follows the name, as the table reads it."""
        return self._value

    def early(self, record: ReceivedRequest, error: ErrorReply) -> Reply | None:
        """The reply in place of an answer, or ``None`` for a fault within one.

        ``error`` makes error replies in the shape of the request's dialect.
        """
        build = KINDS[self.name].early
        return None if build is None else build(self._value, record, error)

    def late(self, answer: SimulatedAnswer) -> Reply:
        """The answer with the fault in it."""
        kind = KINDS[self.name]
        if kind.late is None or (kind.streamed_only and not answer.streamed):
            return answer.reply()
        return kind.late(self._value, answer)

    @property
    def seconds(self) -> float | None:
        """The argument of ``refuse``."""
        return cast("float | None", self._value)


FaultLike = str | Fault
Faults = (
    FaultLike
    | Sequence[FaultLike | None]
    | Mapping[FaultLike, float]
    | Callable[[int], FaultLike | None]
)


def _fault(value: FaultLike | None) -> Fault | None:
    return value if value is None or isinstance(value, Fault) else Fault(value)


@attrs.frozen(kw_only=True)
class FaultPlan:
    """Which request gets which fault."""

    choose: Callable[[int], Fault | None]
    refuses_for: float | None = None
    """Seconds for which nothing listens at first; infinite is -1, not at all ``None``."""

    @classmethod
    def of(cls, faults: Faults, seed: int) -> FaultPlan:
        """Understand the ``faults`` argument of the simulator. Raises `ValueError`."""
        if isinstance(faults, (str, Fault)):
            return cls._for_all(cast(Fault, _fault(faults)), seed)
        if callable(faults):
            chooser = faults
            return cls(choose=lambda index: _drawn(_fault(chooser(index)), seed, index))
        if isinstance(faults, Mapping):
            return cls._weighted(faults, seed)
        listed = [_fault(fault) for fault in faults]
        return cls(
            choose=lambda index: _drawn(listed[index], seed, index) if index < len(listed) else None
        )

    @classmethod
    def _for_all(cls, fault: Fault, seed: int) -> FaultPlan:
        refuses = None
        if fault.name == "refuse" and fault.p == 1:
            refuses = -1.0 if fault.seconds is None else fault.seconds
            # Once it listens it is healthy.
            return cls(choose=lambda _: None, refuses_for=refuses)
        return cls(choose=lambda index: _drawn(fault, seed, index))

    @classmethod
    def _weighted(cls, faults: Mapping[FaultLike, float], seed: int) -> FaultPlan:
        weighted = [(cast(Fault, _fault(fault)), weight) for fault, weight in faults.items()]
        if any(weight < 0 for _, weight in weighted) or sum(w for _, w in weighted) > 1:
            raise ValueError("faults: probabilities must be >= 0 and add up to at most 1")

        def choose(index: int) -> Fault | None:
            left = rng_for(seed, "fault", index).random()
            for fault, weight in weighted:
                left -= weight
                if left < 0:
                    return fault
            return None

        return cls(choose=choose)

    def pick(self, index: int) -> Fault | None:
        """The fault of the request with this index, or ``None``."""
        return self.choose(index)


def _drawn(fault: Fault | None, seed: int, index: int) -> Fault | None:
    if fault is None or fault.p == 1 or rng_for(seed, "fault", index).random() < fault.p:
        return fault
    return None
