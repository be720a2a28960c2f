"""One choice of an answer, put together from its deltas."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Literal

from attrs import frozen

from lm_deluge.errors import LimitExceededError
from lm_deluge.response import Choice
from lm_deluge.wire.text import join_surrogates
from lm_deluge.wire.tool_calls import ToolCallParts

__all__ = ["ChoiceParts", "Piece", "TextBuffer"]


#: What one log probability counts for in ``Limits.max_answer_chars``.
_LOGPROB_SIZE: Final = 16


@frozen
class Piece:
    """A piece of one choice. ``text`` is a tool call's fragment of arguments; see ``Delta``."""

    kind: Literal["text", "reasoning", "refusal", "tool_call"]
    text: str
    index: int = 0
    id: str | None = None
    name: str | None = None


class TextBuffer:
    """Text that grows by small pieces: its characters only, not an object a piece.

    Which is what ``io.StringIO`` keeps: 68 bytes for a token of five letters (CPython 3.11).
    """

    __slots__ = ("_utf8",)

    def __init__(self) -> None:
        self._utf8 = bytearray()

    def append(self, text: str) -> None:
        """Append one text."""
        self._utf8 += text.encode("utf-8", "surrogatepass")

    def extend(self, texts: Iterable[str]) -> None:
        """Append the texts."""
        self._utf8 += "".join(texts).encode("utf-8", "surrogatepass")

    def __len__(self) -> int:
        """Bytes in UTF-8."""
        return len(self._utf8)

    def __str__(self) -> str:
        return self._utf8.decode("utf-8", "surrogatepass")


class ChoiceParts:
    """What was received of one choice.

    ``take`` reads one entry of a chunk's ``choices``, keeps what it holds and yields its pieces.
    ``is_doubtful``: its finish reason is no end. Some servers send one with every chunk: a reason that
    came before the end of the chunk with the first output, or that output followed.
    """

    __slots__ = (
        "_counts",
        "_held",
        "_max_tool_calls",
        "_unseen",
        "finish_reason",
        "is_doubtful",
        "logprobs",
        "reasoning",
        "refusal",
        "text",
        "tools",
    )

    def __init__(self, max_tool_calls: int) -> None:
        self.text = TextBuffer()
        self.reasoning: TextBuffer | None = None
        self.refusal: TextBuffer | None = None
        self.tools: ToolCallParts | None = None
        self.finish_reason: str | None = None
        self.is_doubtful = False
        self.logprobs: dict[str, Any] | None = None
        self._max_tool_calls = max_tool_calls
        self._unseen = 0
        self._counts = {"reasoning": 0, "refusal": 0}
        self._held: dict[tuple[str, int], str] = {}

    @property
    def holds(self) -> bool:
        """Whether half a character waits for its other half."""
        return bool(self._held)

    @property
    def has_output(self) -> bool:
        """Whether anything came that a receiver hears of."""
        return bool(self.text or self.reasoning or self.refusal or self.tools or self._held)

    def take(self, choice: Mapping[str, Any]) -> Iterator[Piece]:
        """Read one entry of ``choices``."""
        reason = choice.get("finish_reason")
        if reason:
            self.is_doubtful = self.is_doubtful or not self.has_output
        if self.finish_reason is None:
            yield from self._take_content(choice)
        else:
            # A further tool call may come after the end (OpenRouter, z.ai), but no more of this one.
            calls = 0 if self.tools is None else len(self.tools.slots)
            for piece in self._take_content(choice):
                if piece.kind != "tool_call" or (piece.text and piece.index < calls):
                    self.is_doubtful = True
                yield piece
        if reason:
            self.finish_reason = str(reason)

    def _take_content(self, choice: Mapping[str, Any]) -> Iterator[Piece]:
        logprobs = choice.get("logprobs")
        if isinstance(logprobs, dict):
            self._join_logprobs(logprobs)
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            # A whole answer, or a server that says "message" in its chunks.
            delta = choice.get("message")
        if isinstance(delta, dict):
            yield from self._take_delta(delta)

    def take_unseen(self) -> int:
        """Return the characters that came in no piece since the last call: of names, and as many
        for log probabilities as they weigh."""
        unseen, self._unseen = self._unseen, 0
        return unseen

    def flush(self) -> Iterator[Piece]:
        """Yield what was held back, with U+FFFD for each half character."""
        held, self._held = self._held, {}
        for kind, index in held:
            yield from self._piece(kind, "\N{REPLACEMENT CHARACTER}", index)

    def build(self, index: int) -> Choice:
        """Return the choice as a value."""
        return Choice(
            index=index,
            completion=str(self.text),
            finish_reason=self.finish_reason,
            reasoning=None if self.reasoning is None else str(self.reasoning),
            refusal=None if self.refusal is None else str(self.refusal),
            tool_calls=[] if self.tools is None else self.tools.calls(),
            logprobs=self.logprobs,
        )

    def _take_delta(self, delta: Mapping[str, Any]) -> Iterator[Piece]:
        for name in ("reasoning_content", "reasoning"):
            value = delta.get(name)
            if isinstance(value, str) and value:
                # Some servers send both, with the same text.
                yield from self._piece("reasoning", value)
                break
        content = delta.get("content")
        if isinstance(content, str):
            yield from self._piece("text", content)
        elif isinstance(content, list):
            yield from self._take_parts(content)
        refusal = delta.get("refusal")
        if isinstance(refusal, str):
            yield from self._piece("refusal", refusal)
        calls = delta.get("tool_calls")
        if isinstance(calls, list):
            for fragment in calls:
                if isinstance(fragment, dict):
                    yield from self._take_call(fragment)
        legacy = delta.get("function_call")
        if isinstance(legacy, dict):
            yield from self._take_legacy_call(legacy)

    def _take_parts(self, parts: list[Any]) -> Iterator[Piece]:
        """Read content that is a list of parts (Mistral)."""
        for part in parts:
            if isinstance(part, str):
                yield from self._piece("text", part)
            elif isinstance(part, dict):
                if part.get("type") == "thinking":
                    yield from self._piece("reasoning", _thinking(part.get("thinking")))
                elif isinstance(part.get("text"), str):
                    yield from self._piece("text", part["text"])

    def _take_call(self, fragment: Mapping[str, Any]) -> Iterator[Piece]:
        function = fragment.get("function")
        if not isinstance(function, dict):
            function = {}
        name = function.get("name")
        if self.tools is None:
            self.tools = ToolCallParts()
        slot = self.tools.slot_for(fragment, name if isinstance(name, str) else "")
        yield from self._extend(slot.position, name, function.get("arguments"))

    def _take_legacy_call(self, function: Mapping[str, Any]) -> Iterator[Piece]:
        if self.tools is None:
            self.tools = ToolCallParts()
        slot = self.tools.legacy_slot()
        yield from self._extend(slot.position, function.get("name"), function.get("arguments"))

    def _extend(self, position: int, name: object, arguments: object) -> Iterator[Piece]:
        assert self.tools is not None
        if position >= self._max_tool_calls:
            raise LimitExceededError(
                "max_tool_calls", limit=self._max_tool_calls, value=position + 1
            )
        slot = self.tools.slots[position]
        if isinstance(name, str) and name and name != slot.name:
            slot.name += name
            self._unseen += len(name)
        text = arguments if isinstance(arguments, str) else ""
        if isinstance(arguments, (dict, list)):
            text = _json(arguments)
        yield from self._piece("tool_call", text, position)

    def _piece(self, kind: str, text: str, index: int = 0) -> Iterator[Piece]:
        key = (kind, index)
        held = self._held.pop(key, "")
        if held or not text.isascii():
            text, held = join_surrogates(held + text)
            if held:
                self._held[key] = held
        if kind == "tool_call":
            assert self.tools is not None
            slot = self.tools.slots[index]
            if text:
                slot.arguments.append(text)
            yield Piece("tool_call", text, index, slot.id, slot.name or None)
            return
        if not text:
            return
        if kind == "text":
            self.text.append(text)
            yield Piece("text", text)
        elif kind == "reasoning":
            if self.reasoning is None:
                self.reasoning = TextBuffer()
            self.reasoning.append(text)
            yield Piece("reasoning", text, self._ordinal(kind))
        else:
            if self.refusal is None:
                self.refusal = TextBuffer()
            self.refusal.append(text)
            yield Piece("refusal", text, self._ordinal(kind))

    def _ordinal(self, kind: str) -> int:
        ordinal = self._counts[kind]
        self._counts[kind] = ordinal + 1
        return ordinal

    def _join_logprobs(self, logprobs: Mapping[str, Any]) -> None:
        if self.logprobs is None:
            self.logprobs = {}
        for key, value in logprobs.items():
            self._unseen += _LOGPROB_SIZE * _entries(value)
            if key not in self.logprobs:
                self._unseen += len(key)
            if isinstance(value, list) and isinstance(self.logprobs.get(key), list):
                self.logprobs[key].extend(value)
            elif value is not None or key not in self.logprobs:
                self.logprobs[key] = list(value) if isinstance(value, list) else value


def _entries(value: object) -> int:
    """Return how many log probabilities a list of them holds, alternatives included."""
    if not isinstance(value, list):
        return 1
    tops = [entry.get("top_logprobs") for entry in value if isinstance(entry, dict)]
    return len(value) + sum([len(top) for top in tops if isinstance(top, list)])


def _thinking(value: object) -> str:
    """Return the text of a Mistral ``thinking`` part: a string, or a list of text parts."""
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        return ""
    return "".join(
        part["text"]
        for part in value
        if isinstance(part, dict) and isinstance(part.get("text"), str)
    )


def _json(value: object) -> str:
    """Return the JSON text of arguments that a server sent as an object (Ollama)."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
