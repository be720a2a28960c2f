"""Tool calls put together from the fragments that servers send."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import define, field

from lm_deluge.conversation import ToolCall

__all__ = ["Slot", "ToolCallParts"]


@define
class _Brackets:
    """Tells whether a JSON object or array, read in pieces, has come to its end.

    Looks at each character once, where parsing it again with every piece would be quadratic.
    """

    depth: int = 0
    is_opened: bool = False
    in_string: bool = False
    is_escaped: bool = False

    def is_closed_after(self, text: str) -> bool:
        """Read a piece; return whether every bracket opened so far is closed again."""
        for char in text:
            if self.is_escaped:
                self.is_escaped = False
            elif char == '"':
                self.in_string = not self.in_string
            elif self.in_string:
                self.is_escaped = char == "\\"
            elif char in "{[":
                self.is_opened = True
                self.depth += 1
            elif char in "}]":
                self.depth -= 1
        return self.is_opened and self.depth <= 0


@define
class Slot:
    """One tool call in the making. ``position``: its place in the answer's list."""

    position: int
    wire_index: object
    id: str | None = None
    name: str = ""
    arguments: list[str] = field(factory=list)
    _brackets: _Brackets = field(factory=_Brackets)
    _read: int = 0

    def is_followed_by(self, name: str) -> bool:
        """Tell whether a fragment without an id that names ``name`` begins another call."""
        if not name or not self.arguments:
            return False
        return name != self.name or self._is_complete()

    def _is_complete(self) -> bool:
        text = "".join(self.arguments[self._read :])
        self._read = len(self.arguments)
        return self._brackets.is_closed_after(text)


@define
class ToolCallParts:
    """The tool calls of one choice, keyed on the id where the index lies.

    Servers start at index 1, omit the index, repeat index 0 for every call, send the name again or
    empty on continuations, or a whole call in one delta. A fragment belongs

    1. to the call with its id;
    2. else, if its id is new, to the latest call with its index that has no id and no arguments yet,
       or to a new call;
    3. without an id, to the latest call with its index, without an index to the latest call; unless
       it names a function while that call is complete, or names another one: then it is a new call.
    """

    slots: list[Slot] = field(factory=list)

    def slot_for(self, fragment: Mapping[str, Any], name: str) -> Slot:
        """Return the call that a fragment belongs to; a new one where none does."""
        index = fragment.get("index")
        if not isinstance(index, int):
            index = None
        id_ = fragment.get("id")
        if isinstance(id_, str) and id_:
            for slot in reversed(self.slots):
                if slot.id == id_:
                    return slot
            for slot in reversed(self.slots):
                if slot.wire_index == index and slot.id is None and not slot.arguments:
                    slot.id = id_
                    return slot
            return self._new(index, id_)
        for slot in reversed(self.slots):
            if index is None or slot.wire_index == index:
                return self._new(index, None) if slot.is_followed_by(name) else slot
        return self._new(index, None)

    def legacy_slot(self) -> Slot:
        """Return the call that ``function_call`` fragments make; its id is ``None``."""
        for slot in self.slots:
            if slot.wire_index == "function_call":
                return slot
        return self._new("function_call", None)

    def calls(self) -> list[ToolCall]:
        """Return the calls so far, in order of appearance."""
        return [
            ToolCall(id=slot.id, name=slot.name, arguments="".join(slot.arguments))
            for slot in self.slots
        ]

    def _new(self, wire_index: object, id_: str | None) -> Slot:
        slot = Slot(len(self.slots), wire_index, id_)
        self.slots.append(slot)
        return slot
