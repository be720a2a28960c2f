"""The one choice of a Responses answer, put together from its output items."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from attrs import define, field

from lm_deluge.wire.choice import BlockChoice, CallParts, Kind, Piece
from lm_deluge.wire.keeping import index_of, text_or_none

__all__ = ["ResponsesChoice"]

#: What the client has to run or to answer, and what is no function with JSON arguments.
_CLIENT_CALLS: Final = frozenset(
    {
        "apply_patch_call",
        "computer_call",
        "custom_tool_call",
        "local_shell_call",
        "mcp_approval_request",
    }
)

#: The texts of a content part, by its type: what they are, and their field.
_PARTS: Final[dict[str, tuple[Kind, str]]] = {
    "output_text": ("text", "text"),
    "refusal": ("refusal", "refusal"),
    "reasoning_text": ("reasoning", "text"),
    "summary_text": ("reasoning", "text"),
}

#: Characters that an item counts for, whatever it holds.
_ITEM: Final = 16


@define(eq=False)
class _Item:
    """An output item. ``call``: the function call that it is.

    ``told``: which of its texts were told: the type and the index of each content part. ``thinks``: the
    type of its reasoning, which may come raw and summarized: what comes first is told.
    """

    call: CallParts | None = None
    told: set[tuple[str, object]] = field(factory=set)
    thinks: str | None = None


class ResponsesChoice(BlockChoice):
    """The answer: messages, reasoning and function calls; items that are no text are kept in ``extra``.

    ``waits``: whether the client has to run or to answer something. ``unmeasured``: the characters that
    ``place_of`` keeps, until somebody counts them in.
    """

    __slots__ = ("_items", "_places", "unmeasured", "waits")

    def __init__(self, max_tool_calls: int) -> None:
        super().__init__(max_tool_calls)
        self._items: dict[object, _Item] = {}
        self._places: dict[str, int] = {}
        self.waits = False
        self.unmeasured = 0

    def place_of(self, told: Mapping[str, Any]) -> object:
        """Return what the item of an event is known by: its place, as its id may change.

        An event that gives no place is known by that of its item's id, if one was given.
        """
        item = told.get("item")
        known = item.get("id") if isinstance(item, Mapping) else told.get("item_id")
        place = told.get("output_index")
        if not isinstance(known, str):
            return place
        if type(place) is not int:
            return self._places.get(known, known)
        if known not in self._places:
            self.unmeasured += len(known) + _ITEM
        self._places[known] = place
        return place

    def begin(self, index: object, said: Mapping[str, Any]) -> Iterator[Piece]:
        """Take the beginning of an item."""
        if said.get("type") == "function_call":
            yield from self._name(self._call_of(index), said)

    def go_on(self, index: object, part: str, at: object, delta: object) -> Iterator[Piece]:
        """Take a delta of a text; ``part``: the type of the content part, ``at``: its index."""
        item = self._item(index)
        if isinstance(delta, str) and delta and self._is_heard(item, part):
            item.told.add((part, index_of(at)))
            yield from self.say(_PARTS[part][0], delta)

    def whole(self, index: object, part: str, at: object, text: object) -> Iterator[Piece]:
        """Take a whole text, which is told if none of it came in deltas."""
        if (part, index_of(at)) not in self._item(index).told:
            yield from self.go_on(index, part, at, text)

    def argue(self, index: object, delta: object) -> Iterator[Piece]:
        """Take a delta of the arguments of a call."""
        if isinstance(delta, str) and delta:
            yield from self.say("tool_call", delta, self._call_of(index).position)

    def argue_whole(self, index: object, text: object) -> Iterator[Piece]:
        """Take all arguments of a call, which are told if none came in deltas."""
        call = self._call_of(index)
        if not call.arguments and isinstance(text, str) and text:
            yield from self.say("tool_call", text, call.position)

    def end_item(self, index: object, said: Mapping[str, Any]) -> Iterator[Piece]:
        """Take a whole item: what was not told of it is told, and what has no place is kept."""
        kind = said.get("type")
        if kind == "function_call":
            yield from self._name(self._call_of(index), said)
            yield from self.argue_whole(index, said.get("arguments") or "{}")
            return
        for name in ("summary", "content"):
            parts = said.get(name)
            for at, part in enumerate(parts if isinstance(parts, list) else ()):
                if isinstance(part, dict):
                    yield from self.take_part(index, at, part)
        if kind != "message":
            self.waits = self.waits or _waits(said)
            self.keep_in("items", said)

    def take_part(self, index: object, at: object, part: Mapping[str, Any]) -> Iterator[Piece]:
        """Take a whole content part."""
        kind = part.get("type")
        if isinstance(kind, str) and kind in _PARTS:
            yield from self.whole(index, kind, at, part.get(_PARTS[kind][1]))

    def cite(self, annotation: object) -> None:
        """Take an annotation of a text."""
        if annotation is not None:
            self.keep_in("annotations", annotation)

    def _item(self, index: object) -> _Item:
        key = index if isinstance(index, int | str) else None
        if (item := self._items.get(key)) is None:
            item = self._items[key] = _Item()
            self.beside += _ITEM + (len(key) if isinstance(key, str) else 0)
        return item

    def _is_heard(self, item: _Item, part: str) -> bool:
        if _PARTS[part][0] != "reasoning":
            return True
        item.thinks = item.thinks or part
        return item.thinks == part

    def _call_of(self, index: object) -> CallParts:
        item = self._item(index)
        if item.call is None:
            item.call = self.new_call()
            self.call_at(item.call.position)
            self.waits = True
        return item.call

    def _name(self, call: CallParts, said: Mapping[str, Any]) -> Iterator[Piece]:
        """Take the names of a call, which are told where they are new."""
        known, name = text_or_none(said.get("call_id")), text_or_none(said.get("name"))
        before = (call.id, call.name)
        call.id, call.name = known or call.id, name or call.name
        if before != (call.id, call.name):
            self.size += len(call.id or "") + len(call.name) - len(before[0] or "") - len(before[1])
            yield from self.say("tool_call", "", call.position)


def _waits(item: Mapping[str, Any]) -> bool:
    """Whether an item asks the client for something."""
    kind = item.get("type")
    if not isinstance(kind, str):
        return False
    if kind == "tool_search_call":
        return item.get("execution") == "client"
    if kind == "shell_call":
        where = item.get("environment")
        return isinstance(where, Mapping) and where.get("type") == "local"
    return kind in _CLIENT_CALLS
