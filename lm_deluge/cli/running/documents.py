"""JSON that is not a value a line: an array, a list inside an object, values one after the other.

It is read in pieces: a value at a time is in memory, however long the file is.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, Final

from lm_deluge.cli.running.asked import Wrong

__all__ = ["DECODER", "JsonText", "rows_in"]

#: Characters after which what was read is forgotten.
_KEPT: Final = 1 << 20

_BLANK: Final = " \t\r\n"

#: Columns that hold a list and are of one row.
_OF_A_ROW: Final = frozenset(
    {"messages", "turns", "conversations", "conversation", "prompt", "input", "contents", "body", "params"}
)  # fmt: skip


#: Keys of a message: a list of these is a conversation, whatever its name is.
_SPEAKS: Final = frozenset({"role", "from"})


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of its pairs; of two of one name, JSON readers keep one without a word."""
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice!r} is there twice")
    return made


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is not a number that JSON can hold")
    return number


DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_once, parse_float=_finite, parse_constant=_finite
)


class _Damaged(Exception):  # noqa: N818 - it never leaves this file
    """What is there is not JSON."""


class JsonText:
    """Reads values from text that comes in pieces. ``line``: 1-based, of what comes next."""

    def __init__(self, pieces: Iterable[str | Wrong]) -> None:
        self._pieces = iter(pieces)
        self._text = ""
        self._at = 0
        self.line = 1
        self._is_whole = False

    def peek(self) -> str:
        """Return the next character that is not blank, ``""`` at the end."""
        while True:
            text, at = self._text, self._at
            while at < len(text) and text[at] in _BLANK:
                at += 1
            self._move(at)
            if at < len(text):
                return text[at]
            if not self._grow():
                return ""

    def skip(self, char: str) -> bool:
        """Take ``char`` if it is next; return whether it was."""
        if self.peek() != char:
            return False
        self._move(self._at + 1)
        return True

    def expect(self, char: str) -> None:
        """Take ``char``, ``""`` at the end; raise if something else is next."""
        if self.peek() != char or (char and not self.skip(char)):
            names = [repr(one) if one else "the end" for one in (char, self.peek())]
            raise _Damaged(f"not JSON ({names[0]} is expected, not {names[1]})")

    def value(self) -> Any:
        """Return the value that is next."""
        self.peek()
        while True:
            try:
                found, end = DECODER.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if self._grow():
                    continue
                raise _Damaged(f"not JSON ({error.msg})") from None
            except RecursionError:
                raise _Damaged("nested too deeply") from None
            except ValueError as error:
                raise _Damaged(str(error)) from None
            if end == len(self._text) and self._grow():
                continue  # a number may go on
            self._move(end)
            return found

    def _move(self, to: int) -> None:
        self.line += self._text.count("\n", self._at, to)
        self._at = to
        if to > _KEPT:
            self._text, self._at = self._text[to:], 0

    def _grow(self) -> bool:
        """Read on: as much again as there is, so that all is looked at a few times at most."""
        wanted, pieces = max(1 << 16, len(self._text) - self._at), []
        while wanted > 0 and not self._is_whole:
            piece = next(self._pieces, None)
            if piece is None:
                self._is_whole = True
            elif isinstance(piece, Wrong):
                raise _Damaged(piece.problem)
            else:
                pieces.append(piece)
                wanted -= len(piece)
        self._text += "".join(pieces)
        return bool(pieces)


def rows_in(
    opening: Callable[[], JsonText], columns: Collection[str] = ()
) -> Iterator[tuple[int, Any]]:
    """Yield the rows of a JSON file with their lines: elements of its list, or values in a sequence.

    ``opening``: returns the text of the file from its beginning. ``columns``: what a row is asked by;
    an object that has them all is a row. What is wrong is yielded as ``Wrong``, and is the last.
    """
    text = opening()
    try:
        kind, key = _shape(opening(), columns)
        if kind == "list":
            yield from _elements(text)
        elif kind == "inside":
            yield from _inside(text, key)
        else:
            while text.peek():
                line = text.line
                yield line, text.value()
            return
        text.expect("")
    except _Damaged as error:
        yield text.line, Wrong(text.line, str(error), is_last=True)


def _shape(text: JsonText, columns: Collection[str]) -> tuple[str, str]:
    """Say how a file is made: ``list``, ``inside`` (the list of a key), or ``values``."""
    if text.peek() == "[":
        return "list", ""
    if text.peek() != "{":
        return "values", ""
    lists: list[str] = []
    seen: set[str] = set()
    try:
        for key in _keys(text):
            seen.add(key)
            if key in _OF_A_ROW:
                return "values", ""
            if text.peek() == "[":
                first = _first_of(text)
                if isinstance(first, dict) and not _SPEAKS & first.keys():
                    lists.append(key)
            else:
                text.value()
        if text.peek() or (columns and seen.issuperset(columns)):
            return "values", ""
    except _Damaged:
        return "values", ""  # which tells where and what
    if len(lists) > 1:
        named = ", ".join(f"`{key}`" for key in lists)
        raise _Damaged(f"several lists of rows are in the object, {named}: give a file of one")
    return ("inside", lists[0]) if lists else ("values", "")


def _keys(text: JsonText) -> Iterator[str]:
    """Yield the keys of an object; whoever is given one takes its value."""
    text.expect("{")
    if text.skip("}"):
        return
    while True:
        if text.peek() != '"':
            text.expect('"')
        key = text.value()
        text.expect(":")
        yield key
        if not text.skip(","):
            text.expect("}")
            return


def _first_of(text: JsonText) -> Any:
    """Take a list; return its first element, ``None`` of an empty one."""
    first: tuple[Any, ...] = ()
    for _, value in _elements(text):
        first = first or (value,)
    return first[0] if first else None


def _elements(text: JsonText) -> Iterator[tuple[int, Any]]:
    text.expect("[")
    if text.skip("]"):
        return
    while True:
        text.peek()
        line = text.line
        yield line, text.value()
        if not text.skip(","):
            text.expect("]")
            return


def _inside(text: JsonText, key: str) -> Iterator[tuple[int, Any]]:
    for name in _keys(text):
        if name == key:
            yield from _elements(text)
        else:
            text.value()
