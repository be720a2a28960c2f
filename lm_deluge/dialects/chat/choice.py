"""One choice of an answer, put together from its deltas."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from lm_deluge.dialects.chat.content import KNOWN_FIELDS, argument_text, said
from lm_deluge.dialects.chat.tool_calls import Fragment, ToolCallParts, entries_of
from lm_deluge.wire.choice import ChoiceParts, Piece
from lm_deluge.wire.keeping import kept, text_or_none
from lm_deluge.wire.surrogates import without_surrogates

__all__ = ["ChatChoice"]

#: The fields of a choice that are read here; all others are kept as they are.
_READ: Final = frozenset(
    {"index", "delta", "message", "text", "finish_reason", "logprobs", "usage", "error"}
)

#: Fields that are no text of the answer and still come in pieces: an answer that is spoken.
_GROWS: Final = frozenset({"data", "transcript"})


def _fields(value: object) -> Mapping[str, Any]:
    """Return the fields of a delta or a message; anything else in its place is what it says."""
    if isinstance(value, dict):
        return value
    return {} if value is None else {"content": value}


class ChatChoice(ChoiceParts):
    """What was received of one choice.

    ``take`` reads one entry of a chunk's ``choices``, keeps what it holds and yields its pieces. Its
    finish reason ``is_doubtful``, because some servers send one with every chunk, if it came before the
    end of the chunk with the first output, or if output followed it.
    """

    __slots__ = ("_completes", "_native", "_whole", "tools")

    def __init__(self, max_tool_calls: int) -> None:
        super().__init__(max_tool_calls)
        self.tools: ToolCallParts | None = None
        # What kinds came in a message and not in deltas.
        self._whole: frozenset[str] = frozenset()
        # Whether text came as in the completions format.
        self._completes = False
        # The word of the provider behind a router (OpenRouter).
        self._native: str | None = None

    def take(self, choice: Mapping[str, Any]) -> Iterator[Piece]:
        """Read one entry of ``choices``."""
        reason = choice.get("finish_reason")
        if reason:
            self.is_doubtful = self.is_doubtful or not self.has_output
        if self.finish_reason is None:
            yield from self._take_content(choice)
        else:
            # A further tool call may come after the end (OpenRouter, z.ai), but no more of this one.
            calls = len(self.calls)
            for piece in self._take_content(choice):
                if piece.kind != "tool_call" or (piece.text and piece.index < calls):
                    self.is_doubtful = True
                yield piece
        if reason:
            self.finish(reason)
            self.finish_reason_raw = self._native or self.finish_reason

    def _take_content(self, choice: Mapping[str, Any]) -> Iterator[Piece]:
        logprobs = choice.get("logprobs")
        if isinstance(logprobs, dict):
            if self.logprobs is None:
                self.logprobs = {}
            for key, value in logprobs.items():
                self._join_logprobs(key, value)
        beside: Mapping[str, Any] = {}
        if not choice.keys() <= _READ:
            rest = {key: value for key, value in choice.items() if key not in _READ}
            beside = {key: rest.pop(key) for key in KNOWN_FIELDS & rest.keys()}
            self.keep(rest, grows=_GROWS)
            self._native = text_or_none(rest.get("native_finish_reason")) or self._native
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            delta = _fields(delta)
        if delta:
            yield from self._take_fields(delta, frozenset())
        message = beside
        if choice.get("message") is not None:
            message = {**beside, **_fields(choice["message"])}
        if message:
            # A whole answer, a server that says "message" in its chunks, or a copy of what the deltas
            # said: then it adds only what they did not.
            known = self._kinds() - self._whole
            yield from self._take_fields(message, known)
            self._whole = self._kinds() - known
        text = choice.get("text")
        if text is not None and not message.get("content") and not delta.get("content"):
            # The completions format; where deltas said all of it, it is a copy.
            if not self._completes and self.text and text == str(self.text):
                return
            self._completes = True
            yield from self._take_fields({"content": text}, frozenset())

    def _kinds(self) -> frozenset[str]:
        """Return which kinds of output there are."""
        found = {
            "text": bool(self.text),
            "reasoning": bool(self.reasoning),
            "refusal": bool(self.refusal),
            "tool_call": bool(self.calls),
        }
        held = {kind for kind, _ in self.held}
        return frozenset(kind for kind, is_there in found.items() if is_there) | held

    def _take_fields(self, fields: Mapping[str, Any], known: frozenset[str]) -> Iterator[Piece]:
        """Read a delta or a message, but for the kinds of output that are ``known``."""
        unread: list[Any] = []
        for kind, text in said(fields, unread):
            if kind not in known:
                yield from self.say(kind, text)
        if "tool_call" not in known:
            for entry in entries_of(fields.get("tool_calls")):
                yield from self._take_call(entry)
            legacy = fields.get("function_call")
            if isinstance(legacy, dict):
                yield from self._take_legacy_call(legacy)
        if unread or not fields.keys() <= KNOWN_FIELDS:
            unknown = {key: value for key, value in fields.items() if key not in KNOWN_FIELDS}
            self.keep({**unknown, "content": unread} if unread else unknown, grows=_GROWS)

    def _tools(self) -> ToolCallParts:
        if self.tools is None:
            self.tools = ToolCallParts()
            self.calls = self.tools.slots
        return self.tools

    def _take_call(self, entry: Mapping[str, Any]) -> Iterator[Piece]:
        fragment = Fragment.read(entry)
        tools = self._tools()
        before = tools.size
        slot = tools.slot_for(fragment)
        slot.is_custom = slot.is_custom or fragment.is_custom
        self.size += tools.size - before
        yield from self._extend(slot.position, fragment.name, fragment.arguments)
        self.beside += slot.keep(fragment.extra)

    def _take_legacy_call(self, function: Mapping[str, Any]) -> Iterator[Piece]:
        slot = self._tools().legacy_slot()
        arguments = argument_text(function.get("arguments"))
        yield from self._extend(slot.position, function.get("name"), arguments)

    def _extend(self, position: int, name: object, arguments: str) -> Iterator[Piece]:
        slot = self.call_at(position)
        if isinstance(name, str) and name and name != slot.name:
            clean: str = without_surrogates(name)
            slot.name += clean
            self.size += len(clean)
        yield from self.say("tool_call", arguments, position)

    def _join_logprobs(self, key: str, value: Any) -> None:
        """Join log probabilities: lists go on, a null says nothing of what came before it."""
        assert self.logprobs is not None
        key, _ = kept(key)
        value, weight = kept(value)
        before = self.logprobs.get(key)
        if key not in self.logprobs:
            self.size += len(key)
        if isinstance(value, list) and isinstance(before, list):
            before.extend(value)
            self.size += weight
        elif value is not None or key not in self.logprobs:
            self.logprobs[key] = value
            self.size += weight - (0 if before is None else kept(before)[1])
