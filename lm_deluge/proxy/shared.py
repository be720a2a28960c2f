"""What all connections of a proxy share."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from attrs import define, field

from lm_deluge.http.dialling import Dialer
from lm_deluge.proxy.afterwards import Afterwards
from lm_deluge.proxy.faults import FaultDice
from lm_deluge.proxy.guards import Guard
from lm_deluge.proxy.heads import AskedLine, BadRequestHead, HeaderField
from lm_deluge.proxy.routes import Destination, Routes
from lm_deluge.proxy.watcher import Watcher

__all__ = ["Connected", "Shared"]


class Connected(Protocol):
    """A connection of an app. ``is_idle``: no request is on its way."""

    @property
    def is_idle(self) -> bool: ...

    def finish(self) -> None:
        """Close it when the request that is on its way is answered; at once if none is."""

    def cut(self) -> None:
        """Break it now."""


@define(eq=False, kw_only=True)
class Shared:
    """What all connections of a proxy share. ``dropped``: header fields that are for the proxy alone, in
    small letters. ``afterwards``: who watches is told by it. ``head_timeout``: seconds for a request's head
    to come in. ``asks_usage``: of chats that do not ask themselves."""

    routes: Routes
    guard: Guard
    watcher: Watcher
    dialer: Dialer
    afterwards: Afterwards = field(factory=Afterwards)
    dice: FaultDice = field(factory=FaultDice)
    dropped: frozenset[bytes] = frozenset()
    head_timeout: float = 30.0
    asks_usage: bool = False
    readers: set[Connected] = field(factory=set)
    none_left: asyncio.Event = field(factory=asyncio.Event)
    is_closing: bool = False

    def route_of(self, first: AskedLine, fields: Sequence[HeaderField]) -> Destination:
        """Return where a request goes. Raises ``BadRequestHead`` for nowhere, and for a key of another's."""
        route = self.routes.find(first.target, fields)
        if route is None:
            raise BadRequestHead(404, self.routes.reachable)
        return route
