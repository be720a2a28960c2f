"""One candidate of a Gemini answer, put together from its parts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final

from attrs import define

from lm_deluge.dialects.gemini.streamed_arguments import StreamedArguments
from lm_deluge.wire.block_choice import BlockChoice
from lm_deluge.wire.choice import CallParts, Kind, Piece
from lm_deluge.wire.keeping import kept, text_or_none

__all__ = ["GeminiChoice"]

#: The words of chat completions for why an answer ended; those that begin with IMAGE_ are like SAFETY.
_FINISH: Final = {
    "STOP": "stop",
    "FUNCTION_CALL": "tool_calls",  # of servers that speak this wire and are not Google's
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

#: What of a part is nothing but text.
_TOLD: Final = frozenset({"text", "thought"})

#: What of a call comes piece by piece, or says that it does.
_STREAMED: Final = frozenset({"partialArgs", "willContinue", "args"})

#: What the server's own tools ask and say.
_SERVED: Final = ("executableCode", "codeExecutionResult", "toolCall", "toolResponse")

#: Characters that a part counts for, whatever it holds.
_PART: Final = 16


@define(eq=False)
class _Said:
    """A part, or several of text that came one after the other and say nothing else.

    ``said``: its fields. ``kind``: of its text, whose place is from ``start`` to ``stop``. ``call``: the
    function call that it is.
    """

    said: dict[str, Any]
    kind: str = ""
    start: int = 0
    stop: int = 0
    call: CallParts | None = None


class GeminiChoice(BlockChoice):
    """The answer: parts of text, thoughts and calls, and others.

    ``ended``: the server gave a reason for the end, and nothing followed it. ``prefix``: of the ids
    that calls without one are given.
    """

    __slots__ = ("_covered", "_order", "_streamed", "ended", "prefix")

    dialect: ClassVar[str] = "gemini"

    def __init__(self, max_tool_calls: int) -> None:
        super().__init__(max_tool_calls)
        self.ended = False
        self.prefix = "call"
        # The arguments that come piece by piece of the last call.
        self._streamed: StreamedArguments | None = None
        self._order: list[_Said] = []
        # Bytes of the text that have a part.
        self._covered = 0

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
            for name in ("groundingMetadata", "citationMetadata", "urlContextMetadata"):
                if isinstance(fields.get(name), dict):
                    yield self.cited({name: kept(fields[name])[0]})
            if message := text_or_none(fields.get("finishMessage")):
                self.stop_details = {"finishMessage": message}
        if reason := candidate.get("finishReason"):
            yield from self.end(reason)
            if self.finish_reason == "content_filter" and isinstance(self.extra, dict):
                # By what it was judged is what says why.
                ratings = self.extra.get("safetyRatings")
                if isinstance(ratings, list) and ratings:
                    self.stop_details = {**(self.stop_details or {}), "safetyRatings": ratings}

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
        self._cover()
        call = part.get("functionCall")
        if isinstance(call, dict):
            yield from self._take_call(call, {k: v for k, v in part.items() if k != "functionCall"})
            return
        text = part.get("text")
        if not isinstance(text, str):
            # What the provider's own tools do, an image, what is still to come.
            said = self._kept(part)
            self._order.append(_Said(said))
            if any(name in said for name in _SERVED):
                yield self._served(said)
            return
        kind: Kind = "reasoning" if part.get("thought") is True else "text"
        start = self._told_of(kind)
        yield from self.say(kind, text)
        self._covered = len(self.text)
        last = self._order[-1] if self._order else None
        is_bare = part.keys() <= _TOLD
        if is_bare and last is not None and last.kind == kind and last.said.keys() <= _TOLD:
            last.stop = self._told_of(kind)
            return
        said = self._kept({**part, "text": ""})
        self._order.append(_Said(said, kind, start, self._told_of(kind)))

    def _served(self, said: dict[str, Any]) -> Piece:
        """Return the piece that tells what the server's own tool does: one part does one thing."""
        name = next(name for name in _SERVED if name in said)
        told = said[name] if isinstance(said[name], dict) else {}
        return self.served(said, name=name, known=told.get("id"))

    def content(self) -> list[dict[str, Any]]:
        """Return the parts as they came, where they say more than text and calls."""
        self._cover()
        if not _says_more(self._order):
            return []
        parts: list[dict[str, Any]] = []
        for part in self._order:
            said = part.said
            if part.call is not None:
                called = {**said.get("functionCall", {})}
                called["args"] = _value_of("".join(part.call.arguments))
                said = {**said, "functionCall": called}
            elif part.kind:
                text = self._text_in(part)
                if not text and said.keys() <= _TOLD:
                    continue
                said = {**said, "text": text}
            parts.append(said)
        return parts

    def _cover(self) -> None:
        """Give text a part that was told at once, without being looked at."""
        start, stop = self._covered, len(self.text)
        if start == stop:
            return
        self._covered = stop
        last = self._order[-1] if self._order else None
        if last is not None and last.kind == "text" and last.said.keys() <= _TOLD:
            last.stop = stop
        else:
            self._order.append(_Said({"text": ""}, "text", start, stop))

    def _told_of(self, kind: str) -> int:
        buffer = self.reasoning if kind == "reasoning" else self.text
        return 0 if buffer is None else len(buffer)

    def _text_in(self, part: _Said) -> str:
        buffer = self.reasoning if part.kind == "reasoning" else self.text
        return "" if buffer is None else buffer.between(part.start, part.stop)

    def _kept(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Return a part as it is kept; it counts."""
        value, size = kept(fields)
        self.beside += size + _PART
        # One that nests too deeply is no object any more.
        return value if isinstance(value, dict) else {}

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
        named = {key: value for key, value in call.items() if key not in _STREAMED}
        self._order.append(_Said(self._kept({"functionCall": named, **beside}), call=parts))
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


def _says_more(parts: list[_Said]) -> bool:
    """Whether a text and calls, in that order, leave something out."""
    called = False
    for part in parts:
        if part.call is not None:
            called = True
            if part.said.keys() != {"functionCall"} or "id" in part.said["functionCall"]:
                return True
        elif part.kind != "text" or called or not part.said.keys() <= _TOLD:
            return True
    return False


def _value_of(arguments: str) -> Any:
    """Return the JSON value of arguments; the text where they were cut."""
    try:
        return json.loads(arguments or "{}")
    except (ValueError, RecursionError):
        return arguments


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
