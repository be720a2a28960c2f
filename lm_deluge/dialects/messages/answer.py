"""What the events of Messages say of an answer. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final

from lm_deluge.dialects.messages.choice import MessagesChoice
from lm_deluge.dialects.messages.facts import MessagesFacts
from lm_deluge.dialects.messages.plain import texts_in
from lm_deluge.wire.error_words import reported_error
from lm_deluge.wire.keeping import text_or_none
from lm_deluge.wire.sse import Event
from lm_deluge.wire.typed_events import TypedEvents

__all__ = ["MessagesAnswer"]

#: The words of chat completions for why an answer ended; other words have none.
_FINISH: Final = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "compaction": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "content_filter",
    # What servers that translate leave as it is.
    **{word: word for word in ("stop", "length", "tool_calls", "content_filter")},
}

#: What of a message, and of its delta, is read here; all else is kept as it is.
_READ: Final = frozenset({"id", "type", "role", "model", "content", "usage", "stop_reason"})

#: What says why the answer ended, kept beside the word for it.
_ENDS: Final = ("stop_reason", "stop_sequence", "stop_details")


class MessagesAnswer(TypedEvents[MessagesChoice]):
    """An answer in blocks, ended by ``message_stop``."""

    __slots__ = ()

    facts: MessagesFacts

    end_word = "message_stop"

    def new_facts(self) -> MessagesFacts:
        """Return facts of which nothing has come."""
        return MessagesFacts()

    def new_choice(self) -> MessagesChoice:
        """Return a choice of which nothing has come."""
        return MessagesChoice(self.limits.max_tool_calls)

    def note_finish(self) -> None:
        """Nothing: a reason for the end is not the end."""

    def fast(self, blocks: Sequence[bytes], start: int, stop: int) -> Sequence[str]:
        """Return the texts of deltas of text: they say nothing else, whichever block they are of."""
        return texts_in(blocks, start, stop)

    def take_event(self, event: Event, what: str) -> None:
        """Read one event."""
        data = event.data.strip()
        if not data or event.event == "ping":
            return
        told = self.object_in(event, data, what)
        if told is None:
            return
        kind = told.get("type")
        take = self.takers.get(kind if isinstance(kind, str) else event.event)
        if "error" in (kind, event.event) or (take is None and told.get("error")):
            self.error = reported_error(told.get("error") or told, beside=told)
        elif take is not None:
            self.chunks += 1
            self._take_facts(take, told)
            self.note_text_alone()
            if self.done and not self.says_something:
                self.error = self.empty_reply(data)
        else:
            self.note_unread(data)

    def _take_facts(
        self, take: Callable[[MessagesAnswer, dict[str, Any]], None], told: dict[str, Any]
    ) -> None:
        """Let an event be read, and count what is kept beside the choice."""
        facts = self.facts
        before = facts.size
        take(self, told)
        if self.facts is not facts:  # the answer began again
            facts, before = self.facts, 0
        if facts.size != before:
            self.count_beside(facts.size - before)

    def _take_start(self, told: dict[str, Any]) -> None:
        message = told.get("message")
        self.begin(told)
        if isinstance(message, dict) and self.error is None:
            self._take_message(message)

    def _take_message(self, message: dict[str, Any]) -> None:
        """Read a message: nearly empty at the start of a stream, whole where there is none."""
        self.facts.take_name("response_id", message.get("id"))
        self.facts.take_name("model_external", message.get("model"))
        parts = self.choice(0)
        content = message.get("content")
        for at, block in enumerate(content if isinstance(content, list) else ()):
            if isinstance(block, dict):
                self.hear(0, parts, parts.begin(("message", at), block))
                self.hear(0, parts, parts.end_block(("message", at)))
        self._take_end(message)
        self.facts.take_usage(message.get("usage"))

    def _take_block_start(self, told: dict[str, Any]) -> None:
        block, parts = told.get("content_block"), self.choice(0)
        if isinstance(block, dict):
            self.hear(0, parts, parts.begin(told.get("index"), block))
            other = block.get("to")
            if block.get("type") == "fallback" and isinstance(other, dict):
                # Another model answers from here.
                self.facts.take_name("model_external", other.get("model"))

    def _take_block_delta(self, told: dict[str, Any]) -> None:
        delta, parts = told.get("delta"), self.choice(0)
        if isinstance(delta, dict):
            self.hear(0, parts, parts.go_on(told.get("index"), delta))

    def _take_block_stop(self, told: dict[str, Any]) -> None:
        parts = self.choice(0)
        self.hear(0, parts, parts.end_block(told.get("index")))

    def _take_delta(self, told: dict[str, Any]) -> None:
        delta = told.get("delta")
        if isinstance(delta, dict):
            self._take_end(delta)
        self._keep({key: value for key, value in told.items() if key not in ("delta", *_READ)})
        self.facts.take_usage(told.get("usage"))

    def _take_end(self, fields: Mapping[str, Any]) -> None:
        """Read why the answer ended, and what else is said beside the blocks."""
        parts = self.choice(0)
        beside = parts.beside
        if word := fields.get("stop_reason"):
            parts.finish_reason_raw = text_or_none(word)
            known = _FINISH.get(word) if isinstance(word, str) else None
            if known is not None:
                parts.finish(known)
        ends = {key: fields[key] for key in _ENDS if fields.get(key) is not None}
        if ends:
            parts.keep(ends)
            parts.note_details("stop_details")
        self.count_beside(parts.beside - beside)
        self._keep({key: fields[key] for key in fields if key not in _READ and key not in _ENDS})

    def _keep(self, fields: Mapping[str, Any]) -> None:
        known = {key: value for key, value in fields.items() if value is not None}
        if known:
            self.facts.keep(known)

    def _take_stop(self, _: dict[str, Any]) -> None:
        parts = self.choice(0)
        self.hear(0, parts, parts.end_blocks())
        self.end()

    takers: ClassVar[dict[str, Callable[[MessagesAnswer, dict[str, Any]], None]]] = {
        "message": _take_message,
        "message_start": _take_start,
        "content_block_start": _take_block_start,
        "content_block_delta": _take_block_delta,
        "content_block_stop": _take_block_stop,
        "message_delta": _take_delta,
        "message_stop": _take_stop,
    }
