"""Scripts of a server for streams that are cancelled at every moment, and their impatient client."""

from __future__ import annotations

from typing import Any

from lm_deluge import LLMClient, RetryPolicy, Timeouts
from support.bare_server import BareServer, ThreadedServer
from support.clients import client_for
from support.promises import KEY
from support.scripted import HANG, HEADERS, RESET, answer, ending, http, reply
from support.scripted import events as sse_events
from support.wires import BEGUN, ENDED, WIRES
from support.wires import WHOLE as WHOLE_OF

WHOLE = answer("Once", " upon", " a")
CUT = [HEADERS, http(sse_events("Once", " upon")), RESET]
BUSY = reply("503 Service Unavailable", '{"error": {"message": "overloaded"}}')
SILENT = [HEADERS, http(sse_events("Once", " upon")), HANG]
OPEN = [HEADERS, http(sse_events("Once", " upon") + ending()), HANG]
SHORT = Timeouts(first_token=0.03, between_tokens=0.03, tail=0.03)


def impatient(server: BareServer | ThreadedServer, **more: Any) -> LLMClient:
    return client_for(
        server,
        api_key=KEY,
        timeouts=SHORT,
        retries=RetryPolicy(max_attempts=2, initial_delay=0.001),
        handler_wait=1.0,
        **more,
    )


SCRIPTS: dict[str, list[list[Any]]] = {
    "whole": [WHOLE],
    "body stays open": [OPEN],
    "reset": [CUT],
    "silent until the timeout": [SILENT],
    "retried": [BUSY, WHOLE],
}

#: The same by the wire.
SCRIPTS_OF: dict[str, dict[str, list[list[Any]]]] = {
    wire: {
        "whole": [WHOLE_OF[wire]],
        "body stays open": [[HEADERS, http(BEGUN[wire] + ENDED[wire]), HANG]],
        "reset": [[HEADERS, http(BEGUN[wire]), RESET]],
        "silent until the timeout": [[HEADERS, http(BEGUN[wire]), HANG]],
        "retried": [BUSY, WHOLE_OF[wire]],
    }
    for wire in WIRES
} | {"chat": SCRIPTS}
