"""Faults: what a server and the network can do to a client, by name.

On the command line and in `Simulator` a fault is written ``NAME[:ARGUMENT…]``. ``K`` is a number of
pieces that arrive before it (default 3), ``S`` a number of seconds.

Before an answer (the request is not checked):

=========================  ====================================================================
``refuse[:S]``             nothing listens on the port, for ever or for the first S seconds. In
                           a sequence, mapping or with ``p`` it acts as ``reset-before-headers``
``reset-before-headers``   the request is read, then the connection is reset
``close-before-headers``   the request is read, then the connection is closed, as by a server
                           whose keep-alive has run out
``hang-before-headers``    the request is read; nothing is ever sent
``status:CODE[:OPTION…]``  an error reply. Options: ``json`` (default), ``html``, ``text``,
                           ``empty``, ``echo`` (JSON that repeats the key that was sent);
                           ``retry-after=S``, ``retry-after-date=S`` (an HTTP date S seconds
                           ahead), ``retry-after-ms=N``; ``should-retry=true`` or ``=false``
``redirect[:URL]``         307 to another host
``wrong-content-type``     200 with an HTML page; ``:TYPE`` names another content type
``json-error``             200 with a JSON error object in place of a stream
=========================  ====================================================================

In an answer (the request is checked first):

=========================  ====================================================================
``json-answer``            a whole JSON answer although a stream was asked for
``hang-before-first-token`` headers, then nothing
``stall[:K]``              K pieces, then nothing, the connection open
``reset[:K]``              K pieces, then RST
``drop[:K]``               K pieces, then FIN without the end of the chunked body
``half-close[:K]``         K pieces, then FIN on the writing side; the server goes on reading
``eof[:K]``                K pieces, then a proper end of the body: no finish reason, no [DONE]
``truncated-utf8[:K]``     like ``eof``, the last event cut inside a character
``bad-utf8[:K]``           an event with bytes that are not UTF-8 after K pieces; then the rest
``malformed-json[:K]``     an event that is not JSON after K pieces; then the rest
``error-frame[:SHAPE[:K]]`` K pieces, then an error inside the 200, then a proper end. Shapes:
                           ``object`` {"error": {…}}, ``text`` {"error": "…"}, ``flat``
                           {"object": "error", "message": …}, ``choices`` (beside an empty
                           ``choices``), ``finish`` (beside ``finish_reason: "error"``),
                           ``event`` (``event: error``), ``event-bare`` (``event: error`` with
                           the inner object), ``echo`` (repeats the key that was sent)
``drip[:S]``               the whole answer in single bytes, S seconds apart (default 0: one per
                           turn of the server's loop)
``endless-line[:K]``       K pieces, then one line for ever
``endless-stream[:S]``     pieces for ever, S seconds apart (default: the simulator's gap)
``comments[:K]``           keep-alive comments between the pieces (K of them, default 1); healthy
``comments-before[:S]``    comments every S seconds (default 0.01) for ever before the first token
``comments-after[:S]``     the same after the finish reason: no usage, no [DONE], no end
``duplicate-choices``      each chunk lists its choice twice, half of the piece in each; the finish
                           chunk comes twice; a correct client gets the whole text
``unordered-choices``      with n > 1: several choices in one chunk, the highest index first
``surrogates[:K]``         an emoji in two deltas, one surrogate half each, after K pieces
``lone-surrogate[:K]``     one surrogate half alone after K pieces
``gzip-cut``               a gzip-compressed body of which the second half is missing
``bad-chunk-size[:K]``     K pieces, then a chunk size that is no number; the connection open
``no-done``                no [DONE]; a whole answer
``no-finish``              [DONE] without a finish reason; a whole answer
``no-usage``               no usage although it was asked for; a whole answer
``hang-after-finish``      a finish reason, then nothing, the connection open
``reset-after-finish``     a finish reason, then RST
=========================  ====================================================================

What goes on for ever stops when the client goes or the simulator stops. Unstreamed requests get
those faults that cut bytes (the JSON leaves in 8 pieces); the others leave them healthy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import attrs

from lm_deluge.simulator import fault_replies, fault_streams
from lm_deluge.simulator.answer import Answer
from lm_deluge.simulator.fault_args import FaultKind
from lm_deluge.simulator.received import ReceivedRequest
from lm_deluge.simulator.steps import Reply
from lm_deluge.simulator.words import rng_for

KINDS: dict[str, FaultKind] = fault_replies.KINDS | fault_streams.KINDS


def _check_p(instance: Any, attribute: Any, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"p must be in [0, 1], not {value!r}")


@attrs.frozen
class Fault:
    """One fault, and how probable it is.

    ``spec`` is ``NAME[:ARGUMENT…]`` from the table in `lm_deluge.simulator.faults`, ``p`` the
    probability with which a request gets it (drawn with the simulator's seed, per request).

    >>> Fault("stall:5", p=0.1).name
    'stall'

    Raises:
        ValueError: the name is unknown, an argument makes no sense, or ``p`` is not in [0, 1].
    """

    spec: str
    p: float = attrs.field(default=1.0, validator=_check_p)
    name: str = attrs.field(init=False)
    _value: Any = attrs.field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
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

    def early(self, record: ReceivedRequest, index: int) -> Reply | None:
        """The reply in place of an answer, or ``None`` for a fault within one."""
        build = KINDS[self.name].early
        return None if build is None else build(self._value, record)

    def late(self, answer: Answer) -> Reply:
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
