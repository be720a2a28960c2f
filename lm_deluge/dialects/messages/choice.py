"""The one choice of a Messages answer, put together from its blocks."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final

from attrs import define, field

from lm_deluge.dialects.messages.blocks import says_more
from lm_deluge.wire.block_choice import BlockChoice, Span
from lm_deluge.wire.choice import CallParts, Piece
from lm_deluge.wire.keeping import index_of, kept, text_of, text_or_none

__all__ = ["MessagesChoice"]


#: The blocks that have a text, told as it comes: its field, by their type.
_TEXTS: Final = ("text", "thinking")

#: The calls of tools that the server runs.
_SERVED: Final = ("server_tool_use", "mcp_tool_use")


@define(eq=False)
class _Block:
    """A block. ``call``: the client's call that it is. ``json``: its input, in pieces.

    ``index``: of the server's call that it is. ``start``: where its text begins; ``span``: where all of
    it stands, once the block is over. ``citations``: those that came after its beginning, and before them
    those with it; the list stands in ``said``.
    """

    said: dict[str, Any]
    call: CallParts | None = None
    json: list[str] = field(factory=list)
    index: int = 0
    start: int = 0
    span: Span | None = None
    citations: list[Any] | None = None

    @property
    def takes_json(self) -> bool:
        """Whether an input comes in pieces: of a call, the client's or the provider's own."""
        return self.said.get("type") not in _TEXTS


class MessagesChoice(BlockChoice):
    """The answer: blocks of text, thinking and calls, and others."""

    __slots__ = ("_blocks", "_order")

    dialect: ClassVar[str] = "messages"

    def __init__(self, max_tool_calls: int) -> None:
        super().__init__(max_tool_calls)
        self._blocks: dict[object, _Block] = {}
        self._order: list[_Block] = []

    def begin(self, index: object, said: Mapping[str, Any]) -> Iterator[Piece]:
        """Take the beginning of a block, which may hold all of it."""
        kind, key = said.get("type"), _key(index)
        yield from self.end_block(key)
        told = {**said, kind: ""} if isinstance(kind, str) and kind in _TEXTS else said
        block = _Block(self._kept(told) or {"type": text_or_none(kind)})
        block.start = self._told_of(kind)
        self._blocks[key] = block
        self._order.append(block)
        if kind == "text":
            yield from self.say("text", _text(said.get("text")))
            for citation in _listed(block.said.get("citations")):
                yield self._cite(citation)
        elif kind == "thinking":
            yield from self.say("reasoning", _text(said.get("thinking")))
        elif kind == "tool_use":
            call = block.call = self.new_call()
            self.call_at(call.position)
            call.id = text_or_none(said.get("id"))
            call.name = text_or_none(said.get("name")) or ""
            self.size += len(call.id or "") + len(call.name)
            yield from self.say("tool_call", "", call.position)
        elif kind in _SERVED or (isinstance(kind, str) and kind.endswith("_tool_result")):
            known = said.get("id") or said.get("tool_use_id")
            piece = self.served(block.said, name=said.get("name") or kind, known=known)
            block.index = piece.index
            yield piece

    def go_on(self, index: object, delta: Mapping[str, Any]) -> Iterator[Piece]:
        """Take a delta of a block."""
        kind = delta.get("type")
        if kind == "text_delta":
            yield from self.say("text", _text(delta.get("text")))
        elif kind == "thinking_delta":
            yield from self.say("reasoning", _text(delta.get("thinking")))
        elif kind == "input_json_delta":
            yield from self._take_json(index, _text(delta.get("partial_json")))
        elif (block := self._blocks.get(_key(index))) is None:
            return
        elif kind == "citations_delta":
            citation = self._kept({"citation": delta.get("citation")}).get("citation")
            if block.citations is None:
                block.citations = [*_listed(block.said.get("citations"))]
                block.said["citations"] = block.citations
            block.citations.append(citation)
            yield self._cite(citation)
        else:  # a signature, a summary of what went before, and what is still to come
            block.said |= self._kept({key: value for key, value in delta.items() if key != "type"})

    def _cite(self, citation: Any) -> Piece:
        extra = self.extra if self.extra is not None else {}
        extra.setdefault("citations", []).append(citation)
        self.extra = extra
        return self.cited(citation)

    def _take_json(self, index: object, text: str) -> Iterator[Piece]:
        """Take a piece of an input. One is open at a time: it belongs to that, if its index says no other."""
        block = self._blocks.get(_key(index))
        if block is None or not block.takes_json:
            block = next((one for one in reversed(self._blocks.values()) if one.takes_json), None)
        if block is None or not text:
            return
        if block.call is not None:
            yield from self.say("tool_call", text, block.call.position)
            return
        self.beside += len(text)
        block.json.append(text)
        if block.said.get("type") in _SERVED:
            name, known = block.said.get("name"), block.said.get("id")
            yield self.served(
                block.said, name=name, known=known, index=block.index, text=text_of(text)
            )

    def end_block(self, index: object) -> Iterator[Piece]:
        """Take the end of a block."""
        block = self._blocks.pop(_key(index), None)
        if block is None:
            return
        block.span = block.start, self._told_of(block.said.get("type"))
        call = block.call
        if call is not None:
            if not call.arguments:
                # What stands at the beginning is a placeholder, unless nothing follows.
                value = block.said.get("input") or {}
                text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
                yield from self.say("tool_call", text, call.position)
        elif block.json:
            block.said["input"], _ = kept(_value_of("".join(block.json)))

    def end_blocks(self) -> Iterator[Piece]:
        """Take the end of all that are open."""
        for index in list(self._blocks):
            yield from self.end_block(index)

    def flush(self) -> Iterator[Piece]:
        """Yield what was held back, too: of calls whose ends never came what was told to nobody."""
        for index, block in list(self._blocks.items()):
            if block.call is not None and block.said.get("input"):
                yield from self.end_block(index)
        yield from super().flush()

    def content(self) -> list[dict[str, Any]]:
        """Return the blocks as they came, where they say more than text and calls.

        Of those whose ends never came only what a server takes back: text, and thinking that was signed.
        """
        if not says_more([block.said for block in self._order]):
            return []
        blocks: list[dict[str, Any]] = []
        for block in self._order:
            said, kind = block.said, block.said.get("type")
            if kind in _TEXTS:
                text = self._text_in(kind, block.span or (block.start, self._told_of(kind)))
                said = {**said, kind: text}
                if (kind == "text" and not text) or (block.span is None and _is_unsigned(said)):
                    # An empty text is refused.
                    continue
            elif block.call is not None:
                said = {**said, "input": _value_of("".join(block.call.arguments))}
            elif block.span is None:
                continue
            if block.citations is not None:
                # More may follow, and what was returned stays as it is.
                said = {**said, "citations": [*block.citations]}
            blocks.append(said)
        return blocks

    def _told_of(self, kind: object) -> int:
        """Return how many bytes were told so far of what a block of this kind says."""
        buffer = self.reasoning if kind == "thinking" else self.text
        return 0 if buffer is None else len(buffer)

    def _text_in(self, kind: object, span: Span) -> str:
        buffer = self.reasoning if kind == "thinking" else self.text
        return "" if buffer is None else buffer.between(*span)

    def _kept(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Return fields as they are kept; they count."""
        value, size = kept(fields)
        self.beside += size
        # One that nests too deeply is no object any more.
        return value if isinstance(value, dict) else {}


def _is_unsigned(said: Mapping[str, Any]) -> bool:
    return said.get("type") == "thinking" and not said.get("signature")


def _key(index: object) -> object:
    """Return what a block is known by: its index; of a whole message's, which have none, as it is given."""
    return index if isinstance(index, tuple) else index_of(index)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _value_of(text: str) -> Any:
    """Return the JSON value of an input; the text where it was cut."""
    try:
        return json.loads(text or "{}")
    except (ValueError, RecursionError):
        return text
