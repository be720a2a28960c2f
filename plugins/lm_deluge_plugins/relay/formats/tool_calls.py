"""Tool calls that grow piece by piece, for formats that say where one begins and ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from attrs import define

__all__ = ["OpenCall", "OpenCalls"]


@define
class OpenCall:
    """A tool call whose arguments are still coming. It begins once its name is known."""

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""
    has_begun: bool = False

    def value(self) -> tuple[bool, Any]:
        """Return whether the arguments are a JSON object, and what they are; none at all are ``{}``."""
        if not self.arguments.strip():
            return True, {}
        try:
            value = msgspec.json.decode(self.arguments.encode("utf-8", "replace"))
        except (msgspec.DecodeError, RecursionError):
            return False, None
        return isinstance(value, dict), value


class OpenCalls:
    """The calls at hand. Providers send them one after the other; pieces may also alternate."""

    def __init__(self) -> None:
        self._open: dict[int, OpenCall] = {}
        self._told: set[str] = set()

    def take(self, item: Mapping[str, Any]) -> tuple[OpenCall | None, bool, str]:
        """Take a piece: return the call it belongs to, or ``None`` while its name is not known, whether
        that one begins with it, and what of its arguments is to be told.
        """
        index = item.get("index", 0)
        call = self._open.get(index)
        if call is None:
            call = self._open[index] = OpenCall(index)
        if not call.has_begun:  # what was told of it stays
            call.id = item.get("id") or call.id
            call.name = item.get("name") or call.name
        text = item.get("arguments") or ""
        call.arguments += text
        if not call.name:
            return None, False, ""
        if call.has_begun:
            return call, False, text
        call.has_begun = True
        call.id = self._unique(call.id or f"call_{index}")
        return call, True, call.arguments

    def _unique(self, call_id: str) -> str:
        """Return an id that no call had: servers name calls twice, and steps begin to count anew."""
        unique, more = call_id, 1
        while unique in self._told:
            more += 1
            unique = f"{call_id}_{more}"
        self._told.add(unique)
        return unique

    def end(self) -> list[OpenCall]:
        """Return the calls that had begun; none is at hand any more."""
        ended = [call for call in self._open.values() if call.has_begun]
        self._open.clear()
        return ended

    def drop(self) -> None:
        """Forget the calls at hand: their answer was cut."""
        self._open.clear()
