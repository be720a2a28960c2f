"""The network reads of one response, as they come."""

from __future__ import annotations

from lm_deluge.engine.body import NetworkRead, What
from lm_deluge.engine.deadline import Clock
from lm_deluge.engine.interruption import Interruption
from lm_deluge.engine.plan import ReadRecorder
from lm_deluge.errors import ConnectionLostError
from lm_deluge.http.exchange import HttpExchange

__all__ = ["Reads"]


class Reads:
    """The reads of one response's body, in order; the recorder hears of each here, and nowhere else."""

    __slots__ = ("_clock", "_exchange", "_interruption", "_lost", "_recorder")

    def __init__(
        self,
        exchange: HttpExchange,
        *,
        interruption: Interruption,
        clock: Clock,
        recorder: ReadRecorder | None,
    ) -> None:
        self._lost: ConnectionLostError | None = None
        self._exchange = exchange
        self._interruption = interruption
        self._clock = clock
        self._recorder = recorder

    async def next(self) -> NetworkRead:
        """Wait for the next bytes, or what comes instead. Raises the error of ``stop`` alone, and not
        while there are bytes.
        """
        exchange, interruption = self._exchange, self._interruption
        while True:
            try:
                data = exchange.take()
            except ConnectionLostError as error:
                self._lost = error
                return NetworkRead(b"", self._clock.at(exchange.arrived), "lost")
            if data and self._recorder is None:
                return NetworkRead(data, self._clock.at(exchange.arrived))
            if data is not None:
                return self._read(data)
            if interruption.stopped is not None:
                raise interruption.stopped
            if interruption.deadline.verdict() is not None:
                what: What = "total" if interruption.deadline.is_total else "limit"
                return NetworkRead(b"", self._clock.at(exchange.arrived), what)
            await exchange.more()

    def lost_error(self) -> ConnectionLostError:
        """Return why the connection broke, where ``next`` said so."""
        assert self._lost is not None
        return self._lost

    def salvage(self) -> NetworkRead:
        """Return what has arrived and was not taken yet; never raises."""
        return self._read(self._exchange.salvage())

    def _read(self, data: bytes) -> NetworkRead:
        arrived = self._clock.at(self._exchange.arrived)
        if self._recorder is not None:
            self._recorder.read(data, arrived)
        return NetworkRead(data, arrived, "bytes" if data else "end")
