"""What the events of chat completions say of an answer. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from lm_deluge.config import Limits
from lm_deluge.dialects.chat.choice import ChatChoice
from lm_deluge.dialects.chat.chunks import decode_choice, decode_plain
from lm_deluge.dialects.chat.envelope import Envelope
from lm_deluge.dialects.chat.facts import ChatFacts
from lm_deluge.dialects.chat.provider_errors import error_in, is_error_event, provider_error
from lm_deluge.values.pieces import Delta, Token
from lm_deluge.values.redaction import Redactor
from lm_deluge.wire.answer import Answer
from lm_deluge.wire.json import decode_any
from lm_deluge.wire.keeping import index_of
from lm_deluge.wire.sse import Event

__all__ = ["ChatAnswer"]

_LF = ord("\n")
_DATA = b"data: "


class ChatAnswer(Answer[ChatChoice]):
    """An answer in chunks, each with the deltas of some choices, ended by ``[DONE]``."""

    __slots__ = ("_envelope",)

    facts: ChatFacts

    end_word = "[DONE]"

    def __init__(
        self,
        *,
        choices: int = 1,
        limits: Limits | None = None,
        accept_eof: bool = False,
        redactor: Redactor | None = None,
    ) -> None:
        super().__init__(choices=choices, limits=limits, accept_eof=accept_eof, redactor=redactor)
        self._envelope = Envelope()

    def new_facts(self) -> ChatFacts:
        """Return facts of which nothing has come."""
        return ChatFacts()

    def new_choice(self) -> ChatChoice:
        """Return a choice of which nothing has come."""
        return ChatChoice(self.limits.max_tool_calls)

    def is_whole(self, event: Event) -> bool:
        """Whether it is ``[DONE]``, an object, or an error: of that the beginning tells enough."""
        if is_error_event(event.event) or event.data.strip().startswith(b"[DONE]"):
            return True
        try:
            value = decode_any(event.data)
        except ValueError:
            return False
        return isinstance(value, dict) or (isinstance(value, list) and any(map(_reports, value)))

    def fast(self, blocks: Sequence[bytes], start: int, stop: int) -> Sequence[str]:
        """Return the texts of chunks of text alone: those in a known envelope, or else of the first."""
        texts = self._envelope.texts_in(blocks, start, stop)
        if not texts and (text := self._plain_text(blocks[start])) is not None:
            return (text,)
        return texts

    def _plain_text(self, block: bytes) -> str | None:
        """Return the text of a chunk that holds nothing else, ``None`` for any other."""
        if not block.startswith(_DATA) or _LF in block:
            return None
        try:
            chunk = decode_plain(block[len(_DATA) :])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        choice = chunk.choices[0]
        if choice.index != 0 and self.expected > 1:
            return None
        before = self.facts.size
        if not self.facts.take_names(chunk):
            self._envelope.learn(block, choice.delta.content)
            return choice.delta.content
        # Some servers give every chunk another id.
        if self._envelope.knows:
            self._envelope.forget()
        self.count_beside(self.facts.size - before)
        return choice.delta.content

    def take_event(self, event: Event, what: str) -> None:
        """Read one event the general way."""
        if self._envelope.knows:
            self._envelope.forget()
        data = event.data.strip()
        is_message = event.event in ("", "message")
        if event.event and is_error_event(event.event):
            self._take_error(event.event, data)
            return
        if not data:
            return
        if data.startswith(b"[DONE]"):
            self.end()
            if not (self.finished or self.says_something):
                self.error = self.empty_reply(data)
            return
        try:
            chunk = decode_any(data)
        except ValueError as error:
            # Else a ping or the like, with a payload of its own.
            if is_message:
                self.error = self.protocol_error(f"{what} holds no JSON ({error})", data)
            return
        if isinstance(chunk, list) and any(_reports(item) for item in chunk):  # Gemini's errors
            chunk = next(item for item in chunk if _reports(item))
        if not isinstance(chunk, dict):
            if is_message:
                kind = type(chunk).__name__
                found = f"{what} holds {kind} where a chunk object is expected"
                self.error = self.protocol_error(found, data)
            return
        known = len(self._pieces)
        self._take_object(chunk, event.event)
        if self.is_fast and len(self._pieces) == known + 1:
            self._learn(chunk, event, self._pieces[-1])
        if not self.chunks:
            self.note_unread(data)

    def _learn(self, chunk: Mapping[str, Any], event: Event, piece: Token | Delta) -> None:
        """Know a chunk's envelope if the text in it is all that a second one would say."""
        beside = [value for key, value in chunk.items() if key != "choices"]
        if type(piece) is Token and not any(isinstance(value, (dict, list)) for value in beside):
            try:
                choice = decode_choice(event.data).choices[0]
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                return
            if choice.index == 0 or self.expected == 1:
                self._envelope.learn(_DATA + event.data, choice.delta.content)

    def _take_error(self, kind: str, data: bytes) -> None:
        """Take an event that its type calls an error."""
        try:
            told = decode_any(data)
        except ValueError:
            told = data.decode("utf-8", "replace")
        if isinstance(told, dict):
            self._take_object(told, kind)
        if self.error is None:
            self.error = provider_error(told or f"an event of type {kind!r} without a word", kind)

    def _take_object(self, chunk: dict[str, Any], kind: str) -> None:
        self._take_chunk(chunk)
        reported = error_in(chunk, kind)
        if reported is not None:
            self.error = provider_error(reported, kind, chunk)
        # What follows a finish reason says that it was none.
        first = self._choices.get(0)
        self.is_fast = first is not None and first.finish_reason is None
        for parts in self._choices.values():
            if parts.held:
                self.is_fast = False

    def _take_chunk(self, chunk: dict[str, Any]) -> None:
        facts = self.facts
        before = facts.size
        facts.take(chunk)
        choices = chunk.get("choices")
        if isinstance(choices, list):
            self.chunks += 1
            for position, choice in enumerate(choices):
                if isinstance(choice, dict):
                    self._take_choice(choice, position, len(choices))
                    for place in (choice, choice.get("delta"), choice.get("message")):
                        if isinstance(place, dict) and "usage" in place:
                            facts.take_usage(place["usage"])
        if facts.size != before:
            self.count_beside(facts.size - before)

    def _take_choice(self, choice: dict[str, Any], position: int, beside_it: int) -> None:
        if self.expected == 1 and beside_it == 1:
            # Some servers count the chunks with it.
            index = 0
        elif (told := index_of(choice.get("index"))) is not None:
            index = told
        else:
            index = position
        parts = self.choice(index)
        self.hear(index, parts, parts.take(choice))


def _reports(item: object) -> bool:
    """Whether an item of a list is an object that tells of a failure."""
    return isinstance(item, dict) and error_in(item, "") is not None
