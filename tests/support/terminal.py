"""A terminal in memory, which remembers what left it at the top."""

from __future__ import annotations

import io
from typing import Any

import pyte


class Terminal(io.TextIOBase):
    """A file that is a terminal of ``width`` by ``height``, emulated by pyte.

    ``written``: everything that was written to it; that alone is there if it is not ``emulated``.
    """

    encoding = "utf-8"  # type: ignore[assignment]

    def __init__(self, width: int, height: int, *, emulated: bool = True) -> None:
        super().__init__()
        self._emulated = emulated
        self.written = ""
        self._screen = pyte.HistoryScreen(width, height, history=1_000_000, ratio=0.5)
        self._screen.set_mode(pyte.modes.LNM)  # as a pty does: a newline begins a line
        self._stream = pyte.Stream(self._screen)

    def isatty(self) -> bool:
        return True

    def size(self) -> tuple[int, int]:
        return self._screen.columns, self._screen.lines

    def resize(self, width: int, height: int) -> None:
        self._screen.resize(height, width)

    def write(self, text: str) -> int:
        self.written += text
        if self._emulated:
            self._stream.feed(text)
        return len(text)

    @property
    def shown(self) -> list[str]:
        """The lines in the window, without the blanks at their ends."""
        return [line.rstrip() for line in self._screen.display]

    @property
    def lines(self) -> list[str]:
        """All lines, those that left the window first, without what is empty at the end."""
        columns = range(self._screen.columns)
        above = ["".join(row[at].data for at in columns).rstrip() for row in self._history()]
        lines = above + self.shown
        while lines and not lines[-1]:
            lines.pop()
        return lines

    @property
    def cursor(self) -> tuple[int, int]:
        """Column and line of the cursor, from 0."""
        return self._screen.cursor.x, self._screen.cursor.y

    def cell(self, line: int, column: int) -> Any:
        """The character of the window in that place, with its colours."""
        return self._screen.buffer[line][column]

    def _history(self) -> Any:
        return self._screen.history.top


def emulated(text: str, width: int, height: int) -> Terminal:
    """Return a terminal on which ``text`` was written."""
    terminal = Terminal(width, height)
    terminal.write(text)
    return terminal
