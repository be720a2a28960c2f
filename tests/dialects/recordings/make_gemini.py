"""Makes the recordings in ``gemini`` and what is expected of them: ``python make_gemini.py``.

Written by hand in the shapes that Google's servers send: CRLF, a whole response object in every event, usage
that grows. Nothing of them was recorded.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
MODEL = "gemini-recorded"
WORLD = ["Grüße", ", 世界! ", "👩‍👩‍👧", " और e\u0301", '\n\n"\\u00e9"\t|']
USAGE = {"promptTokenCount": 11, "candidatesTokenCount": 9, "totalTokenCount": 25}
USAGE |= {"thoughtsTokenCount": 5}


def chunk(*parts: dict[str, Any], name: str, usage: dict[str, Any], **fields: Any) -> bytes:
    content = {"parts": list(parts), "role": "model"} if parts else {"role": "model"}
    told = {"candidates": [{"content": content, "index": 0, **fields}], "usageMetadata": usage}
    told |= {"modelVersion": MODEL, "responseId": f"resp_{name}"}
    return f"data: {json.dumps(told, ensure_ascii=False)}\r\n\r\n".encode()


def expected(name: str, **fields: Any) -> dict[str, Any]:
    usage = {"input_tokens": 11, "output_tokens": 14, "total_tokens": 25}
    usage |= {"cache_read_tokens": None, "cache_write_tokens": None, "reasoning_tokens": 5}
    known = {"text": "", "reasoning": "", "tool_calls": [], "error": None, "complete": True}
    known |= {"finish_reason_raw": "STOP", "finish_reason": "stop", "usage_raw": USAGE}
    return {**known, "usage": usage, "response_id": f"resp_{name}", "model": MODEL, **fields}


def main() -> None:
    files: dict[str, dict[str, Any]] = {}
    bodies: dict[str, bytes] = {}

    def add(name: str, parts: list[dict[str, Any]], **fields: Any) -> None:
        reason = fields.get("finish_reason_raw", "STOP")
        early = {"promptTokenCount": 11, "totalTokenCount": 11}
        body = [chunk(part, name=name, usage=early) for part in parts[:-1]]
        last = chunk(*parts[-1:], name=name, usage=USAGE, finishReason=reason)
        bodies[name] = b"".join([*body, last])
        files[name] = expected(name, **fields)

    add("text", [{"text": text} for text in WORLD], text="".join(WORLD))
    thought = [{"text": "Hm, ", "thought": True}, {"text": "ja.", "thought": True}]
    add(
        "thoughts",
        [*thought, {"text": "Ja", "thoughtSignature": "c2ln"}, {"text": ""}],
        text="Ja",
        reasoning="Hm, ja.",
    )
    calls = [
        {"functionCall": {"name": "now"}},
        {"functionCall": {"name": "at", "args": {"ort": "Köln", "n": [1, 2.5]}, "id": "fc_2"}},
    ]
    add(
        "calls",
        calls,
        finish_reason="tool_calls",
        tool_calls=[
            {"id": None, "name": "now", "arguments": "{}"},
            {"id": "fc_2", "name": "at", "arguments": '{"ort":"Köln","n":[1,2.5]}'},
        ],
    )
    add(
        "filtered",
        [{"text": "So "}],
        text="So ",
        finish_reason_raw="SAFETY",
        finish_reason="content_filter",
    )
    folder = HERE / "gemini"
    folder.mkdir(exist_ok=True)
    for name, body in bodies.items():
        (folder / f"{name}.sse").write_bytes(body)
    text = json.dumps({"files": files}, ensure_ascii=False, indent=1) + "\n"
    (HERE / "expected_gemini.json").write_text(text, "utf-8")


if __name__ == "__main__":
    main()
