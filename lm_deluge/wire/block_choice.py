"""One choice of an answer that comes in blocks, some of which have to go back as they came."""

from __future__ import annotations

import copy
from abc import abstractmethod
from typing import Any, ClassVar, Final

from attrs import evolve

from lm_deluge.values.response import Choice
from lm_deluge.wire.choice import CallParts, ChoiceParts, Piece
from lm_deluge.wire.keeping import kept

__all__ = ["BlockChoice", "Span"]

#: Where in a buffer of text a block's own stands: bytes of UTF-8.
Span = tuple[int, int]

_NOTHING: Final = ""


class BlockChoice(ChoiceParts):
    """A choice in blocks, calls one after the other.

    ``dialect``: the name of the API, which is what can read its blocks again. ``other_calls``: those of
    the client's calls that are no functions, in the provider's words.
    """

    __slots__ = ("_calls", "_told", "other_calls")

    dialect: ClassVar[str]

    def __init__(self, max_tool_calls: int) -> None:
        super().__init__(max_tool_calls)
        self._calls: list[CallParts] = []
        self._told: dict[str, int] = {}
        self.calls = self._calls
        self.other_calls: list[dict[str, Any]] = []

    @abstractmethod
    def content(self) -> list[dict[str, Any]]:
        """Return the whole answer in the provider's words; nothing where text and calls say it all."""

    def new_call(self) -> CallParts:
        """Return a new call; ``call_at`` its position says whether there are too many."""
        call = CallParts(len(self._calls))
        self._calls.append(call)
        return call

    def keep_in(self, name: str, value: Any) -> Any:
        """Keep a value at the end of a list of ``extra``; return it as it is kept."""
        value, size = kept(value)
        extra = self.extra if self.extra is not None else {}
        extra.setdefault(name, []).append(value)
        self.extra = extra
        self.beside += size
        return value

    def cited(self, citation: object) -> Piece:
        """Return the piece that tells of a citation."""
        data = citation if isinstance(citation, dict) else {"citation": citation}
        return Piece("citation", _NOTHING, self._next("citation"), data=copy.deepcopy(data))

    def served(
        self,
        said: dict[str, Any],
        *,
        name: object,
        known: object,
        index: int | None = None,
        text: str = _NOTHING,
    ) -> Piece:
        """Return the piece that tells what a tool of the provider's does.

        ``name``, ``known``: of the tool and its call, if they are texts. ``text``: a piece of its input, of
        the one with this ``index``.
        """
        return Piece(
            "server_tool",
            text,
            self._next("server_tool") if index is None else index,
            known if isinstance(known, str) else None,
            name if isinstance(name, str) else None,
            None if text else copy.deepcopy(said),
        )

    def build(self, index: int) -> Choice:
        """Return the choice as a value, with what goes back to the provider as it came."""
        choice = super().build(index)
        beside: dict[str, Any] = {}
        if content := self.content():
            beside["provider_content"] = {"dialect": self.dialect, "content": content}
        if self.other_calls:
            beside["other_calls"] = self.other_calls
        return evolve(choice, extra={**choice.extra, **beside}) if beside else choice

    def _next(self, kind: str) -> int:
        ordinal = self._told.get(kind, 0)
        self._told[kind] = ordinal + 1
        return ordinal
