"""Markdown of a model as tokens whose every character a terminal only shows. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from attrs import frozen

from lm_deluge_plugins.rich_printer.needed import NEEDED

try:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token
except ImportError as error:
    raise ImportError(NEEDED) from error


from lm_deluge_plugins.terminals import harmless

__all__ = ["Grouped", "groups_of", "inlined", "parse"]

#: Characters, and brackets and stars, of one paragraph in which markup is looked for. Of some texts, as
#: of nothing but ``[``, a parser takes time with the square of their length; they are no prose.
_PROSE: Final = 16_384
_MARKS: Final = 500

_BREAK: Final = re.compile(r"(<br ?/?>)", re.IGNORECASE)

# A tag is shown as it is written: a model that says List<String> means the word.
_MARKDOWN: Final = MarkdownIt("commonmark", {"html": False}).enable(["strikethrough", "table"])
_MARKDOWN.disable("inline")


@frozen
class Grouped:
    """One top-level block: its ``tokens``, and the lines ``start`` to ``end`` (without it) it is from."""

    tokens: list[Token]
    start: int
    end: int

    @property
    def kind(self) -> str:
        """The type of its first token."""
        return self.tokens[0].type


def parse(source: str, references: dict[str, Any]) -> tuple[list[Grouped], dict[str, Any]]:
    """Return the top-level blocks of ``source``, and the references known at its end.

    ``references``: those that text before it defined. Markup within lines is not parsed (``inlined``).
    """
    env: dict[str, Any] = {"references": dict(references)}
    return list(groups_of(_MARKDOWN.parse(source, env))), env["references"]


def groups_of(tokens: Sequence[Token]) -> Iterator[Grouped]:
    """Yield each top-level block of the tokens."""
    first = 0
    for index, token in enumerate(tokens):
        if token.level or token.nesting == 1:
            continue
        group = list(tokens[first : index + 1])
        start, end = group[0].map or (0, 0)
        yield Grouped(group, start, end)
        first = index + 1


def inlined(tokens: Sequence[Token], references: dict[str, Any]) -> list[Token]:
    """Parse the markup within lines, and make every character harmless."""
    for token in tokens:
        token.content = _shown(token.content)
        if token.type != "inline" or token.children:
            continue
        children: list[Token] = []
        if not _is_prose(token.content):
            children.extend(_plain(token.content))
        else:
            _MARKDOWN.inline.parse(token.content, _MARKDOWN, {"references": references}, children)
        token.children = [shown for child in children for shown in _shown_token(child)]
    return list(tokens)


def _is_prose(text: str) -> bool:
    return len(text) <= _PROSE and all(text.count(mark) <= _MARKS for mark in "[*_<&")


def _plain(text: str) -> Iterator[Token]:
    for index, line in enumerate(text.split("\n")):
        if index:
            yield Token("softbreak", "br", 0)
        yield Token("text", "", 0, content=line)


def _shown_token(token: Token) -> Iterator[Token]:
    # An entity (&#x202e;) is decoded by now.
    token.content = _shown(token.content)
    for name in ("href", "src"):
        if name in token.attrs:
            token.attrs[name] = _target(str(token.attrs[name]))
    if token.children:
        token.children = [shown for child in token.children for shown in _shown_token(child)]
    if token.type not in ("text", "text_special"):
        yield token
        return
    for part in _BREAK.split(token.content):
        if _BREAK.fullmatch(part):
            yield Token("hardbreak", "br", 0)
        elif part:
            yield Token("text", "", 0, content=part)


def _shown(text: str) -> str:
    return text if text.isascii() and text.isprintable() else harmless(text)


def _target(address: str) -> str:
    """Return an address if a terminal can take it as it is, else nothing."""
    return address if address.isascii() and address.isprintable() else ""
