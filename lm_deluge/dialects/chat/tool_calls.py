"""Tool calls put together from the fragments that servers send."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from attrs import define, evolve, field

from lm_deluge.dialects.chat.content import argument_text
from lm_deluge.values.conversation import ToolCall
from lm_deluge.wire.choice import CallParts
from lm_deluge.wire.keeping import index_of, text_or_none

__all__ = ["Fragment", "Slot", "ToolCallParts", "entries_of"]

_CALL_FIELDS: Final = frozenset({"index", "id", "type", "function", "custom"})
_FUNCTION_FIELDS: Final = frozenset({"name", "arguments"})
_CUSTOM_FIELDS: Final = frozenset({"name", "input"})

#: Numbers that are ids are smaller.
_LARGEST_ID: Final = 10**40

#: In the place of the index of a ``function_call``, which has none and no id.
_LEGACY: Final = "function_call"

_OPENING: Final = ("{", "[")
_MAY_OPEN: Final = (*_OPENING, " ", "\n", "\t", "\r")

#: With what some servers begin arguments that are still to come.
_PLACEHOLDERS: Final = ("{}", "[]", "null", '""')

#: How many times as long a JSON text is with white space as without, at most, to be known again.
_MOST_SPACE: Final = 8


class Fragment(msgspec.Struct, frozen=True):
    """What one entry of ``tool_calls`` says, in whichever of its shapes.

    ``index``, ``id``: ``None`` where it has none. ``name``: ``""`` where it names nothing. ``extra``: the
    fields that nobody here knows, as ``ToolCall.extra`` has them.

    A msgspec struct as ``Event`` is one: there is one a piece of arguments.
    """

    index: int | None
    id: str | None
    name: str
    arguments: str
    is_custom: bool
    extra: Mapping[str, Any]

    @classmethod
    def read(cls, entry: Mapping[str, Any]) -> Fragment:
        """Read an entry: a function, a custom tool (free text), or a flat call."""
        id_ = entry.get("id")
        custom = entry.get("custom")
        function = entry.get("function")
        known, beside_known = _CALL_FIELDS, _FUNCTION_FIELDS
        is_custom = isinstance(custom, dict) or entry.get("type") == "custom"
        kind = "custom" if is_custom else "function"
        if isinstance(custom, dict):
            inner, arguments, beside_known = custom, custom.get("input"), _CUSTOM_FIELDS
        elif isinstance(function, dict):
            inner, arguments = function, function.get("arguments")
        else:
            # Some servers write the fields of the function beside the id.
            known = _CALL_FIELDS | _FUNCTION_FIELDS
            inner = {"name": entry.get("name") or function}
            arguments = entry.get("arguments")
        name = inner.get("name")
        extra: dict[str, Any] = {}
        if not entry.keys() <= known:
            extra = {key: value for key, value in entry.items() if key not in known}
        if not inner.keys() <= beside_known:
            extra[kind] = {key: value for key, value in inner.items() if key not in beside_known}
        if is_custom:
            extra["type"] = "custom"
        return cls(
            index=index_of(entry.get("index")),
            id=None if id_ is None else _id_of(id_),
            name=name if isinstance(name, str) else "",
            arguments=argument_text(arguments),
            is_custom=is_custom,
            extra=extra,
        )


def entries_of(calls: object) -> list[Mapping[str, Any]]:
    """Return the entries of ``tool_calls``: a list, one call by itself, or calls under their indices."""
    if not calls:
        return []
    if isinstance(calls, dict):
        if not calls.keys().isdisjoint(_CALL_FIELDS | _FUNCTION_FIELDS):
            calls = [calls]
        else:
            calls = [
                {"index": key, **call} for key, call in calls.items() if isinstance(call, dict)
            ]
    return [call for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []


def _id_of(value: object) -> str | None:
    """Return a call's id, which may be a number; ``None`` for an empty one."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if abs(value) < _LARGEST_ID else None
    return text_or_none(value)


@define(eq=False)
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


@define(eq=False)
class Slot(CallParts):
    """One tool call in the making.

    ``placeholder``: an empty value with which the arguments began: all of them, unless more follows.
    ``is_custom``: its arguments are any text, and no JSON. ``is_named_again``: its name came once more
    after its arguments were whole, which is the end of this call or the beginning of another.
    """

    wire_index: object = None
    placeholder: str = ""
    is_custom: bool = False
    is_named_again: bool = False
    _brackets: _Brackets = field(factory=_Brackets)
    _read: int = 0
    _length: int = 0

    @property
    def has_arguments(self) -> bool:
        """Whether any came."""
        return bool(self.arguments or self.placeholder)

    def is_followed_by(self, fragment: Fragment) -> bool:
        """Tell whether a fragment without the id of this call begins another one."""
        name = fragment.name
        if not name and not self.is_named_again:
            return False
        if not self.has_arguments or not self.name:
            return False
        if name and name != self.name:
            return True
        begins = fragment.arguments.lstrip()[:1] in _OPENING
        if not name:
            return begins and self._is_complete()
        if not begins:
            self.is_named_again = self.id is None and self._is_complete()
            return False
        if self.placeholder:
            return self.id is None and _value_of(fragment.arguments) is not None
        return self._is_complete() and not self._is_repeated_by(fragment.arguments)

    def hold(self, text: str) -> str:
        """Take a fragment of arguments; return what of it is certain to belong to them."""
        if self.is_custom:
            return text
        if self.arguments and text[:1] not in _MAY_OPEN:
            return text
        bare = text.strip()
        if self.arguments:
            # Some servers send all of them again at the end.
            is_copy = bare[:1] in _OPENING and self._is_complete() and self._is_repeated_by(bare)
            return "" if is_copy else text
        if "".join(bare.split()) in _PLACEHOLDERS or (self.placeholder and not bare):
            self.placeholder = self.placeholder + text if not bare else self.placeholder or text
            return ""
        if bare[:1] not in _OPENING:
            text = self.placeholder + text
        self.placeholder = ""
        return text

    def append(self, text: str) -> None:
        """Append what belongs to the arguments."""
        super().append(text)
        self._length += len(text)

    def release(self) -> str:
        """Return the placeholder: nothing has followed it, so it is the arguments."""
        text, self.placeholder = self.placeholder, ""
        return text

    def build(self) -> ToolCall:
        """Return the call as a value; only a ``function_call`` has no id."""
        call = super().build()
        arguments = call.arguments or self.placeholder
        id_ = None if self.id is None and self.wire_index == _LEGACY else call.id
        return evolve(call, id=id_, arguments=arguments)

    def _is_complete(self) -> bool:
        if self.placeholder:
            return True
        text = "".join(self.arguments[self._read :])
        self._read = len(self.arguments)
        return self._brackets.is_closed_after(text)

    def _is_repeated_by(self, text: str) -> bool:
        """Whether a text is all of the arguments once more, perhaps with other white space."""
        # What is far shorter is not looked at: there may be many of them.
        if _MOST_SPACE * len(text) < self._length:
            return False
        known = "".join(self.arguments)
        if text.strip() == known.strip():
            return True
        value = _value_of(text)
        return value is not None and value == _value_of(known)


def _value_of(text: str) -> Any:
    """Return the JSON value of a text, ``None`` if it is not whole."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


@define(eq=False)
class ToolCallParts:
    """The tool calls of one choice, keyed on the id where the index lies.

    Servers start at index 1, omit the index, repeat index 0 for every call, send the name again or
    empty on continuations, change the id between the fragments of a call, send it or the name only
    after arguments, or send a whole call in one delta, and again at the end. A fragment belongs

    1. to the call with its id;
    2. else, if its id is new, to the latest call with its index that has no id, unless it begins
       another one;
    3. else, if it names no function, to the latest call with its index, whose id stays; without an
       index to the latest call that has begun;
    4. else to a new call;
    5. without an id, to the latest call with its index, without an index to the latest call, unless it
       begins another one.

    It begins another one (``Slot.is_followed_by``) if it names another function, or if it names the same
    one and its arguments begin while those of that call are whole and not the same.

    ``size``: the characters of the ids that were kept.
    """

    slots: list[Slot] = field(factory=list)
    size: int = 0

    def slot_for(self, fragment: Fragment) -> Slot:
        """Return the call that a fragment belongs to; a new one where none does."""
        index, id_, name = fragment.index, fragment.id, fragment.name
        same = [
            slot
            for slot in self.slots
            if slot.wire_index == index or (index is None and slot.wire_index != _LEGACY)
        ]
        if id_ is None:
            if same and not same[-1].is_followed_by(fragment):
                return same[-1]
            slot = self._new(index, None)
            if same and not name:
                slot.name = same[-1].name
            return slot
        for slot in reversed(self.slots):
            if slot.id == id_:
                return slot
        for slot in reversed(self.slots):
            if slot.wire_index == index and slot.id is None and not slot.has_arguments:
                self._name(slot, id_)
                return slot
        if same and same[-1].id is None and not same[-1].is_followed_by(fragment):
            self._name(same[-1], id_)
            return same[-1]
        if same and not name and (index is not None or same[-1].has_arguments):
            return same[-1]
        return self._new(index, id_)

    def legacy_slot(self) -> Slot:
        """Return the call that ``function_call`` fragments make; its id is ``None``."""
        for slot in self.slots:
            if slot.wire_index == _LEGACY:
                return slot
        return self._new(_LEGACY, None)

    def _new(self, wire_index: object, id_: str | None) -> Slot:
        slot = Slot(len(self.slots), wire_index=wire_index)
        self.slots.append(slot)
        if id_ is not None:
            self._name(slot, id_)
        return slot

    def _name(self, slot: Slot, id_: str) -> None:
        slot.id = id_
        self.size += len(id_)
