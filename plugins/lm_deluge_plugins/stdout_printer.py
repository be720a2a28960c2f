"""``StdoutPrinter``: the answer on the screen, as it arrives."""

from __future__ import annotations

import asyncio
import contextlib
import io
import sys
from typing import Any, Final, Protocol

from lm_deluge import APIResponse, Delta, Stream, StreamHandler, Token
from lm_deluge.errors import StreamError
from lm_deluge_plugins.terminals import harmless, is_closed, is_terminal, writable

__all__ = ["StdoutPrinter"]

#: Seconds between two flushes of what may make a message of each; less than an eye notices.
_FLUSH_INTERVAL: Final = 0.1


class SupportsWrite(Protocol):
    """Any object that text can be written to."""

    def write(self, text: str, /) -> object:
        """Take the text."""


class StdoutPrinter(StreamHandler):
    """Writes each token, and refusal text, at once; adds nothing of its own.

    On a terminal control characters of the model are shown, not obeyed; into a pipe or file the text
    passes as it is. A closed pipe cancels the stream. Characters that the encoding of the file lacks
    are replaced. With ``n > 1`` choice 0 is written.

    ``file``: where to, ``None`` for ``sys.stdout`` as it is at the time of each write. Any object with
    ``write``; what else it has (``flush``, ``isatty``, ``encoding``) is used. Terminals, files and pipes
    are flushed at each token. Any other object, such as a notebook's, may make a message of each flush:
    it is flushed at most ten times a second, and at the end.

    Raises ``TypeError`` for a ``file`` without ``write``.
    """

    def __init__(self, file: SupportsWrite | None = None) -> None:
        if file is not None and not callable(getattr(file, "write", None)):
            message = (
                f"file must be a text file, or an object with write; not {type(file).__name__}"
            )
            raise TypeError(message)
        self._file = file
        self._known: Any = None
        self._is_terminal = False
        self._flushes_each = True
        self._flush_due: asyncio.TimerHandle | None = None

    def on_token(self, stream: Stream, token: Token) -> None:
        """Write one token."""
        if token.choice == 0:
            self._write(stream, token.text)

    def on_delta(self, stream: Stream, delta: Delta) -> None:
        """Write refusal text; nothing of reasoning or tool calls."""
        if delta.kind == "refusal" and delta.choice == 0:
            self._write(stream, delta.text)

    def on_complete(self, stream: Stream, response: APIResponse) -> None:
        """Flush what is left to flush."""
        self._flush_rest()

    def on_error(self, stream: Stream, error: StreamError) -> None:
        """Flush what is left to flush."""
        self._flush_rest()

    def _write(self, stream: Stream, text: str) -> None:
        file: Any = self._file if self._file is not None else sys.stdout
        if file is None:  # a program without a console
            return
        if file is not self._known:
            self._flush_rest()
            self._look_at(file)
        if self._is_terminal:
            text = harmless(text)
        try:
            try:
                file.write(text)
            except UnicodeEncodeError:
                file.write(writable(text, getattr(file, "encoding", None)))
            if self._flushes_each:
                file.flush()
            elif self._flush_due is None:
                loop = asyncio.get_running_loop()
                self._flush_due = loop.call_later(_FLUSH_INTERVAL, self._flush_quietly)
        except OSError as error:
            if not is_closed(error):
                raise
            # Its traceback would keep the stream.
            cause = error.with_traceback(None)
            stream.cancel("nobody reads the output: its pipe was closed", cause=cause)

    def _look_at(self, file: Any) -> None:
        """Find out what kind of file it is; once, for it is asked for each token."""
        self._is_terminal = is_terminal(file)
        flush = getattr(file, "flush", None)
        own = isinstance(file, (io.TextIOWrapper, io.StringIO))
        self._flushes_each = (own or self._is_terminal) and flush is not None
        self._known = file

    def _flush_rest(self) -> None:
        due, self._flush_due = self._flush_due, None
        if due is not None:
            due.cancel()
            flush = getattr(self._known, "flush", None)
            if flush is not None:
                flush()

    def _flush_quietly(self) -> None:
        # The next write tells what is wrong with the file.
        with contextlib.suppress(Exception):
            self._flush_rest()
