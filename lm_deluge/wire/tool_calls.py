"""Tool calls put together from the fragments that servers send."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attrs import define, field

from lm_deluge.conversation import ToolCall
from lm_deluge.wire.keeping import join, text_or_none

__all__ = ["Slot", "ToolCallParts"]

_CALL_FIELDS: Final = frozenset({"index", "id", "type", "function"})
_FUNCTION_FIELDS: Final = frozenset({"name", "arguments"})

#: The largest index that is believed.
_MAX_INDEX: Final = 2**31 - 1


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
    """One tool call in the making.

    ``position``: its place in the answer's list. ``placeholder``: an empty object with which the
    arguments began: all of them, unless more follows. ``extra``: as in ``ToolCall``.
    """

    position: int
    wire_index: object
    id: str | None = None
    name: str = ""
    arguments: list[str] = field(factory=list)
    placeholder: str = ""
    extra: dict[str, Any] = field(factory=dict)
    _brackets: _Brackets = field(factory=_Brackets)
    _read: int = 0

    @property
    def has_arguments(self) -> bool:
        """Whether any came."""
        return bool(self.arguments or self.placeholder)

    def is_followed_by(self, name: str) -> bool:
        """Tell whether a fragment without an id that names ``name`` begins another call."""
        if not name or not self.has_arguments:
            return False
        return name != self.name or self._is_complete()

    def hold(self, text: str) -> str:
        """Take a fragment of arguments; return what of it is certain to belong to them."""
        if self.arguments:
            return text
        bare = text.strip()
        if "".join(bare.split()) == "{}" or (self.placeholder and not bare):
            self.placeholder = self.placeholder + text if not bare else self.placeholder or text
            return ""
        if not bare.startswith(("{", "[")):
            text = self.placeholder + text
        self.placeholder = ""
        return text

    def release(self) -> str:
        """Return the placeholder: nothing has followed it, so it is the arguments."""
        text, self.placeholder = self.placeholder, ""
        return text

    def add_extra(self, fragment: Mapping[str, Any], function: Mapping[str, Any]) -> int:
        """Keep the fields that nobody here knows; return how many characters they take."""
        fields = {key: value for key, value in fragment.items() if key not in _CALL_FIELDS}
        beside = {key: value for key, value in function.items() if key not in _FUNCTION_FIELDS}
        if beside:
            fields["function"] = beside
        return join(self.extra, fields, grows=frozenset()) if fields else 0

    def _is_complete(self) -> bool:
        if self.placeholder:
            return True
        text = "".join(self.arguments[self._read :])
        self._read = len(self.arguments)
        return self._brackets.is_closed_after(text)


@define
class ToolCallParts:
    """The tool calls of one choice, keyed on the id where the index lies.

    Servers start at index 1, omit the index, repeat index 0 for every call, send the name again or
    empty on continuations, change the id between the fragments of a call, or send a whole call in one
    delta. A fragment belongs

    1. to the call with its id;
    2. else, if its id is new, to the latest call with its index that has no id and no arguments yet;
    3. else, if it names no function, to the latest call with its index, whose id stays; without an
       index to the latest call that has begun;
    4. else to a new call;
    5. without an id, to the latest call with its index, without an index to the latest call; unless
       it names a function while that call is complete, or names another one: then it is a new call.

    ``size``: the characters of the ids that were kept.
    """

    slots: list[Slot] = field(factory=list)
    size: int = 0

    def slot_for(self, fragment: Mapping[str, Any], name: str) -> Slot:
        """Return the call that a fragment belongs to; a new one where none does."""
        index = fragment.get("index")
        if isinstance(index, bool) or not isinstance(index, int) or abs(index) > _MAX_INDEX:
            index = None
        id_ = text_or_none(fragment.get("id"))
        same = [slot for slot in self.slots if index is None or slot.wire_index == index]
        if id_ is None:
            if same and not same[-1].is_followed_by(name):
                return same[-1]
            return self._new(index, None)
        for slot in reversed(self.slots):
            if slot.id == id_:
                return slot
        for slot in reversed(self.slots):
            if slot.wire_index == index and slot.id is None and not slot.has_arguments:
                self._name(slot, id_)
                return slot
        if same and not name and (index is not None or same[-1].has_arguments):
            return same[-1]
        return self._new(index, id_)

    def legacy_slot(self) -> Slot:
        """Return the call that ``function_call`` fragments make; its id is ``None``."""
        for slot in self.slots:
            if slot.wire_index == "function_call":
                return slot
        return self._new("function_call", None)

    def calls(self) -> list[ToolCall]:
        """Return the calls so far, in order of appearance."""
        return [
            ToolCall(
                id=slot.id,
                name=slot.name,
                arguments="".join(slot.arguments) or slot.placeholder,
                extra=dict(slot.extra),
            )
            for slot in self.slots
        ]

    def _new(self, wire_index: object, id_: str | None) -> Slot:
        slot = Slot(len(self.slots), wire_index)
        self.slots.append(slot)
        if id_ is not None:
            self._name(slot, id_)
        return slot

    def _name(self, slot: Slot, id_: str) -> None:
        slot.id = id_
        self.size += len(id_)
