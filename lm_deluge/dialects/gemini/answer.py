"""What the chunks of Gemini say of an answer. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lm_deluge.dialects.gemini.choice import GeminiChoice
from lm_deluge.dialects.gemini.facts import GeminiFacts
from lm_deluge.dialects.gemini.plain import MOST_BESIDE, texts_in
from lm_deluge.wire.answer import Answer
from lm_deluge.wire.collected import BESIDE
from lm_deluge.wire.error_words import reported_error
from lm_deluge.wire.json import decode_any
from lm_deluge.wire.keeping import index_of
from lm_deluge.wire.sse import Event

__all__ = ["GeminiAnswer"]


class GeminiAnswer(Answer[GeminiChoice]):
    """An answer in chunks, each with new parts of its candidates.

    Nothing ends it but the end of the body: a ``finishReason`` may stand in every chunk, or be followed by
    more. So with one the answer may be over, and without one it was cut.
    """

    __slots__ = ()

    facts: GeminiFacts

    end_word = "finishReason"

    def new_facts(self) -> GeminiFacts:
        """Return facts of which nothing has come."""
        return GeminiFacts()

    def new_choice(self) -> GeminiChoice:
        """Return a choice of which nothing has come."""
        choice = GeminiChoice(self.limits.max_tool_calls)
        if self.facts.response_id:
            choice.prefix = f"call_{self.facts.response_id}"
        return choice

    def note_finish(self) -> None:
        """Nothing: whether an end was told is looked at after each chunk."""

    def fast(self, blocks: Sequence[bytes], start: int, stop: int) -> Sequence[str]:
        """Return the texts of chunks that hold one text of choice 0, and counts."""
        if stop - start > 1 and self._characters + self._events.size > self.limits.max_answer_chars:
            # A limit that is met in one of them leaves the counts as they were before it.
            return ()
        return texts_in(blocks, start, stop, self.facts)

    def is_whole(self, event: Event) -> bool:
        """Whether it is JSON that was not cut."""
        try:
            return isinstance(decode_any(event.data), (dict, list))
        except ValueError:
            return False

    def take_event(self, event: Event, what: str) -> None:
        """Read one event."""
        data = event.data.strip()
        if not data or data.startswith(b"[DONE]"):
            return
        try:
            told = decode_any(data)
        except ValueError as error:
            self.error = self.protocol_error(f"{what} holds no JSON ({error})", data)
            return
        # Without ``alt=sse`` the chunks are the items of a list, and so are errors.
        chunks = told if isinstance(told, list) else [told]
        for chunk in chunks:
            if not isinstance(chunk, dict):
                found = f"{what} holds {type(chunk).__name__} where a chunk object is expected"
                self.error = self.protocol_error(found, data)
            elif reported := chunk.get("error"):
                self.error = reported_error(reported, beside=chunk)
            else:
                self._take_chunk(chunk)
            if self.error is not None:
                return
        if not self.chunks:
            self.note_unread(data)

    def _take_chunk(self, chunk: dict[str, Any]) -> None:
        facts = self.facts
        before = facts.size
        facts.take(chunk)
        if facts.size != before:
            self.count_beside(facts.size - before)
        candidates = chunk.get("candidates")
        for position, candidate in enumerate(candidates if isinstance(candidates, list) else ()):
            if isinstance(candidate, dict):
                index = index_of(candidate.get("index"))
                self._take_candidate(position if index is None else index, candidate)
        feedback = chunk.get("promptFeedback")
        if isinstance(feedback, dict) and feedback.get("blockReason"):
            parts = self.choice(0)
            self.facts.is_blocked = True
            beside = parts.beside
            parts.keep({"promptFeedback": feedback})
            # The prompt's word is in the details: no answer has a word for its end here.
            parts.finish("content_filter")
            parts.note_details("promptFeedback")
            self.count_beside(parts.beside - beside)
        if isinstance(candidates, list) or "usageMetadata" in chunk or self.facts.is_blocked:
            self.chunks += 1
        ended = [parts.ended for parts in self._choices.values()]
        self.may_be_over = self.facts.is_blocked or (len(ended) >= self.expected and all(ended))
        first = self._choices.get(0)
        self.is_fast = (
            first is not None
            and not (first.ended or first.held)
            and self._beside + MOST_BESIDE <= BESIDE
        )

    def _take_candidate(self, index: int, candidate: dict[str, Any]) -> None:
        parts = self.choice(index)
        self.hear(index, parts, parts.take(candidate))

    @property
    def says_something(self) -> bool:
        """Whether a candidate has output, or was said to have ended: less is an empty reply."""
        return self.facts.is_blocked or any(
            parts.has_output or parts.ended for parts in self._choices.values()
        )
