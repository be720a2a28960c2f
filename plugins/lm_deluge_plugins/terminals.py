"""What a terminal obeys, and what it is told instead: for all that writes to one."""

from __future__ import annotations

import errno
import os
import shutil
from typing import Any, Final

__all__ = [
    "harmless",
    "is_closed",
    "is_drawable",
    "is_dumb",
    "is_terminal",
    "size_of",
    "wants_no_escapes",
    "writable",
]

#: Columns of a window in which Markdown can be drawn.
_NARROWEST: Final = 10

#: What a write into a pipe or socket says that nobody reads.
_CLOSED: Final[tuple[int, ...]] = (
    errno.EPIPE,
    errno.ECONNRESET,
    errno.ESHUTDOWN,
    *((errno.EINVAL,) if os.name == "nt" else ()),
)


def _table() -> dict[int, str]:
    """Map what can move the cursor, set the title, write the clipboard or reverse the text."""
    table = {code: chr(0x2400 + code) for code in range(0x20)}  # C0, as their control pictures
    del table[0x09], table[0x0A]  # tab and newline are text
    table[0x7F] = "\N{SYMBOL FOR DELETE}"
    # C1 (CSI, OSC, DCS as one character) and the bidirectional controls of Unicode (UAX #9).
    bidirectional = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
    table |= {code: f"<U+{code:04X}>" for code in (*range(0x80, 0xA0), *bidirectional)}
    return table


_HARMLESS: Final = _table()


def harmless(text: str) -> str:
    """Return ``text`` with control characters made visible, so that a terminal only shows them."""
    return text if text.isprintable() and text.isascii() else text.translate(_HARMLESS)


def is_dumb() -> bool:
    """Say whether the terminal only writes on, as ``TERM=dumb`` says."""
    return os.environ.get("TERM", "").lower() in ("dumb", "unknown")


def wants_no_escapes() -> bool:
    """Say whether the user (https://no-color.org) or the terminal wants plain text alone."""
    return bool(os.environ.get("NO_COLOR")) or is_dumb()


def is_terminal(file: Any) -> bool:
    """Say whether a file is a terminal, as far as it can tell."""
    try:
        return bool(file.isatty())
    except Exception:  # noqa: BLE001 - it need not have it, or be able to tell
        return False


def size_of(file: Any) -> tuple[int, int]:
    """Return the columns and lines of a terminal; 80 and 24 where it does not say."""
    try:
        columns, lines = os.get_terminal_size(file.fileno())
    except Exception:  # noqa: BLE001 - it need not have a number, or be able to tell
        columns = lines = 0
    if columns > 0 and lines > 0:
        return columns, lines
    size = shutil.get_terminal_size()
    return size.columns, size.lines


def is_closed(error: OSError) -> bool:
    """Say whether a write failed because nobody reads."""
    return error.errno in _CLOSED


def writable(text: str, encoding: object) -> str:
    """Return ``text`` with what an encoding lacks replaced; ASCII where it is none."""
    try:
        name = encoding if isinstance(encoding, str) else "ascii"
        return text.encode(name, "replace").decode(name)
    except (LookupError, UnicodeError):
        return text.encode("ascii", "replace").decode("ascii")


def is_drawable(file: Any) -> bool:
    """Say whether what is on a file can be drawn again: it is a terminal that obeys, and may."""
    if file is None or not is_terminal(file) or wants_no_escapes():
        return False
    if os.name != "nt" and not os.environ.get("TERM"):
        return False
    return size_of(file)[0] >= _NARROWEST
