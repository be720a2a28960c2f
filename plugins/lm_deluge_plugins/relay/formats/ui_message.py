"""``ui-message``: the AI SDK's UI message stream, version 1, as its ``useChat`` reads it.

Chunks and their order are those of the package ``ai`` 5 to 7 (docs: "Stream Protocols").
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from lm_deluge_plugins.relay.formats.format import HEADERS, HEARTBEAT, event_of
from lm_deluge_plugins.relay.formats.tool_calls import OpenCall, OpenCalls
from lm_deluge_plugins.relay.frames import Frame

__all__ = ["UIMessages"]

_encode: Final = msgspec.json.Encoder().encode

_FINISH: Final[Mapping[str | None, str]] = {
    "stop": "stop",
    "length": "length",
    "content_filter": "content-filter",
    "tool_calls": "tool-calls",
    "function_call": "tool-calls",
}

_DONE: Final = b"data: [DONE]\n\n"


class UIMessages:
    """One message of the assistant; every reader gets all of it.

    A retry before any output says nothing. ``reset-step`` comes where something that was shown is
    dropped. Choice 0 alone is shown: a message has one text.
    """

    headers: Mapping[str, str] = {**HEADERS, "x-vercel-ai-ui-message-stream": "v1"}
    is_resumable: bool = False

    def __init__(self) -> None:
        self._out: list[bytes] = []
        self._started = False
        self._in_step = False
        self._has_shown = False
        self._open: str | None = None
        self._part = 0
        self._calls = OpenCalls()

    def encode(self, frame: Frame) -> bytes:
        """Return the chunks that a frame comes to."""
        for item in frame.items:
            if not item.get("choice"):
                self._item(item)
        if frame.is_last:
            self._out.append(_DONE)
        out, self._out = self._out, []
        return b"".join(out)

    def heartbeat(self) -> bytes:
        """Return a comment."""
        return HEARTBEAT

    def unavailable(self, message: str) -> bytes:
        """Return an error chunk; the client may ask to resume."""
        return event_of(_encode({"type": "error", "errorText": message}))

    def _item(self, item: Mapping[str, Any]) -> None:
        kind = item["kind"]
        if kind in ("text", "refusal"):
            self._delta("text", item.get("text", ""))
        elif kind == "reasoning":
            self._delta("reasoning", item.get("text", ""))
        elif kind == "tool_call":
            self._tool_call(item)
        elif kind == "tool_result":
            self._say({"type": "tool-output-available", "toolCallId": item.get("id", ""),
                       "output": item.get("text", "")})  # fmt: skip
        elif kind == "start":
            self._start(item)
        elif kind == "reset":
            self._reset()
        elif kind == "step_end":
            self._step_ends(item.get("of", {}))
        elif kind == "complete":
            self._complete(item)
        elif kind == "cancelled":
            self._close_parts()
            self._say({"type": "abort", "reason": item.get("reason", "")})
        elif kind == "error":
            self._close_parts()
            self._say({"type": "error", "errorText": item.get("message", "")})

    def _say(self, chunk: Mapping[str, Any]) -> None:
        self._out.append(event_of(_encode(chunk)))

    def _start(self, item: Mapping[str, Any]) -> None:
        if not self._started:
            self._started = True
            self._say({"type": "start", "messageId": item["id"]})
        self._begin_step()

    def _begin_step(self) -> None:
        if not self._in_step:
            self._in_step = True
            self._has_shown = False
            self._say({"type": "start-step"})

    def _delta(self, part: str, text: str) -> None:
        self._end_calls()
        if self._open != part:
            self._close_part()
            self._open = part
            self._has_shown = True
            self._part += 1
            self._say({"type": f"{part}-start", "id": str(self._part)})
        self._say({"type": f"{part}-delta", "id": str(self._part), "delta": text})

    def _close_part(self) -> None:
        if self._open is not None:
            self._say({"type": f"{self._open}-end", "id": str(self._part)})
            self._open = None

    def _tool_call(self, item: Mapping[str, Any]) -> None:
        self._close_part()
        call, begins, text = self._calls.take(item)
        if call is None:
            return
        if begins:
            self._has_shown = True
            self._say({"type": "tool-input-start", "toolCallId": call.id, "toolName": call.name})
        if text:
            self._say({"type": "tool-input-delta", "toolCallId": call.id, "inputTextDelta": text})

    def _end_calls(self) -> None:
        for call in self._calls.end():
            self._end_call(call)

    def _end_call(self, call: OpenCall) -> None:
        said = {"toolCallId": call.id, "toolName": call.name}
        is_whole, value = call.value()
        if is_whole:
            self._say({"type": "tool-input-available", **said, "input": value})
        else:
            self._say({"type": "tool-input-error", **said, "input": call.arguments,
                       "errorText": "the arguments are no JSON object"})  # fmt: skip

    def _close_parts(self) -> None:
        self._close_part()
        self._calls.drop()

    def _reset(self) -> None:
        self._open = None
        self._calls.drop()
        if self._has_shown:
            self._has_shown = False
            self._say({"type": "reset-step"})

    def _step_ends(self, ending: Mapping[str, Any]) -> None:
        if ending.get("kind") in ("error", "cancelled"):
            # Whether it counts is known when another one follows, which may drop what this one showed.
            self._close_parts()
        else:
            self._end_step()

    def _end_step(self) -> None:
        self._close_part()
        self._end_calls()
        if self._in_step:
            self._in_step = False
            self._say({"type": "finish-step"})

    def _complete(self, item: Mapping[str, Any]) -> None:
        self._end_step()
        finish: dict[str, Any] = {"type": "finish"}
        if item.get("finish_reason") is not None:
            finish["finishReason"] = _FINISH.get(item["finish_reason"], "other")
        usage = item.get("usage")
        if usage:
            finish["messageMetadata"] = {"usage": usage, "model": item.get("model")}
        self._say(finish)
