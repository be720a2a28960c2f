"""Events of Responses, and recordings of its streams with what is expected of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from support.dialects import recorded
from support.scripted import END, HEADERS, http

RECORDED = recorded("openai_responses")

#: A cut whose text stands in no delta, only in an item that is done: it came, and is told. What is
#: expected counts deltas alone.
TEXT_OF_AN_ITEM = "ai-openai-openai-issue-8562-missing-reasoning-summa-983d35"

#: Its ``response.created`` names a model and its terminal event none, which is where what is expected looks.
MODEL_AT_THE_START = "prism-stream-multiple-output-items-1-15fbb6"


def event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def said(text: str, index: int = 0) -> bytes:
    return event(
        "response.output_text.delta", output_index=index, content_index=0, delta=text, item_id="m"
    )


def ended(status: str = "completed", **fields: Any) -> bytes:
    usage = {
        "input_tokens": 9,
        "input_tokens_details": {"cached_tokens": 2},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 1},
        "total_tokens": 14,
    }
    response = {"id": "resp_1", "model": "gpt-x-2026", "status": status, "output": []}
    return event(f"response.{status}", response={**response, "usage": usage, **fields})


START = event("response.created", response={"id": "resp_1", "model": "gpt-x-2026", "usage": None})
TEXT = event("response.output_item.added", output_index=0, item={"type": "message", "id": "m"})
ALIVE = event("keepalive", sequence_number=3)
WHOLE_ITEM = {
    "type": "message",
    "id": "m",
    "content": [{"type": "output_text", "text": "Good day"}],
}
AGAIN = (
    event("response.output_text.done", output_index=0, content_index=0, text="Good day")
    + event(
        "response.content_part.done", output_index=0, content_index=0, part=WHOLE_ITEM["content"][0]  # type: ignore[index]
    )
    + event("response.output_item.done", output_index=0, item=WHOLE_ITEM)
)  # fmt: skip
BODY = START + TEXT + ALIVE + said("Good") + said(" day") + AGAIN + ended(output=[WHOLE_ITEM])
WHOLE = [HEADERS, http(START + TEXT + ALIVE), http(said("Good")), http(said(" day"))]
WHOLE += [http(AGAIN + ended()) + END]
BUSY = event("error", sequence_number=2, error={"type": "server_error", "message": "Busy"})


def expected_of(file: Path) -> dict[str, Any]:
    expected: dict[str, Any] = RECORDED[file]
    if file.stem == MODEL_AT_THE_START:
        return {**expected, "model": "gpt-4o"}
    if file.stem != TEXT_OF_AN_ITEM:
        return expected
    (line,) = [x for x in file.read_bytes().splitlines() if b'"type":"output_text"' in x]
    item = json.loads(line.removeprefix(b"data: "))["item"]
    return {**expected, "text": item["content"][0]["text"]}
