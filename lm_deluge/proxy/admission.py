"""A request's head, from its bytes to where the request goes, or why it is refused."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from lm_deluge.proxy.exchange import RequestHead, WatchedExchange
from lm_deluge.proxy.framing import Framing, of_request
from lm_deluge.proxy.guards import check_target
from lm_deluge.proxy.headers import pairs
from lm_deluge.proxy.heads import AskedLine, BadRequestHead, HeaderField, read_request
from lm_deluge.proxy.passing import Passing, told
from lm_deluge.proxy.refusals import refused
from lm_deluge.proxy.routes import Destination
from lm_deluge.proxy.shared import Shared

__all__ = ["RefusedError", "admit"]


class RefusedError(Exception):
    """A request that does not go on; ``reply``: a whole response that says so."""

    def __init__(self, reply: bytes) -> None:
        super().__init__()
        self.reply = reply


@frozen
class _Understood:
    first: AskedLine
    fields: Sequence[HeaderField]
    framing: Framing
    route: Destination


def _read(shared: Shared, head: bytes, reached: str) -> _Understood:
    first: AskedLine | None = None
    try:
        first, fields = read_request(head)
        check_target(first)
        shared.guard.check(first, fields, reached)
        return _Understood(first, fields, of_request(first, fields), shared.route_of(first, fields))
    except BadRequestHead as error:
        raise RefusedError(refused(first, error.status, str(error))) from None


def admit(shared: Shared, head: bytes, reached: str) -> Passing:
    """Return a request that goes on; who watches has heard of it. Raises ``RefusedError``.

    ``reached``: the address of ours that it came to.
    """
    read = _read(shared, head, reached)
    first, route = read.first, read.route
    fault = None
    if route.dialect is not None and first.method == b"POST":
        fault = shared.dice.draw()
    asked = RequestHead(
        method=first.method.decode("ascii"),
        target=first.target.decode("latin-1"),
        headers=pairs(read.fields),
        base_url=route.base_url,
        path=route.path,
        dialect=route.dialect,
        fault=None if fault is None else fault.name,
    )
    exchange = told(shared.watcher.open, asked) or WatchedExchange()
    return Passing(first, read.fields, read.framing, route, exchange, shared.afterwards, fault)
