"""Chunks of Gemini, and recordings of its streams with what is expected of them."""

from __future__ import annotations

import json
from typing import Any

from support.dialects import recorded

RECORDED = recorded("gemini")


def chunk(*parts: dict[str, Any], **fields: Any) -> bytes:
    candidate = {"content": {"parts": list(parts), "role": "model"}, **fields}
    told = {"candidates": [candidate], "responseId": "r1", "modelVersion": "gemini-x"}
    return f"data: {json.dumps(told)}\r\n\r\n".encode()


def text(said: str, **fields: Any) -> bytes:
    return chunk({"text": said}, **fields)


STOP = text("", finishReason="STOP")
ERROR = {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}
BARE_ERROR = json.dumps({"error": ERROR}, indent=2).encode()
