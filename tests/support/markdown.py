"""Markdown drawn on a terminal in pieces, and by rich at once."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator

from markdown_it import MarkdownIt
from rich.console import Console
from rich.markdown import Markdown

from lm_deluge_plugins.rich_printer.documents import Document
from lm_deluge_plugins.rich_printer.drawing import MarkdownPainter
from lm_deluge_plugins.rich_printer.region import Region
from support.terminal import Terminal, emulated


def whole(text: str, width: int) -> list[str]:
    """Return what a terminal shows of the whole text, without the empty lines around it."""
    markdown = Markdown("")
    parser = MarkdownIt("commonmark", {"html": False}).enable(["strikethrough", "table"])
    markdown.parsed = parser.parse(text)
    out = io.StringIO()
    Console(file=out, width=width, color_system=None, force_terminal=False).print(markdown)
    return trimmed(emulated(out.getvalue(), width, 24).lines)


def trimmed(lines: list[str]) -> list[str]:
    """Return the lines without the empty ones at both ends."""
    filled = [at for at, line in enumerate(lines) if line]
    return lines[filled[0] : filled[-1] + 1] if filled else []


def cut(text: str, sizes: Iterable[int]) -> Iterator[str]:
    """Yield the text in pieces of these sizes, and the rest."""
    at = 0
    for size in sizes:
        if at >= len(text):
            return
        yield text[at : at + size]
        at += size
    yield text[at:]


class Drawn:
    """Markdown fed to a document and drawn after each piece, as ``RichPrinter`` does with no rate."""

    def __init__(self, width: int, height: int, *, emulated: bool = True) -> None:
        self.terminal = Terminal(width, height, emulated=emulated)
        self.document = Document()
        self.painter = MarkdownPainter(self.terminal, code_theme="monokai", hyperlinks=True)
        self._region = Region()

    def feed(self, text: str) -> None:
        self.document.feed(text)
        self.draw()

    def draw(self, *, final: bool = False) -> None:
        width, height = self.terminal.size()
        done = self.painter.draw(self.document.take(final=final), width)
        live = [] if final else self.painter.draw(self.document.rest(), width)
        self.terminal.write(self._region.show(done, live, width, height))

    def all(self, pieces: Iterable[str]) -> list[str]:
        """Feed all pieces, end, and return what there is on the terminal and above it."""
        for piece in pieces:
            self.feed(piece)
        self.draw(final=True)
        return trimmed(self.terminal.lines)
