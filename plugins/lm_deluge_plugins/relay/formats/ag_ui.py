"""``ag-ui``: events of the Agent-User Interaction protocol, version 1.0.

Fields and order are those of the package ``ag-ui-protocol`` 1.0, which the tests validate against.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from lm_deluge_plugins.relay.formats.format import HEADERS, HEARTBEAT, event_of
from lm_deluge_plugins.relay.formats.tool_calls import OpenCalls
from lm_deluge_plugins.relay.frames import Frame

__all__ = ["AGUI"]

_encode: Final = msgspec.json.Encoder().encode

_COUNTS: Final = {
    "input_tokens": "inputTokens",
    "output_tokens": "outputTokens",
    "total_tokens": "totalTokens",
}


class AGUI:
    """One run. Every reader gets all of it: the protocol has no numbers to go on from.

    ``thread_id``, ``run_id``: those of the request; the stream's id where they are not given. What is
    dropped after it was shown is told by a ``CUSTOM`` event ``reset`` with the ids of its messages and
    tool calls, as the protocol has no other word for it.
    """

    headers: Mapping[str, str] = HEADERS
    is_resumable: bool = False

    def __init__(self, thread_id: str | None = None, run_id: str | None = None) -> None:
        self._thread_id = thread_id
        self._run_id = run_id
        self._out: list[bytes] = []
        self._id = ""
        self._messages = 0
        self._open: tuple[str, str] | None = None
        self._shown: list[str] = []
        self._called: list[str] = []
        self._calls = OpenCalls()

    def encode(self, frame: Frame) -> bytes:
        """Return the events that a frame comes to."""
        for item in frame.items:
            if not item.get("choice"):
                self._item(item)
        out, self._out = self._out, []
        return b"".join(out)

    def heartbeat(self) -> bytes:
        """Return a comment."""
        return HEARTBEAT

    def unavailable(self, message: str) -> bytes:
        """Return the error that ends the run for this reader."""
        return event_of(_encode({"type": "RUN_ERROR", "message": message, "code": "unavailable"}))

    def _item(self, item: Mapping[str, Any]) -> None:
        kind = item["kind"]
        if kind in ("text", "refusal"):
            self._delta("TEXT_MESSAGE", item.get("text", ""))
        elif kind == "reasoning":
            self._delta("REASONING_MESSAGE", item.get("text", ""))
        elif kind == "tool_call":
            self._tool_call(item)
        elif kind == "tool_result":
            self._say("TOOL_CALL_RESULT", messageId=self._new_id(), toolCallId=item.get("id", ""),
                      content=item.get("text", ""), role="tool")  # fmt: skip
        elif kind == "start":
            self._start(item)
        elif kind == "reset":
            self._reset()
        elif kind == "step_end":
            self._close()
            if item.get("of", {}).get("kind") == "complete":
                self._shown, self._called = [], []
        elif kind == "complete":
            self._close()
            self._finish({"type": "success"}, item)
        elif kind == "cancelled":
            self._close()
            self._finish({"type": "cancelled"}, item)
        elif kind == "error":
            self._close()
            self._say("RUN_ERROR", message=item.get("message", ""), code=item.get("error", ""))

    def _say(self, kind: str, **fields: Any) -> None:
        self._out.append(event_of(_encode({"type": kind, **fields})))

    def _start(self, item: Mapping[str, Any]) -> None:
        if not self._id:
            self._id = item["id"]
            self._thread_id = self._thread_id or self._id
            self._run_id = self._run_id or self._id
            self._say("RUN_STARTED", threadId=self._thread_id, runId=self._run_id)

    def _new_id(self) -> str:
        self._messages += 1
        return f"{self._id}-{self._messages}"

    def _delta(self, kind: str, text: str) -> None:
        self._end_calls()
        if self._open is None or self._open[0] != kind:
            self._close_message()
            message_id = self._new_id()
            self._open = (kind, message_id)
            self._shown.append(message_id)
            if kind == "REASONING_MESSAGE":
                self._say("REASONING_START", messageId=message_id)
                self._say("REASONING_MESSAGE_START", messageId=message_id, role="reasoning")
            else:
                self._say("TEXT_MESSAGE_START", messageId=message_id, role="assistant")
        self._say(f"{kind}_CONTENT", messageId=self._open[1], delta=text)

    def _close_message(self) -> None:
        if self._open is None:
            return
        kind, message_id = self._open
        self._open = None
        self._say(f"{kind}_END", messageId=message_id)
        if kind == "REASONING_MESSAGE":
            self._say("REASONING_END", messageId=message_id)

    def _tool_call(self, item: Mapping[str, Any]) -> None:
        self._close_message()
        call, begins, text = self._calls.take(item)
        if call is None:
            return
        if begins:
            self._called.append(call.id)
            self._say("TOOL_CALL_START", toolCallId=call.id, toolCallName=call.name)
        if text:
            self._say("TOOL_CALL_ARGS", toolCallId=call.id, delta=text)

    def _end_calls(self) -> None:
        for call in self._calls.end():
            self._say("TOOL_CALL_END", toolCallId=call.id)

    def _close(self) -> None:
        self._close_message()
        self._end_calls()

    def _reset(self) -> None:
        self._close()
        if self._shown or self._called:
            dropped = {"messageIds": self._shown, "toolCallIds": self._called}
            self._shown, self._called = [], []
            self._say("CUSTOM", name="reset", value=dropped)

    def _finish(self, outcome: Mapping[str, Any], item: Mapping[str, Any]) -> None:
        fields: dict[str, Any] = {}
        usage = item.get("usage")
        if usage:
            counts = {name: usage[key] for key, name in _COUNTS.items() if key in usage}
            fields["usage"] = [{"model": item.get("model"), **counts}]
        self._say(
            "RUN_FINISHED", threadId=self._thread_id, runId=self._run_id, outcome=outcome, **fields
        )
