"""Events of Messages, and recordings of its streams with what is expected of them."""

from __future__ import annotations

import json
from typing import Any

from support.dialects import recorded
from support.scripted import END, HEADERS, http

RECORDED = recorded("anthropic")


def event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}   \n\n".encode()


def said(text: str, index: int = 0) -> bytes:
    return event("content_block_delta", index=index, delta={"type": "text_delta", "text": text})


START = event(
    "message_start",
    message={
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-x-20260101",
        "content": [],
        "stop_reason": None,
        "usage": {"input_tokens": 7, "cache_read_input_tokens": 2, "output_tokens": 1},
    },
)
TEXT = event("content_block_start", index=0, content_block={"type": "text", "text": ""})
PING = event("ping")
BLOCK_STOP = event("content_block_stop", index=0)
STOP = event("message_stop")
OVERLOADED = event("error", error={"details": None, "type": "overloaded_error", "message": "Busy"})


def ended(reason: str = "end_turn", **fields: Any) -> bytes:
    delta = {"stop_reason": reason, "stop_sequence": None, **fields}
    return event("message_delta", delta=delta, usage={"output_tokens": 5, "input_tokens": None})


BODY = START + TEXT + PING + said("Good") + said(" day") + BLOCK_STOP + ended() + STOP
WHOLE = [HEADERS, http(START + TEXT + PING), http(said("Good")), http(said(" day"))]
WHOLE += [http(BLOCK_STOP + ended() + STOP) + END]
