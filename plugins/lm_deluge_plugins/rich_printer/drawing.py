"""Pieces of Markdown drawn as lines of a terminal, by rich."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Final, NamedTuple

from lm_deluge_plugins.rich_printer.needed import NEEDED

try:
    from markdown_it.token import Token
except ImportError as error:
    raise ImportError(NEEDED) from error

from rich.cells import cell_len
from rich.console import COLOR_SYSTEMS, Console, ConsoleOptions, RenderableType, RenderResult
from rich.markdown import ListElement, Markdown, MarkdownElement
from rich.segment import Segment
from rich.style import Style
from rich.syntax import Syntax
from rich.text import Text

from lm_deluge_plugins.rich_printer.documents import Code, Piece, Prose

__all__ = ["DrawnLine", "MarkdownPainter"]

_DIM: Final = Style(dim=True)


class DrawnLine(NamedTuple):
    """One line as it is written: ``cells`` it takes; ``is_sure``: no terminal can see that otherwise."""

    text: str
    cells: int
    is_sure: bool


class _ContinuedList(ListElement):
    """A list that may be the rest of one of which items were drawn before."""

    last = 0

    @classmethod
    def create(cls, markdown: Markdown, token: Token) -> _ContinuedList:
        made = cls(token.type, int(token.attrs.get("start", 1)))
        made.last = int(token.meta.get("last", 0))
        return made

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self.list_type == "bullet_list_open":
            yield from super().__rich_console__(console, options)
            return
        number = self.list_start or 0
        last = max(self.last, number + len(self.items))
        for at, item in enumerate(self.items, number):
            yield from item.render_number(console, options, at, last)


class _ParsedMarkdown(Markdown):
    """Markdown that was parsed elsewhere."""

    elements: ClassVar[dict[str, type[MarkdownElement]]] = {
        **Markdown.elements,
        "bullet_list_open": _ContinuedList,
        "ordered_list_open": _ContinuedList,
    }


class _Paper(io.StringIO):
    """Where nothing is written, in the encoding of where it will be."""

    def __init__(self, encoding: str) -> None:
        super().__init__()
        self._named = encoding

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._named


class MarkdownPainter:
    """Draws for one terminal. ``drawn``: how many characters it was given, over all."""

    def __init__(self, file: Any, *, code_theme: str, hyperlinks: bool) -> None:
        encoding = getattr(file, "encoding", None)
        system = Console(file=file, force_terminal=True).color_system
        self._console = Console(
            file=_Paper(encoding if isinstance(encoding, str) else "utf-8"),
            force_terminal=True,
            color_system=system,  # type: ignore[arg-type]  # a name of its own
            legacy_windows=False,
            highlight=False,
        )
        self._system = COLOR_SYSTEMS[system] if system is not None else None
        self._code_theme = code_theme
        self._markdown = _ParsedMarkdown("", code_theme=code_theme, hyperlinks=hyperlinks)
        self.drawn = 0

    def draw(self, pieces: Iterable[Piece], width: int, *, dim: bool = False) -> list[DrawnLine]:
        """Return the lines of the pieces in a window of that many columns."""
        lines: list[DrawnLine] = []
        for piece in pieces:
            self.drawn += piece.size
            if piece.spaced:
                lines.append(DrawnLine("", 0, is_sure=True))
            lines += self._lines(piece, width, dim=dim)
        return lines

    def plain(self, text: str, width: int, *, dim: bool = False) -> DrawnLine:
        """Return a text on one line, cut off where the window ends."""
        words = Text(text, style="dim" if dim else "", no_wrap=True, overflow="ellipsis", end="")
        (line,) = self._render(words, width)[:1]
        return self._line(line, dim=dim)

    def _lines(self, piece: Piece, width: int, *, dim: bool) -> list[DrawnLine]:
        try:
            rendered = self._rendered(piece, width)
        except Exception:  # noqa: BLE001 - of rich or of a lexer; the text counts for more than its looks
            rendered = self._render(Text(_text_of(piece)), width)
        return [self._line(line, dim=dim) for line in rendered]

    def _rendered(self, piece: Piece, width: int) -> list[list[Segment]]:
        if isinstance(piece, Prose):
            # After any token rich has an empty line before a block: so it is there always, and dropped.
            self._markdown.parsed = [Token("inline", "", 0), *piece.tokens]
            return self._render(self._markdown, width)[1:]
        if not piece.lines and not piece.first:  # the lower edge
            return self._code(piece, [""], width)[-1:] if piece.last else []
        above = len(piece.context)
        lines = self._code(piece, [*piece.context, *piece.lines], width)
        if not above:
            return lines
        return lines[sum(self._rows(line, width) for line in piece.context) :]

    def _code(self, piece: Code, lines: Sequence[str], width: int) -> list[list[Segment]]:
        edges = (int(piece.first), 1, int(piece.last), 1)
        syntax = Syntax(
            "\n".join(lines),
            piece.language or "text",
            theme=self._code_theme,
            word_wrap=True,
            padding=edges,
        )
        return self._render(syntax, width)

    def _rows(self, code: str, width: int) -> int:
        """How many lines of the window a line of code takes."""
        if code.isascii() and len(code.expandtabs(4)) <= width - 2:
            return 1
        return len(self._render(Syntax(code, "text", word_wrap=True, padding=(0, 1)), width))

    def _render(self, renderable: RenderableType, width: int) -> list[list[Segment]]:
        options = self._console.options.update(width=max(1, width), height=None)
        return self._console.render_lines(renderable, options, pad=False)

    def _line(self, segments: Sequence[Segment], *, dim: bool) -> DrawnLine:
        kept = [segment for segment in segments if not segment.control]
        plain = "".join(segment.text for segment in kept)
        pieces: list[str] = []
        is_end = True
        for text, style, _ in reversed(kept):
            if is_end and (
                style is None or not (style.bgcolor or style.underline or style.reverse)
            ):
                text = text.rstrip()  # blanks that nobody sees
            if text:
                is_end = False
                pieces.append(self._styled(text, style, dim=dim))
        cells = cell_len(plain if pieces and plain[-1:] != " " else plain.rstrip())
        return DrawnLine("".join(reversed(pieces)), cells, is_sure=plain.isascii())

    def _styled(self, text: str, style: Style | None, *, dim: bool) -> str:
        if dim:
            style = _DIM
        if style is None:
            return text
        link, style = style.link, style.update_link(None)
        shown = style.render(text, color_system=self._system)
        # Without rich's id, which is another one each time a line is drawn.
        return f"\x1b]8;;{link}\x1b\\{shown}\x1b]8;;\x1b\\" if link else shown


def _text_of(piece: Piece) -> str:
    if isinstance(piece, Code):
        return "\n".join(piece.lines)
    return "\n".join(token.content for token in piece.tokens if token.content)
