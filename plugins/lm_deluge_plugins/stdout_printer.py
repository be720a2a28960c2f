"""``StdoutPrinter``: the answer on the screen, as it arrives."""

from __future__ import annotations

import sys
from typing import Final, TextIO

from lm_deluge import Delta, Stream, StreamHandler, Token

__all__ = ["StdoutPrinter", "harmless"]


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


class StdoutPrinter(StreamHandler):
    """Writes each token, and refusal text, at once; adds nothing of its own.

    On a terminal control characters of the model are shown, not obeyed; into a pipe or file the text
    passes as it is. A closed pipe cancels the stream. Characters that the encoding of the file lacks
    are replaced. With ``n > 1`` choice 0 is written.

    ``file``: where to, ``None`` for ``sys.stdout`` as it is at the time of each write.
    """

    def __init__(self, file: TextIO | None = None) -> None:
        self._file = file

    def on_token(self, stream: Stream, token: Token) -> None:
        """Write one token."""
        if token.choice == 0:
            self._write(stream, token.text)

    def on_delta(self, stream: Stream, delta: Delta) -> None:
        """Write refusal text; nothing of reasoning or tool calls."""
        if delta.kind == "refusal" and delta.choice == 0:
            self._write(stream, delta.text)

    def _write(self, stream: Stream, text: str) -> None:
        file = self._file if self._file is not None else sys.stdout
        if file is None:  # a program without a console
            return
        if file.isatty():
            text = harmless(text)
        try:
            try:
                file.write(text)
            except UnicodeEncodeError:
                encoding = getattr(file, "encoding", None) or "ascii"
                file.write(text.encode(encoding, "replace").decode(encoding))
            file.flush()
        except BrokenPipeError:
            stream.cancel("nobody reads the output: its pipe was closed")
