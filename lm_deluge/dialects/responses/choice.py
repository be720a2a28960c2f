"""The one choice of a Responses answer, put together from its output items."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final

from attrs import define, evolve, field

from lm_deluge.dialects.responses.whole_items import says_more, without_logprobs, without_texts
from lm_deluge.wire.block_choice import BlockChoice
from lm_deluge.wire.choice import CallParts, Kind, Piece
from lm_deluge.wire.keeping import index_of, kept, text_or_none

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
    type of its reasoning, which may come raw and summarized: what comes first is told. ``whole``: as it
    is once it is over. ``phase``: of a message. ``served``: the ordinal that it was told under, of a tool
    that the server runs.
    """

    call: CallParts | None = None
    whole: dict[str, Any] | None = None
    phase: str | None = None
    served: int | None = None
    told: set[tuple[str, object]] = field(factory=set)
    thinks: str | None = None


class ResponsesChoice(BlockChoice):
    """The answer: messages, reasoning and function calls, and other items.

    ``waits``: whether the client has to run or to answer something. ``unmeasured``: the characters that
    ``place_of`` keeps, until somebody counts them in.
    """

    __slots__ = (
        "_argued",
        "_items",
        "_places",
        "_untold",
        "_whole_texts",
        "unmeasured",
        "waits",
    )

    dialect: ClassVar[str] = "responses"

    def __init__(self, max_tool_calls: int) -> None:
        super().__init__(max_tool_calls)
        self._items: dict[object, _Item] = {}
        self._places: dict[str, int] = {}
        # The characters of arguments, those of texts and arguments in whole items, and how many more
        # these are than what was told.
        self._argued = 0
        self._whole_texts = 0
        self._untold = 0
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

    @property
    def has_items(self) -> bool:
        """Whether an item came."""
        return any(item.whole is not None for item in self._items.values())

    def begin(self, index: object, said: Mapping[str, Any]) -> Iterator[Piece]:
        """Take the beginning of an item."""
        if said.get("type") == "function_call":
            yield from self._name(self._call_of(index), said)
        elif said.get("type") == "message":
            self._take_phase(index, said)
        elif _is_served(said):
            yield self._serve(self._item(index), said)

    def phase_at(self, index: object) -> str | None:
        """Return the phase of the message at a place."""
        return self._item(index).phase

    def _take_phase(self, index: object, said: Mapping[str, Any]) -> None:
        if phase := text_or_none(said.get("phase")):
            item = self._item(index)
            self.beside += len(phase) - len(item.phase or "")
            item.phase = phase

    def go_on(self, index: object, part: str, at: object, delta: object) -> Iterator[Piece]:
        """Take a delta of a text; ``part``: the type of the content part, ``at``: its index."""
        item = self._item(index)
        if isinstance(delta, str) and delta and self._is_heard(item, part):
            item.told.add((part, index_of(at)))
            for piece in self.say(_PARTS[part][0], delta):
                # A text has no name but this.
                yield piece if item.phase is None else evolve(piece, name=item.phase)

    def whole(self, index: object, part: str, at: object, text: object) -> Iterator[Piece]:
        """Take a whole text, which is told if none of it came in deltas."""
        if not _is_told(self._item(index).told, part, index_of(at)):
            yield from self.go_on(index, part, at, text)

    def argue(self, index: object, delta: object) -> Iterator[Piece]:
        """Take a delta of the arguments of a call."""
        if isinstance(delta, str) and delta:
            self._argued += len(delta)
            yield from self.say("tool_call", delta, self._call_of(index).position)

    def argue_whole(self, index: object, text: object) -> Iterator[Piece]:
        """Take all arguments of a call, which are told if none came in deltas."""
        call = self._call_of(index)
        if not call.arguments and isinstance(text, str) and text:
            self._argued += len(text)
            yield from self.say("tool_call", text, call.position)

    def end_item(self, index: object, said: Mapping[str, Any]) -> Iterator[Piece]:
        """Take a whole item: what was not told of it is told, and what has no place is kept."""
        if said.get("type") == "function_call":
            yield from self._name(self._call_of(index), said)
            yield from self.argue_whole(index, said.get("arguments") or "{}")
            self._keep_whole(self._item(index), said)
            return
        self._take_phase(index, said)
        for name in ("summary", "content"):
            parts = said.get(name)
            for at, part in enumerate(parts if isinstance(parts, list) else ()):
                if isinstance(part, dict):
                    yield from self.take_part(index, at, part)
        self._keep_whole(self._item(index), said)
        if _waits(said):
            self.waits = True
        elif _is_served(said):
            yield self._serve(self._item(index), said)

    def content(self) -> list[dict[str, Any]]:
        """Return the items in their order, where they say more than text and calls."""
        numbered = [(at, one.whole) for at, one in self._items.items() if one.whole is not None]
        # They may overlap: their places say which was first.
        numbered.sort(key=lambda one: one[0] if isinstance(one[0], int) else len(numbered))
        items = [item for _, item in numbered]
        return items if says_more(items) else []

    def settle(self) -> None:
        """The answer is over: let go of the items that say nothing more than text and calls."""
        if not self.content():
            for item in self._items.values():
                item.whole = None

    def _keep_whole(self, item: _Item, said: Mapping[str, Any]) -> None:
        """Keep an item that is over. Of its texts and its arguments what was told counts there."""
        whole, size = kept(without_logprobs(said))
        if not isinstance(whole, dict):
            return
        if whole.get("type") in ("message", "function_call"):
            bare, texts = without_texts(whole)
            _, size = kept(bare)
            self._whole_texts += texts
            told = len(self.text) + len(self.refusal or ()) + self._argued
            untold = max(0, self._whole_texts - told)
            size += untold - self._untold
            self._untold = untold
        self.beside += size
        if item.whole is None and _waits(whole):
            self.other_calls.append(whole)
        item.whole = whole

    def _serve(self, item: _Item, said: Mapping[str, Any]) -> Piece:
        known = said.get("id")
        whole, _ = kept(said)
        data = whole if isinstance(whole, dict) else {}
        piece = self.served(data, name=said.get("type"), known=known, index=item.served)
        item.served = piece.index
        return piece

    def take_part(self, index: object, at: object, part: Mapping[str, Any]) -> Iterator[Piece]:
        """Take a whole content part."""
        kind = part.get("type")
        if isinstance(kind, str) and kind in _PARTS:
            yield from self.whole(index, kind, at, part.get(_PARTS[kind][1]))

    def cite(self, annotation: object) -> Iterator[Piece]:
        """Take an annotation of a text."""
        if annotation is not None:
            yield self.cited(self.keep_in("annotations", annotation))

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


def _is_served(item: Mapping[str, Any]) -> bool:
    """Whether an item is what a tool does that the server runs."""
    return not _waits(item) and item.get("type") not in ("message", "reasoning", "function_call")


def _waits(item: Mapping[str, Any]) -> bool:
    """Whether an item asks the client for something."""
    kind = item.get("type")
    if not isinstance(kind, str):
        return False
    if kind == "tool_search_call":
        return item.get("execution") == "client"
    if kind == "shell_call":
        # Nobody else runs it where no container is named.
        where = item.get("environment")
        return not isinstance(where, Mapping) or where.get("type") == "local"
    return kind in _CLIENT_CALLS


def _is_told(told: set[tuple[str, object]], part: str, at: int | None) -> bool:
    """Whether a text came in deltas: one without an index, as gateways have it, may be any of its type."""
    if at is None:
        return any(known == part for known, _ in told)
    return (part, at) in told or (part, None) in told
