"""Recordings served again: the same bytes, cut the same way, at the same pace or another."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, Literal

from lm_deluge.simulator.checks.refusals import Refused
from lm_deluge.simulator.saying.steps import (
    ABORT,
    EOF,
    HANG,
    RESET,
    Reply,
    Step,
    Verbatim,
)
from lm_deluge.simulator.serving.received import ReceivedRequest

if TYPE_CHECKING:
    from lm_deluge.recording import Exchange, Recording

__all__ = ["Order", "Replay", "Speed"]

Speed = float | Literal["max"]
"""1 is the recorded pace, 10 ten times as fast; ``"max"`` waits for nothing."""

Order = Literal["order", "hash", "loop"]
"""Which exchange a request gets: the next one, the next one of an equal request, or the next one and the
first again after the last."""

#: Headers that went with the bytes on the wire, not with the answer.
_OF_THE_WIRE: Final = frozenset(
    "content-encoding content-length content-type date server transfer-encoding via".split()
)

#: Seconds by which a wait is shorter than asked: event loops wait in whole milliseconds, rounded up.
_EARLY: Final = 0.0005

#: Seconds that a client on this machine takes from its t0 to our having read its request, once more:
#: the recorded moments hold the first time. A head that came sooner tells that it took less.
_TRANSIT: Final = 0.002


class Replay:
    """Which recorded exchange a request gets, as the steps of a reply.

    Called with a request it returns its reply; a request for which nothing is left or known gets a 404
    that says so. Raises ``ValueError`` for a file that is no recording, ``OSError`` for one that cannot be
    read.
    """

    def __init__(
        self,
        recording: str | os.PathLike[str] | Recording,
        *,
        speed: Speed = 1,
        order: Order = "order",
    ) -> None:
        from lm_deluge.recording import read_recording, request_hash

        if isinstance(recording, (str, os.PathLike)):
            recording = read_recording(recording)
        self._factor = 0.0 if speed == "max" else 1 / float(speed)
        self._order = order
        self._hash = request_hash
        # A client that asked for a whole answer cannot read a stream, nor the other way round.
        self._queues: dict[tuple[str, bool], deque[Exchange]] = {}
        for exchange in recording.exchanges:
            key = (exchange.hash if order == "hash" else "", exchange.streams)
            self._queues.setdefault(key, deque()).append(exchange)

    def __call__(self, record: ReceivedRequest) -> Reply:
        exchange = self._next(record)
        if exchange is None:
            what = "for such a request" if self._order == "hash" else "left to replay"
            how = "a stream" if _streams(record) else "a whole answer"
            message = f"No recorded answer is {what}; {how} was asked for"
            return Refused(404, message, code="not_recorded").reply()
        return self._reply(exchange, record)

    def _next(self, record: ReceivedRequest) -> Exchange | None:
        asked = self._hash(record.body) if self._order == "hash" else ""
        queue = self._queues.get((asked, _streams(record)))
        if not queue:
            return None
        # Of equal requests the last answer is given again: a client may well ask more often.
        again = self._order == "loop" or (self._order == "hash" and len(queue) == 1)
        if again:
            queue.rotate(-1)
            return queue[-1]
        return queue.popleft()

    def _reply(self, exchange: Exchange, record: ReceivedRequest) -> Reply:
        kept = exchange.headers
        return Reply(
            steps=self._steps(exchange, record),
            status=exchange.status or 200,
            headers={name: value for name, value in kept.items() if name not in _OF_THE_WIRE},
            content_type=kept.get("content-type"),
            # Without a wait, the client's own turn between two writes keeps the cuts.
            spacing=0.0,
        )

    def _steps(self, exchange: Exchange, record: ReceivedRequest) -> Iterator[Step]:
        if exchange.status is None:  # the connection broke before there was an answer
            yield Verbatim(b"")
            yield from self._until(exchange.closed_at or exchange.sent, exchange, record)
            yield HANG if exchange.how == "silent" else RESET
            return
        for read in exchange.reads:
            yield from self._until(read.t, exchange, record)
            yield read.data
        if exchange.closed_at is not None:
            yield from self._until(exchange.closed_at, exchange, record)
        ends = {"whole": EOF, "ended": EOF, "lost": RESET, "silent": HANG}
        yield ends.get(exchange.how or "", ABORT)

    def _until(self, t: float, exchange: Exchange, record: ReceivedRequest) -> Iterator[Step]:
        """Wait for a recorded moment, counted from the request: delays do not add up."""
        transit = _TRANSIT
        if exchange.head_at is not None:
            transit = min(exchange.head_at - exchange.sent, transit)
        due = record.at + (t - exchange.sent - transit) * self._factor
        if (wait := due - time.perf_counter() - _EARLY) > 0:
            yield wait


def _streams(record: ReceivedRequest) -> bool:
    """Whether a request asks for a stream."""
    if record.method == "GET":
        return record.query.get("stream") == "true"
    return isinstance(record.json, dict) and record.json.get("stream") is True
