"""The four wires: an answer that has begun, an error inside it, and a client, each in a wire's shape."""

from __future__ import annotations

import json
from typing import Any, Final

from lm_deluge import LLMClient
from support import gemini, messages, responses
from support.clients import KEY
from support.providers import WHOLE
from support.scripted import END, HEADERS, ScriptedServer, delta, ending, events, http, sse

__all__ = ["BEGUN", "ENDED", "OPENED", "WHOLE", "WIRES", "client_of", "frame", "steps"]

WIRES: Final = ("chat", "responses", "messages", "gemini")

#: What comes before any output.
OPENED: Final[dict[str, bytes]] = {
    "chat": sse(delta(role="assistant")),
    "responses": responses.START + responses.TEXT,
    "messages": messages.START + messages.TEXT,
    "gemini": b"",
}

#: And then the text ``Good``.
BEGUN: Final[dict[str, bytes]] = {
    "chat": OPENED["chat"] + events("Good"),
    "responses": OPENED["responses"] + responses.said("Good"),
    "messages": OPENED["messages"] + messages.said("Good"),
    "gemini": gemini.text("Good"),
}


#: What makes that whole.
ENDED: Final[dict[str, bytes]] = {
    "chat": ending(usage=False),
    "responses": responses.ended(),
    "messages": messages.event("message_delta", delta={"stop_reason": "end_turn"}, usage={})
    + messages.STOP,
    "gemini": gemini.STOP,
}


def frame(wire: str, error: object) -> bytes:
    """Return an error inside an answer, as the wire's provider sends it."""
    if wire == "chat":
        return sse({"error": error})
    if wire == "responses":
        return responses.event("error", sequence_number=2, error=error)
    if wire == "messages":
        return messages.event("error", error=error)
    return json.dumps({"error": error}, indent=2).encode() + b"\n"


def steps(data: bytes) -> list[Any]:
    """Return the steps of a body that holds these bytes and ends."""
    return [HEADERS, http(data) + END]


def client_of(server: ScriptedServer, wire: str, **options: Any) -> LLMClient:
    """Return a client for a scripted server that speaks a wire."""
    given: dict[str, Any] = {"api_key": KEY, "printer": None} | options
    return LLMClient("a-model", base_url=server.base_url, dialect=wire, **given)
