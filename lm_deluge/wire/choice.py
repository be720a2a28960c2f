"""One choice of an answer, put together from its pieces, whatever the dialect."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

from attrs import define, field, frozen

from lm_deluge.errors import LimitExceededError
from lm_deluge.values.conversation import ToolCall
from lm_deluge.values.response import Choice
from lm_deluge.wire.keeping import join, text_of
from lm_deluge.wire.surrogates import join_surrogates

__all__ = ["CallParts", "ChoiceParts", "Kind", "Piece", "TextBuffer"]

Kind: TypeAlias = Literal["text", "reasoning", "refusal", "tool_call", "server_tool", "citation"]

_NOTHING_GROWS: Final = frozenset[str]()


@frozen(eq=False)
class Piece:
    """A piece of one choice. ``text`` is a tool call's fragment of arguments; see ``Delta``."""

    kind: Kind
    text: str
    index: int = 0
    id: str | None = None
    name: str | None = None
    data: dict[str, Any] | None = None


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

    def between(self, start: int, stop: int) -> str:
        """Return the text between two places, in bytes; half a character is U+FFFD."""
        return self._utf8[start:stop].decode("utf-8", "replace")

    def __str__(self) -> str:
        return self._utf8.decode("utf-8", "surrogatepass")


@define(eq=False)
class CallParts:
    """One tool call in the making.

    ``position``: its place in the answer's list. ``arguments``: the pieces of their JSON text.
    ``extra``: as in ``ToolCall``.
    """

    position: int
    id: str | None = None
    name: str = ""
    arguments: list[str] = field(factory=list)
    extra: dict[str, Any] = field(factory=dict)

    def hold(self, text: str) -> str:
        """Take a fragment of arguments; return what of it is certain to belong to them."""
        return text

    def release(self) -> str:
        """Return what was held back of the arguments: nothing has followed it."""
        return ""

    def append(self, text: str) -> None:
        """Append what belongs to the arguments."""
        self.arguments.append(text)

    def keep(self, fields: Mapping[str, Any]) -> int:
        """Keep the fields that nobody here knows; return how many characters they take."""
        return join(self.extra, fields, grows=_NOTHING_GROWS) if fields else 0

    def build(self) -> ToolCall:
        """Return the call as a value."""
        return ToolCall(
            id="" if self.id is None else self.id,
            name=self.name,
            arguments="".join(self.arguments),
            extra=dict(self.extra),
        )


class ChoiceParts:
    """What was received of one choice; a dialect's own says what the server's fields mean.

    ``calls``: its tool calls, in order of appearance. ``is_doubtful``: its finish reason cannot be
    trusted to be the end. ``extra``: the fields that nobody here knows, of the choice and of its
    messages. ``size``: the characters of the answer that came in no piece: ids, names, log
    probabilities. ``beside``: those of the rest. ``held``: the halves of characters that wait for their
    other halves. ``finish_reason_raw``, ``stop_details``: as in ``Choice``.
    """

    __slots__ = (
        "_counts",
        "_max_tool_calls",
        "beside",
        "calls",
        "extra",
        "finish_reason",
        "finish_reason_raw",
        "held",
        "is_doubtful",
        "logprobs",
        "reasoning",
        "refusal",
        "size",
        "stop_details",
        "text",
    )

    def __init__(self, max_tool_calls: int) -> None:
        self.text = TextBuffer()
        self.reasoning: TextBuffer | None = None
        self.refusal: TextBuffer | None = None
        self.calls: Sequence[CallParts] = ()
        self.finish_reason: str | None = None
        self.finish_reason_raw: str | None = None
        self.stop_details: dict[str, Any] | None = None
        self.is_doubtful = False
        self.logprobs: dict[str, Any] | None = None
        self.extra: dict[str, Any] | None = None
        self.size = 0
        self.beside = 0
        self.held: dict[tuple[Kind, int], str] = {}
        self._max_tool_calls = max_tool_calls
        self._counts = {"reasoning": 0, "refusal": 0}

    @property
    def has_output(self) -> bool:
        """Whether anything came that a receiver hears of."""
        return bool(self.text or self.reasoning or self.refusal or self.calls or self.held)

    def say(self, kind: Kind, text: str, index: int = 0) -> Iterator[Piece]:
        """Take a text that came in pieces; yield what of it can be told.

        ``index``: of a tool call, whose fragment of arguments it is, in ``calls``.
        """
        key = (kind, index)
        held = self.held.pop(key, "")
        if held or not text.isascii():
            text, held = join_surrogates(held + text)
            if held:
                self.held[key] = held
        if kind == "tool_call":
            call = self.calls[index]
            text = call.hold(text)
            if text:
                call.append(text)
            yield _piece_of(call, text)
        elif not text:
            return
        elif kind == "text":
            self.text.append(text)
            yield Piece(kind, text)
        elif kind == "reasoning":
            if self.reasoning is None:
                self.reasoning = TextBuffer()
            self.reasoning.append(text)
            yield Piece(kind, text, self._ordinal(kind))
        else:
            if self.refusal is None:
                self.refusal = TextBuffer()
            self.refusal.append(text)
            yield Piece(kind, text, self._ordinal(kind))

    def call_at(self, position: int) -> CallParts:
        """Return a tool call; raise ``LimitExceededError`` where there are too many."""
        if position >= self._max_tool_calls:
            raise LimitExceededError(
                "max_tool_calls", limit=self._max_tool_calls, value=position + 1
            )
        return self.calls[position]

    def finish(self, reason: object) -> None:
        """Take a finish reason: the last one counts."""
        text = text_of(reason)
        self.beside += len(text) - len(self.finish_reason or "")
        self.finish_reason = text

    def keep(self, fields: Mapping[str, Any], *, grows: frozenset[str] = _NOTHING_GROWS) -> None:
        """Keep fields that nobody here knows. ``grows``: those whose texts come in pieces."""
        if self.extra is None:
            self.extra = {}
        self.beside += join(self.extra, fields, grows=grows)
        if not self.extra:
            self.extra = None

    def note_details(self, name: str) -> None:
        """Take what is kept under a name, if it is an object, for what is said of the end."""
        details = (self.extra or {}).get(name)
        if isinstance(details, dict):
            self.stop_details = details

    def flush(self) -> Iterator[Piece]:
        """Yield what was held back: U+FFFD for each half character, and arguments that are empty."""
        held, self.held = self.held, {}
        for kind, index in held:
            yield from self.say(kind, "\N{REPLACEMENT CHARACTER}", index)
        for call in self.calls:
            if text := call.release():
                call.append(text)
                yield _piece_of(call, text)

    def build(self, index: int) -> Choice:
        """Return the choice as a value."""
        return Choice(
            index=index,
            completion=str(self.text),
            finish_reason=self.finish_reason,
            finish_reason_raw=self.finish_reason_raw,
            stop_details=self.stop_details,
            reasoning=None if self.reasoning is None else str(self.reasoning),
            refusal=None if self.refusal is None else str(self.refusal),
            tool_calls=[call.build() for call in self.calls],
            logprobs=self.logprobs,
            extra={} if self.extra is None else self.extra,
        )

    def _ordinal(self, kind: str) -> int:
        ordinal = self._counts[kind]
        self._counts[kind] = ordinal + 1
        return ordinal


def _piece_of(call: CallParts, text: str) -> Piece:
    return Piece("tool_call", text, call.position, call.id, call.name or None)
