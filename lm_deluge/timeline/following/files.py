"""Files that grow: what was written since the last look, whatever became of the files meanwhile."""

from __future__ import annotations

import glob
import os
import stat
from codecs import BOM_UTF8
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Final

from attrs import define

__all__ = ["GrowingFiles", "check_followed"]

_CHUNK: Final = 1 << 20
#: Bytes of a file's beginning by which one is known that was emptied and written anew.
_HEAD: Final = 256
_GZIP: Final = b"\x1f\x8b"

BACKLOG: Final = 64 << 20
"""Bytes at the end of a file that is already there which are read at first."""

LONGEST_LINE: Final = 64 << 20
"""A line longer than this is passed over."""

KEPT: Final = 60.0
"""Seconds for which a file that was moved away is still read: its writer may not know yet."""


def check_followed(source: str) -> None:
    """Raise ``ValueError`` for what cannot grow: standard input, a folder, compressed data."""
    if source == "-":
        raise ValueError("standard input cannot be followed; name the file")
    path = Path(source)
    try:
        found = path.stat()
    except OSError:
        return  # it may come yet, or it is a pattern
    if not stat.S_ISREG(found.st_mode):
        message = f"{source} is no file that grows"
        raise ValueError(message)
    with path.open("rb") as file:
        if file.read(2) == _GZIP:
            message = (
                f"{source} is compressed, and cannot be followed; follow the log as it is written"
            )
            raise ValueError(message)


@define
class _Growing:
    """One file: where reading is, the line begun, how the file begins, when its path was last its own."""

    file: IO[bytes]
    rest: bytes = b""
    head: bytes = b""
    named: float = 0.0
    passing_over: bool = False


class GrowingFiles:
    """Logs given by path or pattern; ``poll`` returns the whole lines that are new.

    A file may appear later, be emptied, or be moved away and made anew (rotation); each is told by
    what the system calls the file, not by its path. Of one that is there at first, the last 64 MB are
    read. Holds one open file a log and the line begun in each.
    """

    def __init__(self, sources: Sequence[str], *, backlog: int = BACKLOG) -> None:
        self._sources = list(sources)
        self._backlog = backlog
        self._files: dict[tuple[int, int], _Growing] = {}
        self._first = True

    @property
    def found(self) -> int:
        """How many files are read now."""
        return len(self._files)

    def poll(self, now: float) -> list[bytes]:
        """Return the lines that were finished since the last call, file by file; ``now``: seconds.

        Raises ``OSError`` for a file that is there and cannot be read.
        """
        self._look(now)
        lines: list[bytes] = []
        for key, growing in list(self._files.items()):
            lines += self._read(growing)
            if now - growing.named > KEPT:
                growing.file.close()
                del self._files[key]
        self._first = False
        return lines

    def close(self) -> None:
        """Close all files."""
        for growing in self._files.values():
            growing.file.close()
        self._files.clear()

    def _look(self, now: float) -> None:
        for path in self._paths():
            try:
                found = path.stat()
                if not stat.S_ISREG(found.st_mode):
                    continue
                key = found.st_dev, found.st_ino
                if key in self._files:
                    self._files[key].named = now
                    continue
                file = path.open("rb", buffering=0)
            except FileNotFoundError:
                continue  # between the two lines above somebody moved it
            opened = os.fstat(file.fileno())
            growing = _Growing(file, named=now)
            if self._first and opened.st_size > self._backlog:
                file.seek(opened.st_size - self._backlog)
                growing.passing_over = True  # the line in whose middle this is
            self._files[opened.st_dev, opened.st_ino] = growing

    def _paths(self) -> list[Path]:
        paths: list[Path] = []
        for source in self._sources:
            if Path(source).exists():
                paths.append(Path(source))
            else:
                paths += map(Path, sorted(glob.glob(source, recursive=True)))  # noqa: PTH207
        return paths

    def _read(self, growing: _Growing) -> list[bytes]:
        file = growing.file
        size = os.fstat(file.fileno()).st_size
        position = file.tell()
        if size < position or self._is_another(growing):
            file.seek(0)
            growing.rest, growing.head, growing.passing_over = b"", b"", False
        if len(growing.head) < _HEAD:
            growing.head = _beginning(file, _HEAD)
            if growing.head.startswith(_GZIP):
                return []
        lines: list[bytes] = []
        begins = not file.tell()
        while chunk := file.read(_CHUNK):
            if begins:
                chunk, begins = chunk.removeprefix(BOM_UTF8), False
            whole, newline, rest = (growing.rest + chunk).rpartition(b"\n")
            if newline:
                new = whole.split(b"\n")
                lines += new[1:] if growing.passing_over else new
                growing.passing_over = False
            growing.rest = rest
            if len(rest) > LONGEST_LINE:
                growing.rest, growing.passing_over = b"", True
        return lines

    @staticmethod
    def _is_another(growing: _Growing) -> bool:
        head = growing.head
        return bool(head) and _beginning(growing.file, len(head)) != head


def _beginning(file: IO[bytes], size: int) -> bytes:
    """Return the first bytes of a file; reading goes on where it was."""
    position = file.tell()
    file.seek(0)
    try:
        return file.read(size)
    finally:
        file.seek(position)
