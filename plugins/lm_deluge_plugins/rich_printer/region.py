"""The end of what is on a terminal, which may be drawn again. Pure: it returns what is to be written.

Nothing above it is ever touched, and it is never as tall as the window: a line that has left the window
could not be drawn again.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final

from lm_deluge_plugins.rich_printer.drawing import DrawnLine

__all__ = ["Region", "reflows"]

#: What terminals set that break the lines anew which are on them when their width changes.
_REFLOWING: Final = (
    *("VTE_VERSION", "TERM_PROGRAM", "WT_SESSION", "KITTY_WINDOW_ID", "ALACRITTY_WINDOW_ID"),
    *("KONSOLE_VERSION", "GHOSTTY_RESOURCES_DIR", "WEZTERM_PANE"),
)

_ERASE_BELOW: Final = "\x1b[J"
_NO_WRAP, _WRAP = "\x1b[?7l", "\x1b[?7h"


def reflows() -> bool:
    """Say whether this terminal is one that breaks its lines anew; else it is taken to cut them."""
    return any(os.environ.get(name) for name in _REFLOWING)


class Region:
    """What is drawn now; the cursor stands at the end of its last line."""

    def __init__(self) -> None:
        self._lines: list[DrawnLine] = []
        self._width = 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing is drawn that could change."""
        return not self._lines

    def show(
        self, done: Sequence[DrawnLine], live: Sequence[DrawnLine], width: int, height: int
    ) -> str:
        """Put ``done`` in its place for good, and ``live`` below, of which the end is seen.

        ``width``, ``height``: of the window now.
        """
        live = list(live)[-max(1, height - 1) :] if live else []
        lines = [*done, *live]
        same = self._same(lines, len(done), width)
        if live and same == len(lines) < len(self._lines):
            same -= 1  # the last line is written again: the cursor is to stand at its end
        out = self._back_to(same, width, height)
        fresh = lines[same:]
        if same == len(self._lines):
            below = "\n" if same and fresh else ""
        elif fresh and self._continues(fresh[0], same, width):
            # The cursor stands where the rest of the line belongs.
            known = self._lines[same]
            out, below = "", ""
            rest = fresh[0].text[len(known.text) :]
            fresh = [fresh[0]._replace(text=rest), *fresh[1:]]
        else:
            below = _ERASE_BELOW
        out += below + _written(fresh, done=max(0, len(done) - same))
        if not live and (fresh or same == len(self._lines) > 0):
            out += "\n"
        self._lines, self._width = live, width
        return out

    def clear(self, width: int, height: int) -> str:
        """Take it off the screen; it can be shown again."""
        if not self._lines:
            return ""
        out = self._back_to(0, width, height) + _ERASE_BELOW
        self._lines = []
        return out

    def _same(self, lines: Sequence[DrawnLine], done: int, width: int) -> int:
        """How many lines stay as they are, from the top."""
        if width != self._width:
            return 0
        same = 0
        for old, new in zip(self._lines, lines, strict=False):
            # What stays for good is written without a limit, in case the terminal counts otherwise.
            if old != new or (same < done and not new.is_sure):
                break
            same += 1
        return same

    def _continues(self, line: DrawnLine, same: int, width: int) -> bool:
        is_last = same == len(self._lines) - 1 and width == self._width
        known = self._lines[same]
        return is_last and known.is_sure and line.is_sure and line.text.startswith(known.text)

    def _back_to(self, line: int, width: int, height: int) -> str:
        """Move to the begin of a line that is drawn; nowhere if it is the one below the last."""
        if line >= len(self._lines):
            return ""
        rows = [self._rows(known, width) for known in self._lines[line:]]
        up = min(sum(rows), height) - 1
        return f"\r\x1b[{up}A" if up > 0 else "\r"

    def _rows(self, line: DrawnLine, width: int) -> int:
        if width >= self._width or not reflows():
            return 1
        return max(1, -(-line.cells // max(1, width)))


def _written(lines: Sequence[DrawnLine], *, done: int) -> str:
    """Return the lines as text; those that are not done do not wrap, however wide a terminal sees them."""
    fixed, moving = lines[:done], lines[done:]
    out = "\n".join(line.text for line in fixed)
    if not moving:
        return out
    text = "\n".join(line.text for line in moving)
    if not all(line.is_sure for line in moving):
        text = f"{_NO_WRAP}{text}{_WRAP}"
    return f"{out}\n{text}" if fixed else text
