"""What is piped or redirected into a command, and a word on stderr while nothing comes."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from time import monotonic
from types import TracebackType
from typing import IO, TYPE_CHECKING, Final

import click

from lm_deluge.cli.terminal import notice

if TYPE_CHECKING:
    from typing import Self

__all__ = ["Patience", "is_piped", "pieces", "text"]

#: Seconds without a byte and without an end after which somebody is told what is waited for.
_PATIENCE: Final = 2.0

_PIECE: Final = 1 << 16


def is_piped() -> bool:
    """Say whether standard input is there and is no terminal."""
    return sys.stdin is not None and not sys.stdin.closed and not sys.stdin.isatty()


class Patience:
    """Tells once, on stderr, what is waited for: ``with Patience("..."): ...`` around each wait."""

    def __init__(self, message: str) -> None:
        self._message = message
        self._told = False

    def __enter__(self) -> Self:
        self._since = monotonic()
        self._over = threading.Event()
        if not self._told:
            threading.Thread(target=self._watch, args=(self._over,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over.set()

    def heard(self) -> None:
        """Something came: wait as long once more."""
        self._since = monotonic()

    def _watch(self, over: threading.Event) -> None:
        while not over.wait(max(0.0, self._since + _PATIENCE - monotonic())):
            if monotonic() - self._since >= _PATIENCE:
                self._told = True
                notice(f"lm-deluge: {self._message}")
                return


def pieces(what: str) -> Iterator[bytes]:
    """Yield standard input as it comes. ``what``: what it is read for, in the message of a wait."""
    file: IO[bytes] = sys.stdin.buffer
    read = getattr(file, "read1", file.read)
    if sys.stdin.isatty():
        notice(f"lm-deluge: reading {what}; Ctrl-D ends it")
        while piece := read(_PIECE):
            yield piece
        return
    with Patience(f"waiting for {what} on standard input, and for its end") as patience:
        while piece := read(_PIECE):
            patience.heard()
            yield piece


def text(what: str) -> str:
    """Return the whole of standard input as text; what is no UTF-8 is replaced, and told.

    Raises ``click.UsageError`` for bytes that are no text at all.
    """
    data = b"".join(pieces(what))
    if b"\0" in data:
        raise click.UsageError("standard input holds zero bytes: it is no text")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        notice(
            f"lm-deluge: standard input is not UTF-8 ({error.reason} at byte {error.start}); "
            "what cannot be read is replaced"
        )
        return data.decode("utf-8-sig", "replace")
