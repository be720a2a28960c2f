"""Makes the recordings in ``openai_responses`` and what is expected of them: ``python make_responses.py``.

Written by hand in the shapes that OpenAI's servers send. Nothing of them was recorded.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
MODEL = "gpt-recorded-2026-01-01"
USAGE = {
    "input_tokens": 11,
    "input_tokens_details": {"cached_tokens": 4},
    "output_tokens": 9,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 20,
}
ALIVE = b'event: keepalive\ndata: {"type":"keepalive","sequence_number":3}\n\n'


def event(kind: str, **fields: Any) -> bytes:
    text = json.dumps({"type": kind, **fields}, ensure_ascii=False, separators=(",", ":"))
    return f"event: {kind}\ndata: {text}\n\n".encode()


def text(index: int, *texts: str) -> bytes:
    place = {"output_index": index, "content_index": 0}
    body = event("response.output_item.added", output_index=index, item={"type": "message"})
    for one in texts:
        body += event("response.output_text.delta", **place, delta=one) + ALIVE
    part = {"type": "output_text", "text": "".join(texts)}
    body += event("response.output_text.done", **place, text="".join(texts))
    return body + event(
        "response.output_item.done", output_index=index, item={"type": "message", "content": [part]}
    )


def call(index: int, *arguments: str) -> bytes:
    item = {"type": "function_call", "call_id": f"call_{index}", "name": "f", "arguments": ""}
    body = event("response.output_item.added", output_index=index, item=item)
    for one in arguments:
        body += event("response.function_call_arguments.delta", output_index=index, delta=one)
    item["arguments"] = "".join(arguments)
    return body + event("response.output_item.done", output_index=index, item=item)


def end(name: str, status: str, **fields: Any) -> bytes:
    response = {"id": f"resp_{name}", "model": MODEL, "status": status, "output": [], **fields}
    return event(f"response.{status}", response={**response, "usage": USAGE})


FAILURE = {"type": "server_error", "code": None, "message": "Busy", "param": None}
FILTERED = {"reason": "content_filter"}

#: By name: the body; text, calls' arguments, finish reason and raw word, the error.
MADE: dict[str, tuple[bytes, str, list[tuple[int, str]], str | None, str | None, Any]] = {
    "text": (
        text(0, "Grüße", " 世界") + text(1, "👩‍👩‍👧") + end("text", "completed"),
        "Grüße 世界👩‍👩‍👧",
        [],
        "stop",
        "completed",
        None,
    ),
    "calls": (
        call(0, '{"a":', '"ü"}') + call(1, "{}") + end("calls", "completed"),
        "",
        [(0, '{"a":"ü"}'), (1, "{}")],
        "tool_calls",
        "completed",
        None,
    ),
    "filtered": (
        text(0, "Half") + end("filtered", "incomplete", incomplete_details=FILTERED),
        "Half",
        [],
        "content_filter",
        "incomplete:content_filter",
        None,
    ),
    "error": (text(0, "Half") + event("error", error=FAILURE), "Half", [], None, None, FAILURE),
    "cut": (text(0, "Half"), "Half", [], None, None, None),
}


def main() -> None:
    """Write all of them."""
    expected: dict[str, Any] = {}
    (HERE / "openai_responses").mkdir(exist_ok=True)
    for name, (body, said, calls, finish, raw, error) in MADE.items():
        start = event("response.created", response={"id": f"resp_{name}", "model": MODEL})
        (HERE / "openai_responses" / f"{name}.sse").write_bytes(start + body)
        counts = {"input": 11, "output": 9, "total": 20, "cache_read": 4, "reasoning": 0}
        expected[name] = {
            "text": said,
            "reasoning": "",
            "refusal": "",
            "tool_calls": [
                {"id": f"call_{index}", "name": "f", "arguments": arguments}
                for index, arguments in calls
            ],
            "finish_reason": finish,
            "finish_reason_raw": raw,
            "complete": finish is not None or error is not None,
            "usage_raw": USAGE if finish else None,
            "usage": {f"{key}_tokens": count for key, count in counts.items()},
            "response_id": f"resp_{name}",
            "model": MODEL,
            "error": error,
        }
    told = json.dumps({"files": expected}, indent=1, ensure_ascii=False)
    (HERE / "expected_openai_responses.json").write_text(told + "\n", "utf-8")


if __name__ == "__main__":
    main()
