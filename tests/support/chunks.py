"""Chunks of chat whose choices and tool calls hold what a test says, and bodies of them."""

from __future__ import annotations

from typing import Any

from support.scripted import delta, sse


def body_of(*chunks: Any) -> bytes:
    return b"".join(map(sse, chunks))


def choice(**fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {}, "finish_reason": None, **fields}]}


def call(arguments: Any, index: Any = 0, id_: Any = None, name: Any = None, **rest: Any) -> Any:
    function = {"arguments": arguments} if name is None else {"name": name, "arguments": arguments}
    made = {"index": index, "function": function, **rest}
    return delta(tool_calls=[made if id_ is None else {**made, "id": id_}])
