"""A fault's reply for who serves nothing itself: written out, for a request of any server's."""

from __future__ import annotations

from functools import partial
from typing import Final

import attrs

from lm_deluge.simulator.faults.table import Fault
from lm_deluge.simulator.saying.play import head
from lm_deluge.simulator.serving.received import ReceivedRequest
from lm_deluge.simulator.wires.chat import ChatWire
from lm_deluge.simulator.wires.gemini import GeminiWire
from lm_deluge.simulator.wires.messages import MessagesWire
from lm_deluge.simulator.wires.wire import Served, Wire

__all__ = ["reply_instead"]

#: What an error is told by; the others tell it as chat does.
_WIRES: Final[dict[str, type[Wire]]] = {"messages": MessagesWire, "gemini": GeminiWire}

_ANYBODYS: Final = Served(seed=0, api_key=None, models=None, usage=True, reasoning_field="")


def reply_instead(
    fault: Fault, dialect: str | None, record: ReceivedRequest, *, request_id: str, keep: bool
) -> tuple[int, bytes, bytes]:
    """Return status, head and body of the reply that a fault puts in the place of an answer.

    ``keep``: the connection may carry another request. Raises ``ValueError`` for a fault without one.
    """
    wire = _WIRES.get(dialect or "", ChatWire)(_ANYBODYS)
    reply = fault.early(record, partial(wire.error, record))
    if reply is None:
        raise ValueError(f"fault {fault.spec!r}: it is one within an answer")
    body = b"".join(step for step in reply.steps if isinstance(step, bytes))
    # One that stands before another server is not the server that the app knows.
    reply = attrs.evolve(reply, headers={"Server": "lm-deluge-proxy", **reply.headers})
    return reply.status, head(reply, request_id, keep=keep), body
