"""The one choice of a Messages answer, put together from its blocks."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from attrs import define, field

from lm_deluge.wire.choice import BlockChoice, CallParts, Piece
from lm_deluge.wire.keeping import index_of, kept, text_or_none

__all__ = ["MessagesChoice"]


#: The blocks that have a text, told as it comes: its field, by their type.
_TEXTS: Final = ("text", "thinking")


@define(eq=False)
class _Block:
    """A block that is open. ``call``: the client's call that it is. ``json``: its input, in pieces.

    ``size``: the characters that are kept of it, and were told to nobody so far.
    """

    said: dict[str, Any]
    call: CallParts | None = None
    json: list[str] = field(factory=list)
    size: int = 0

    @property
    def takes_json(self) -> bool:
        """Whether an input comes in pieces: of a call, the client's or the provider's own."""
        return self.said.get("type") not in _TEXTS


class MessagesChoice(BlockChoice):
    """The answer: blocks of text, thinking and calls; those of other kinds are kept in ``extra``."""

    __slots__ = ("_blocks",)

    def __init__(self, max_tool_calls: int) -> None:
        super().__init__(max_tool_calls)
        self._blocks: dict[object, _Block] = {}

    def begin(self, index: object, said: Mapping[str, Any]) -> Iterator[Piece]:
        """Take the beginning of a block, which may hold all of it."""
        kind, key = said.get("type"), _key(index)
        yield from self.end_block(key)
        block = self._blocks[key] = _Block(dict(said))
        self._measure(block, {name: said[name] for name in said if name not in _TEXTS})
        if kind == "text":
            yield from self.say("text", _text(said.get("text")))
        elif kind == "thinking":
            yield from self.say("reasoning", _text(said.get("thinking")))
        elif kind == "tool_use":
            call = block.call = self.new_call()
            self.call_at(call.position)
            call.id = text_or_none(said.get("id"))
            call.name = text_or_none(said.get("name")) or ""
            self.size += len(call.id or "") + len(call.name)
            yield from self.say("tool_call", "", call.position)

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
            self.keep_in("citations", delta.get("citation"))
        else:  # a signature, a summary of what went before, and what is still to come
            fields = {key: value for key, value in delta.items() if key != "type"}
            self._measure(block, fields)
            block.said |= fields

    def _take_json(self, index: object, text: str) -> Iterator[Piece]:
        """Take a piece of an input. One is open at a time: it belongs to that, if its index says no other."""
        block = self._blocks.get(_key(index))
        if block is None or not block.takes_json:
            block = next((one for one in reversed(self._blocks.values()) if one.takes_json), None)
        if block is None:
            return
        if block.call is None:
            self._count(block, len(text))
            block.json.append(text)
        elif text:
            yield from self.say("tool_call", text, block.call.position)

    def end_block(self, index: object) -> Iterator[Piece]:
        """Take the end of a block: what was not told of it is kept."""
        block = self._blocks.pop(_key(index), None)
        if block is None:
            return
        self.beside -= block.size
        call = block.call
        if call is not None:
            if not call.arguments:
                # What stands at the beginning is a placeholder, unless nothing follows.
                value = block.said.get("input") or {}
                text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
                yield from self.say("tool_call", text, call.position)
            return
        if block.json:
            block.said["input"] = _value_of("".join(block.json))
        kind = block.said.get("type")
        if kind == "thinking":
            block.said.pop("thinking", None)
        if kind != "text":
            self.keep_in("blocks", block.said)

    def end_blocks(self) -> Iterator[Piece]:
        """Take the end of all that are open."""
        for index in list(self._blocks):
            yield from self.end_block(index)

    def flush(self) -> Iterator[Piece]:
        """Yield what was held back, too: of blocks whose ends never came what was told to nobody."""
        for index, block in list(self._blocks.items()):
            if block.call is None or block.said.get("input"):
                yield from self.end_block(index)
        self._blocks.clear()
        yield from super().flush()

    def _measure(self, block: _Block, fields: Mapping[str, Any]) -> None:
        _, size = kept(fields)
        self._count(block, size)

    def _count(self, block: _Block, size: int) -> None:
        block.size += size
        self.beside += size


def _key(index: object) -> object:
    """Return what a block is known by: its index; of a whole message's, which have none, as it is given."""
    return index if isinstance(index, tuple) else index_of(index)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _value_of(text: str) -> Any:
    """Return the JSON value of an input; the text where it was cut."""
    try:
        return json.loads(text or "{}")
    except (ValueError, RecursionError):
        return text
