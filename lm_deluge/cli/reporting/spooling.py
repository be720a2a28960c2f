"""Logs that can be read once, kept in a temporary file so that a page can read them twice."""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, cast

import click

from lm_deluge.timeline.reading import Source

__all__ = ["Spooled", "rewound", "spooled"]


class Spooled(io.BufferedReader):
    """A copy of a log, named as the log is."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        file.seek(0)
        super().__init__(cast("io.RawIOBase", file))
        self._said = name

    @property
    def name(self) -> str:
        return self._said


def spooled(source: Source) -> Source:
    """Return a source that can be read again: standard input and pipes are copied until their end."""
    if source == "-":
        return _copied(sys.stdin.buffer, "<stdin>")
    if isinstance(source, Path) and not (source.is_file() or source.is_dir()):
        with source.open("rb") as pipe:
            return _copied(pipe, str(source))
    return source


def rewound(sources: Sequence[Source]) -> list[Source]:
    """Return the sources, to be read once more from their beginning."""
    for source in sources:
        if isinstance(source, Spooled):
            source.seek(0)
    return list(sources)


def _copied(file: IO[bytes], name: str) -> Spooled:
    copy = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - the command's end closes it
    click.get_current_context().call_on_close(copy.close)
    shutil.copyfileobj(file, copy, 1 << 20)
    made = Spooled(copy, name)
    click.get_current_context().call_on_close(made.close)  # which also holds it until then
    return made
