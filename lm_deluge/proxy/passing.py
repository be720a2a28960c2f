"""One request and its answer on their way: what both of its connections know of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import ParamSpec, TypeVar

from lm_deluge.proxy.afterwards import Afterwards
from lm_deluge.proxy.exchange import Ending, WatchedExchange
from lm_deluge.proxy.faults import InjectedFault
from lm_deluge.proxy.framing import Framing
from lm_deluge.proxy.headers import keeps_open
from lm_deluge.proxy.heads import AskedLine, HeaderField
from lm_deluge.proxy.keeping import KeptBody
from lm_deluge.proxy.routes import Destination

__all__ = ["Passing", "told"]

_log = logging.getLogger("lm_deluge.proxy")

P = ParamSpec("P")
T = TypeVar("T")


def told(call: Callable[P, T], *args: P.args, **named: P.kwargs) -> T | None:
    """Call one who watches; what he raises is logged and hurts nothing that passes."""
    try:
        return call(*args, **named)
    except Exception:  # noqa: BLE001 - whatever it is, it is not the reader's
        _log.exception("watching failed; what passes goes on")
        return None


class Passing:
    """``framing``: of the request's body. ``exchange``: who is told, by ``afterwards``. ``fault``: what is
    injected. ``keep``: the reader's connection may carry another request. ``kept``: a body that was held
    until it was whole. ``waiting``: bytes of the body that came before there was a connection.

    ``sent``: the request is whole. ``begun``: something of an answer was passed on. ``answered``: the answer
    is whole. ``is_tunnel``: both sides speak something else by now.
    """

    __slots__ = (
        "_afterwards",
        "_exchange",
        "_is_over",
        "answered",
        "begun",
        "fault",
        "fields",
        "first",
        "framing",
        "is_tunnel",
        "keep",
        "kept",
        "route",
        "sent",
        "waiting",
    )

    def __init__(
        self,
        first: AskedLine,
        fields: Sequence[HeaderField],
        framing: Framing,
        route: Destination,
        exchange: WatchedExchange,
        afterwards: Afterwards,
        fault: InjectedFault | None = None,
    ) -> None:
        self.first = first
        self.fields = fields
        self.framing = framing
        self.route = route
        self._exchange = exchange
        self._afterwards = afterwards
        self.fault = fault
        self.keep = keeps_open(first.minor, fields)
        self.kept: KeptBody | None = None
        self.waiting: list[bytes] = []
        self.sent = False
        self.begun = False
        self.answered = False
        self.is_tunnel = False
        self._is_over = False

    def ended(
        self, how: Ending, cause: BaseException | None = None, arrived: float | None = None
    ) -> None:
        """Tell that it is over, the first time."""
        if not self._is_over:
            self._is_over = True
            if self.kept is not None:
                self.kept.let_go()
            moment = perf_counter() if arrived is None else arrived
            self._afterwards.tell(self._exchange.ended, how, cause, moment)

    def was_asked(self, connected: float) -> None:
        """Tell that the request's head was written just now, over a connection that took so many seconds."""
        self._afterwards.tell(self._exchange.asked, connected, perf_counter())

    def has_sent(self, content: bytes) -> None:
        """Tell of bytes of the request's body; ``b""``: it is whole."""
        self._afterwards.tell_bytes(self._exchange.sent, content)

    def has_head(self, status: int, fields: Sequence[tuple[str, str]], arrived: float) -> None:
        """Tell of the head of the answer."""
        self._afterwards.tell(self._exchange.head, status, fields, arrived)

    def has_read(self, content: bytes, arrived: float) -> None:
        """Tell of bytes of the answer's body."""
        self._afterwards.tell_bytes(self._exchange.read, content, arrived)

    @property
    def is_over(self) -> bool:
        """Whether its ending was told."""
        return self._is_over
