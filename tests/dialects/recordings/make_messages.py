"""Makes the recordings in ``anthropic`` and what is expected of them: ``python make_messages.py``.

Written by hand in the shapes that Anthropic's servers send: an ``event:`` line, JSON padded with spaces,
pings in between. Nothing of them was recorded.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
MODEL = "claude-recorded-20260101"
WORLD = ["Grüße", ", ", "世界", "! ", "👩‍👩‍👧", " और ", "e\u0301", "\n\n", '"\\u00e9"', "\t|"]
PING = b'event: ping\ndata: {"type": "ping"}\n\n'


def event(kind: str, **fields: Any) -> bytes:
    text = json.dumps({"type": kind, **fields}, ensure_ascii=False, separators=(",", ":"))
    return f"event: {kind}\ndata: {text[:-1]}{' ' * (len(text) % 9)}}}\n\n".encode()


def block(index: int, begin: dict[str, Any], *deltas: dict[str, Any]) -> bytes:
    body = event("content_block_start", index=index, content_block=begin)
    body += PING if index == 0 else b""
    for delta in deltas:
        body += event("content_block_delta", index=index, delta=delta)
    return body + event("content_block_stop", index=index)


def text(index: int, *texts: str) -> bytes:
    return block(
        index, {"type": "text", "text": ""}, *({"type": "text_delta", "text": t} for t in texts)
    )


def start(name: str) -> bytes:
    message = {
        "id": f"msg_{name}",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": [],
        "stop_reason": None,
        "usage": {"input_tokens": 11, "cache_read_input_tokens": 4, "output_tokens": 1},
    }
    return event("message_start", message=message)


def end(reason: str) -> bytes:
    delta = {"stop_reason": reason, "stop_sequence": None}
    return event("message_delta", delta=delta, usage={"output_tokens": 9}) + event("message_stop")


def thinking(*texts: str) -> bytes:
    deltas = [{"type": "thinking_delta", "thinking": text} for text in texts]
    signed = {"type": "signature_delta", "signature": "c2lnbmF0dXJl"}
    return block(0, {"type": "thinking", "thinking": "", "signature": ""}, *deltas, signed)


def call(index: int, name: str, *pieces: str) -> bytes:
    deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in ("", *pieces)]
    begin = {"type": "tool_use", "id": f"toolu_{index}", "name": name, "input": {}}
    return block(index, begin, *deltas)


TWO = text(0, "One") + text(1, " two")
THOUGHT = thinking("Let", " me") + text(1, "Yes")
FAILURE = {"details": None, "type": "overloaded_error", "message": "Overloaded"}

#: By name: the body after its start; text, reasoning, calls, the reason for the end, the error.
MADE: dict[str, tuple[bytes, str, str, list[tuple[int, str, str]], str | None, Any]] = {
    "text": (text(0, *WORLD) + end("end_turn"), "".join(WORLD), "", [], "end_turn", None),
    "two-blocks": (TWO + end("max_tokens"), "One two", "", [], "max_tokens", None),
    "thinking": (THOUGHT + end("end_turn"), "Yes", "Let me", [], "end_turn", None),
    "calls": (
        text(0, "So") + call(1, "clock") + call(2, "weather", '{"city": ', '"Zürich"}') + end("tool_use"),
        "So",
        "",
        [(1, "clock", "{}"), (2, "weather", '{"city": "Zürich"}')],
        "tool_use",
        None,
    ),
    "refusal": (end("refusal"), "", "", [], "refusal", None),
    "overloaded": (text(0, "Half") + event("error", error=FAILURE) + b"\n", "Half", "", [], None, FAILURE),
    "cut": (text(0, "Half"), "Half", "", [], None, None),
}  # fmt: skip

FINISH = {
    "end_turn": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
    None: None,
}


def main() -> None:
    """Write all of them."""
    expected: dict[str, Any] = {}
    for name, (body, said, reasoning, calls, reason, error) in MADE.items():
        (HERE / "anthropic" / f"{name}.sse").write_bytes(start(name) + body)
        output = 1 if reason is None else 9
        expected[name] = {
            "text": said,
            "reasoning": reasoning,
            "tool_calls": [
                {"id": f"toolu_{index}", "name": tool, "arguments": arguments}
                for index, tool, arguments in calls
            ],
            "finish_reason_raw": reason,
            "finish_reason": FINISH[reason],
            "complete": reason is not None,
            "usage_raw": {
                "input_tokens": 11,
                "cache_read_input_tokens": 4,
                "output_tokens": output,
            },
            "usage": {
                "input_tokens": 15,
                "output_tokens": output,
                "total_tokens": 15 + output,
                "cache_read_tokens": 4,
                "reasoning_tokens": None,
            },
            "response_id": f"msg_{name}",
            "model": MODEL,
            "error": error,
        }
    told = json.dumps({"files": expected}, indent=1, ensure_ascii=False)
    (HERE / "expected_anthropic.json").write_text(told + "\n", "utf-8")


if __name__ == "__main__":
    main()
