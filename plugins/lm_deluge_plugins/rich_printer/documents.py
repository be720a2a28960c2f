"""Markdown that grows: which of it can no longer change, and the last block, which can. Pure.

A block is whole when another has begun on a whole line below it: no further text changes it (but for
links whose address is defined later: they stay as they were typed). Of a code block, whole lines are; of a
list, its items but the last. So a text is parsed about once, however it is cut.
"""

from __future__ import annotations

import re
from typing import Any, Final

from attrs import define, field, frozen

from lm_deluge_plugins.rich_printer.needed import NEEDED

try:
    from markdown_it.token import Token
except ImportError as error:
    raise ImportError(NEEDED) from error


from lm_deluge_plugins.rich_printer.parsing import Grouped, inlined, parse
from lm_deluge_plugins.terminals import harmless

__all__ = ["Code", "Document", "Piece", "Prose"]

#: Characters of a last block that is parsed at each look; a longer one is looked at when it has grown by
#: an eighth, and of it the end alone is seen until it is whole.
_SHORT: Final = 4096

#: What holds other blocks, and stands apart even from a rule.
_HOLDERS: Final = ("bullet_list_open", "ordered_list_open", "blockquote_open", "table_open")

#: A line that opens or closes a code block, wherever it stands.
_FENCE: Final = re.compile(
    r"^[ \t>]*(?:[-*+][ \t]+|\d+[.)][ \t]+)?(?P<marks>`{3,}|~{3,})(?P<info>[^`\n]*)$", re.MULTILINE
)

#: Lines of code above that tell the colours of those below.
_CONTEXT: Final = 40


@frozen
class Prose:
    """Blocks of Markdown to be drawn. ``spaced``: after an empty line. ``size``: characters, about."""

    tokens: list[Token]
    spaced: bool
    size: int


@frozen
class Code:
    """Lines of a code block; ``first`` and ``last`` say which of its edges are among them.

    ``context``: the lines above, which were drawn before.
    """

    language: str
    context: list[str]
    lines: list[str]
    first: bool = field(kw_only=True)
    last: bool = field(kw_only=True)
    spaced: bool = field(kw_only=True)

    @property
    def size(self) -> int:
        """How many characters are drawn, about."""
        return sum(map(len, self.lines)) + sum(map(len, self.context))


Piece = Prose | Code


@define
class _OpenFence:
    """A code block of which some lines are done."""

    opener: str
    language: str
    context: list[str] = field(factory=list[str])


@define
class _OpenList:
    """A list of which some items are done."""

    kind: str
    number: int
    last: int


@define
class Document:
    """One text as it comes. ``parsed``: how many characters were parsed, over all."""

    parsed: int = 0
    _tail: str = ""
    _held: str = ""
    _references: dict[str, Any] = field(factory=dict[str, Any])
    _open: _OpenFence | _OpenList | None = None
    _spaced: bool | None = None
    _looked: int = 0
    _has_line: bool = False
    _seen_from: int = 0
    _seen_in: str = ""
    _parts: list[str] = field(factory=list[str])

    def feed(self, text: str) -> None:
        """Take the next piece of the text."""
        self._parts.append(text)

    @property
    def is_empty(self) -> bool:
        """Whether nothing but white space is left to be drawn."""
        self._gather()
        return not self._tail.strip() and not isinstance(self._open, _OpenFence)

    def take(self, *, final: bool = False) -> list[Piece]:
        """Return what has become whole since the last call; at the end, everything."""
        self._gather(final=final)
        if not final and not self._is_due():
            return []
        self._has_line = False
        above = self._lines_above()
        source = self._tail if final else self._tail[: self._tail.rfind("\n") + 1]
        groups, references = self._parse(source)
        pieces: list[Piece] = []
        done = above
        for group in groups if final else groups[:-1]:
            pieces.append(self._whole(group, references))
            done = group.end
        if final:
            self._tail, self._open = "", None
            return pieces
        if groups:
            begun, end = self._begun(groups[-1], references)
            pieces += begun
            done = max(done, end)
        if done > above:
            self._let_go(done, above, references)
        self._looked = len(self._tail)
        return pieces

    def rest(self) -> list[Piece]:
        """Return the last block as far as it is known; of a long one, its end."""
        self._gather()
        view = self._view()
        groups, references = self._parse(view)
        before = self._open, self._spaced
        pieces = [self._whole(group, references) for group in groups]
        self._open, self._spaced = before
        return pieces

    def _gather(self, *, final: bool = False) -> None:
        if not self._parts and not final:
            return
        text = self._held + "".join(self._parts)
        self._parts.clear()
        # Half of a line's end may be here, and half in the next piece.
        self._held = "\r" if text.endswith("\r") and not final else ""
        text = text[: len(text) - len(self._held)].replace("\r\n", "\n")
        self._has_line = self._has_line or "\n" in text
        self._tail += harmless(text)

    def _is_due(self) -> bool:
        if not self._has_line:
            return False
        size = len(self._tail)
        return size <= _SHORT or size - self._looked > size // 8

    def _parse(self, source: str) -> tuple[list[Grouped], dict[str, Any]]:
        """Parse; lines are counted from the begin of ``source``, whatever is open before it."""
        if isinstance(self._open, _OpenFence):
            source = self._open.opener + source
        self.parsed += len(source)
        return parse(source, self._references)

    def _lines_above(self) -> int:
        return 1 if isinstance(self._open, _OpenFence) else 0

    def _whole(self, group: Grouped, references: dict[str, Any]) -> Piece:
        """Return a block to be drawn, and forget what was open."""
        opened, self._open = self._open, None
        spaced = self._spaced is not None and (self._spaced or _stands_apart(group))
        self._spaced = group.kind != "hr"
        if group.kind == "fence":
            lines = _code_lines(group.tokens[0])
            if isinstance(opened, _OpenFence):
                return Code(
                    opened.language, opened.context, lines, first=False, last=True, spaced=False
                )
            return Code(_language(group.tokens[0]), [], lines, first=True, last=True, spaced=spaced)
        if isinstance(opened, _OpenList) and group.kind == opened.kind:
            _number(group.tokens[0], opened.number, opened.last)
            spaced = False
        size = sum(len(token.content) for token in group.tokens)
        return Prose(inlined(group.tokens, references), spaced, size)

    def _begun(self, group: Grouped, references: dict[str, Any]) -> tuple[list[Piece], int]:
        """Return what of the last block can no longer change, and the line up to which that is."""
        if group.kind == "fence":
            return self._begun_code(group)
        if group.kind in ("bullet_list_open", "ordered_list_open"):
            return self._begun_list(group, references)
        return [], 0

    def _begun_code(self, group: Grouped) -> tuple[list[Piece], int]:
        token, opened = group.tokens[0], self._open
        lines = _code_lines(token)[:-1]  # a further one shows that it is not the last
        if not lines:
            return [], 0
        if isinstance(opened, _OpenFence):
            code = Code(
                opened.language, opened.context, lines, first=False, last=False, spaced=False
            )
        else:
            # As it stands: the lines below it are less indented by as much as it is.
            opener = self._tail.split("\n", group.start + 1)[group.start] + "\n"
            opened = _OpenFence(opener, _language(token))
            code = Code(
                opened.language, [], lines, first=True, last=False, spaced=bool(self._spaced)
            )
            self._spaced = True
        context = [*opened.context, *lines][-_CONTEXT:]
        self._open = _OpenFence(opened.opener, opened.language, context)
        return [code], group.start + 1 + len(lines)

    def _begun_list(self, group: Grouped, references: dict[str, Any]) -> tuple[list[Piece], int]:
        first, *inner, closing = group.tokens
        begins = [i for i, token in enumerate(inner) if token.level == 1 and token.nesting == 1]
        opened = self._open if isinstance(self._open, _OpenList) else None
        number = opened.number if opened else int(first.attrs.get("start", 1))
        after = number + len(begins)
        # Numbers stand under each other: how wide they are is not sure before there are two digits.
        if len(begins) < 2 or (group.kind == "ordered_list_open" and after < 10):
            return [], 0
        if opened:
            opened.last = after
        else:
            _number(first, number, after)
        end = (inner[begins[-1]].map or [0])[0]
        whole = Grouped([first, *inner[: begins[-1]], closing], group.start, end)
        piece = self._whole(whole, references)
        self._open = _OpenList(group.kind, after - 1, after)
        return [piece], end

    def _let_go(self, done: int, above: int, references: dict[str, Any]) -> None:
        """Forget the lines that are done, but not what they define."""
        for name, reference in references.items():
            if name not in self._references and reference["map"][1] <= done:
                self._references[name] = reference
        at = 0
        for _ in range(done - above):
            at = self._tail.index("\n", at) + 1
        self._tail = self._tail[at:]
        self._seen_from = 0

    def _view(self) -> str:
        """Return so much of the end of the tail as a window shows; where it begins seldom moves."""
        size = len(self._tail)
        if size <= _SHORT:
            return self._tail
        if size - self._seen_from > 2 * _SHORT:
            begin = size - _SHORT
            line = self._tail.find("\n", begin, begin + _SHORT // 2) + 1
            word = self._tail.find(" ", begin, begin + _SHORT // 2) + 1
            self._seen_from = line or word or begin
            self._seen_in = _fence_around(self._tail[: self._seen_from])
        return self._seen_in + self._tail[self._seen_from :]


def _fence_around(text: str) -> str:
    """Return the line that opened the code block in which ``text`` ends, as far as one can tell."""
    opener = ""
    for found in _FENCE.finditer(text):
        marks = found["marks"]
        if not opener:
            opener = found["marks"] + found["info"]
        elif not found["info"].strip() and opener.startswith(marks):
            opener = ""
    return opener + "\n" if opener else ""


def _stands_apart(group: Grouped) -> bool:
    """Whether rich leaves a line empty before it, whatever stands above."""
    return group.kind in _HOLDERS or (group.kind == "heading_open" and not group.tokens[1].content)


def _code_lines(token: Token) -> list[str]:
    """Return the lines of a code block without the empty ones at its end."""
    code = token.content.rstrip()
    return code.split("\n") if code else []


def _language(token: Token) -> str:
    return token.info.strip().partition(" ")[0]


def _number(token: Token, number: int, last: int) -> None:
    """Let a list begin with ``number``, and leave room for the digits of ``last``."""
    token.attrs["start"] = number
    token.meta = {**token.meta, "last": last}
