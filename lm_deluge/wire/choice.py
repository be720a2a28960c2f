"""One choice of an answer, put together from its deltas."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Literal

from attrs import frozen

from lm_deluge.errors import LimitExceededError
from lm_deluge.response import Choice
from lm_deluge.wire.content import KNOWN_FIELDS, argument_text, said
from lm_deluge.wire.keeping import join, kept, text_of
from lm_deluge.wire.text import join_surrogates, without_surrogates
from lm_deluge.wire.tool_calls import ToolCallParts

__all__ = ["ChoiceParts", "Piece", "TextBuffer"]


#: The fields of a choice that are read here; all others are kept as they are.
_READ: Final = frozenset(
    {"index", "delta", "message", "text", "finish_reason", "logprobs", "usage", "error"}
)

#: Fields that are no text of the answer and still come in pieces: an answer that is spoken.
_GROWS: Final = frozenset({"data", "transcript"})


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
    came before the end of the chunk with the first output, or that output followed. ``extra``: the
    fields that nobody here knows, of the choice and of its messages. ``size``: the characters of the
    answer that came in no piece: ids, names, log probabilities. ``beside``: those of the rest.
    ``held``: the halves of characters that wait for their other halves.
    """

    __slots__ = (
        "_counts",
        "_max_tool_calls",
        "_whole",
        "beside",
        "extra",
        "finish_reason",
        "held",
        "is_doubtful",
        "logprobs",
        "reasoning",
        "refusal",
        "size",
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
        self.extra: dict[str, Any] | None = None
        self.size = 0
        self.beside = 0
        self._max_tool_calls = max_tool_calls
        self._counts = {"reasoning": 0, "refusal": 0}
        self.held: dict[tuple[str, int], str] = {}
        # What kinds came in a message and not in deltas.
        self._whole: frozenset[str] = frozenset()

    @property
    def has_output(self) -> bool:
        """Whether anything came that a receiver hears of."""
        return bool(self.text or self.reasoning or self.refusal or self.tools or self.held)

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
            text = text_of(reason)
            self.beside += len(text) - len(self.finish_reason or "")
            self.finish_reason = text

    def flush(self) -> Iterator[Piece]:
        """Yield what was held back: U+FFFD for each half character, and arguments that are empty."""
        held, self.held = self.held, {}
        for kind, index in held:
            yield from self._piece(kind, "\N{REPLACEMENT CHARACTER}", index)
        for slot in [] if self.tools is None else self.tools.slots:
            if text := slot.release():
                slot.arguments.append(text)
                yield Piece("tool_call", text, slot.position, slot.id, slot.name or None)

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
            extra={} if self.extra is None else self.extra,
        )

    def _take_content(self, choice: Mapping[str, Any]) -> Iterator[Piece]:
        logprobs = choice.get("logprobs")
        if isinstance(logprobs, dict):
            if self.logprobs is None:
                self.logprobs = {}
            for key, value in logprobs.items():
                self._join_logprobs(key, value)
        if not choice.keys() <= _READ:
            self._keep({key: value for key, value in choice.items() if key not in _READ})
        delta = choice.get("delta")
        if isinstance(delta, dict):
            yield from self._take_fields(delta, frozenset())
        message = choice.get("message")
        if isinstance(message, dict):
            # A whole answer, a server that says "message" in its chunks, or a copy of what the deltas
            # said: then it adds only what they did not.
            known = self._kinds() - self._whole
            yield from self._take_fields(message, known)
            self._whole = self._kinds() - known
        elif not isinstance(delta, dict) and isinstance(choice.get("text"), str):
            yield from self._piece("text", choice["text"])

    def _kinds(self) -> frozenset[str]:
        """Return which kinds of output there are."""
        found = {
            "text": bool(self.text),
            "reasoning": bool(self.reasoning),
            "refusal": bool(self.refusal),
            "tool_call": bool(self.tools),
        }
        held = {kind for kind, _ in self.held}
        return frozenset(kind for kind, is_there in found.items() if is_there) | held

    def _take_fields(self, fields: Mapping[str, Any], known: frozenset[str]) -> Iterator[Piece]:
        """Read a delta or a message, but for the kinds of output that are ``known``."""
        unread: list[Any] = []
        for kind, text in said(fields, unread):
            if kind not in known:
                yield from self._piece(kind, text)
        if "tool_call" not in known:
            calls = fields.get("tool_calls")
            for fragment in calls if isinstance(calls, list) else ():
                if isinstance(fragment, dict):
                    yield from self._take_call(fragment)
            legacy = fields.get("function_call")
            if isinstance(legacy, dict):
                yield from self._take_legacy_call(legacy)
        if unread or not fields.keys() <= KNOWN_FIELDS:
            unknown = {key: value for key, value in fields.items() if key not in KNOWN_FIELDS}
            self._keep({**unknown, "content": unread} if unread else unknown)

    def _keep(self, fields: Mapping[str, Any]) -> None:
        if self.extra is None:
            self.extra = {}
        self.beside += join(self.extra, fields, grows=_GROWS)
        if not self.extra:
            self.extra = None

    def _take_call(self, fragment: Mapping[str, Any]) -> Iterator[Piece]:
        function = fragment.get("function")
        if not isinstance(function, dict):
            function = {}
        name = function.get("name")
        if self.tools is None:
            self.tools = ToolCallParts()
        before = self.tools.size
        slot = self.tools.slot_for(fragment, name if isinstance(name, str) else "")
        self.size += self.tools.size - before
        yield from self._extend(slot.position, name, function.get("arguments"))
        self.beside += slot.add_extra(fragment, function)

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
            clean: str = without_surrogates(name)
            slot.name += clean
            self.size += len(clean)
        yield from self._piece("tool_call", argument_text(arguments), position)

    def _piece(self, kind: str, text: str, index: int = 0) -> Iterator[Piece]:
        key = (kind, index)
        held = self.held.pop(key, "")
        if held or not text.isascii():
            text, held = join_surrogates(held + text)
            if held:
                self.held[key] = held
        if kind == "tool_call":
            assert self.tools is not None
            slot = self.tools.slots[index]
            text = slot.hold(text)
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
