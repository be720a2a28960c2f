"""The reply that a fault puts in the place of an answer, as the simulator makes it."""

from __future__ import annotations

from itertools import count
from time import perf_counter
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl
from uuid import uuid4

from attrs import frozen

from lm_deluge.proxy.faults import InjectedFault
from lm_deluge.proxy.headers import pairs
from lm_deluge.proxy.passing import Passing
from lm_deluge.wire.headers import Caseless

if TYPE_CHECKING:
    from lm_deluge.simulator.serving.received import ReceivedRequest

__all__ = ["InjectedReply", "injected_event", "injected_reply"]

#: Of requests that got one, for the ids that some providers give them.
_numbers: Final = count()


@frozen
class InjectedReply:
    """``head``: its bytes, to the empty line; ``fields``: what of it are header fields."""

    status: int
    fields: list[tuple[str, str]]
    head: bytes
    body: bytes


def injected_reply(passing: Passing, fault: InjectedFault) -> InjectedReply:
    """Return what a fault answers a request with, whose body was not kept."""
    from lm_deluge.simulator.faults.instead import (
        reply_instead,
    )  # as the fault's own: only where one is

    first = passing.first
    path, _, query = first.target.decode("latin-1").partition("?")
    record = _record(passing, path, query)
    status, head, body = reply_instead(
        fault.fault,
        passing.route.dialect,
        record,
        request_id=f"req_{uuid4().hex}",
        keep=passing.keep,
    )
    lines = head.decode("utf-8", "surrogateescape").split("\r\n")[1:-2]
    fields = [(name, value) for name, _, value in (line.partition(": ") for line in lines)]
    return InjectedReply(status, fields, head, body)


def injected_event(passing: Passing, fault: InjectedFault) -> tuple[bytes, int]:
    """Return the event that a fault has in an answer, and how many pieces come before it."""
    from lm_deluge.simulator.faults.instead import event_instead
    from lm_deluge.simulator.faults.replies import sent_key

    record = _record(passing, "", "")
    return event_instead(fault.fault, passing.route.dialect or "chat", sent_key(record))


def _record(passing: Passing, path: str, query: str) -> ReceivedRequest:
    from lm_deluge.simulator.serving.received import ReceivedRequest

    return ReceivedRequest(
        method=passing.first.method.decode("ascii"),
        path=path,
        query=dict(parse_qsl(query)),
        headers=Caseless(pairs(passing.fields)),
        body=b"",
        json=None,
        connection=0,
        index=next(_numbers),
        at=perf_counter(),
    )
