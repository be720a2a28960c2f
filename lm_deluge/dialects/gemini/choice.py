"""One candidate of a Gemini answer, put together from its parts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from lm_deluge.dialects.gemini.streamed_arguments import StreamedArguments
from lm_deluge.wire.choice import BlockChoice, Piece
from lm_deluge.wire.keeping import text_or_none

__all__ = ["GeminiChoice"]

#: The words of chat completions for why an answer ended; those that begin with IMAGE_ are like SAFETY.
_FINISH: Final = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    **dict.fromkeys(
        (
            "SAFETY",
            "RECITATION",
            "BLOCKLIST",
            "PROHIBITED_CONTENT",
            "SPII",
            "LANGUAGE",
            "MODEL_ARMOR",
        ),
        "content_filter",
    ),
}

#: Of a candidate, what is no field to be kept.
_READ: Final = frozenset({"content", "index"})

#: Of a part, what is told to receivers and need not be kept.
_TOLD: Final = frozenset({"text", "thought"})


class GeminiChoice(BlockChoice):
    """The answer: parts of text, thoughts and calls; parts of other kinds are kept in ``extra``.

    ``ended``: the server gave a reason for the end, and nothing followed it. ``prefix``: of the ids
    that calls without one are given.
    """

    __slots__ = ("_streamed", "ended", "prefix")

    def __init__(self, max_tool_calls: int) -> None:
        super().__init__(max_tool_calls)
        self.ended = False
        self.prefix = "call"
        # The arguments that come piece by piece of the last call.
        self._streamed: StreamedArguments | None = None

    def take(self, candidate: Mapping[str, Any]) -> Iterator[Piece]:
        """Take what one chunk says of the candidate."""
        content = candidate.get("content")
        parts = content.get("parts") if isinstance(content, dict) else None
        for part in parts if isinstance(parts, list) else ():
            if isinstance(part, dict):
                for piece in self._take_part(part):
                    self.ended = False
                    yield piece
        fields = {
            key: value for key, value in candidate.items() if key not in _READ and value is not None
        }
        if fields:
            self.keep(fields)
            if message := text_or_none(fields.get("finishMessage")):
                self.stop_details = {"finishMessage": message}
        if reason := candidate.get("finishReason"):
            yield from self.end(reason)

    def end(self, reason: object) -> Iterator[Piece]:
        """Take a reason for the end: the last one counts, because more may follow the first."""
        yield from self._end_call()
        self.ended = self.is_doubtful = True
        word = reason if isinstance(reason, str) else ""
        self.finish_reason_raw = text_or_none(word)
        known = "content_filter" if word.startswith("IMAGE_") else _FINISH.get(word)
        if known == "stop" and self.calls:
            known = "tool_calls"
        if known is None:
            self.finish_reason = None
        else:
            self.finish(known)

    def flush(self) -> Iterator[Piece]:
        """Yield what was held back, too: a call's arguments whose end never came."""
        yield from self._end_call()
        yield from super().flush()

    def _take_part(self, part: dict[str, Any]) -> Iterator[Piece]:
        call = part.get("functionCall")
        if isinstance(call, dict):
            yield from self._take_call(call, {k: v for k, v in part.items() if k != "functionCall"})
            return
        text = part.get("text")
        if isinstance(text, str):
            yield from self.say("reasoning" if part.get("thought") is True else "text", text)
        if not part.keys() <= _TOLD:
            # A signature, or what the provider's own tools do: it goes back as it came.
            self.keep_in("parts", part if not isinstance(text, str) else {**part, "text": ""})

    def _take_call(self, call: dict[str, Any], beside: dict[str, Any]) -> Iterator[Piece]:
        goes_on = call.get("willContinue") is True
        pieces = call.get("partialArgs")
        if "name" not in call and self._streamed is not None:
            self._argue(self._streamed, pieces)
            if not goes_on:
                yield from self._end_call()
            return
        yield from self._end_call()
        parts = self.new_call()
        self.call_at(parts.position)
        parts.id = text_or_none(call.get("id")) or f"{self.prefix}_{parts.position}"
        parts.name = text_or_none(call.get("name")) or ""
        self.size += len(parts.id) + len(parts.name)
        self.beside += parts.keep(beside)
        if goes_on or isinstance(pieces, list):
            self._streamed = StreamedArguments()
            yield from self.say("tool_call", "", parts.position)
            self._argue(self._streamed, pieces)
            if not goes_on:
                yield from self._end_call()
            return
        yield from self.say("tool_call", _json(call.get("args") or {}), parts.position)

    def _argue(self, streamed: StreamedArguments, pieces: object) -> None:
        """Take arguments that come piece by piece; they count until they are told."""
        before = streamed.size
        for piece in pieces if isinstance(pieces, list) else ():
            if isinstance(piece, dict):
                streamed.take(piece)
        self.beside += streamed.size - before

    def _end_call(self) -> Iterator[Piece]:
        """Tell the arguments that came piece by piece."""
        streamed, self._streamed = self._streamed, None
        if streamed is not None:
            self.beside -= streamed.size
            yield from self.say("tool_call", _json(streamed.value), len(self.calls) - 1)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
