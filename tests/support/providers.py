"""A whole answer in each of the four dialects, for tests that are about asking."""

from __future__ import annotations

import json
from typing import Any, Final

from support import gemini, responses
from support.scripted import END, HEADERS, answer, http


def _event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


_MESSAGE: Final = {"id": "msg_1", "role": "assistant", "model": "claude-x", "content": []}
_MESSAGES: Final = (
    _event("message_start", message=_MESSAGE | {"usage": {"input_tokens": 7, "output_tokens": 1}})
    + _event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    + _event("content_block_delta", index=0, delta={"type": "text_delta", "text": "Good day"})
    + _event("content_block_stop", index=0)
    + _event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 5})
    + _event("message_stop")
)

#: The steps of a whole answer, ``Good day``, by the dialect.
WHOLE: Final[dict[str, list[Any]]] = {
    "chat": answer("Good", " day"),
    "responses": responses.WHOLE,
    "messages": [HEADERS, http(_MESSAGES) + END],
    "gemini": [HEADERS, http(gemini.text("Good day") + gemini.STOP) + END],
}
