"""What of a fault somebody sends who serves nothing himself: a whole reply, or an event of an answer."""

from __future__ import annotations

from functools import partial
from typing import Final

import attrs

from lm_deluge.simulator.faults.streams import error_in
from lm_deluge.simulator.faults.table import Fault
from lm_deluge.simulator.saying.play import head
from lm_deluge.simulator.saying.printer import EventPrinter
from lm_deluge.simulator.saying.script import Script, ScriptedChoice
from lm_deluge.simulator.serving.received import ReceivedRequest
from lm_deluge.simulator.wires.chat import ChatWire
from lm_deluge.simulator.wires.chat_chunks import ChunkPrinter
from lm_deluge.simulator.wires.gemini import GeminiWire
from lm_deluge.simulator.wires.gemini_events import GeminiPrinter
from lm_deluge.simulator.wires.messages import MessagesWire
from lm_deluge.simulator.wires.messages_events import MessagesPrinter
from lm_deluge.simulator.wires.responses_events import ResponsesPrinter
from lm_deluge.simulator.wires.wire import Served, Wire

__all__ = ["event_instead", "reply_instead"]

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


def event_instead(fault: Fault, dialect: str, credentials: str) -> tuple[bytes, int]:
    """Return the event that a fault has in an answer, and how many pieces come before it.

    ``credentials``: those of the request, for a server that repeats them. Raises ``ValueError`` for a fault
    without one.
    """
    printer = _printer(dialect)
    if fault.name == "malformed-json":
        return printer.malformed, fault.argument
    if fault.name == "error-frame":
        shape, after = fault.argument
        script = Script(choices=(ScriptedChoice(),), prompt_tokens=0)
        return error_in(printer, script, shape, credentials, after), after
    raise ValueError(f"fault {fault.spec!r}: it has no event of its own")


def _printer(dialect: str) -> EventPrinter:
    if dialect == "messages":
        return MessagesPrinter.for_request(
            seed=0,
            index=0,
            model="simulated",
            shows_thinking=True,
            thinks=False,
            caches=False,
            usage=True,
        )
    if dialect == "gemini":
        return GeminiPrinter.for_request(
            seed=0, index=0, model="simulated", signs=False, is_array=False, usage=True
        )
    if dialect == "responses":
        return ResponsesPrinter.for_request(
            seed=0, index=0, model="simulated", echoed={}, encrypts=False, reasons=False,
            obfuscation=False, usage=True,
        )  # fmt: skip
    return ChunkPrinter.for_request(
        {}, seed=0, index=0, model="simulated", reasons=False, reasoning_field="reasoning", usage=True,
        azure=False,
    )  # fmt: skip
